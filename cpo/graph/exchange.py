"""A concept graph for other tools: networkx in memory, GraphML on disk, and what differs between two graphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx

from cpo.files import write_text
from cpo.graph.evidence import Evidence
from cpo.graph.schema import ConceptGraph, Relation

IS_A = "is a"
"""Relation of the edge from a disease, an attribute or a taxon to what stands above it."""


def to_networkx(graph: ConceptGraph) -> nx.MultiDiGraph:
    """Diseases, attributes and taxonomy as nodes, relations as edges with their evidence.

    Nodes have `kind` (`disease`, `attribute` or `taxon`), attributes `category` and `radlex` too. Edges have `relation`
    and whatever is known of log-odds and support; they run from disease to attribute, and upwards in the taxonomy. A
    link between two of a kind has no direction and is one edge.

    Example:
        >>> chest = to_networkx(ConceptGraph.load("chest"))
        >>> chest.nodes["nodule"]["kind"], chest.edges["Lung Lesion", "nodule", 0]["relation"]
        ('attribute', 'association')
    """
    made = nx.MultiDiGraph(name=graph.name, default=graph.default)
    made.add_nodes_from(graph.diseases, kind="disease")
    for attribute in graph.attributes.values():
        radlex = {"radlex": attribute.radlex} if attribute.radlex else {}
        made.add_node(attribute.name, kind="attribute", category=attribute.category.value, **radlex)
    for parent in graph.parents.values():
        if parent not in made:
            made.add_node(parent, kind="taxon")
    for child, parent in graph.parents.items():
        made.add_edge(child, parent, relation=IS_A)
    for edge in graph.edges:
        made.add_edge(edge.disease, edge.attribute, relation=edge.relation.value, **_numbers(edge.evidence))
    for link in graph.links:
        made.add_edge(link.one, link.other, relation=link.relation.value, **_numbers(link.evidence))
    return made


def write_graphml(graph: ConceptGraph, path: Path) -> Path:
    """Writes GraphML, as Gephi, yEd and Cytoscape read it."""
    write_text(path, "\n".join(nx.generate_graphml(to_networkx(graph))) + "\n")
    return path


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which two graphs differ; empty where a graph does not have it.

    Args:
        kind: `default`, `disease`, `attribute`, `relation`, `link`, `parent`, `terms`, `words` or `evidence`.
        name: What it is about.
        before: In the one graph.
        after: In the other.
    """

    kind: str
    name: str
    before: str
    after: str


def differences(one: ConceptGraph, other: ConceptGraph) -> list[Difference]:
    """What differs between two graphs, name and order aside; evidence that differs in numbers only is one line.

    Example:
        >>> chest = ConceptGraph.load("chest")
        >>> differences(chest, chest)
        []
    """
    found = [Difference("default", "", one.default, other.default)] if one.default != other.default else []
    parts = zip(_parts(one), _parts(other), strict=True)
    found += [d for (kind, before), (_, after) in parts for d in _changed(kind, before, after)]
    before, after = _evidence(one), _evidence(other)
    numbers = [key for key in before.keys() & after.keys() if before[key] != after[key]]
    if numbers:
        found.append(Difference("evidence", f"{len(numbers)} relations", "", "other numbers or another source"))
    return found


def _parts(graph: ConceptGraph) -> Iterator[tuple[str, dict[str, str]]]:
    yield "disease", {disease: "there" for disease in graph.diseases}
    yield "attribute", {a.name: a.category.value for a in graph.attributes.values()}
    tested = ((e, e.relation is not Relation.IRRELEVANCE or e.evidence is not None) for e in graph.edges)
    yield "relation", {f"{e.disease} – {e.attribute}": e.relation.value for e, said in tested if said}
    yield "link", {" – ".join(sorted(link.ends)): link.relation.value for link in graph.links}
    yield "parent", dict(graph.parents)
    yield "terms", {name: ", ".join(terms) for name, terms in graph.terms.items()}
    yield "words", {a.name: _words(a.as_json()) for a in graph.attributes.values()}


def _words(entry: Mapping[str, Any]) -> str:
    traits = [trait for trait in ("lateral", "graded") if entry[trait]]
    return " ".join([*traits, *entry["present"], *entry["absent"]])


def _changed(kind: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Difference]:
    names = before.keys() & after.keys() if kind == "words" else {**before, **after}
    for name in sorted(names):
        if before.get(name) != after.get(name):
            yield Difference(kind, name, before.get(name, ""), after.get(name, ""))


def _evidence(graph: ConceptGraph) -> dict[tuple[str, ...], Evidence | None]:
    edges: dict[tuple[str, ...], Evidence | None] = {(e.disease, e.attribute): e.evidence for e in graph.edges}
    return edges | {tuple(sorted(link.ends)): link.evidence for link in graph.links}


def _numbers(evidence: Evidence | None) -> dict[str, Any]:
    return evidence.as_json() if evidence else {}
