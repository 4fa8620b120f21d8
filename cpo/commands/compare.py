"""`evaluate.py compare=[DIR1,DIR2]`: two runs on the items that both were judged on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cpo.errors import ConfigError, DataError
from cpo.evaluation.items import compare_items, corrected, read_items
from cpo.metrics.comparison import Paired

LEVEL = 0.05
NOTE = "Paired sign-flip test by patient (or scene), two-sided; Holm over all rows; bold: below 0.05 after it."
Tests = dict[str, tuple[float, float, Paired]]


def compare_runs(runs: Sequence[str], *, phase: str = "after", seed: int = 0) -> None:
    """Prints a paired table: each metric of both runs, the difference with its interval, and Holm-corrected p-values.

    Args:
        runs: Two run directories.
        phase: Which judgement of each.
        seed: Of the permutations and the bootstrap.

    Raises:
        ConfigError: Not two directories.
        DataError: One of them was not judged, or the two share no benchmark or no item.
    """
    if len(runs) != 2:
        raise ConfigError(
            got=f"compare={list(runs)}", wanted="two run directories", remedy="python evaluate.py 'compare=[DIR1,DIR2]'"
        )
    first, second = (_judged(Path(run).absolute(), phase) for run in runs)
    shared = sorted(first.keys() & second.keys())
    if not shared:
        raise DataError(
            got=f"{', '.join(first)} of the one run and {', '.join(second)} of the other",
            wanted="a benchmark that both were judged by",
            remedy="judge one again: python evaluate.py run=DIR benchmark=[…]",
        )
    tests, remarks = _tests(first, second, shared, seed)
    if not tests:
        raise DataError(
            got="; ".join(remarks) or "benchmarks that keep no value per item",
            wanted="the same held-out items for both runs",
            remedy="judge one of them again on the other's dataset and held_out split",
        )
    console = Console()
    console.print(_table(f"{Path(runs[0]).name} − {Path(runs[1]).name}", tests))
    console.print(NOTE, style="dim", soft_wrap=True)
    for remark in remarks:
        console.print(remark, style="yellow", soft_wrap=True)


def _tests(
    first: Mapping[str, Path], second: Mapping[str, Path], shared: Sequence[str], seed: int
) -> tuple[Tests, list[str]]:
    tests: Tests = {}
    remarks: list[str] = []
    for name in shared:
        one, other = read_items(first[name]), read_items(second[name])
        if one is None or other is None:
            continue
        try:
            tests |= {f"{name}: {metric}": t for metric, t in compare_items(one, other, seed=seed).items()}
        except DataError:
            remarks.append(f"{name}: the two runs were judged on different items (other data, split or pairs)")
    return tests, remarks


def _table(title: str, tests: Tests) -> Table:
    adjusted = corrected(tests)
    table = Table(title=title, title_style="bold", box=None, padding=(0, 2, 0, 0))
    for column in ("metric", "first", "second", "difference", "95 % interval", "p", "p (Holm)", "items", "groups"):
        table.add_column(column, justify="left" if column == "metric" else "right")
    for metric, (one, other, test) in tests.items():
        d = test.difference
        numbers = [f"{one:.3f}", f"{other:.3f}", f"{d.value:+.3f}", f"{d.low:+.3f} to {d.high:+.3f}"]
        numbers += [f"{test.p_value:.2g}", f"{adjusted[metric]:.2g}", str(d.n), str(d.clusters)]
        table.add_row(metric, *numbers, style="bold" if adjusted[metric] < LEVEL else None)
    return table


def _judged(directory: Path, phase: str) -> dict[str, Path]:
    """The folders of a run's judgements, by benchmark."""
    folder = directory / "eval" / phase
    found = {f.name: f for f in sorted(folder.iterdir()) if f.is_dir()} if folder.is_dir() else {}
    if not (directory / "summary.json").is_file() or not found:
        raise DataError(
            got=f"{directory}, which holds no judged run"
            if directory.is_dir()
            else f"{directory}, which is no directory",
            wanted="a run directory with eval/",
            remedy="judge it: python evaluate.py run=DIR",
        )
    return found
