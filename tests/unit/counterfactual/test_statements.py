"""Texts taken apart into statements and put together again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cpo.counterfactual.statements import Draft, read_statements, states_of
from cpo.graph.lexicon import Lexicon, Mention
from cpo.records import LabelState

SENTENCES = st.sampled_from(["The heart size is normal.", "Portable view.", "Is it ?", "no stop"])
SAID = Mention("mass", LabelState.PRESENT)
GAPS = st.sampled_from([" ", "\n", "  ", "\n \n"])


@given(parts=st.lists(st.tuples(GAPS, SENTENCES), max_size=6))
def test_an_unedited_draft_is_the_text_with_its_white_space(parts: list[tuple[str, str]], lexicon: Lexicon) -> None:
    text = "".join(gap + sentence for gap, sentence in parts)
    assert Draft(read_statements(lexicon, text)).text == text


def test_a_draft_changes_only_the_statements_told(lexicon: Lexicon) -> None:
    draft = Draft(read_statements(lexicon, "One here.\nTwo here.  Three here."))
    draft.replace(1, "Four here.", SAID)
    draft.insert((0, 0), "Zero here.", SAID)
    draft.insert(draft.end, "Five here.", SAID)
    assert draft.text == "Zero here. One here.\nFour here.  Three here. Five here."
    assert draft.order == [((0, 0), "mass"), ((0, 1), None), ((1, 0), "mass"), ((2, 0), None), ((2, 1), "mass")]


def test_a_dropped_place_can_be_taken_by_another_sentence(lexicon: Lexicon) -> None:
    draft = Draft(read_statements(lexicon, "One here.\nTwo here.  Three here."))
    draft.drop(1)
    assert draft.text == "One here.  Three here."
    draft.insert((1, 0), "Four here.", SAID)
    assert draft.text == "One here.\nFour here.  Three here."


def test_a_draft_without_its_first_statement_begins_as_the_text_did(lexicon: Lexicon) -> None:
    draft = Draft(read_statements(lexicon, "One here.\nTwo here."))
    draft.drop(0)
    assert draft.text == "Two here."


def test_of_several_mentions_the_strongest_counts(lexicon: Lexicon) -> None:
    text = "There is no lung mass. A lobulated mass in the left lung cannot be excluded. There is no cavity."
    assert states_of(read_statements(lexicon, text)) == {"mass": LabelState.UNCERTAIN, "cavity": LabelState.ABSENT}
