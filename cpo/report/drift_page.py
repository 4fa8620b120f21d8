"""A regime as a picture and in numbers: which concept is where, and what moves with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table as TerminalTable

from cpo.files import write_text
from cpo.report.bands import draw_bands
from cpo.report.blocks import Block, Cell, Facts, Figure, Notice, Row, Table
from cpo.report.page import Section, render
from cpo.report.style import DASHES, as_json, colour, new_figure, short

CURVES = 6
"""Curves in a figure; the others are in the table under it."""

Curves = Mapping[str, Sequence[float]]


def drift_page(content: Mapping[str, Any], out: Path) -> Path:
    """Writes the page of a regime.

    Args:
        content: What `cpo.drift.profile` says of a stream, the `name` of its dataset, and the `choices` of groups that
            made it, by name.
        out: The HTML file; its folder is made if missing.
    """
    sections = [
        Section("Plan", list(_plan(content))),
        Section("Shifts", list(_shifts(content))),
        Section("Results", list(_rates(content, "results"))),
        Section("Attributes", list(_rates(content, "attributes"))),
        Section("Texts, labels and images", list(_contents(content))),
    ]
    page = render(
        f"Regime on {content['name']}",
        sections,
        subtitle="What a stream is made of along its positions: the truth that detectors are scored against.",
        tags=[f"{name}={value}" for name, value in content["choices"].items()],
    )
    write_text(out, page)
    return out


def drift_tables(content: Mapping[str, Any]) -> Iterator[TerminalTable]:
    """The plan, and what each shift has reached, for the terminal.

    Args:
        content: As `drift_page` takes it.
    """
    plan = TerminalTable("Plan", "", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name, value in _facts(content):
        plan.add_row(name, value)
    yield plan
    for shift in content["truth"]["shifts"]:
        table = TerminalTable(f"shift {shift['name']}", box=None, header_style="bold", padding=(0, 2, 0, 0))
        for concept in shift["rates"]:
            table.add_column(concept, justify="right")
        for label, cells in _reached(shift):
            table.add_row(label, *cells)
        yield table


def _plan(content: Mapping[str, Any]) -> Iterator[Block]:
    note = "Dashed lines are where a change begins and ends."
    shares = {f"concept {i}: {name}": along for i, (name, along) in enumerate(content["concepts"].items())}
    yield _figure(content, shares, "Concepts", "share of samples", note)
    yield Facts(list(_facts(content)))


def _facts(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    truth = content["truth"]
    n = len(truth["concept_at"])
    yield "samples in the stream", f"{n:,}"
    yield "left out by the shifts", f"{truth['left_out']:,}"
    for concept in truth["concepts"]:
        count = truth["concept_at"].count(concept["index"])
        yield f"concept {concept['index']}: {concept['name']}", f"{count:,} samples"
    for number, (start, end) in enumerate(truth["changes"], start=1):
        where = f"at {start:,}" if start == end else f"from {start:,} to {end:,}"
        yield f"drift {number}", f"{where} of {n:,}"
    if not truth["changes"]:
        yield "drifts", "none"


def _shifts(content: Mapping[str, Any]) -> Iterator[Block]:
    if not content["shifts"]:
        yield Notice("Nothing changes: this regime has no shift.")
    for shift in content["truth"]["shifts"]:
        name, curves = shift["name"], content["shifts"][shift["name"]]
        moving = dict(sorted(curves.items(), key=lambda one: _span(one[1]), reverse=True)[:CURVES])
        knobs = {k: v for k, v in shift.items() if k not in ("name", "rates")}
        said = ", ".join(f"{knob} = {_knob(value)}" for knob, value in knobs.items())
        yield _figure(content, moving, f"{name}: what it moves", "", f"Knobs: {said}.")
        rows = [Row(label, [Cell(text) for text in cells]) for label, cells in _reached(shift)]
        yield Table(["", *shift["rates"]], rows, caption=f"{name}: what each concept has reached")


def _reached(shift: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    rates = shift["rates"]
    for key in dict.fromkeys(key for found in rates.values() for key in found):
        yield _words(key), [_number(found.get(key)) for found in rates.values()]


def _rates(content: Mapping[str, Any], what: str) -> Iterator[Block]:
    rates: Mapping[str, Mapping[str, Sequence[float]]] = content[what]
    if not rates:
        yield Notice(f"The samples have no {what} to follow.")
        return
    moving = sorted(rates, key=lambda name: _span(rates[name]["by_concept"]), reverse=True)
    note = f"The {CURVES} of {len(moving)} that differ most between concepts." if len(moving) > CURVES else ""
    curves = {name: rates[name]["along"] for name in moving[:CURVES]}
    yield _figure(content, curves, what.capitalize(), "share of samples", note)
    yield _by_concept(content, {name: rates[name] for name in moving}, "Share of samples in each concept")


def _contents(content: Mapping[str, Any]) -> Iterator[Block]:
    for name, rates in content["contents"].items():
        yield _figure(content, {name: rates["along"]}, name.capitalize(), "", "")
    yield _by_concept(content, content["contents"], "Mean over each concept")


def _by_concept(content: Mapping[str, Any], rates: Mapping[str, Any], caption: str) -> Table:
    rows = [Row(name, [Cell(_number(value)) for value in found["by_concept"]]) for name, found in rates.items()]
    return Table(["", *(concept["name"] for concept in content["truth"]["concepts"])], rows, caption=caption)


def _figure(content: Mapping[str, Any], curves: Curves, title: str, y: str, note: str) -> Figure:
    several = len(curves) > 1
    figure = new_figure("position in the stream, in samples", legend=several)
    for number, (name, rates) in enumerate(curves.items()):
        line = {"color": colour(number), "dash": DASHES[number % len(DASHES)], "width": 2}
        x, y_values = short(content["positions"]), short(rates)
        figure.add_scatter(x=x, y=y_values, name=_words(name), mode="lines+markers", line=line)
    figure.update_xaxes(range=[0, len(content["truth"]["concept_at"])])
    figure.update_yaxes(rangemode="tozero")
    draw_bands(figure, _numbered(content["truth"]))
    if several:  # under the axis, since the names of the concepts are above the curves
        figure.update_layout(legend={"y": -0.28, "yanchor": "top"}, margin_b=100)
    caption = " ".join(filter(None, [note, f"Each point stands for {_stretch(content)}."]))
    return Figure(as_json(figure), title, y, caption, height=360 if several else 240, wide=True)


def _numbered(truth: Mapping[str, Any]) -> dict[str, Any]:
    """The truth with short names of its concepts: those of stacked shifts are wider than a band."""
    return {**truth, "concepts": [{**c, "name": f"concept {c['index']}"} for c in truth["concepts"]]}


def _stretch(content: Mapping[str, Any]) -> str:
    low, high = min(content["samples"]), max(content["samples"])
    return f"{low} samples" if low == high else f"{low} to {high} samples"


def _span(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return max(known) - min(known) if known else 0.0


def _knob(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{old} → {new}" for old, new in value.items()) or "none"
    return (", ".join(map(str, value)) or "none") if isinstance(value, list | tuple) else str(value)


def _words(key: str) -> str:
    return key.replace("_", " ")


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "—"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
