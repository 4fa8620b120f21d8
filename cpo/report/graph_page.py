"""The page of a concept graph: drawn, and relation by relation with its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cpo.files import write_text
from cpo.graph.evidence import Evidence
from cpo.graph.schema import ConceptGraph, Edge, Relation
from cpo.report.blocks import Block, Cell, Details, Facts, Notice, Row, Table
from cpo.report.graph_figures import diseases_figure, interval, relations_figure, shown_q
from cpo.report.page import Section, render

_COLUMNS = ("relation", "studies", "log-odds", "q")


def graph_page(graph: ConceptGraph, out: Path) -> Path:
    """Writes the page of a graph.

    Args:
        graph: Any, shipped or built.
        out: The HTML file; its folder is made if missing.
    """
    page = render(
        f"Concept graph: {graph.name}",
        [
            Section("Graph", [_facts(graph), relations_figure(graph), diseases_figure(graph)]),
            Section("Relations", _relations(graph)),
            Section("Attributes", [_attributes(graph)]),
        ],
        subtitle="Which attributes speak for a result, which rule it out, and what that rests on.",
    )
    write_text(out, page)
    return out


def _facts(graph: ConceptGraph) -> Facts:
    count = {relation: sum(edge.relation is relation for edge in graph.edges) for relation in Relation}
    said = dict.fromkeys(evidence.source for evidence in _evidence(graph))
    return Facts(
        [
            ("Results", f"{len(graph.diseases)}, else {graph.default}"),
            ("Attributes", str(len(graph.attributes))),
            ("Associations", str(count[Relation.ASSOCIATION])),
            ("Exclusions", str(count[Relation.EXCLUSION])),
            ("Tested irrelevant", str(count[Relation.IRRELEVANCE])),
            ("Links within a kind", str(len(graph.links))),
            ("Evidence", "; ".join(said) or "none recorded"),
            ("Fingerprint", graph.fingerprint),
        ]
    )


def _relations(graph: ConceptGraph) -> list[Block]:
    decided = [edge for edge in graph.edges if edge.relation is not Relation.IRRELEVANCE]
    blocks: list[Block] = [_edges(graph, decided, "Associations and exclusions by result")] if decided else []
    if not decided:
        blocks.append(Notice("This graph has no relations."))
    if graph.links:
        rows = [Row(f"{k.one} – {k.other}", _cells(k.relation, k.evidence)) for k in graph.links]
        blocks.append(Table(("link", *_COLUMNS), rows, caption="Between two results, or two attributes"))
    irrelevant = [edge for edge in graph.edges if edge.relation is Relation.IRRELEVANCE]
    if irrelevant:
        table = _edges(graph, irrelevant, "Tested, and too small to matter")
        blocks.append(Details(f"Irrelevances ({len(irrelevant)})", [table]))
    return blocks


def _edges(graph: ConceptGraph, edges: Sequence[Edge], caption: str) -> Table:
    rows = []
    for disease in graph.diseases:
        own = [edge for edge in edges if edge.disease == disease]
        if own:
            rows.append(Row(disease, [Cell(f"{len(own)} relations")], "group"))
        # the strongest first; without numbers, in the order of the file
        own.sort(key=lambda edge: (edge.relation.value, -abs(edge.evidence.log_odds or 0) if edge.evidence else 0))
        rows += [Row(edge.attribute, _cells(edge.relation, edge.evidence)) for edge in own]
    return Table(
        ("attribute", *_COLUMNS), rows, caption=caption, note="In brackets: 95 % interval. q: after correction."
    )


def _cells(relation: Relation, evidence: Evidence | None) -> list[Cell]:
    if evidence is None or evidence.log_odds is None:
        support = "" if evidence is None or evidence.support is None else f"{evidence.support:,}"
        return [Cell(relation.value), Cell(support), Cell(""), Cell("" if evidence is None else evidence.source)]
    return [
        Cell(relation.value),
        Cell("" if evidence.support is None else f"{evidence.support:,}"),
        Cell(f"{evidence.log_odds:.2f}", interval(evidence)),
        Cell("" if evidence.q_value is None else shown_q(evidence.q_value).removeprefix("= ")),
    ]


def _attributes(graph: ConceptGraph) -> Table:
    rows = [
        Row(a.name, [Cell(a.category.value), Cell(a.radlex or ""), Cell(a.wordings_present[0])])
        for a in graph.attributes.values()
    ]
    return Table(("attribute", "category", "RadLex", "as a report says it"), rows)


def _evidence(graph: ConceptGraph) -> list[Evidence]:
    every = (*(edge.evidence for edge in graph.edges), *(link.evidence for link in graph.links))
    return [evidence for evidence in every if evidence is not None]
