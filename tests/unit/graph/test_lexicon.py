"""Sentences and their meanings, both ways."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product

import pytest

from cpo.errors import DataError
from cpo.graph.lexicon import SEVERITIES, SIDES, Lexicon, Mention, hedged, split_sentences
from cpo.graph.schema import Attribute, ConceptGraph
from cpo.records import LabelState

GRAPH = ConceptGraph.load("chest")
LEXICON = Lexicon(GRAPH)
STATES = (LabelState.PRESENT, LabelState.ABSENT, LabelState.UNCERTAIN)


def with_attribute(name: str, **changes: object) -> ConceptGraph:
    changed: Attribute = replace(GRAPH.attributes[name], **changes)  # type: ignore[arg-type]
    return replace(GRAPH, attributes=dict(GRAPH.attributes) | {name: changed})


@pytest.mark.parametrize("name", GRAPH.attributes)
def test_whatever_is_written_is_read_back(name: str) -> None:
    attribute = GRAPH.attributes[name]
    sides = SIDES if attribute.lateral else (None,)
    severities = SEVERITIES if attribute.graded else (None,)
    for state, side, severity in product(STATES, sides, severities):
        wanted = Mention(name, state) if state is LabelState.ABSENT else Mention(name, state, side, severity)
        for wording in range(LEXICON.choices(name, state)):
            sentence = LEXICON.write(name, state, side, severity, wording)
            assert LEXICON.mentions(sentence) == (wanted,), sentence


@pytest.mark.parametrize("name", GRAPH.attributes)
def test_sentences_are_short_finished_and_without_placeholders(name: str) -> None:
    for state in STATES:
        for wording in range(LEXICON.choices(name, state)):
            sentence = LEXICON.write(name, state, "left", "mild", wording)
            assert re.fullmatch(r"[A-Z][a-z, ]+(?:[A-Z][a-z, ]+)?\.", sentence), sentence
            assert len(sentence.split()) <= 16, sentence


@pytest.mark.parametrize("name", GRAPH.attributes)
def test_findings_do_not_name_the_disease_that_they_assert(name: str) -> None:
    asserted = " ".join(GRAPH.attributes[name].wordings_present).lower()

    assert not [disease for disease in GRAPH.diseases if disease.lower() in asserted]


def test_reading_ignores_case_line_breaks_and_the_final_stop() -> None:
    wanted = (Mention("fluid meniscus", LabelState.PRESENT, "left", "severe"),)

    assert LEXICON.mentions("there is a LARGE amount of\n fluid in the left  pleural space") == wanted


@pytest.mark.parametrize(
    "sentence",
    [
        "There may be a round nodule in the left lung.",
        "Possible round nodule in the left lung.",
        "A round nodule in the left lung cannot be excluded.",
    ],
)
def test_a_hedge_makes_a_finding_uncertain(sentence: str) -> None:
    assert LEXICON.mentions(sentence) == (Mention("nodule", LabelState.UNCERTAIN, "left"),)


def test_a_sentence_about_something_else_mentions_nothing() -> None:
    assert LEXICON.mentions("Comparison is made to the prior film.") == ()
    assert hedged("The heart is large.") == ()


def test_sentences_are_split_at_stops_and_not_in_numbers() -> None:
    assert split_sentences("A 1.5 cm nodule. Is it new?\n Yes!") == ("A 1.5 cm nodule.", "Is it new?", "Yes!")
    assert split_sentences(" \n ") == ()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nodule", LabelState.PRESENT), "side None of 'nodule'"),
        (("nodule", LabelState.PRESENT, "both"), "side 'both' of 'nodule'"),
        (("enlarged heart", LabelState.UNCERTAIN, None, "huge"), "severity 'huge' of 'enlarged heart'"),
        (("nodule", LabelState.ABSENT, None, None, 9), "wording 9 of 'nodule'"),
        (("spots", LabelState.PRESENT), "'spots', present"),
        (("nodule", LabelState.UNMENTIONED), "'nodule', unmentioned"),
    ],
)
def test_what_cannot_be_written_is_refused(arguments: tuple[object, ...], said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        LEXICON.write(*arguments)  # type: ignore[arg-type]


def test_two_attributes_with_one_sentence_are_refused() -> None:
    with pytest.raises(DataError, match="one meaning for every sentence"):
        Lexicon(with_attribute("mass", wordings_absent=("There is no lung nodule.",)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"wordings_present": ("There is a nodule.",)}, "{side} exactly when lateral"),
        ({"wordings_present": ("There is a {size} nodule on the {side}.",)}, "exactly when graded"),
        ({"wordings_present": ("The {side} lung has a nodule.",)}, "no sentence that begins with 'There is'"),
        ({"wordings_absent": ("No nodule on the {side}.",)}, "without placeholders"),
    ],
)
def test_wordings_that_lose_side_or_grade_or_hedge_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        Lexicon(with_attribute("nodule", **changes))
