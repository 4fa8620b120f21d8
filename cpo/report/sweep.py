"""The page of a sweep: what varied, what was better and how surely, what it cost, and what did not finish."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from cpo.files import write_text
from cpo.report import sweep_figures as figures
from cpo.report.blocks import Block, Cell, Code, Details, Facts, Notice, Row, Table, Tabs, Text
from cpo.report.headline import UNMEASURED, number
from cpo.report.page import Section, render
from cpo.report.sweep_record import SweepRecord

TABS = 6
"""Measures with a tab of their own; the others stand in the run pages."""


def sweep_page(sweep: SweepRecord, path: Path) -> Path:
    """Writes the page of a sweep whose settings have been scored.

    Args:
        sweep: With the statistics of its settings.
        path: The HTML file.
    """
    write_text(path, page(sweep, path.absolute().parent))
    return path


def page(sweep: SweepRecord, folder: Path) -> str:
    """The page as HTML.

    Args:
        sweep: With the statistics of its settings.
        folder: Where the page will stand: it links to the pages of the runs from there.
    """
    runs, seeds = sweep.runs, sorted({run.seed for run in sweep.runs})
    subtitle = f"{_count(len(runs), 'run')} of {_count(len(sweep.settings), 'setting')}, {_count(len(seeds), 'seed')}."
    return render(
        sweep.directory.name,
        [
            Section("Matrix", list(_matrix(sweep))),
            Section("Ranking", list(_ranking(sweep))),
            Section("Cost", list(_cost(sweep))),
            Section("Jobs", list(_jobs(sweep, folder))),
            Section("What varied", list(_varied(sweep))),
        ],
        subtitle=subtitle,
        tags=[*(f"{axis}: {', '.join(_few(values))}" for axis, values in sweep.axes.items()), f"seeds: {len(seeds)}"],
    )


def _matrix(sweep: SweepRecord) -> Iterator[Block]:
    yield from _incomplete(sweep)
    measures = sweep.measures[:TABS]
    tabs: list[tuple[str, list[Block]]]
    if figures.is_grid(sweep):
        tabs = [
            (label, list[Block]([figure, _matrix_table(sweep, key, label)]))
            for key, label in measures
            if (figure := figures.matrix_figure(sweep, key, label))
        ]
    else:
        yield Text("Most combinations of the axes were not run, so each axis is drawn by itself.")
        tabs = [(label, list(found)) for key, label in measures if (found := figures.axis_figures(sweep, key, label))]
    yield Tabs("Matrix by measure", tabs) if tabs else Notice("No measure was taken of these runs.")


def _matrix_table(sweep: SweepRecord, key: str, label: str) -> Block:
    """The heat map in figures, for whoever reads with a keyboard or a screen reader."""
    rows, columns, cells = figures.matrix(sweep)
    lines = []
    for row in rows:
        scores = [cell.scores.get(key) if (cell := cells.get((row, column))) else None for column in columns]
        texts = [
            Cell(
                f"{number(score.value)} {figures.marks(score)}".strip(),
                "" if math.isnan(score.low) else f"[{number(score.low)}, {number(score.high)}]",
            )
            if score
            else Cell(UNMEASURED)
            for score in scores
        ]
        lines.append(Row(row or "every run", texts))
    return Details("The same in figures, with intervals", [Table(["", *columns], lines, caption=label)])


def _ranking(sweep: SweepRecord) -> Iterator[Block]:
    tabs: list[tuple[str, list[Block]]] = []
    for key, label in sweep.measures[:TABS]:
        if figure := figures.ranking_figure(sweep, key, label):
            tabs.append((label, [figure, Details("All settings in figures", [_ranking_table(sweep, key, label)])]))
    if tabs:
        yield Tabs("Ranking by measure", tabs)


def _ranking_table(sweep: SweepRecord, key: str, label: str) -> Table:
    rows = []
    for setting in figures.ranked(sweep, key):
        score, test = setting.scores[key], setting.scores[key].test
        interval = "" if math.isnan(score.low) else f"[{number(score.low)}, {number(score.high)}]"
        cells = [
            Cell(number(score.value), interval),
            Cell(number(test.difference), f"[{number(test.low)}, {number(test.high)}]") if test else Cell(UNMEASURED),
            Cell(f"{test.p_value:.2g}" if test and not math.isnan(test.p_value) else UNMEASURED),
            Cell(", ".join(str(run.seed) for run in setting.runs)),
        ]
        rows.append(Row(setting.name, cells))
    against = f"difference to {sweep.baseline[1]}" if sweep.baseline else "difference"
    return Table(["", label.lower(), against, "p, adjusted", "seeds"], rows, caption=f"Ranking by {label.lower()}")


def _cost(sweep: SweepRecord) -> Iterator[Block]:
    stages = [run.summary.get("stages") or {} for run in sweep.runs]
    trained = [sum(float(stage.get("seconds") or 0.0) for stage in one.values()) for one in stages]
    once = sum(not one["sft"].get("cached", False) for one in stages if "sft" in one)
    yield Facts(
        [
            ("training, all runs", _duration(sum(trained))),
            ("training, mean of a run", _duration(sum(trained) / len(trained))),
            ("SFT stages trained", f"{once} for {_count(len(stages), 'run')}"),
        ]
    )
    if sweep.measures and (figure := figures.cost_figure(sweep, *sweep.measures[0])):
        yield figure
    rows = [
        Row(
            setting.name,
            [
                Cell(_short(setting.mean("stages", "preference", "seconds"))),
                Cell(_short(setting.mean("stages", "preference", "pairs_per_second"))),
                Cell(_short(setting.mean("stages", "preference", "peak_memory_mb"))),
            ],
        )
        for setting in sweep.settings
    ]
    table = Table(
        ["", "seconds", "pairs per second", "peak memory, MB"], rows, caption="Preference stage, mean of runs"
    )
    yield Details("Cost of each setting", [table])


def _jobs(sweep: SweepRecord, folder: Path) -> Iterator[Block]:
    for failure in sweep.failures:
        told = f"{failure.get('error', '')}\n\nto run it again:\n  {failure.get('command', '')}"
        yield Details(f"Job {failure.get('job', '?')} failed", [Code(told)])
    rows = [
        Row(
            run.directory.name,
            [Cell(str(run.seed)), *(Cell(number(_value(run.results.get(key)))) for key, _ in sweep.measures[:3])],
            href=os.path.relpath(run.directory.absolute() / "report.html", folder),
        )
        for run in sweep.runs
    ]
    columns = ["", "seed", *(label.lower() for _, label in sweep.measures[:3])]
    yield Details("Every run, with a link to its page", [Table(columns, rows, caption="Runs")])


def _varied(sweep: SweepRecord) -> Iterator[Block]:
    seeds = ", ".join(str(seed) for seed in sorted({run.seed for run in sweep.runs}))
    yield Facts([*((axis, ", ".join(values)) for axis, values in sweep.axes.items()), ("seed", seeds)])
    first = sweep.runs[0]
    fixed = {key: value for key, value in first.summary.get("choices", {}).items() if key not in sweep.axes}
    if fixed:
        yield Details("The same in every run", [Facts([(key, str(value)) for key, value in fixed.items()])])


def _incomplete(sweep: SweepRecord) -> Iterator[Block]:
    done = len(sweep.runs)
    parts = [
        f"{len(sweep.failures)} failed" if sweep.failures else "",
        f"{len(sweep.unfinished)} began and did not finish" if sweep.unfinished else "",
    ]
    missing = sweep.planned - done if sweep.planned else 0
    if any(parts) or missing > 0:
        of = f" of {sweep.planned}" if sweep.planned else ""
        told = "; ".join(filter(None, parts))
        yield Notice(f"This page is of {done} finished jobs{of}{': ' + told if told else ''}.", tone="warning")


def _value(measured: object) -> float | None:
    value = measured.get("value") if isinstance(measured, dict) else measured
    return float(value) if isinstance(value, int | float) else None


def _few(values: tuple[str, ...], most: int = 6) -> list[str]:
    return [*values[:most], *([f"… ({len(values)})"] if values[most:] else [])]


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _short(value: float) -> str:
    return UNMEASURED if math.isnan(value) else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _duration(seconds: float) -> str:
    """Seconds in the unit that suits them.

    Example:
        >>> _duration(42.0), _duration(300.0), _duration(9000.0)
        ('42 s', '5.0 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
