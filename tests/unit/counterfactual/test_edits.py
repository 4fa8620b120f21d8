"""Word-level differences."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from cpo.counterfactual.edits import edited_words

TEXTS = st.lists(st.sampled_from(["no", "left", "small", "effusion.", "Heart"]), max_size=12).map(" ".join)


@given(TEXTS, TEXTS)
def test_words_are_kept_in_order_and_the_unmarked_ones_are_common_to_both(before: str, after: str) -> None:
    edits = edited_words(before, after)
    assert [w for w, _ in edits.before] == before.split()
    assert [w for w, _ in edits.after] == after.split()
    assert [w for w, edited in edits.before if not edited] == [w for w, edited in edits.after if not edited]


@given(TEXTS)
def test_a_text_differs_from_itself_in_no_word(text: str) -> None:
    ratio = edited_words(text, text).ratio
    assert ratio == 0 if text.split() else math.isnan(ratio)


def test_texts_without_a_common_word_are_edited_wholly() -> None:
    assert edited_words("a b c", "d e").ratio == 1


def test_a_word_that_is_frequent_in_a_long_text_is_not_marked_for_that() -> None:
    text = "the " * 300
    assert edited_words(text, text + "end").ratio == 1 / 601
