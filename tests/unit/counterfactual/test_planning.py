"""What the chest graph licenses, for hand-made reports."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from cpo.counterfactual.planning import Plan, Planner
from cpo.graph.schema import ConceptGraph
from cpo.records import LabelState


@pytest.fixture(scope="module")
def planner(graph: ConceptGraph) -> Planner:
    return Planner(graph, None)


def plans(
    planner: Planner,
    true: tuple[str, ...],
    asserted: Iterable[str],
    open_: tuple[str, ...] = (),
    clashes: frozenset[str] = frozenset(),
) -> dict[str, Plan]:
    states = dict.fromkeys(asserted, LabelState.PRESENT)
    return planner.plans(true=true, open_=open_, states=states, clash=lambda a, b: {a, b} == clashes)


def test_likeness_counts_shared_attributes_for_and_exclusions_against(planner: Planner) -> None:
    # effusion and pneumothorax share mediastinal push: (1 + 1) / (1 + 0)
    assert plans(planner, ("Pleural Effusion",), ["fluid meniscus"])["Pneumothorax"].likeness == 2
    # atelectasis and pneumothorax share nothing; they exclude four and five attributes of each other: 1 / (1 + 9)
    assert plans(planner, ("Atelectasis",), ["volume loss"])["Pneumothorax"].likeness == pytest.approx(1 / 10)
    assert plans(planner, ("No Finding",), [])["Pneumothorax"].likeness == 1


def test_the_true_disease_most_like_the_target_is_replaced(planner: Planner) -> None:
    made = plans(planner, ("Fracture", "Pleural Effusion"), ["rib break", "fluid meniscus"])
    assert (made["Edema"].replaced, made["Edema"].gone) == ("Pleural Effusion", {"fluid meniscus"})
    assert made["Cardiomegaly"].replaced == "Fracture"


def test_signs_go_unless_the_target_or_a_kept_disease_explains_them(planner: Planner) -> None:
    signs = ["fluid meniscus", "blunted costophrenic angle", "fissural fluid", "tortuous aorta"]
    assert plans(planner, ("Pleural Effusion",), signs)["Fracture"].gone == set(signs[:3])
    assert plans(planner, ("Pleural Effusion",), signs)["Pleural Other"].gone == {"fluid meniscus", "fissural fluid"}
    both = plans(planner, ("Edema", "Pleural Effusion"), [*signs, "septal lines"])["Pneumothorax"]
    assert (both.replaced, both.gone) == ("Pleural Effusion", {"fluid meniscus", "blunted costophrenic angle"})


def test_what_the_target_excludes_goes(planner: Planner) -> None:
    assert plans(planner, ("No Finding",), ["small heart"])["Cardiomegaly"].gone == {"small heart"}


def test_a_disease_that_stays_is_not_joined_by_one_that_excludes_it(planner: Planner) -> None:
    made = plans(planner, ("Atelectasis", "Fracture"), ["volume loss", "rib break"])
    assert {t for t, plan in made.items() if plan.replaced == "Fracture"}.isdisjoint({"Pneumothorax", "Consolidation"})
    assert made["Pneumothorax"].replaced == "Atelectasis"
    made = plans(planner, ("Consolidation", "Fracture"), ["dense lobar opacity", "rib break"])
    assert made["Atelectasis"].replaced == "Consolidation"
    left_open = plans(planner, ("Fracture",), ["volume loss", "rib break"], open_=("Atelectasis",))
    assert left_open.keys().isdisjoint({"Atelectasis", "Pneumothorax", "Consolidation"})
    assert "Edema" in left_open


def test_a_target_that_excludes_a_sign_of_a_kept_disease_is_out_of_reach(planner: Planner) -> None:
    signs = ["fluid meniscus", "mediastinal push", "rib break"]
    made = plans(planner, ("Fracture", "Pleural Effusion"), signs)
    assert made["Atelectasis"].replaced == "Pleural Effusion"
    assert made["Atelectasis"].gone == {"fluid meniscus", "mediastinal push"}


def test_signs_that_a_kept_disease_excludes_are_not_allowed(planner: Planner) -> None:
    kept = plans(planner, ("Fracture",), ["volume loss", "rib break"], open_=("Atelectasis",))["Lung Lesion"]
    assert kept.allowed == {"deviated trachea", "enlarged hilum", "nodule", "mass", "cavity", "apical cap"}


def test_a_target_that_the_text_shows_or_hedges_already_is_none(planner: Planner) -> None:
    assert "Lung Lesion" not in plans(planner, ("Fracture",), ["rib break", "nodule"])


def test_a_disease_that_the_text_does_not_show_cannot_be_replaced(planner: Planner) -> None:
    assert plans(planner, ("Fracture",), ["chest wall air"]) == {}


def test_a_target_is_out_of_reach_when_all_that_decides_it_clashes_with_what_stays(planner: Planner) -> None:
    signs, clash = ["rib break", "hyperinflation"], frozenset({"dense lobar opacity", "hyperinflation"})
    assert "Consolidation" in plans(planner, ("Fracture",), signs)
    assert "Consolidation" not in plans(planner, ("Fracture",), signs, clashes=clash)
    assert "Consolidation" in plans(planner, ("Fracture",), ["rib break"], clashes=clash)
    one_of_two = frozenset({"enlarged heart", "hyperinflation"})
    assert "Cardiomegaly" in plans(planner, ("Fracture",), signs, clashes=one_of_two)


def test_every_sign_of_the_one_disease_goes_for_the_healthy_result(graph: ConceptGraph) -> None:
    healthy = Planner(graph, "No Finding")
    plan = plans(healthy, ("Edema",), ["septal lines", "fissural fluid", "tortuous aorta"])["No Finding"]
    assert (plan.gone, plan.decisive, plan.allowed) == ({"septal lines", "fissural fluid"}, frozenset(), frozenset())
    assert "No Finding" not in plans(healthy, ("Edema", "Fracture"), ["septal lines", "rib break"])
    assert "No Finding" not in plans(healthy, ("Edema",), ["septal lines", "nodule"], open_=("Lung Lesion",))
    assert "No Finding" not in plans(healthy, ("No Finding",), [])
