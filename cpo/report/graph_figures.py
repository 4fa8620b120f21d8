"""A concept graph drawn: taxonomy, results and attributes from left to right, and the results among themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import combinations
from typing import Any

import networkx as nx
import numpy as np
import plotly.graph_objects as go

from cpo.graph.evidence import Evidence
from cpo.graph.schema import ConceptGraph, Relation
from cpo.report.blocks import Figure
from cpo.report.style import as_json, colour, new_figure, short

Point = tuple[float, float]

LOOKS = {
    Relation.ASSOCIATION: {"color": colour(0), "dash": "solid", "width": 1.4},
    Relation.EXCLUSION: {"color": colour(1), "dash": "dash", "width": 1.6},
}
"""What is drawn; irrelevance is the space between."""
_ROW = 24
"""Height of an attribute, CSS pixels."""
_RESULTS, _ATTRIBUTES = 0.5, 0.8
"""Where the two columns stand."""
_BRACKETS = (0.21, 0.025, 0.0)
"""Where the brackets of the taxonomy stand: around results, around taxa, around what is above those."""
_GREY = "rgba(128, 128, 128, 0.7)"
_STEPS = np.linspace(0, 1, 25)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the drawing and what it says under the pointer."""

    ends: tuple[Point, Point]
    relation: Relation
    says: str


def relations_figure(graph: ConceptGraph) -> Figure:
    """Associations and exclusions as lines between results, under their taxonomy, and attributes."""
    places = _places(graph)
    figure = _canvas()
    _draw_taxonomy(figure, graph, places)
    edges = [edge for edge in graph.edges if edge.relation in LOOKS]
    _draw(
        figure,
        [
            _Line(
                (places[e.disease], places[e.attribute]),
                e.relation,
                f"<b>{e.disease} – {e.attribute}</b><br>{e.relation.value}<br>{evidence_line(e.evidence)}",
            )
            for e in edges
        ],
    )
    _draw_diseases(figure, graph, places)
    _draw_attributes(figure, graph, places)
    figure.update_xaxes(range=[-0.03, 1.12])
    figure.update_yaxes(range=[0, 1])
    return Figure(
        as_json(figure),
        "Results and attributes",
        caption="Solid: association. Dashed: exclusion. Not joined: irrelevant, or not decided. Under the pointer a "
        "line tells its evidence and a name what it is joined to; the legend switches parts off. Attributes stand "
        "near what they speak for.",
        height=max(420, 110 + _ROW * len(graph.attributes)),
        wide=True,
    )


def diseases_figure(graph: ConceptGraph) -> Figure:
    """The results in a circle, joined where they are associated or exclude each other."""
    circle = nx.circular_layout(nx.empty_graph(graph.diseases))
    places: dict[str, Point] = {name: (float(x), float(y)) for name, (x, y) in circle.items()}
    known = {link.ends: link.evidence for link in graph.links}
    lines = []
    for one, other in combinations(graph.diseases, 2):
        relation = graph.disease_relation(one, other)
        if relation in LOOKS:
            ends = frozenset((one, other))
            why = evidence_line(known[ends]) if ends in known else _follows(graph, one, other)
            lines.append(
                _Line((places[one], places[other]), relation, f"<b>{one} – {other}</b><br>{relation.value}<br>{why}")
            )
    figure = _canvas()
    _draw(figure, lines, bent=False)
    figure.add_scatter(
        x=short(x for x, _ in places.values()),
        y=short(y for _, y in places.values()),
        text=list(places),
        mode="markers+text",
        textposition=[_outside(*place) for place in places.values()],
        marker={"color": _GREY, "size": 11},
        hoverinfo="skip",
        showlegend=False,
        cliponaxis=False,
    )
    figure.update_xaxes(range=[-1.9, 1.9])
    figure.update_yaxes(range=[-1.2, 1.2])
    return Figure(
        as_json(figure),
        "Results among themselves",
        caption="Solid: they appear together, or share an attribute. Dashed: they exclude each other.",
        height=460,
        wide=True,
    )


