"""Pages about a dataset: what the doctor found in a copy, and some of its samples as a person would look at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from cpo.files import write_text
from cpo.records import ImageRef, LabelState, Sample
from cpo.report.blocks import Block, Cell, Comparison, Facts, Figure, Notice, Row, Span, Table, Tile, Tiles, Version
from cpo.report.examples import as_thumbnail
from cpo.report.page import Section, render
from cpo.report.style import as_json, colour, new_figure
from cpo.sequence.pixels import read_image

STATES = (LabelState.PRESENT, LabelState.UNCERTAIN, LabelState.ABSENT)
"""The states that are drawn, in order; the rest is unmentioned."""


def check_page(found: Mapping[str, Any], out: Path) -> Path:
    """Writes what the doctor found as a page.

    Args:
        found: As `cpo data check --json` writes it.
        out: The HTML file.
    """
    details = dict(found["details"])
    problems = [Notice(text, "warning") for text in details.pop("problems", ())]
    remarks = [Notice(text) for text in details.pop("remarks", ())]
    sections = [
        Section("Verdict", [Tiles(list(_tiles(found))), *problems, *remarks]),
        Section("Records", [_counts("Left out by the release's own rules", found["excluded"]), *_damaged(found)]),
        Section("Labels", list(_labels(found["labels"], details.get("groups_by_results", {})))),
        Section("Details", [Facts([(_words(name), _words(value)) for name, value in details.items()])]),
    ]
    page = render(found["dataset"], sections, subtitle=f"This copy is {found['verdict']}.")
    write_text(out, page)
    return out


def _tiles(found: Mapping[str, Any]) -> Iterator[Tile]:
    yield Tile("Records", f"{found['records']:,}", "as the release counts them", [])
    splits = [(split, f"{count:,}") for split, count in found["by_split"].items()]
    yield Tile("Samples", f"{found['samples']:,}", "what training would see", splits)
    yield Tile("Left out", f"{sum(found['excluded'].values()):,}", "by the release's own rules", [])
    yield Tile("Damaged", f"{sum(found['quarantined'].values()):,}", "quarantined", [])


def _damaged(found: Mapping[str, Any]) -> list[Block]:
    return [_counts("Damaged", found["quarantined"])]


def _counts(caption: str, counts: Mapping[str, int]) -> Table:
    rows = [Row(reason, [Cell(f"{count:,}")]) for reason, count in counts.items()]
    return Table(["Reason", "Records"], rows or [Row("none", [Cell("0")])], caption=caption)


def _labels(labels: Mapping[str, Mapping[str, int]], per_group: Mapping[str, int]) -> Iterator[Block]:
    shown = {name: states for name, states in labels.items() if any(states.get(s.value) for s in STATES)}
    if not shown:
        yield Notice("No label of this copy is stated of any sample.")
        return
    ordered = sorted(shown, key=lambda name: shown[name].get("present", 0))
    figure = new_figure("samples", legend=True, hover="closest")
    for number, state in enumerate(STATES):
        counts = [shown[name].get(state.value, 0) for name in ordered]
        figure.add_trace(
            go.Bar(y=ordered, x=counts, name=state.value, orientation="h", marker={"color": colour(number)})
        )
    figure.update_layout(barmode="stack")
    yield Figure(as_json(figure), "Labels and how sure they are", height=80 + 24 * len(ordered), wide=True)
    rows = [Row(name, [Cell(f"{shown[name].get(s.value, 0):,}") for s in LabelState]) for name in reversed(ordered)]
    yield Table(["Label", *(s.value for s in LabelState)], rows, caption="Samples by state of each label")
    total = sum(per_group.values())
    if total:
        several = [Row(f"{name} results", [Cell(f"{n:,}", f"{n / total:.1%}")]) for name, n in per_group.items()]
        yield Table(["Groups (patients, clips, scenes)", "Count"], several, caption="Results per group")


def samples_page(name: str, samples: Sequence[Sample], out: Path) -> Path:
    """Writes some samples as a page: pictures, prompt, thinking and answer, labels, where each comes from.

    Args:
        name: Of the dataset.
        samples: What to show.
        out: The HTML file.
    """
    blocks = [_sample(sample, number) for number, sample in enumerate(samples, start=1)]
    access = {sample.provenance.access for sample in samples}
    subtitle = "Credentialed: this page must not leave this machine." if "credentialed" in access else ""
    write_text(out, render(name, [Section("Samples", blocks)], subtitle=subtitle))
    return out


def _sample(sample: Sample, number: int) -> Comparison:
    pictures = [_picture(ref) for ref in sample.images]
    lost = pictures.count(None)
    text = [
        (part, [Span(said)])
        for part, said in (("thinking", sample.factual.thinking), ("answer", sample.factual.answer))
        if said
    ]
    stated = [
        f"{label}: {state.value}" for label, state in sample.labels.items() if state is not LabelState.UNMENTIONED
    ]
    origin = sample.provenance
    known = [
        ("Labels", [Span(", ".join(stated) or "none stated")]),
        ("Results", [Span(", ".join(sample.results) or "none")]),
        (
            "About it",
            [Span(", ".join(f"{key} {value}" for key, value in sample.metadata.items() if value) or "nothing")],
        ),
        (
            "From",
            [Span(f"{origin.file} row {origin.row}, split {sample.split}, group {sample.group}, {origin.access}")],
        ),
    ]
    return Comparison(
        title=f"Sample {number}: {sample.id}",
        prompt=sample.prompt,
        pictures=[picture for picture in pictures if picture is not None],
        versions=[Version("Trajectory", text, "after"), Version("What is known", known, "before")],
        note=f"{lost} of {len(pictures)} pictures could not be read." if lost else "",
    )


def _picture(ref: ImageRef) -> str | None:
    try:
        return as_thumbnail(read_image(ref))
    except ValueError:
        return None


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(key)} {_words(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value)) or "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value).replace("_", " ")
