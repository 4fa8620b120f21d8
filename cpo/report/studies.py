"""The page of a dataset: how often what occurs, and studies with picture, report and truth side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cpo.files import write_text
from cpo.report.blocks import Cell, Comparison, Details, Facts, Row, Span, Table, Text, Version
from cpo.report.examples import thumbnail
from cpo.report.page import Section, render

_OPEN_ROWS = 20
"""Longer tables open on demand."""


def studies_page(content: Mapping[str, Any], out: Path) -> Path:
    """Writes the page of a generated world.

    Args:
        content: `name`; `facts`, names and values; `tables`, each `caption`, `columns` and `rows` of a label and
            counts; `studies`, each `title`, `image` (path), `report` (sections of sentences, each with whether it is
            marked) and `truth` (names and texts).
        out: The HTML file; its folder is made if missing.
    """
    tables = [_table(table) for table in content["tables"]]
    page = render(
        content["name"],
        [
            Section("World", [Facts([(str(name), str(value)) for name, value in content["facts"]])]),
            Section(
                "Studies",
                [
                    Text("Marked: what the report states to be there, surely or possibly."),
                    *(_comparison(study) for study in content["studies"]),
                ],
            ),
            Section(
                "How often",
                [t if len(t.rows) <= _OPEN_ROWS else Details(f"{t.caption} ({len(t.rows)} rows)", [t]) for t in tables],
            ),
        ],
        subtitle="Generated: no person, no picture and no text in it is real.",
    )
    write_text(out, page)
    return out


def _table(table: Mapping[str, Any]) -> Table:
    rows = [Row(label, [Cell(f"{n:,}" if n != "" else "") for n in counts]) for label, counts in table["rows"]]
    return Table(table["columns"], rows, caption=table["caption"])


def _comparison(study: Mapping[str, Any]) -> Comparison:
    picture = thumbnail(Path(study["image"]))
    report = [
        (name.capitalize(), [span for text, marked in sentences for span in (Span(text, marked), Span(" "))])
        for name, sentences in study["report"]
    ]
    return Comparison(
        title=study["title"],
        prompt="",
        versions=[
            Version("Report", report, "after"),
            Version("Truth", [(name, [Span(text)]) for name, text in study["truth"]], "before"),
        ],
        pictures=[picture] if picture else [],
        note="" if picture else "Its picture cannot be read.",
    )
