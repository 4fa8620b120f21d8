"""The page of a concept graph."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cpo.graph.evidence import Evidence
from cpo.graph.schema import ConceptGraph, Edge, Link, Relation
from cpo.report.graph_figures import evidence_line
from cpo.report.graph_page import graph_page
from tests.unit.report.test_browser import CHROMIUM, open_page

CHEST = ConceptGraph.load("chest")
TESTED = Evidence("4,000 reports", support=57, log_odds=-3.1, high=-1.0, q_value=1e-9)


@pytest.fixture
def graph() -> ConceptGraph:
    edges = (replace(CHEST.edges[0], evidence=TESTED), *CHEST.edges[1:])
    irrelevant = Edge("Fracture", "nodule", Relation.IRRELEVANCE, replace(TESTED, log_odds=0.1, low=-0.2, high=0.4))
    links = (Link("Edema", "Fracture", Relation.EXCLUSION, TESTED),)
    return replace(CHEST, edges=(*edges, irrelevant), links=links)


def figures(html: str) -> list[dict[str, Any]]:
    return [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', html, re.S)]


def drawn(figure: dict[str, Any]) -> dict[str, int]:
    """How many lines each relation has."""
    named = [trace for trace in figure["data"] if trace.get("legendgroup") and trace["mode"] == "lines"]
    return {trace["legendgroup"]: trace["x"].count(None) for trace in named}


def test_every_association_and_exclusion_is_drawn_and_no_irrelevance(graph: ConceptGraph, tmp_path: Path) -> None:
    relations, results = figures(graph_page(graph, tmp_path / "new" / "graph.html").read_text(encoding="utf-8"))

    wanted = {r.value: sum(e.relation is r for e in graph.edges) for r in (Relation.ASSOCIATION, Relation.EXCLUSION)}
    assert drawn(relations) == wanted
    names = {text for trace in relations["data"] for text in trace.get("text", []) if "<br>" not in text}
    assert names == {f"<b>{disease}</b>" for disease in graph.diseases} | set(graph.attributes)
    assert {a["text"] for a in relations["layout"]["annotations"]} == set(graph.parents.values())
    assert drawn(results)["exclusion"] >= 1


def test_evidence_stands_under_the_pointer_and_in_the_table(graph: ConceptGraph, tmp_path: Path) -> None:
    html = graph_page(graph, tmp_path / "graph.html").read_text(encoding="utf-8")
    said = [text for figure in figures(html) for trace in figure["data"] for text in trace.get("text", [])]

    line = "57 studies, log-odds -3.10 [−∞, -1.00], q &lt; 0.001; 4,000 reports"
    assert any(text.startswith("<b>Edema – Fracture</b>") and text.endswith(line) for text in said)
    assert html.count("<small>[−∞, -1.00]</small>") == 2
    assert "<summary>Irrelevances (1)</summary>" in html
    assert "Edema – Fracture" in html


def test_names_cannot_smuggle_markup_into_the_page(tmp_path: Path) -> None:
    evil = Evidence("<img src=x onerror=alert(1)>")
    page = graph_page(
        replace(CHEST, edges=(replace(CHEST.edges[0], evidence=evil), *CHEST.edges[1:])), tmp_path / "g.html"
    )

    assert "<img src=x" not in page.read_text(encoding="utf-8")
    assert "<" not in evidence_line(evil)


@pytest.mark.parametrize("name", ["chest", "driving"])
def test_shipped_graphs_have_a_page_without_evidence(name: str, tmp_path: Path) -> None:
    html = graph_page(ConceptGraph.load(name), tmp_path / "graph.html").read_text(encoding="utf-8")

    assert "none recorded" in html
    assert len(figures(html)) == 2


def test_a_graph_without_relations_says_so(tmp_path: Path) -> None:
    bare = ConceptGraph("bare", (), {"mass": CHEST.attributes["mass"]}, (), "nothing")

    assert "This graph has no relations." in graph_page(bare, tmp_path / "g.html").read_text(encoding="utf-8")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_the_page_is_drawn_in_a_browser_and_fits_a_telephone(graph: ConceptGraph, tmp_path: Path) -> None:
    page = graph_page(graph, tmp_path / "graph.html")
    dom, console = open_page(page, tmp_path / "profile", "--window-size=1280,900")
    assert console == []
    assert dom.count('data-drawn="true"') == 2
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe src="{page.as_uri()}" style="width:400px;height:900px;border:0"></iframe>'
        "<script>setTimeout(() => { const page = document.querySelector('iframe').contentDocument.documentElement;"
        "document.body.dataset.overflow = page.scrollWidth - page.clientWidth; }, 4000)</script>"
    )
    dom, console = open_page(frame, tmp_path / "profile")
    assert console == []
    assert 'data-overflow="0"' in dom
