from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpo.answers import ListedAnswer, Malformed, PhrasedAnswer
from cpo.errors import ConfigError, DataError

LABELS = (
    "Atelectasis",
    "Enlarged Cardiomediastinum",
    "Lung Lesion",
    "Lung Opacity",
    "No Finding",
    "Pleural Effusion",
    "Pleural Other",
)
ANSWERS = ListedAnswer("The disease of this patient is {}.", LABELS)


@settings(deadline=None)  # the machine may be busy
@given(st.sets(st.sampled_from(LABELS), min_size=1), st.text("abc XYZ.,\n", max_size=40))
def test_what_is_written_in_the_answers_form_is_read_back(names: set[str], thinking: str) -> None:
    text = f"<think>{thinking}</think> {ANSWERS.write(names)}"
    assert ANSWERS.read_completion(text) == names


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Malformed.TAGS),
        ("The disease of this patient is Atelectasis.", Malformed.TAGS),
        ("<think> a The disease of this patient is Atelectasis.", Malformed.TAGS),
        ("<think> a </think> b </think> The disease of this patient is Atelectasis.", Malformed.TAGS),
        ("<think> a <think> b </think> The disease of this patient is Atelectasis.", Malformed.TAGS),
        ("</think> <think> The disease of this patient is Atelectasis.", Malformed.TAGS),
        ("so <think> a </think> The disease of this patient is Atelectasis.", Malformed.TAGS),
        ("<think> a </think>", Malformed.SENTENCE),
        ("<think> a </think> Atelectasis.", Malformed.SENTENCE),
        ("<think> a </think> The disease of this patient is", Malformed.SENTENCE),
        ("<think> a </think> The disease of this patient is .", Malformed.NAMES),
        ("<think> a </think> The disease of this patient is Gout.", Malformed.NAMES),
        ("<think> a </think> The disease of this patient is Atelectasis, Gout.", Malformed.NAMES),
        ("<think> a </think> The disease of this patient is Atelectasis,.", Malformed.NAMES),
        ("<think> a </think> The disease of this patient is Atelectasis Lung Opacity.", Malformed.NAMES),
        ("<think> a </think> The disease of this patient is Pleural.", Malformed.NAMES),
        ("<think> a </think> The disease of this patient is Atelectasis. And more.", Malformed.NAMES),
    ],
)
def test_what_cannot_be_read_is_malformed_and_says_why(text: str, reason: Malformed) -> None:
    assert ANSWERS.read_completion(text) is reason


@pytest.mark.parametrize(
    "text",
    [
        "<think></think>The disease of this patient is atelectasis,pleural  effusion",
        "\n<think> a </think>\n\nThe disease of this patient is  Pleural Effusion , Atelectasis, Atelectasis.\n",
    ],
)
def test_case_white_space_repetition_and_the_final_stop_do_not_matter(text: str) -> None:
    assert ANSWERS.read_completion(text) == {"Atelectasis", "Pleural Effusion"}


def test_the_longest_name_wins_even_when_names_hold_commas() -> None:
    answers = ListedAnswer("The action is {}.", ("Stop", "Stop, then turn", "Turn"))
    assert answers.read("The action is Stop, then turn, Turn.") == {"Stop, then turn", "Turn"}


def test_where_no_thinking_is_asked_for_an_answer_may_stand_with_it_or_alone() -> None:
    for text in (
        "The disease of this patient is Atelectasis.",
        "<think> a </think> The disease of this patient is Atelectasis.",
    ):
        assert ANSWERS.read_completion(text, thinking=False) == {"Atelectasis"}
    text = "a </think> The disease of this patient is Atelectasis."
    assert ANSWERS.read_completion(text, thinking=False) is Malformed.TAGS


PHRASES = PhrasedAnswer("The car {}.", {"stop": ["stops", "stopped"], "turn": ["turns"], "turn left": ["turns left"]})


@given(st.sets(st.sampled_from(["stop", "turn", "turn left"]), min_size=1))
def test_phrases_that_are_written_are_read_back(names: set[str]) -> None:
    assert PHRASES.read(PHRASES.write(names)) == names


def test_only_the_longer_of_two_phrases_counts_and_only_whole_words_do() -> None:
    assert PHRASES.read("The car turns LEFT.") == {"turn left"}
    assert PHRASES.read("The car returns.") is Malformed.NAMES


def test_an_answer_without_a_known_result_is_not_written() -> None:
    with pytest.raises(DataError, match="Gout"):
        ANSWERS.write(["Gout"])
    with pytest.raises(DataError, match="one or more"):
        PHRASES.write([])
    with pytest.raises(ConfigError, match="without a phrase"):
        PhrasedAnswer("{}", {"stop": []})
    with pytest.raises(ConfigError, match="names"):
        ListedAnswer("Nothing.", LABELS)
