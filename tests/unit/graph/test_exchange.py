"""Graphs on disk and for other tools: evidence, links, taxonomy, the JSON Schema, networkx, GraphML, differences."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from cpo.errors import DataError
from cpo.graph.evidence import Evidence
from cpo.graph.exchange import Difference, differences, to_networkx, write_graphml
from cpo.graph.schema import ConceptGraph, Link, Relation

CHEST = ConceptGraph.load("chest")
TESTED = Evidence("4,000 reports", support=57, log_odds=-3.1, high=-1.0, q_value=1e-9)


@pytest.fixture
def rich() -> ConceptGraph:
    edges = (replace(CHEST.edges[0], evidence=TESTED), *CHEST.edges[1:])
    links = (
        Link("Edema", "Fracture", Relation.EXCLUSION, TESTED),
        Link("mass", "nodule", Relation.ASSOCIATION),
    )
    return replace(CHEST, edges=edges, links=links)


def written(graph: ConceptGraph, path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(graph.save(path).read_text(encoding="utf-8"))
    return content


def test_evidence_links_taxonomy_and_terms_are_read_back(rich: ConceptGraph, tmp_path: Path) -> None:
    again = ConceptGraph.load(rich.save(tmp_path / "graph.json"))

    assert again == rich
    assert again.edges[0].evidence == TESTED
    assert again.parents["Edema"] == "lung"
    assert again.fingerprint == rich.fingerprint != CHEST.fingerprint


def test_a_link_decides_what_two_of_a_kind_are_to_each_other(rich: ConceptGraph) -> None:
    assert CHEST.disease_relation("Fracture", "Edema") is Relation.IRRELEVANCE
    assert rich.disease_relation("Fracture", "Edema") is Relation.EXCLUSION
    assert rich.attribute_relation("nodule", "mass") is Relation.ASSOCIATION
    assert rich.attribute_relation("nodule", "cavity") is Relation.IRRELEVANCE


@pytest.mark.parametrize("name", ["chest", "driving", "rich"])
def test_files_are_as_the_json_schema_says(name: str, rich: ConceptGraph, tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="the schema's own check needs jsonschema")
    schema = json.loads(resources.files("cpo.graph").joinpath("concept_graph.schema.json").read_text(encoding="utf-8"))
    check = jsonschema.Draft202012Validator(schema)
    graph = rich if name == "rich" else ConceptGraph.load(name)
    content = written(graph, tmp_path / "graph.json")

    check.check_schema(schema)
    assert list(check.iter_errors(content)) == []
    assert list(check.iter_errors(content | {"version": 1}))
    assert list(check.iter_errors(content | {"links": [{"between": ["a"], "relation": "friendship"}]}))


def test_a_file_of_the_first_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(written(CHEST, path) | {"version": 1}), encoding="utf-8")

    with pytest.raises(
        DataError, match=r'a concept graph of version 1, not .* version 2\n(.*\n)*.*write 2 as "version"'
    ):
        ConceptGraph.load(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parents": {"Edema": "lung", "lung": "Edema"}}, "Edema under lung under Edema"),
        ({"taxonomy": {}}, "unknown taxonomy"),
        ({"diseases": {"Edema": {"asociation": ["nodule"]}}}, "'Edema' with asociation"),
        ({"diseases": {"Edema": {"evidence": {"nodule": {"source": "x"}}}}}, "evidence of nothing for nodule"),
        ({"terms": {"spots": ["dots"]}}, r"terms for \['spots'\]"),
        ({"links": [{"between": ["Edema", "nodule"], "relation": "exclusion"}]}, r"links \[\['Edema', 'nodule'\]\]"),
        ({"links": [{"between": ["mass", "nodule"], "relation": "exclusion"}] * 2}, "some twice"),
        ({"links": [{"between": ["mass", "nodule"], "relation": "friendship"}]}, "link .*friendship"),
        ({"links": [{"between": ["mass", "nodule"], "relation": "exclusion", "evidence": {}}]}, "evidence of mass and"),
    ],
)
def test_what_makes_no_sense_in_a_file_is_refused(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(written(CHEST, path) | change), encoding="utf-8")

    with pytest.raises(DataError, match=said):
        ConceptGraph.load(path)


@pytest.mark.parametrize(
    "content", ["4,000", {"support": 3}, {"source": "x", "support": 2.5}, {"source": "x", "odds": 1}, {"source": 1}]
)
def test_evidence_without_source_or_with_other_keys_is_refused(content: object) -> None:
    with pytest.raises(DataError, match="evidence of 'mass' for 'Lung Lesion'"):
        Evidence.from_json(content, "'mass' for 'Lung Lesion'")


def test_networkx_holds_kinds_relations_evidence_and_taxonomy(rich: ConceptGraph) -> None:
    made = to_networkx(rich)
    first = rich.edges[0]

    kinds = [kind for _, kind in made.nodes(data="kind")]
    assert (kinds.count("disease"), kinds.count("attribute"), kinds.count("taxon")) == (12, len(rich.attributes), 5)
    assert made.edges[first.disease, first.attribute, 0] == {"relation": first.relation.value} | TESTED.as_json()
    assert made.edges["Edema", "lung", 0]["relation"] == "is a"
    assert made.number_of_edges() == len(rich.edges) + len(rich.links) + len(rich.parents)


def test_graphml_is_read_back_by_networkx(rich: ConceptGraph, tmp_path: Path) -> None:
    again = nx.read_graphml(write_graphml(rich, tmp_path / "deep" / "graph.graphml"), force_multigraph=True)

    made = to_networkx(rich)
    assert dict(again.nodes(data=True)) == dict(made.nodes(data=True))
    assert sorted(d["relation"] for *_, d in again.edges(data=True)) == sorted(
        d["relation"] for *_, d in made.edges(data=True)
    )


def test_differences_name_what_changed_and_nothing_else(rich: ConceptGraph) -> None:
    name = next(iter(CHEST.attributes))
    reworded = replace(CHEST.attributes[name], wordings_absent=("The heart is quite normal.",))
    changed = replace(CHEST, attributes=dict(CHEST.attributes) | {name: reworded}, default="Healthy")

    assert differences(CHEST, replace(CHEST, name="other")) == []
    assert [(d.kind, d.name) for d in differences(CHEST, changed)] == [("default", ""), ("words", name)]
    assert differences(CHEST, rich) == [
        Difference("link", "Edema – Fracture", "", "exclusion"),
        Difference("link", "mass – nodule", "", "association"),
        Difference("evidence", "1 relations", "", "other numbers or another source"),
    ]


def test_a_lost_relation_is_a_difference_both_ways() -> None:
    lost = replace(CHEST, edges=CHEST.edges[:-1])
    edge = CHEST.edges[-1]

    (gone,) = differences(CHEST, lost)
    (come,) = differences(lost, CHEST)
    assert gone == Difference("relation", f"{edge.disease} – {edge.attribute}", edge.relation.value, "")
    assert (come.before, come.after) == ("", edge.relation.value)
