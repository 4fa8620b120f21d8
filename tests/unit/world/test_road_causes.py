"""The causal graph of the road: circumstances, what decides, actions, and nuisances that cause nothing."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from cpo.graph.schema import ConceptGraph, Relation
from cpo.records import LabelState
from cpo.world.road.causes import CIRCUMSTANCES, DECIDING, RAISES, TAKES, draw_causes, draw_nuisances
from cpo.world.road.truth import Causes, Nuisances

GRAPH = ConceptGraph.load("driving")
HALLMARKS = {hallmark for action in GRAPH.diseases for hallmark in GRAPH.hallmarks(action)}
N = 3000


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Causes, Nuisances]]:
    scenes = []
    for index in range(N):
        causes = draw_causes(
            np.random.default_rng([11, index]), GRAPH, uncertain_share=0.05, severities=(0.2, 0.4, 0.4)
        )
        rng = np.random.default_rng([12, index])
        scenes.append((causes, draw_nuisances(rng, night_share=0.3, bus_lane_share=0.2)))
    return scenes


def test_the_tables_follow_the_concept_graph() -> None:
    assert set(DECIDING) == HALLMARKS, "what decides for one action alone"
    assert set(CIRCUMSTANCES) == set(GRAPH.attributes) - HALLMARKS
    assert set(RAISES) <= set(CIRCUMSTANCES)
    assert {name for raised in RAISES.values() for name in raised} <= HALLMARKS
    assert {name for needs in TAKES.values() for name in needs} <= set(GRAPH.attributes)


def test_actions_follow_from_what_the_scene_shows_and_from_nothing_else(
    drawn: list[tuple[Causes, Nuisances]],
) -> None:
    for causes, _ in drawn:
        states = {finding.attribute: finding.state for finding in causes.findings}
        told = {a: s for a, s in GRAPH.labels(states).items() if s is not LabelState.UNMENTIONED}
        assert told == dict(causes.actions)
        assert list(causes.actions) == [action for action in GRAPH.diseases if action in causes.actions]


def test_nothing_shows_that_an_action_excludes_and_nothing_stands_in_the_same_place(
    drawn: list[tuple[Causes, Nuisances]],
) -> None:
    for causes, _ in drawn:
        shown = [finding.attribute for finding in causes.findings]
        assert len(shown) == len(set(shown))
        assert not any(GRAPH.relation(d, a) is Relation.EXCLUSION for d in causes.actions for a in shown)
        assert all(len(set(needs) & set(shown)) <= 1 for needs in TAKES.values())


def test_sides_and_grades_are_there_exactly_where_the_graph_has_them(drawn: list[tuple[Causes, Nuisances]]) -> None:
    for causes, _ in drawn:
        for finding in causes.findings:
            attribute = GRAPH.attributes[finding.attribute]
            assert (finding.side is not None) == attribute.lateral
            assert (finding.severity is not None) == attribute.graded


def test_every_attribute_occurs_and_every_action_is_common(drawn: list[tuple[Causes, Nuisances]]) -> None:
    shown = {finding.attribute for causes, _ in drawn for finding in causes.findings}
    present = Counter(action for causes, _ in drawn for action in causes.taken)
    count = np.array([len(causes.taken) for causes, _ in drawn])

    assert shown == set(GRAPH.attributes)
    assert set(present) == set(GRAPH.diseases)
    assert min(present.values()) > 0.03 * N
    assert max(present.values()) < 0.5 * N
    assert 0.15 < (count == 0).mean() < 0.35
    assert 0.15 < (count >= 2).mean() < 0.45


def test_circumstances_bring_about_what_decides(drawn: list[tuple[Causes, Nuisances]]) -> None:
    def share(effect: str, cause: str, *, given: bool) -> float:
        shown = [{finding.attribute for finding in causes.findings} for causes, _ in drawn]
        return float(np.mean([effect in seen for seen in shown if (cause in seen) is given]))

    for effect, cause in (("cones on the right", "roadworks sign"), ("crossing pedestrian", "zebra crossing")):
        assert share(effect, cause, given=True) > 3 * share(effect, cause, given=False)


@pytest.mark.parametrize("name", ["night", "bus_lane", "place", "phrase"])
def test_nuisances_are_independent_of_the_actions(drawn: list[tuple[Causes, Nuisances]], name: str) -> None:
    values = [getattr(nuisances, name) for _, nuisances in drawn]
    tests = []
    for action in GRAPH.diseases:
        counts = Counter((action in causes.actions, value) for (causes, _), value in zip(drawn, values, strict=True))
        table = [[counts[taken, value] for value in sorted(set(values))] for taken in (False, True)]
        tests.append(chi2_contingency(table).pvalue)

    assert min(tests) > 0.05 / (4 * len(tests)), "Bonferroni over all nuisances and actions"


def test_shares_of_night_and_bus_lanes_are_the_knobs(drawn: list[tuple[Causes, Nuisances]]) -> None:
    assert np.mean([n.night for _, n in drawn]) == pytest.approx(0.3, abs=0.03)
    assert np.mean([n.bus_lane for _, n in drawn]) == pytest.approx(0.2, abs=0.03)


def test_without_doubt_nothing_is_hedged() -> None:
    for index in range(300):
        causes = draw_causes(np.random.default_rng(index), GRAPH, uncertain_share=0, severities=(0, 0, 1))
        assert {f.state for f in causes.findings} <= {LabelState.PRESENT}
        assert {f.severity for f in causes.findings} <= {None, "severe"}
