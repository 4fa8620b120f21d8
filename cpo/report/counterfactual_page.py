"""The page of a set of counterfactuals: how good it is, how it is spread, and examples side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table as TerminalTable

from cpo.files import write_text
from cpo.report.blocks import Block, Cell, Comparison, Facts, Figure, Notice, Row, Table, Tile, Tiles
from cpo.report.examples import comparison
from cpo.report.page import Section, render
from cpo.report.style import as_json, colour, new_figure, short

BINS = 30
TARGETS = 20
"""Targets that a figure shows; the others are in the table under it."""
DISTRIBUTIONS = {
    "edited": (
        "Edited words",
        "edited words / words of both thinkings",
        "Few edits leave less that gives a pair away.",
    ),
    "usual": (
        "Usual word pairs",
        "share of adjacent words that two reports of the pool have",
        "A proxy of fluency that needs no model.",
    ),
    "margin": (
        "Difficulty",
        "log-prob of chosen − rejected under the reference, nats",
        "Below 0 the reference prefers the rejected side: the hardest pairs.",
    ),
    "per_word": (
        "Fluency under the reference",
        "log-prob of the rejected side, nats per word",
        "Higher is more fluent.",
    ),
}
"""What is drawn of each counterfactual: title, axis, what to look for."""


def counterfactual_page(content: Mapping[str, Any], out: Path) -> Path:
    """Writes the page of a set.

    Args:
        content: `name` of the dataset, `judge`, `choices`, `quality` as in `quality.json`, `values` by name of
            `DISTRIBUTIONS`, `moves` as (result, target, count), and `examples`: rows of a pair file with `heading` and
            `interventions`.
        out: The HTML file.
    """
    quality = content["quality"]
    sections = [
        Section("Quality", [Tiles(list(_tiles(content))), *_reasons(quality)]),
        Section("Distributions", list(_distributions(content))),
        Section("Targets", list(_targets(content))),
        Section("Examples", list(_examples(content["examples"]))),
    ]
    page = render(
        f"Counterfactuals of {content['name']}",
        sections,
        subtitle=f"Judged by {content['judge']}.",
        tags=[f"{name}={value}" for name, value in content["choices"].items()],
    )
    write_text(out, page)
    return out


def quality_table(quality: Mapping[str, Any]) -> TerminalTable:
    """The same for the terminal.

    Args:
        quality: As in `quality.json`.
    """
    table = TerminalTable(quality["method"], "", box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.columns[1].justify = "right"
    for name, value in _facts(quality):
        table.add_row(name, value)
    for caption, reasons in (("rejected by the judge", quality["rejected"]), ("not made", quality["not_made"])):
        for reason, count in reasons.items():
            table.add_row(f"{caption}: {reason}", f"{count:,}", style="yellow" if caption != "not made" else "dim")
    return table


def _facts(quality: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "samples", f"{quality['samples']:,}"
    yield "valid counterfactuals", f"{quality['n']:,}"
    yield "valid, of those made", _share(quality["valid_share"])
    yield "made per second", _number(quality["per_second"], ",.0f")
    yield "judged per second", _number(quality["judged_per_second"], ",.0f")
    yield "edited words, median", _share(quality["edited_words_median"])
    yield "edited words, 90 %", _share(quality["edited_words_q90"])
    yield "thinking shows the target", _share(quality["argued_share"])
    yield "samples with fewer than asked for", f"{quality['short']:,}"
    for name, value in {**quality["fluency"], **quality["difficulty"]}.items():
        if value is not None:
            yield name.replace("_", " "), _number(value, ".3g")


def _tiles(content: Mapping[str, Any]) -> Iterator[Tile]:
    quality = content["quality"]
    asked = f"of {quality['samples']:,} samples, {quality['short']:,} with fewer than asked for"
    yield Tile("Valid counterfactuals", f"{quality['n']:,}", asked, [])
    yield Tile("Valid", _share(quality["valid_share"]), f"of those made, by {content['judge']}", [])
    q90 = [("90 % below", _share(quality["edited_words_q90"]))]
    yield Tile("Edited words", _share(quality["edited_words_median"]), "median, of both thinkings", q90)
    yield Tile("Made per second", _number(quality["per_second"], ",.0f"), "checks by the method included", [])


def _reasons(quality: Mapping[str, Any]) -> Iterator[Block]:
    for caption, reasons in (
        ("Rejected by the judge, and left out of the set", quality["rejected"]),
        ("Not made: candidates that the method itself gave up", quality["not_made"]),
    ):
        rows = [Row(reason, [Cell(f"{count:,}")]) for reason, count in reasons.items()]
        yield Table(["Reason", "Counterfactuals"], rows or [Row("none", [Cell("0")])], caption=caption)
    yield Facts(list(_facts(quality)))


def _distributions(content: Mapping[str, Any]) -> Iterator[Block]:
    for number, (name, (title, axis, note)) in enumerate(DISTRIBUTIONS.items()):
        values = np.array(content["values"].get(name, ()), dtype=float)
        values = values[~np.isnan(values)]
        if len(values):
            yield _histogram(values, title, axis, note, number)
        elif name == "margin":
            yield Notice(
                "Difficulty and fluency under the reference were not measured: pass run=DIR of a finished run."
            )


def _histogram(values: np.ndarray[Any, np.dtype[np.float64]], title: str, axis: str, note: str, number: int) -> Figure:
    counts, edges = np.histogram(values, bins=BINS)
    figure = new_figure(axis, legend=False, hover="closest")
    middle = (edges[:-1] + edges[1:]) / 2
    bars = {"color": colour(number)}
    figure.add_bar(x=short(middle), y=counts.tolist(), width=float(edges[1] - edges[0]), marker=bars, name=title)
    median = float(np.median(values))
    line = {"color": "rgba(128, 128, 128, 0.9)", "dash": "dash", "width": 1.5}
    side = "top left" if median > (edges[0] + edges[-1]) / 2 else "top right"
    figure.add_vline(median, line=line, annotation_text=f"median {median:.3g}", annotation_position=side)
    figure.update_layout(margin_t=28)
    return Figure(as_json(figure), title, "counterfactuals", note)


def _targets(content: Mapping[str, Any]) -> Iterator[Block]:
    moves: Sequence[tuple[str, str, int]] = content["moves"]
    if not any(target for _, target, _ in moves):
        yield Notice("These counterfactuals argue for no result of their own.")
        return
    rows = list(dict.fromkeys(result for result, _, _ in moves))[:TARGETS]
    columns = [target for target in content["quality"]["targets"] if target][:TARGETS]
    counts = {(result, target): count for result, target, count in moves}
    figure = new_figure("target, which the counterfactual argues for", legend=False, hover="closest")
    figure.add_heatmap(
        x=columns,
        y=rows,
        z=[[counts.get((row, column), 0) for column in columns] for row in rows],
        colorscale=[[0, "rgba(0, 114, 178, 0.03)"], [1, colour(0)]],
        hovertemplate="%{y} → %{x}: %{z}<extra></extra>",
        colorbar={"title": "", "thickness": 10},
    )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    height = 160 + 26 * len(rows)
    yield Figure(as_json(figure), "From which result to which", "result of the sample", height=height, wide=True)
    table = [Row(name or "none", [Cell(f"{count:,}")]) for name, count in content["quality"]["targets"].items()]
    yield Table(["Target", "Counterfactuals"], table)


def _examples(rows: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    if not rows:
        yield Notice("There is none to show.")
    for number, row in enumerate(rows, start=1):
        yield _example(row, number)


def _example(row: Mapping[str, Any], number: int) -> Comparison:
    shown = comparison(row, number, row["heading"])
    changed = f"Changed: {'; '.join(row['interventions'])}." if row["interventions"] else ""
    return replace(shown, note=" ".join(filter(None, [shown.note, changed])))


def _share(value: float | None) -> str:
    return "not measured" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None, form: str) -> str:
    return "not measured" if value is None else format(value, form).replace("-", "−")
