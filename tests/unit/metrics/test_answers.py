from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpo.metrics.answers import Malformed, parse_answer, read_answer

LABELS = (
    "Atelectasis",
    "Enlarged Cardiomediastinum",
    "Lung Lesion",
    "Lung Opacity",
    "No Finding",
    "Pleural Effusion",
    "Pleural Other",
)


@settings(deadline=None)  # the machine may be busy
@given(st.sets(st.sampled_from(LABELS), min_size=1), st.text("abc XYZ.,\n", max_size=40))
def test_what_is_written_in_the_answers_form_is_read_back(names: set[str], thinking: str) -> None:
    text = f"<think>{thinking}</think> The disease of this patient is {', '.join(sorted(names))}."
    assert parse_answer(text, LABELS) == names


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
    assert read_answer(text, LABELS) is reason
    assert parse_answer(text, LABELS) is None


@pytest.mark.parametrize(
    "text",
    [
        "<think></think>The disease of this patient is atelectasis,pleural  effusion",
        "\n<think> a </think>\n\nThe disease of this patient is  Pleural Effusion , Atelectasis, Atelectasis.\n",
    ],
)
def test_case_white_space_repetition_and_the_final_stop_do_not_matter(text: str) -> None:
    assert parse_answer(text, LABELS) == {"Atelectasis", "Pleural Effusion"}


def test_the_longest_name_wins_even_when_names_hold_commas() -> None:
    actions = ("Stop", "Stop, then turn", "Turn")
    text = "<think> a </think> The action is Stop, then turn, Turn."
    assert parse_answer(text, actions, answer="The action is") == {"Stop, then turn", "Turn"}
