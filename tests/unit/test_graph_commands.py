"""`cpo graph`: built from a dataset's reports, shown, compared, exported; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cpo.commands.graph import build, diff, export, show
from cpo.errors import ConfigError, PrivacyError
from cpo.graph.schema import ConceptGraph, Relation
from tests.fixtures.chat_server import Answer, ChatServer

WORLD = ["dataset=chest_world", "dataset.world.studies=300", "dataset.world.image_size=64", "dataset.world.workers=1"]


def expert(request: dict[str, Any], again: int) -> Answer:
    """Names two findings by their words, and does not keep to the form where a third is told."""
    told = request["messages"][-1]["content"].rpartition("Report:")[2]
    known = {"pleural space": "fluid", "pleural line": "pleural line"}
    features = [{"name": name, "category": "density anomaly"} for word, name in known.items() if word in told]
    return Answer("Sorry." if "callus" in told else json.dumps({"diseases": [], "features": features}))


def test_a_language_models_answers_become_a_graph_and_are_asked_for_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "graph.json"
    with ChatServer(expert) as server:
        asked = ["extractor=llm", f"endpoint={server.url}", "model=tiny", f"out={out}"]
        build([*WORLD, f"paths.cache={tmp_path}", *asked])
        first = len(server.requests)
        build([*WORLD, f"paths.cache={tmp_path}", *asked])
        assert len(server.requests) == first > 0
    graph = ConceptGraph.load(out)

    assert graph.relation("Pleural Effusion", "fluid") is Relation.ASSOCIATION
    assert "Fracture" not in graph.diseases
    printed = capsys.readouterr().out
    assert "not told apart, left out" in printed
    assert "reports not read: no JSON object" in printed
    assert "chest_world-default, train" in out.read_text(encoding="utf-8")


def test_credentialed_reports_are_not_sent_to_another_machine(tmp_path: Path) -> None:
    asked = ["extractor=llm", "endpoint=https://api.example.com/v1", "model=large", f"out={tmp_path / 'graph.json'}"]
    with pytest.raises(PrivacyError, match="PhysioNet"):
        build(["dataset=mimic_cxr", f"dataset.root={tmp_path / 'never opened'}", *asked])
    with pytest.raises(ConfigError, match="without endpoint= or model="):
        build([*WORLD, "extractor=llm", "out=graph.json"])


def test_a_graph_is_built_by_the_lexicon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("negspacy", reason="the lexicon extractor needs negspacy")
    out = tmp_path / "graph.json"
    build([*WORLD, f"paths.cache={tmp_path}", "extractor=lexicon", f"out={out}"])

    assert ConceptGraph.load(out).relation("Cardiomegaly", "enlarged heart") is Relation.ASSOCIATION
    assert "results from labels" in capsys.readouterr().out


def test_show_prints_relations_and_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = show(["chest", f"out={tmp_path / 'graph.html'}"])

    assert page.is_file()
    printed = capsys.readouterr().out
    assert "Pneumothorax" in printed
    assert "exclusion" in printed


def test_diff_tells_by_its_status_whether_anything_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chest = ConceptGraph.load("chest")
    edges = chest.edges[:-1]
    shorter = ConceptGraph("chest", chest.diseases, chest.attributes, edges, chest.default, parents=chest.parents)
    path = shorter.save(tmp_path / "shorter.json")

    assert diff(["chest", "chest"]) == 0
    assert diff(["chest", str(path)]) == 1
    printed = capsys.readouterr().out
    assert "the graphs are equal" in printed
    assert "1 relation" in printed


def test_export_writes_graphml(tmp_path: Path) -> None:
    path = export(["driving", f"out={tmp_path / 'g.graphml'}"])

    assert "<graphml" in path.read_text(encoding="utf-8")


def test_what_cannot_be_done_is_refused_with_a_call_that_works(tmp_path: Path) -> None:
    refused = (
        (lambda: build(["dataset=chest_world", "extractor=llm", "out=g.json"]), "llm without endpoint="),
        (lambda: build(["dataset=chest_world", "extractor=magic", "out=g.json"]), "extractor=magic"),
        (lambda: build(["dataset=chest_world", "extractor=lexicon"]), "without out="),
        (lambda: show([]), "no graph"),
        (lambda: show(["chest", "out=graph.png"]), r"out=graph\.png"),
        (lambda: diff(["chest"]), "2 graphs"),
        (lambda: export(["chest", "out=graph.xml"]), r"ends in \.graphml"),
    )
    for call, said in refused:
        with pytest.raises(ConfigError, match=said):
            call()
