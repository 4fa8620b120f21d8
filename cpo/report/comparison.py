"""The page of runs side by side: how they differ, what they scored, whether that is noise, their curves together."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from cpo.files import write_text
from cpo.panels import PANELS, Panel
from cpo.report.blocks import Block, Cell, Facts, Figure, Notice, Row, Table, Text
from cpo.report.figures import POINTS, running_mean
from cpo.report.headline import ALL, MEASURES, UNMEASURED, number, shown
from cpo.report.page import Section, render
from cpo.report.record import RunRecord, read_run
from cpo.report.style import DASHES, as_json, colour, new_figure, short
from cpo.report.sweep_record import Test

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NOTE = (
    "Each metric as the mean over the held-out items that both runs were judged on. Paired sign-flip test by patient, "
    "two-sided; p is Holm's over all metrics of all runs."
)


def comparison_page(directories: Sequence[Path], tests: Sequence[Mapping[str, Test]], path: Path) -> Path:
    """Writes the page of several runs.

    Args:
        directories: Of the runs; the first is the one compared with.
        tests: For each of the others, its differences to the first by metric.
        path: The HTML file.

    Raises:
        DataError: One is not a run directory, or a file in it is damaged.
    """
    runs = [read_run(directory) for directory in directories]
    write_text(path, page(runs, tests, path.absolute().parent))
    return path


def page(runs: Sequence[RunRecord], tests: Sequence[Mapping[str, Test]], folder: Path) -> str:
    """The page as HTML; see `comparison_page`."""
    groups = dict.fromkeys(panel.group for panel in PANELS)
    return render(
        f"{len(runs)} runs side by side",
        [
            Section("Runs", list(_runs(runs, folder))),
            Section("Result", list(_result(runs))),
            Section("Differences", list(_differences(runs, tests))),
            *(Section(group, list(_curves(runs, group))) for group in groups),
        ],
        subtitle=f"A is {runs[0].directory.name}; the others are compared with it.",
    )


def _runs(runs: Sequence[RunRecord], folder: Path) -> Iterator[Block]:
    rows = [
        Row(
            f"{LETTERS[n % 26]}: {run.directory.name}",
            [Cell("yes" if run.summary.get("finished") else "no")],
            href=os.path.relpath(run.directory / "report.html", folder),
        )
        for n, run in enumerate(runs)
    ]
    yield Table(["", "finished"], rows, caption="Runs, with links to their pages")
    differing = _differing(runs)
    if differing:
        rows = [Row(key, [Cell(value) for value in values]) for key, values in differing.items()]
        yield Table(["", *LETTERS[: len(runs)]], rows, caption="What differs between them")
    else:
        yield Notice("Nothing differs between them but the time at which they ran.")
    same = {key: value for key, value in runs[0].choices.items() if key not in differing}
    yield Facts(list(same.items()))


def _differing(runs: Sequence[RunRecord]) -> dict[str, list[str]]:
    """Choices, seeds and overrides that are not the same in all runs."""
    settings = [
        {
            **run.choices,
            "seed": str(run.summary.get("seed", UNMEASURED)),
            **dict(str(line).lstrip("+~").partition("=")[::2] for line in run.overrides),
        }
        for run in runs
    ]
    keys = dict.fromkeys(key for setting in settings for key in setting)
    values = {key: [setting.get(key, UNMEASURED) for setting in settings] for key in keys}
    return {key: some for key, some in values.items() if len(set(some)) > 1}


def _result(runs: Sequence[RunRecord]) -> Iterator[Block]:
    results = [(run.summary.get("eval") or {}).get("after", {}).get(ALL, {}) for run in runs]
    rows = [
        Row(measure.label, cells, level="sub" if measure.sub else "plain")
        for measure in MEASURES
        for cells in [[Cell(*shown(result.get(measure.key))) for result in results]]
        if any(cell.text != UNMEASURED for cell in cells)
    ]
    if not rows:
        yield Notice("None of these runs was judged.")
        return
    yield Table(
        ["", *LETTERS[: len(runs)]],
        rows,
        caption="Tuned policies, all held-out samples",
        note="In brackets: bootstrap intervals of each run, which resample whole patients.",
    )


def _differences(runs: Sequence[RunRecord], tests: Sequence[Mapping[str, Test]]) -> Iterator[Block]:
    for n, (run, some) in enumerate(zip(runs[1:], tests, strict=True), start=1):
        name = f"{LETTERS[n % 26]} − A"
        if not some:
            yield Notice(f"{name}: {run.directory.name} was judged on other items, so nothing can be paired.")
            continue
        rows = [
            Row(
                metric.replace("_", " "),
                [
                    Cell(number(test.difference), f"[{number(test.low)}, {number(test.high)}]"),
                    Cell(f"{test.p_value:.2g}", "p < 0.05" if test.p_value < 0.05 else ""),
                    Cell(str(test.items)),
                ],
            )
            for metric, test in some.items()
        ]
        yield Table([name, "difference", "p, adjusted", "items"], rows, caption=f"{name}: {run.directory.name}")
    yield Text(NOTE)


def _curves(runs: Sequence[RunRecord], group: str) -> Iterator[Block]:
    for panel in PANELS:
        if panel.group != group:
            continue
        drawn = [figure for key in _shown(panel, runs) if (figure := _figure(panel, key, runs))]
        if drawn:
            yield from drawn
        else:
            yield Notice(f"{panel.title}: no such metrics in these runs.")


def _shown(panel: Panel, runs: Sequence[RunRecord]) -> Sequence[str]:
    return panel.select({key for run in runs for key in run.keys})


def _figure(panel: Panel, key: str, runs: Sequence[RunRecord]) -> Figure | None:
    """One metric of all runs, smoothed like the curves of a run's own page, without the raw values."""
    figure = new_figure(panel.x_label, legend=True)
    for n, run in enumerate(runs):
        x, y = (np.array(some, dtype=float) for some in run.series(key, panel.x))
        if not len(x):
            continue
        stride = -(-len(x) // POINTS)
        smooth = running_mean(y, len(y) // 20 | 1)
        figure.add_scatter(
            x=short(x[::stride]),
            y=short(smooth[::stride]),
            name=LETTERS[n % 26],
            mode="lines" if len(x) > 1 else "markers",
            line={"color": colour(n), "dash": DASHES[n % len(DASHES)], "width": 2},
        )
    if not figure.data:
        return None
    name = key.rpartition("/")[2] if len(_shown(panel, runs)) > 1 else ""
    return Figure(as_json(figure), f"{panel.title}{': ' + name if name else ''}", panel.y, "Running mean.")
