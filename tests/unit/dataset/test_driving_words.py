from __future__ import annotations

from itertools import combinations

import pytest

from cpo.answers import PhrasedAnswer
from cpo.dataset.driving_words import ACTIONS, ADVISED, DONE, KEEP_GOING, action_labels, actions_named, circumstances
from cpo.graph.schema import ConceptGraph
from cpo.records import LabelState

CAR, EGO = PhrasedAnswer("The car {}.", DONE), PhrasedAnswer("The ego car should {}.", ADVISED)


def test_the_names_and_first_phrases_are_those_of_the_driving_graph() -> None:
    graph = ConceptGraph.load("driving")
    assert (*graph.diseases, graph.default) == ACTIONS == tuple(ADVISED)
    assert graph.default == KEEP_GOING
    assert {name: said[0] for name, said in DONE.items()} == dict(graph.phrases)
    assert {name: said[0] for name, said in ADVISED.items()} == {name: name for name in ACTIONS}


@pytest.mark.parametrize("answers", [CAR, EGO])
def test_what_is_written_is_read_back(answers: PhrasedAnswer) -> None:
    for size in (1, 2, 3):
        for results in combinations(ACTIONS[:-1], size):
            assert actions_named(answers, answers.write(results)) == results
    assert actions_named(answers, answers.write([KEEP_GOING])) == (KEEP_GOING,)


def test_no_phrase_stands_for_two_actions() -> None:
    for table in (DONE, ADVISED):
        said = [phrase for phrases in table.values() for phrase in phrases]
        assert sorted(said) == sorted(set(said))


@pytest.mark.parametrize(
    ("text", "actions"),
    [
        ("The car slows to a stop", ("stop", "slow down")),
        ("The car is slowing to a near stop", ("slow down",)),
        ("The car is not moving", ("stop",)),
        ("The car is driving in the left lane", (KEEP_GOING,)),
        ("The car is merging into the lane to its left.", ("move left",)),
        ("The car makes a right turn", ("turn right",)),
        ("The car moves forward then turns left", ("turn left",)),
        ("The car reverses", ()),
        ("X", ()),
    ],
)
def test_real_narrations_name_their_actions(text: str, actions: tuple[str, ...]) -> None:
    assert actions_named(CAR, text) == actions


@pytest.mark.parametrize(
    ("text", "actions"),
    [
        ("Maintain a safe following distance from the car ahead.", ("keep distance",)),
        ("Be prepared to stop if a pedestrian crosses.", ("slow down",)),
        ("Come to a complete stop at the red light and yield.", ("stop", "give way")),
        ("Anticipate any sudden stops of the car ahead.", ()),
        ("Proceed with caution.", (KEEP_GOING,)),
        ("前方减速。", ()),
    ],
)
def test_real_suggestions_name_their_actions(text: str, actions: tuple[str, ...]) -> None:
    assert actions_named(EGO, text) == actions


def test_actions_that_are_not_named_are_unmentioned_not_absent() -> None:
    labels = action_labels(("stop",))
    assert labels["stop"] is LabelState.PRESENT
    assert {state for name, state in labels.items() if name != "stop"} == {LabelState.UNMENTIONED}


def test_circumstances_are_told_by_any_of_the_texts() -> None:
    assert circumstances("A bus lane.", "It was recorded after dark.") == {"night": "told", "bus_lane": "told"}
    assert circumstances("Knights ride by.") == {"night": "untold", "bus_lane": "untold"}
