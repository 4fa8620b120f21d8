"""The page and the table of a set of counterfactuals, from numbers alone."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from cpo.report.counterfactual_page import counterfactual_page, quality_table

NAN = float("nan")


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    for name in ("own", "other"):
        Image.new("RGB", (40, 40)).save(tmp_path / f"{name}.png")
    row = {
        "id": "<s1>",
        "images": [str(tmp_path / "own.png")],
        "prompt": [{"role": "user", "content": "What is seen?"}],
        "chosen": "<think> The heart is large. </think> It is Cardiomegaly.",
        "rejected": ["<think> The heart is small. </think> It is Edema."],
        "rejected_images": [None],
        "heading": "argues for Edema",
        "interventions": ["enlarged heart, present → absent"],
    }
    seen = {"rejected": [row["chosen"]], "rejected_images": [[str(tmp_path / "other.png")]], "interventions": []}
    return {
        "name": "chest_world",
        "judge": "the world's own reader",
        "choices": {"counterfactual": "concept_graph"},
        "quality": {
            "method": "concept_graph",
            "n": 197,
            "valid_share": 0.985,
            "per_second": 1500.0,
            "judged_per_second": 900.0,
            "rejected": {"target not shown": 3},
            "edited_words_median": 0.21,
            "edited_words_q90": None,
            "argued_share": 1.0,
            "samples": 100,
            "short": 3,
            "not_made": {"no licensed edit reaches the target": 4},
            "targets": {"Edema": 120, "Pneumonia": 77},
            "fluency": {"usual_word_pairs_median": 0.9, "nats_per_word_median": None},
            "difficulty": {"margin_q10": None},
        },
        "values": {"edited": [0.1, 0.2, 0.3], "usual": [0.9, NAN], "margin": [NAN], "per_word": [NAN]},
        "moves": [("Cardiomegaly", "Edema", 120), ("<b>", "Pneumonia", 77)],
        "examples": [row, {**row, **seen}],
    }


def test_the_page_shows_counts_reasons_distributions_and_marked_examples(
    content: dict[str, Any], tmp_path: Path
) -> None:
    html = counterfactual_page(content, tmp_path / "new" / "quality.html").read_text(encoding="utf-8")
    for text in ("98.5 %", "target not shown", "no licensed edit reaches the target", "1,500", "not measured"):
        assert text in html
    assert html.count('class="plot"') == 3, "edits, word pairs, targets; nothing of a policy"
    assert "pass run=DIR of a finished run" in html
    assert "Rejected: argues for Edema" in html
    assert "enlarged heart, present → absent" in html
    assert "The text is rejected under the last picture." in html
    assert html.count("data:image/jpeg") == 3
    assert "&lt;s1&gt;" in html
    assert "<s1>" not in html


def test_what_a_policy_measured_is_drawn(content: dict[str, Any], tmp_path: Path) -> None:
    content["values"] |= {"margin": [1.0, 2.0, -1.0], "per_word": [-2.0, -1.0]}
    html = counterfactual_page(content, tmp_path / "quality.html").read_text(encoding="utf-8")
    assert html.count('class="plot"') == 5
    assert "were not measured" not in html


def test_a_set_without_targets_or_examples_says_so(content: dict[str, Any], tmp_path: Path) -> None:
    content |= {"moves": [("Edema", "", 3)], "examples": []}
    html = counterfactual_page(content, tmp_path / "quality.html").read_text(encoding="utf-8")
    assert "argue for no result of their own" in html
    assert "There is none to show." in html


def test_the_table_names_what_was_rejected_and_by_whom(content: dict[str, Any]) -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(quality_table(content["quality"]))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "rejected by the judge: target not shown" in shown
    assert "not made: no licensed edit reaches the target" in shown
    assert "98.5 %" in shown
