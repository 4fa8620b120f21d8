"""The causal graph: diseases, attributes, nuisances."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from cpo.graph.schema import ConceptGraph, Relation
from cpo.records import LabelState
from cpo.world.chest.causes import (
    CAUSES,
    INCIDENTAL,
    INCOMPATIBLE,
    MOST_FINDINGS,
    SIGNS,
    draw_causes,
    draw_nuisances,
)
from cpo.world.chest.truth import Causes, Nuisances

GRAPH = ConceptGraph.load("chest")
N = 3000


@pytest.fixture(scope="module")
def drawn() -> list[tuple[Causes, Nuisances]]:
    studies = []
    for index in range(N):
        rng = np.random.default_rng([11, index])
        causes = draw_causes(rng, GRAPH, uncertain_share=0.05, severities=(0.2, 0.4, 0.4))
        studies.append((causes, draw_nuisances(rng, ap_share=0.5, device_share=0.3)))
    return studies


def test_the_tables_follow_the_concept_graph() -> None:
    assert set(CAUSES) == set(SIGNS) == set(GRAPH.diseases)
    for disease in GRAPH.diseases:
        assert set(SIGNS[disease]) == set(GRAPH.attributes_of(disease)), disease
    hallmarks = {h for d in GRAPH.diseases for h in GRAPH.hallmarks(d)}
    assert not hallmarks & set(INCIDENTAL), "what anyone may show must not decide for a disease"
    assert all(pair <= set(GRAPH.attributes) for pair in INCOMPATIBLE)


def test_causes_come_before_their_effects() -> None:
    before: set[str] = set()
    for disease, cause in CAUSES.items():
        assert set(cause.causes) <= before, disease
        before.add(disease)


def test_the_findings_alone_tell_every_disease_and_its_certainty(drawn: list[tuple[Causes, Nuisances]]) -> None:
    for causes, _ in drawn:
        states = {finding.attribute: finding.state for finding in causes.findings}
        told = {d: s for d, s in GRAPH.labels(states).items() if s is not LabelState.UNMENTIONED}
        assert told == dict(causes.diseases)


def test_nothing_shows_that_a_present_disease_excludes(drawn: list[tuple[Causes, Nuisances]]) -> None:
    for causes, _ in drawn:
        shown = {finding.attribute for finding in causes.findings}
        assert len(shown) == len(causes.findings) <= max(MOST_FINDINGS, len(causes.diseases))
        assert not any(pair <= shown for pair in INCOMPATIBLE)
        assert not any(GRAPH.relation(d, a) is Relation.EXCLUSION for d in causes.diseases for a in shown)
        pairs = combinations(causes.diseases, 2)
        assert not any(GRAPH.disease_relation(one, other) is Relation.EXCLUSION for one, other in pairs)


def test_sides_and_grades_are_there_exactly_where_the_graph_has_them(drawn: list[tuple[Causes, Nuisances]]) -> None:
    for causes, _ in drawn:
        for finding in causes.findings:
            attribute = GRAPH.attributes[finding.attribute]
            assert (finding.side is not None) == attribute.lateral
            assert (finding.severity is not None) == attribute.graded


def test_every_attribute_occurs(drawn: list[tuple[Causes, Nuisances]]) -> None:
    shown = {finding.attribute for causes, _ in drawn for finding in causes.findings}

    assert shown == set(GRAPH.attributes)


def test_prevalence_is_long_tailed_and_half_the_diseases_are_common(drawn: list[tuple[Causes, Nuisances]]) -> None:
    present = {d: sum(c.diseases.get(d) is LabelState.PRESENT for c, _ in drawn) / N for d in GRAPH.diseases}
    count = np.array([len(c.diseases) for c, _ in drawn])

    assert sum(share >= 0.07 for share in present.values()) >= 7
    assert max(present.values()) > 8 * min(present.values()) > 0
    assert 0.27 < (count == 0).mean() < 0.36
    assert 0.33 < (count >= 2).mean() < 0.45


def test_heart_failure_comes_together(drawn: list[tuple[Causes, Nuisances]]) -> None:
    def share(effect: str, cause: str, *, given: bool) -> float:
        found = [effect in c.diseases for c, _ in drawn if (cause in c.diseases) is given]
        return float(np.mean(found))

    assert share("Edema", "Cardiomegaly", given=True) > 3 * share("Edema", "Cardiomegaly", given=False)
    assert share("Pleural Effusion", "Edema", given=True) > 2 * share("Pleural Effusion", "Edema", given=False)


def test_nuisances_know_nothing_of_the_diseases(drawn: list[tuple[Causes, Nuisances]]) -> None:
    nuisances = {
        "view": [n.view == "AP" for _, n in drawn],
        "site": [n.site == "A" for _, n in drawn],
        "devices": [bool(n.devices) for _, n in drawn],
        "phrase": [n.phrase for _, n in drawn],
    }
    for disease in GRAPH.diseases:
        ill = np.array([disease in c.diseases for c, _ in drawn], dtype=float)
        for name, values in nuisances.items():
            correlation = np.corrcoef(ill, np.array(values, dtype=float))[0, 1]
            assert abs(correlation) < 4 / np.sqrt(N), (disease, name)


def test_without_doubt_nothing_is_hedged() -> None:
    for index in range(300):
        causes = draw_causes(np.random.default_rng(index), GRAPH, uncertain_share=0, severities=(0, 0, 1))
        assert {f.state for f in causes.findings} <= {LabelState.PRESENT}
        assert {f.severity for f in causes.findings} <= {None, "severe"}
