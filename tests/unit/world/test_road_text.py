"""Texts of the road: the reader inverts the writer, and shares nothing with it."""

from __future__ import annotations

import numpy as np
import pytest

from cpo.graph.lexicon import SEVERITIES, SIDES, Lexicon, Mention
from cpo.graph.schema import ConceptGraph, Relation
from cpo.records import LabelState
from cpo.world.road import words
from cpo.world.road.causes import PLACES, draw_causes, draw_nuisances
from cpo.world.road.reading import Reader, read
from cpo.world.road.text import Description, describe, narration, reason, suggestion
from cpo.world.road.truth import Causes, Nuisances

GRAPH = ConceptGraph.load("driving")
LEXICON = Lexicon(GRAPH)
Written = tuple[Causes, Nuisances, Description]


@pytest.fixture(scope="module")
def described() -> list[Written]:
    written = []
    for index in range(800):
        rng = np.random.default_rng([12, index])
        causes = draw_causes(rng, GRAPH, uncertain_share=0.15, severities=(0.3, 0.4, 0.3))
        nuisances = draw_nuisances(rng, night_share=0.4, bus_lane_share=0.4)
        written.append((causes, nuisances, describe(rng, LEXICON, causes, nuisances, routinely=0.6)))
    return written


def test_every_description_is_read_back_exactly(described: list[Written]) -> None:
    for causes, nuisances, description in described:
        reading = read(description.text)
        denied = {Mention(name, LabelState.ABSENT) for name in description.negated}
        assert set(reading.mentions) == set(causes.findings) | denied
        assert len(reading.mentions) == len(causes.findings) + len(denied)
        assert reading.nuisances == {name: getattr(nuisances, name) for name in words.TOLD}
        assert reading.actions is None
        assert not reading.unread
        assert not reading.contradictions


def test_the_lexicon_reads_the_same_mentions_and_none_of_the_nuisances(described: list[Written]) -> None:
    for _, _, description in described[:200]:
        sentences = LEXICON.split_sentences(description.text)
        assert tuple(m for s in sentences for m in LEXICON.mentions(s)) == read(description.text).mentions
        assert not any(LEXICON.mentions(sentence) for sentence in sentences[: len(words.TOLD)])


def test_what_is_said_decides_for_the_actions(described: list[Written]) -> None:
    told = (LabelState.PRESENT, LabelState.UNCERTAIN)
    for causes, _, description in described:
        labels = GRAPH.labels(read(description.text).states)
        assert {action: state for action, state in labels.items() if state in told} == dict(causes.actions)


def test_actions_are_read_from_suggestion_and_narration(described: list[Written]) -> None:
    for causes, _, description in described:
        for sentence in (suggestion(GRAPH, causes.taken), narration(GRAPH, causes.taken)):
            assert read(sentence).actions == causes.taken
            assert read(f"{description.text} {sentence}").actions == causes.taken
            assert not LEXICON.mentions(sentence)


def test_no_sentence_of_the_world_has_two_meanings() -> None:
    reader = Reader(GRAPH)
    spelled = {
        LEXICON.write(name, state, side, severity, wording)
        for name in GRAPH.attributes
        for state in (LabelState.PRESENT, LabelState.ABSENT, LabelState.UNCERTAIN)
        for wording in range(LEXICON.choices(name, state))
        for side in SIDES
        for severity in SEVERITIES
    }
    other = {text for values in words.TOLD.values() for texts in values.values() for text in texts}

    assert len(spelled) > 400
    assert all(len(reader.meanings(sentence)) == 1 for sentence in spelled)
    assert not any(reader.actions(sentence) for sentence in spelled | other)
    assert not any(reader.meanings(sentence) for sentence in other)


def test_nothing_is_denied_that_is_shown_or_speaks_for_an_action(described: list[Written]) -> None:
    for causes, _, description in described:
        assert description.negated
        assert not {a for d in causes.actions for a in GRAPH.attributes_of(d)} & set(description.negated)
        assert not {f.attribute for f in causes.findings} & set(description.negated)


def test_a_description_has_the_length_of_a_short_paragraph(described: list[Written]) -> None:
    lengths = np.array([len(description.text.split()) for _, _, description in described])

    assert 40 <= np.median(lengths) <= 75
    assert lengths.min() >= 15


def test_reasons_are_those_of_the_graph() -> None:
    assert reason(GRAPH, "fog") == "This may be a reason to slow down or keep distance."
    assert reason(GRAPH, "no left turn sign") == "This is a reason not to turn left."
    for attribute in GRAPH.attributes:
        owners = GRAPH.diseases_of(attribute) or GRAPH.diseases_of(attribute, Relation.EXCLUSION)
        assert [a for a in GRAPH.diseases if a in reason(GRAPH, attribute)] == list(owners)


def test_the_tables_of_words_are_complete() -> None:
    assert set(words.OBJECTS) == set(GRAPH.attributes)
    assert {kind for kind, _ in words.OBJECTS.values()} == set(words.KINDS)
    assert set(words.COMMONLY_NEGATED) <= set(GRAPH.attributes)
    assert set(words.TOLD["place"]) == set(PLACES)


def test_a_contradiction_and_a_foreign_sentence_are_noticed() -> None:
    reading = read("There is no fog. There is severe fog over the road. He likes tea. The car stops and dances.")

    assert reading.contradictions == ("fog",)
    assert reading.states == {"fog": LabelState.PRESENT}
    assert reading.unread == ("He likes tea.", "The car stops and dances.")
    assert reading.actions is None
    assert reading.nuisances == {}
