"""`cpo report DIR…`: the page of a run, of a sweep, or of runs side by side, each from its directories alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cpo.errors import ConfigError, DataError
from cpo.evaluation.significance import paired
from cpo.evaluation.sweep_report import report_sweep
from cpo.files import write_text
from cpo.report.comparison import comparison_page
from cpo.report.record import read_run
from cpo.report.run import page, run_page
from cpo.report.sweep_record import SweepRun, is_sweep


def report(directories: Sequence[Path], *, out: Path | None = None, baseline: str = "") -> Path:
    """Writes the page of what the directories are.

    Args:
        directories: One run, one sweep, or several runs to be put side by side, the first of which is compared with.
        out: The HTML file; None for `report.html` in the directory, and `comparison.html` here for several.
        baseline: Of a sweep, the value of its column axis that others are tested against; empty for `dpo` or the first.

    Returns:
        The page.

    Raises:
        ConfigError: A baseline for something else than a sweep.
        DataError: A directory is neither a run nor a sweep.
    """
    if len(directories) == 1 and not _is_run(directories[0]) and is_sweep(directories[0]):
        return report_sweep(directories[0], out=out, baseline=baseline)
    if baseline:
        raise ConfigError(
            got=f"--baseline {baseline} for runs",
            wanted="a sweep",
            remedy="leave it out; the first run is compared with",
        )
    for directory in directories:
        _require_run(directory)
    if len(directories) > 1:
        runs = [SweepRun(directory, {}, {}) for directory in directories]
        return comparison_page(directories, paired(runs), out or Path("comparison.html"))
    (directory,) = directories
    if out is None:
        return run_page(directory)
    write_text(out, page(read_run(directory)))
    return out


def _is_run(directory: Path) -> bool:
    return (directory / "metrics.jsonl").is_file() or (directory / "summary.json").is_file()


def _require_run(directory: Path) -> None:
    if not _is_run(directory):
        raise DataError(
            got=f"{directory}, " + ("without metrics.jsonl" if directory.is_dir() else "which is no directory"),
            wanted="the directory of a run or of a sweep",
            remedy="pass the directory that train.py printed in its last line, `run: DIR` or `sweep: DIR`",
        )
