"""The page of a regime, from numbers alone."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cpo.report.drift_page import drift_page, drift_tables


@pytest.fixture
def content() -> dict[str, Any]:
    concepts = [{"index": 0, "name": "tied+natural"}, {"index": 1, "name": "untied+<b>"}]
    reached = {
        "tied+natural": {"samples": 1000, "value_given_result": 0.9},
        "untied+<b>": {"samples": 1000, "value_given_result": float("nan")},
    }
    rates = {"along": [0.1, 0.3, 0.5, 0.7], "by_concept": [0.2, float("nan")]}
    return {
        "name": "chest_world",
        "choices": {"drift": "gradual", "shift": "spurious"},
        "truth": {
            "concepts": concepts,
            "concept_at": [0] * 1000 + [1] * 1000,
            "changes": [(800, 1200)],
            "shifts": [{"name": "spurious", "swaps": {"a": "b"}, "concepts": ["tied", "untied"], "rates": reached}],
            "left_out": 12,
        },
        "positions": [249.5, 749.5, 1249.5, 1749.5],
        "samples": [500] * 4,
        "concepts": {"tied+natural": [1, 0.9, 0.1, 0], "untied+<b>": [0, 0.1, 0.9, 1]},
        "shifts": {"spurious": {"value_given_result": [0.9, 0.8, float("nan"), 0.5]}},
        "results": {f"Result {k}": rates for k in range(8)},
        "attributes": {},
        "contents": {"words of thinking": rates},
    }


def test_the_page_shows_plan_shifts_and_rates(content: dict[str, Any], tmp_path: Path) -> None:
    html = drift_page(content, tmp_path / "new" / "drift.html").read_text(encoding="utf-8")
    assert html.count('class="plot"') == 4, "concepts, one shift, results, words"
    assert "from 800 to 1,200 of 2,000" in html
    assert "The 6 of 8 that differ most between concepts." in html
    assert "The samples have no attributes to follow." in html
    assert "swaps = a → b, concepts = tied, untied" in html
    assert "untied+&lt;b&gt;" in html
    assert "NaN" not in html.split("</script>")[-2], "no figure holds what JSON cannot"


def test_a_regime_without_a_shift_says_so(content: dict[str, Any], tmp_path: Path) -> None:
    content["truth"] |= {"shifts": [], "changes": []}
    html = drift_page(content | {"shifts": {}}, tmp_path / "drift.html").read_text(encoding="utf-8")
    assert "Nothing changes: this regime has no shift." in html


def test_the_terminal_shows_the_plan_and_what_was_reached(content: dict[str, Any]) -> None:
    console = Console(file=io.StringIO(), width=100)
    for table in drift_tables(content):
        console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for part in (
        "2,000",
        "12",
        "concept 0: tied+natural",
        "from 800 to 1,200 of 2,000",
        "value given result",
        "0.9",
        "—",
    ):
        assert part in text
