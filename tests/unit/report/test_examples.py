from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cpo.report.examples import comparison, marked, thumbnail

WORDS = st.lists(st.sampled_from(["No", "effusion", "is", "seen", ".", "left-sided", ","]), max_size=15).map(" ".join)


def pair(chosen: str, *rejected: str, images: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"id": "s1", "images": list(images), "prompt": [], "chosen": chosen, "rejected": list(rejected)}


@settings(deadline=None)  # the machine may be busy
@given(WORDS, WORDS)
def test_marking_keeps_every_word_and_marks_nothing_that_is_shared(before: str, after: str) -> None:
    old, new = marked(before, after)
    assert "".join(span.text for span in old) == before
    assert "".join(span.text for span in new) == after
    assert [s.text.split() for s in old if not s.marked] == [s.text.split() for s in new if not s.marked]


@settings(deadline=None)  # the machine may be busy
@given(WORDS)
def test_equal_texts_have_no_marks(text: str) -> None:
    assert not any(span.marked for side in marked(text, text) for span in side)


def test_thinking_and_answer_are_shown_apart_with_edits_in_each() -> None:
    shown = comparison(
        pair("<think> No edema. </think> It is A.", "<think> Some edema. </think> It is B."), 1, "counterfactual"
    )
    chosen, rejected = shown.versions
    assert [name for name, _ in chosen.parts] == ["thinking", "answer"]
    assert [[s.text for s in part if s.marked] for _, part in rejected.parts] == [["Some"], ["B"]]
    assert [[s.text for s in part if s.marked] for _, part in chosen.parts] == [["No"], ["A"]]


def test_against_several_rejected_texts_the_chosen_one_is_marked_where_any_differs() -> None:
    shown = comparison(pair("a b c d", "x b c d", "a b c y"), 1, "counterfactual")
    ((_, spans),) = shown.versions[0].parts
    assert [span.text for span in spans if span.marked] == ["a", "d"]
    assert [version.heading for version in shown.versions[1:]] == [
        "Rejected: counterfactual (1 of 2)",
        "Rejected: counterfactual (2 of 2)",
    ]


def test_text_without_tags_is_shown_as_it_is() -> None:
    shown = comparison(pair("plain", "other"), 1, "counterfactual")
    assert [name for name, _ in shown.versions[0].parts] == [""]


def test_pictures_are_embedded_small_and_lost_ones_are_counted(tmp_path: Path) -> None:
    Image.new("L", (1000, 500), 99).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"not a picture")
    paths = [str(tmp_path / name) for name in ("a.png", "b.png", "c.png")]
    shown = comparison(pair("a", "b", images=tuple(paths)), 1, "counterfactual")
    assert len(shown.pictures) == 1
    assert shown.pictures[0].startswith("data:image/jpeg;base64,")
    assert len(shown.pictures[0]) < 5000
    assert shown.note == "2 of 3 pictures could not be read."
    assert thumbnail(tmp_path / "c.png") is None