def evidence_line(evidence: Evidence | None) -> str:
    """Evidence in one line of plain words, safe inside markup.

    Example:
        >>> evidence_line(Evidence("4,000 reports", support=57, log_odds=2.13, low=1.2, q_value=0.012))
        '57 studies, log-odds 2.13 [1.20, ∞], q = 0.012; 4,000 reports'
    """
    if evidence is None:
        return "no evidence recorded"
    parts = [] if evidence.support is None else [f"{evidence.support:,} studies"]
    if evidence.log_odds is not None:
        parts.append(f"log-odds {evidence.log_odds:.2f} {interval(evidence)}")
    if evidence.q_value is not None:
        parts.append("q " + shown_q(evidence.q_value))
    return escape("; ".join(filter(None, (", ".join(parts), evidence.source))))


def interval(evidence: Evidence) -> str:
    """The interval, an unbounded end as infinity."""
    low = "−∞" if evidence.low is None else f"{evidence.low:.2f}"
    high = "∞" if evidence.high is None else f"{evidence.high:.2f}"
    return f"[{low}, {high}]"


def shown_q(q_value: float) -> str:
    """A q-value behind `q`.

    Example:
        >>> shown_q(0.0123), shown_q(1e-9)
        ('= 0.012', '< 0.001')
    """
    return "< 0.001" if q_value < 0.001 else f"= {q_value:.3f}"


def _places(graph: ConceptGraph) -> dict[str, Point]:
    """Results in the order of their taxonomy, attributes in that of the results they speak for."""
    diseases = sorted(graph.diseases, key=lambda d: (_path(graph, d), graph.diseases.index(d)))
    row = {disease: index for index, disease in enumerate(diseases)}

    def near(attribute: str) -> float:
        owners = graph.diseases_of(attribute) or graph.diseases_of(attribute, Relation.EXCLUSION)
        return sum(row[owner] for owner in owners) / len(owners) if owners else len(diseases)

    columns = ((_RESULTS, diseases), (_ATTRIBUTES, sorted(graph.attributes, key=near)))
    return {name: (x, 1 - (i + 0.5) / len(names)) for x, names in columns for i, name in enumerate(names)}


def _path(graph: ConceptGraph, name: str) -> tuple[str, ...]:
    """What stands above something, the highest first."""
    path: list[str] = []
    while name in graph.parents:
        name = graph.parents[name]
        path.insert(0, name)
    return tuple(path)


def _canvas() -> go.Figure:
    figure = new_figure("", legend=True, hover="closest")
    figure.update_layout(margin={"l": 8, "r": 8, "t": 40, "b": 8})
    figure.update_xaxes(visible=False, fixedrange=True)
    figure.update_yaxes(visible=False, fixedrange=True)
    return figure


def _draw(figure: go.Figure, lines: Sequence[_Line], *, bent: bool = True) -> None:
    for relation, look in LOOKS.items():
        chosen = [line for line in lines if line.relation is relation]
        if not chosen:
            continue
        xs: list[float | None] = []
        ys: list[float | None] = []
        for line in chosen:
            x, y = _curve(*line.ends, bent=bent)
            xs += [*short(x), None]
            ys += [*short(y), None]
        name = f"{relation.value} ({len(chosen)})"
        shared = {"legendgroup": relation.value, "name": name}
        figure.add_scatter(x=xs, y=ys, mode="lines", line=look, opacity=0.85, hoverinfo="skip", **shared)
        touched = [(point, line.says) for line in chosen for point in _touch(line.ends, bent=bent)]
        figure.add_scatter(
            x=short(x for (x, _), _ in touched),
            y=short(y for (_, y), _ in touched),
            mode="markers",
            marker={"color": look["color"], "size": 9, "opacity": 0},
            text=[says for _, says in touched],
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
            **shared,
        )


def _curve(start: Point, end: Point, *, bent: bool) -> tuple[Any, Any]:
    smooth = _STEPS * _STEPS * (3 - 2 * _STEPS) if bent else _STEPS
    return start[0] + (end[0] - start[0]) * _STEPS, start[1] + (end[1] - start[1]) * smooth


