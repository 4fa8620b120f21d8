"""The parts of a concept graph as they stand in its file, each checked when it is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cpo.errors import DataError
from cpo.graph.evidence import Evidence
from cpo.graph.parts import Attribute, Category, Edge, Link, Relation

_ORDER = (Relation.ASSOCIATION, Relation.EXCLUSION, Relation.IRRELEVANCE)
"""Of the relations of a disease."""


def attributes_in(document: Mapping[str, Any]) -> dict[str, Attribute]:
    """Attributes by name, in the order of the file.

    Raises:
        DataError: One without words, or of an unknown category.
    """
    return {name: _attribute(name, entry) for name, entry in document["attributes"].items()}


def edges_in(document: Mapping[str, Any]) -> tuple[Edge, ...]:
    """Relations disease by disease, with their evidence.

    Raises:
        DataError: A key that is no relation, or evidence that is none, or of no relation.
    """
    for disease, entry in document["diseases"].items():
        _check_disease(disease, entry)
    return tuple(
        Edge(disease, attribute, relation, _evidence(entry, disease, attribute))
        for disease, entry in document["diseases"].items()
        for relation in _ORDER
        for attribute in entry.get(relation.value, ())
    )


def links_in(document: Mapping[str, Any]) -> tuple[Link, ...]:
    """Relations between two diseases or two attributes.

    Raises:
        DataError: One without two names or without a relation, or evidence that is none.
    """
    return tuple(_link(entry) for entry in document.get("links", ()))


def diseases_json(diseases: Iterable[str], edges: Iterable[Edge]) -> dict[str, dict[str, Any]]:
    """Diseases with their relations and evidence, as `edges_in` reads them."""
    content: dict[str, dict[str, Any]] = {disease: {} for disease in diseases}
    for edge in edges:
        entry = content[edge.disease]
        entry.setdefault(edge.relation.value, []).append(edge.attribute)
        if edge.evidence is not None:
            entry.setdefault("evidence", {})[edge.attribute] = edge.evidence.as_json()
    return content


def check_parents(parents: Mapping[str, str]) -> None:
    """Refuses a taxonomy in which something stands above itself.

    Raises:
        DataError: Naming the circle.
    """
    for name in parents:
        path = [name]
        while path[-1] in parents and path[-1] not in path[:-1]:
            path.append(parents[path[-1]])
        if path[-1] in path[:-1]:
            raise DataError(
                got=f"{' under '.join(path)}",
                wanted="a taxonomy in which nothing stands above itself",
                remedy="correct `parents` in the graph's file",
            )


def _attribute(name: str, entry: Mapping[str, object]) -> Attribute:
    known = {c.value for c in Category}
    if entry.get("category") not in known:
        raise DataError(
            got=f"attribute {name!r} of category {entry.get('category')!r}",
            wanted=f"one of {sorted(known)}",
            remedy="correct the category in the graph's file",
        )
    present, absent = entry.get("present"), entry.get("absent")
    if not isinstance(present, list) or not isinstance(absent, list) or not present or not absent:
        raise DataError(
            got=f"attribute {name!r} without words",
            wanted="at least one sentence under `present` and one under `absent`",
            remedy="write them into the graph's file",
        )
    radlex = entry.get("radlex")
    return Attribute(
        name=name,
        category=Category(str(entry["category"])),
        wordings_present=tuple(present),
        wordings_absent=tuple(absent),
        lateral=bool(entry.get("lateral", False)),
        graded=bool(entry.get("graded", False)),
        radlex=None if radlex is None else str(radlex),
    )


def _check_disease(disease: str, entry: Mapping[str, Any]) -> None:
    related = {attribute for relation in _ORDER for attribute in entry.get(relation.value, ())}
    strange = [key for key in entry if key not in {*_ORDER, "evidence"}]
    loose = [attribute for attribute in entry.get("evidence", {}) if attribute not in related]
    if strange or loose:
        raise DataError(
            got=f"{disease!r} with {', '.join(strange) or 'no other keys'}, evidence of nothing for "
            f"{', '.join(loose) or 'none'}",
            wanted="association, exclusion, irrelevance, and evidence of attributes named in them",
            remedy="correct it in the graph's file",
        )


def _evidence(entry: Mapping[str, Any], disease: str, attribute: str) -> Evidence | None:
    known = entry.get("evidence", {})
    return Evidence.from_json(known[attribute], f"{attribute!r} for {disease!r}") if attribute in known else None


def _link(entry: Mapping[str, Any]) -> Link:
    between, relation = entry.get("between"), entry.get("relation")
    if not isinstance(between, list) or len(between) != 2 or relation not in {r.value for r in Relation}:
        raise DataError(
            got=f"link {entry}",
            wanted="two names under `between` and a relation",
            remedy="correct `links` in the graph's file",
        )
    evidence = Evidence.from_json(entry["evidence"], " and ".join(between)) if "evidence" in entry else None
    return Link(between[0], between[1], Relation(relation), evidence)
