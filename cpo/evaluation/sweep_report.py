"""The page of a sweep with its statistics: what a multirun writes when it ends, and `cpo report` again."""

from __future__ import annotations

from pathlib import Path

from cpo.evaluation.significance import with_statistics
from cpo.report.sweep import sweep_page
from cpo.report.sweep_record import read_sweep


def report_sweep(directory: Path, *, out: Path | None = None, baseline: str = "") -> Path:
    """Writes the page of a sweep.

    Args:
        directory: Of the sweep.
        out: The HTML file; None for `report.html` in the directory.
        baseline: The value of its column axis that others are tested against; empty for `dpo` or the first.

    Returns:
        The page.

    Raises:
        ConfigError: The baseline is no value of the axis.
        DataError: No job has finished.
    """
    return sweep_page(with_statistics(read_sweep(directory), baseline), out or directory / "report.html")