def _touch(ends: tuple[Point, Point], *, bent: bool) -> Iterable[Point]:
    """Points of a line that answer to the pointer, the middle ones."""
    x, y = _curve(*ends, bent=bent)
    return list(zip(x.tolist(), y.tolist(), strict=True))[2:-2]


def _draw_taxonomy(figure: go.Figure, graph: ConceptGraph, places: dict[str, Point]) -> None:
    """A bracket around what stands under each taxon, level by level."""
    heights = {name: places[name][1] for name in graph.diseases}
    for x in _BRACKETS:
        under: dict[str, list[float]] = {}
        for name, y in heights.items():
            if name in graph.parents:
                under.setdefault(graph.parents[name], []).append(y)
        for taxon, ys in under.items():
            ends = (min(ys) - 0.01, max(ys) + 0.01)
            bracket = {"x": [x + 0.01, x, x, x + 0.01], "y": short([ends[0], ends[0], ends[1], ends[1]])}
            line = {"color": _GREY, "width": 1}
            figure.add_scatter(**bracket, mode="lines", line=line, hoverinfo="skip", showlegend=False)
            # there is room for a whole word beside the first brackets only
            turn = {} if x == _BRACKETS[0] else {"textangle": -90}
            figure.add_annotation(x=x, y=sum(ends) / 2, text=taxon, showarrow=False, xanchor="right", **turn)
        heights = {taxon: sum(ys) / len(ys) for taxon, ys in under.items()}


def _draw_diseases(figure: go.Figure, graph: ConceptGraph, places: dict[str, Point]) -> None:
    figure.add_scatter(
        x=[places[d][0] for d in graph.diseases],
        y=short(places[d][1] for d in graph.diseases),
        text=[f"<b>{d}</b>" for d in graph.diseases],
        customdata=[_joined(graph, d) for d in graph.diseases],
        mode="markers+text",
        textposition="middle left",
        marker={"color": _GREY, "size": 11, "symbol": "square"},
        hovertemplate="%{text}<br>%{customdata}<extra></extra>",
        showlegend=False,
    )


def _draw_attributes(figure: go.Figure, graph: ConceptGraph, places: dict[str, Point]) -> None:
    for number, category in enumerate(dict.fromkeys(a.category for a in graph.attributes.values())):
        names = [a.name for a in graph.attributes.values() if a.category is category]
        figure.add_scatter(
            x=[places[name][0] for name in names],
            y=short(places[name][1] for name in names),
            text=names,
            customdata=[_owners(graph, name) for name in names],
            mode="markers+text",
            textposition="middle right",
            marker={
                "color": colour(number + 2),
                "size": 9,
                "symbol": ("circle", "diamond", "triangle-up", "star")[number % 4],
            },
            hovertemplate="<b>%{text}</b><br>%{customdata}<extra></extra>",
            name=category.value,
            cliponaxis=False,
        )


def _joined(graph: ConceptGraph, disease: str) -> str:
    said = ((r, graph.attributes_of(disease, r)) for r in LOOKS)
    return "<br>".join(f"{relation.value}: {', '.join(names)}" for relation, names in said if names)


def _owners(graph: ConceptGraph, attribute: str) -> str:
    said = ((r, graph.diseases_of(attribute, r)) for r in LOOKS)
    return (
        "<br>".join(f"{relation.value}: {', '.join(names)}" for relation, names in said if names) or "joined to nothing"
    )


def _follows(graph: ConceptGraph, one: str, other: str) -> str:
    shared = [a for a in graph.attributes_of(one) if a in graph.attributes_of(other)]
    return f"both show: {', '.join(shared)}" if shared else "one excludes what decides for the other"


def _outside(x: float, y: float) -> str:
    side = "right" if x > 0.1 else "left" if x < -0.1 else "center"
    return f"{'top' if y > 0.1 else 'bottom' if y < -0.1 else 'middle'} {side}"
