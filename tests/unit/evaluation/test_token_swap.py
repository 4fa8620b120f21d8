from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpo.errors import ConfigError
from cpo.evaluation.token_swap import Synonyms, sentences, tight, word_swaps, words_of
from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph

TEXT = (
    "PA view of the chest. The heart is mildly enlarged. There is moderate blunting of the left costophrenic angle. "
    "Opacity at the right base.\n No pleural effusion is seen."
)
LEXICON = Lexicon(ConceptGraph.load("chest"))


def said(text: str) -> list[object]:
    return [mention for sentence in LEXICON.split_sentences(text) for mention in LEXICON.mentions(sentence)]


@given(seed=st.integers(0, 2**32 - 1))
def test_a_harmless_swap_says_the_same_to_the_graph_and_changes_one_sentence(seed: int) -> None:
    (swap,) = Synonyms("chest", {}).draw(TEXT, 1, np.random.default_rng(seed))
    changed = swap.applied(TEXT)
    assert changed != TEXT
    assert said(changed) == said(TEXT)
    before, after = (LEXICON.split_sentences(text) for text in (TEXT, changed))
    assert sum(old != new for old, new in zip(before, after, strict=True)) == 1
    assert changed.startswith(swap.prefix(TEXT))


def test_words_of_the_table_are_swapped_only_in_sentences_that_the_graph_does_not_read() -> None:
    table = {"opacity": "lung opacity", "heart": "cardiac shadow"}
    swaps = [swap for choices in Synonyms("chest", table).mentions(TEXT) for swap in choices]
    by_table = [(TEXT[s.start : s.end], s.words) for s in swaps if s.words in ("Lung opacity", "cardiac shadow")]
    assert by_table == [("Opacity", "Lung opacity")]


def test_a_table_works_both_ways_and_takes_the_longer_term() -> None:
    text = "Hazy lung opacity over an opacity."
    swaps = [swap for choices in Synonyms("chest", {"opacity": "lung opacity"}).mentions(text) for swap in choices]
    assert [swap.applied(text) for swap in swaps] == [
        "Hazy opacity over an opacity.",
        "Hazy lung opacity over an lung opacity.",
    ]


def test_each_swap_is_of_another_mention() -> None:
    swaps = Synonyms("chest", {"opacity": "lung opacity"}).draw(TEXT, 10, np.random.default_rng(0))
    assert len(swaps) == sum(map(bool, Synonyms("chest", {"opacity": "lung opacity"}).mentions(TEXT)))
    assert all(one.end <= other.start for one, other in pairwise(swaps))


def test_a_text_without_mentions_has_no_swap() -> None:
    assert Synonyms("chest", {}).draw("The patient is rotated.", 3, np.random.default_rng(0)) == []
    assert Synonyms("chest", {"opacity": "lung opacity"}).draw("", 3, np.random.default_rng(0)) == []


@given(old=st.text("ab ", max_size=12), new=st.text("ab ", max_size=12))
def test_a_tight_swap_makes_the_one_sentence_of_the_other(old: str, new: str) -> None:
    swap = tight(3, old, new)
    assert swap.applied("..." + old + "|") == "..." + new + "|"


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 5))
def test_word_swaps_change_so_many_words_and_nothing_else(seed: int, count: int) -> None:
    swaps = word_swaps(TEXT, count, words_of([TEXT]), np.random.default_rng(seed))
    assert len(swaps) == count
    for swap in swaps:
        assert swap.words.lower() != TEXT[swap.start : swap.end].lower()
        assert len(words_of([TEXT[swap.start : swap.end]])) == 1


def test_sentences_are_found_whatever_white_space_is_between_them() -> None:
    assert [TEXT[start:end] for start, end in sentences(TEXT)][-2:] == [
        "Opacity at the right base.",
        "No pleural effusion is seen.",
    ]
    assert sentences("  ") == []


def test_an_empty_word_is_refused() -> None:
    with pytest.raises(ConfigError, match="synonyms"):
        Synonyms("chest", {"opacity": " "})
