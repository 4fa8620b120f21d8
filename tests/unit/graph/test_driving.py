"""The shipped driving graph: actions told apart, words that read back, exclusions of the road."""

from __future__ import annotations

from collections import Counter
from itertools import permutations, product
from pathlib import Path

import pytest

from cpo.graph.lexicon import SEVERITIES, SIDES, Lexicon, Mention
from cpo.graph.schema import Category, ConceptGraph, Relation
from cpo.records import LabelState

BAN = Relation.EXCLUSION
ACTIONS = (
    "stop",
    "give way",
    "slow down",
    "keep distance",
    "move left",
    "move right",
    "turn left",
    "turn right",
    "speed up",
)


@pytest.fixture(scope="module")
def driving() -> ConceptGraph:
    return ConceptGraph.load("driving")


def test_it_argues_for_nine_actions_and_keeps_going_otherwise(driving: ConceptGraph) -> None:
    assert driving.diseases == ACTIONS
    assert driving.default == "keep going"
    assert set(driving.phrases) == {*ACTIONS, "keep going"}
    assert len(set(driving.phrases.values())) == 10


def test_its_attributes_are_of_the_four_kinds_of_the_road(driving: ConceptGraph) -> None:
    kinds = Counter(attribute.category for attribute in driving.attributes.values())

    assert set(kinds) == {Category.ROAD_USER, Category.ROAD_STATE, Category.WEATHER, Category.SIGNAL}
    assert sum(kinds.values()) >= 35
    assert min(kinds.values()) >= 5


def test_every_action_is_told_apart_by_hallmarks_and_shares_something(driving: ConceptGraph) -> None:
    for one, other in permutations(driving.diseases, 2):
        assert driving.decisive(one, against=other), (one, other)
    for action in driving.diseases:
        assert len(driving.hallmarks(action)) >= 2, action
        assert set(driving.hallmarks(action)) < set(driving.attributes_of(action)), action


@pytest.mark.parametrize(
    ("action", "attribute"),
    [
        ("stop", "green light"),
        ("speed up", "red light"),
        ("turn left", "no left turn sign"),
        ("move left", "oncoming car"),
    ],
)
def test_it_excludes_what_the_road_excludes(driving: ConceptGraph, action: str, attribute: str) -> None:
    assert driving.relation(action, attribute) is BAN


def test_contrary_actions_exclude_each_other_and_compatible_ones_do_not(driving: ConceptGraph) -> None:
    contrary = (("stop", "speed up"), ("move left", "move right"), ("turn left", "turn right"))

    assert all(driving.disease_relation(one, other) is BAN for one, other in contrary)
    assert driving.disease_relation("slow down", "keep distance") is Relation.ASSOCIATION
    assert driving.disease_relation("stop", "keep distance") is not BAN


def test_every_sentence_reads_back_as_what_it_was_written_for(driving: ConceptGraph) -> None:
    lexicon = Lexicon(driving)
    for attribute, state in product(driving.attributes.values(), list(LabelState)[:3]):
        for wording, side, grade in product(range(lexicon.choices(attribute.name, state)), SIDES, SEVERITIES):
            told = state is not LabelState.ABSENT
            mention = Mention(
                attribute.name,
                state,
                side if told and attribute.lateral else None,
                grade if told and attribute.graded else None,
            )
            sentence = lexicon.write(attribute.name, state, side, grade, wording)
            assert lexicon.mentions(sentence) == (mention,)
            assert lexicon.split_sentences(sentence) == (sentence,)


def test_saved_and_loaded_it_is_the_same(driving: ConceptGraph, tmp_path: Path) -> None:
    again = ConceptGraph.load(driving.save(tmp_path / "graph.json"))

    assert again == driving
    assert again.fingerprint == driving.fingerprint
    assert list(again.phrases) == list(driving.phrases)
