"""The concept graph: relations, what follows from them, files, and refusals."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from cpo.errors import DataError
from cpo.graph.schema import Attribute, Category, ConceptGraph, Edge, Relation
from cpo.records import LabelState

PRESENT, ABSENT, UNCERTAIN = LabelState.PRESENT, LabelState.ABSENT, LabelState.UNCERTAIN


def attribute(name: str) -> Attribute:
    return Attribute(name, Category.DENSITY, (f"There is {name}.",), (f"There is no {name}.",))


def graph(
    *edges: tuple[str, str, Relation], attributes: str = "abc", diseases: tuple[str, ...] = ("D", "E")
) -> ConceptGraph:
    relations = tuple(Edge(*edge) for edge in edges)
    return ConceptGraph("small", diseases, {a: attribute(a) for a in attributes}, relations, "nothing")


LINK, BAN = Relation.ASSOCIATION, Relation.EXCLUSION


@pytest.fixture(scope="module")
def chest() -> ConceptGraph:
    return ConceptGraph.load("chest")


def test_a_shared_attribute_supports_both_diseases_and_is_a_hallmark_of_neither() -> None:
    small = graph(("D", "a", LINK), ("D", "b", LINK), ("E", "b", LINK), ("E", "c", LINK))

    assert small.diseases_of("b") == ("D", "E")
    assert small.hallmarks("D") == ("a",)
    assert small.decisive("E", against="D") == ("c",)
    assert small.relation("D", "c") is Relation.IRRELEVANCE


def test_diseases_exclude_each_other_when_one_excludes_a_hallmark_of_the_other() -> None:
    related = graph(("D", "a", LINK), ("D", "b", LINK), ("E", "b", LINK), ("E", "c", LINK))
    excluded = graph(("D", "a", LINK), ("D", "b", LINK), ("E", "b", LINK), ("E", "c", LINK), ("D", "c", BAN))
    apart = graph(("D", "a", LINK), ("E", "c", LINK), ("D", "b", BAN))

    assert related.disease_relation("D", "E") is LINK
    assert excluded.disease_relation("D", "E") is excluded.disease_relation("E", "D") is BAN
    assert apart.disease_relation("D", "E") is Relation.IRRELEVANCE


@pytest.mark.parametrize(
    ("states", "wanted"),
    [
        ({"a": PRESENT, "b": ABSENT}, PRESENT),
        ({"a": UNCERTAIN, "b": ABSENT}, UNCERTAIN),
        ({"b": ABSENT}, ABSENT),
        ({"c": PRESENT}, LabelState.UNMENTIONED),
        ({}, LabelState.UNMENTIONED),
    ],
)
def test_the_strongest_state_of_a_hallmark_decides_and_a_shared_attribute_does_not(
    states: dict[str, LabelState], wanted: LabelState
) -> None:
    small = graph(
        ("D", "a", LINK), ("D", "b", LINK), ("D", "c", LINK), ("E", "c", LINK), ("E", "d", LINK), attributes="abcd"
    )

    assert small.labels(states)["D"] is wanted


def test_a_saved_graph_is_loaded_again_as_it_was(chest: ConceptGraph, tmp_path: Path) -> None:
    again = ConceptGraph.load(chest.save(tmp_path / "deep" / "graph.json"))

    assert again == chest
    assert again.fingerprint == chest.fingerprint


def test_the_fingerprint_sees_a_changed_word_and_a_changed_relation(chest: ConceptGraph) -> None:
    name = next(iter(chest.attributes))
    reworded = replace(chest.attributes[name], wordings_absent=("The heart is quite normal.",))
    prints = {
        chest.fingerprint,
        replace(chest, attributes=dict(chest.attributes) | {name: reworded}).fingerprint,
        replace(chest, edges=chest.edges[:-1]).fingerprint,
    }

    assert len(prints) == 3


def test_an_attribute_cannot_be_associated_with_a_disease_and_excluded_by_it() -> None:
    with pytest.raises(DataError, match="related to 'D' twice: association, exclusion"):
        graph(("D", "a", LINK), ("D", "a", BAN), ("E", "c", LINK))


def test_two_diseases_that_no_attribute_tells_apart_are_refused() -> None:
    with pytest.raises(DataError, match="every attribute of 'D' is one of 'E' too"):
        graph(("D", "a", LINK), ("E", "a", LINK), ("E", "b", LINK))


def test_an_edge_to_something_undeclared_is_refused() -> None:
    with pytest.raises(DataError, match="between 'D' and 'z'"):
        graph(("D", "z", LINK))


def test_a_question_about_an_unknown_name_is_refused(chest: ConceptGraph) -> None:
    with pytest.raises(DataError, match="disease 'Measles'"):
        chest.relation("Measles", "nodule")
    with pytest.raises(DataError, match="attribute 'spots'"):
        chest.diseases_of("spots")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "JSON"),
        ("[]", "not a concept graph"),
        ('{"format": "cpo concept graph", "version": 99}', "not a concept graph of version"),
        ('{"format": "cpo concept graph", "version": 2, "name": "x"}', "missing attributes, default, diseases"),
    ],
)
def test_a_file_that_is_no_graph_is_refused(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "graph.json"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(DataError, match=said):
        ConceptGraph.load(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"category": "colour"}, "category 'colour'"),
        ({"present": []}, "without words"),
        ({"absent": None}, "without words"),
    ],
)
def test_an_attribute_without_category_or_words_is_refused(
    chest: ConceptGraph, change: dict[str, object], said: str, tmp_path: Path
) -> None:
    path = chest.save(tmp_path / "graph.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    document["attributes"]["nodule"] |= change
    path.write_text(json.dumps(document), encoding="utf-8")

    with pytest.raises(DataError, match=said):
        ConceptGraph.load(path)


@pytest.mark.parametrize("change", [{"default": "Edema"}, {"phrases": {"Edema": "has edema"}}])
def test_a_default_that_is_a_disease_and_phrases_for_some_results_are_refused(
    chest: ConceptGraph, change: dict[str, object], tmp_path: Path
) -> None:
    path = chest.save(tmp_path / "graph.json")
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")

    with pytest.raises(DataError, match="a phrase for every result or for none"):
        ConceptGraph.load(path)


def test_an_unknown_graph_is_refused_with_the_shipped_names() -> None:
    with pytest.raises(DataError, match=r"a shipped graph \(chest"):
        ConceptGraph.load("thorax")


def test_the_chest_graph_has_the_twelve_diseases_and_all_four_categories(chest: ConceptGraph) -> None:
    categories = Counter(a.category for a in chest.attributes.values())

    assert len(chest.diseases) == 12
    assert not {"No Finding", "Support Devices"} & set(chest.diseases)
    assert chest.default == "No Finding"
    assert len(chest.attributes) == 53
    assert set(categories) == {Category.MORPHOLOGY, Category.DENSITY, Category.ANATOMY, Category.FUNCTION}
    assert min(categories.values()) >= 9


def test_every_disease_of_the_chest_graph_has_a_hallmark_and_a_shared_attribute(chest: ConceptGraph) -> None:
    for disease in chest.diseases:
        hallmarks = chest.hallmarks(disease)
        assert hallmarks, disease
        assert set(hallmarks) < set(chest.attributes_of(disease)), disease
    assert all(chest.decisive(one, against=other) for one, other in permutations(chest.diseases, 2))


def test_the_chest_graph_excludes_what_radiology_excludes(chest: ConceptGraph) -> None:
    assert chest.relation("Atelectasis", "hyperinflation") is BAN
    assert chest.relation("Cardiomegaly", "small heart") is BAN
    assert chest.relation("Consolidation", "juxtaphrenic peak") is BAN
    assert chest.disease_relation("Pneumothorax", "Atelectasis") is BAN
    assert chest.disease_relation("Cardiomegaly", "Edema") is LINK
    assert chest.disease_relation("Fracture", "Edema") is Relation.IRRELEVANCE
