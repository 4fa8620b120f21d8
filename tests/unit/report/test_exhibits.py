from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cpo.panels import PANELS
from cpo.records import Exhibits
from cpo.report.exhibits import exhibits
from cpo.report.record import read_run

ALARM = {"position": 1250, "detector": "adwin", "signal": "error", "step": 156}


def with_summary(directory: Path, **more: Any) -> Path:
    path = directory / "summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **more}))
    return directory


def test_every_figure_of_the_page_is_shown_with_its_title_and_axis_in_it(run_directory: Path) -> None:
    shown = exhibits(read_run(run_directory), acknowledged=False)
    assert set(shown.figures) == {panel.title for panel in PANELS} | {"Balanced accuracy by concept"}
    for panel in PANELS:
        layout = shown.figures[panel.title]["layout"]
        assert (layout["title"]["text"], layout["yaxis"]["title"]["text"]) == (panel.title, panel.y)


def test_alarms_and_concepts_stand_in_figure_and_tables(run_directory: Path) -> None:
    with_summary(run_directory, alarms=[ALARM], detection={"adwin/error": {"alarms": 1, "detection_delay": 50.0}})
    shown = exhibits(read_run(run_directory), acknowledged=False)
    (band,) = [panel.title for panel in PANELS if panel.kind == "band"]
    assert shown.tables["alarms"] == (["position", "detector", "signal", "step"], [[1250, "adwin", "error", 156]])
    assert shown.tables["detection"][1] == [["adwin/error", 1, 50.0]]
    assert shown.tables["concepts"][1] == [[0, 900, "tied"], [900, 1300, "changing"], [1300, 2000, "untied"]]
    assert shown.concepts == [(0, 900, 0), (900, 1300, 1), (1300, 2000, 1)]
    assert "alarm at sample 1,250" in json.dumps(shown.figures[band])


def test_the_headline_table_has_a_row_for_every_measure_of_every_arm(run_directory: Path) -> None:
    columns, rows = exhibits(read_run(run_directory), acknowledged=False).tables["headline"]
    assert list(columns) == ["arm", "concept", "measure", "value", "low", "high"]
    assert ["SFT", "all", "pair_accuracy", 0.913, pytest.approx(0.893), pytest.approx(0.933)] in rows


def canaries(run_directory: Path, *, acknowledged: bool) -> tuple[str, Exhibits]:
    (run_directory / "config.yaml").write_text("dataset: {access: credentialed}\n")
    with_summary(run_directory, alarms=[{**ALARM, "detector": "quokka report text"}])
    with (run_directory / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"stage": "train", "step": 1, "time": 0.0, "train/rewards/s50414267": 1.0}) + "\n")
    drift = json.loads((run_directory / "drift.json").read_text())
    drift["concepts"][0]["name"] = "patients of quokka ward"
    (run_directory / "drift.json").write_text(json.dumps(drift))
    shown = exhibits(read_run(run_directory), acknowledged=acknowledged)
    return json.dumps([shown.figures, shown.tables]), shown


def test_figures_of_credentialed_data_hold_numbers_and_plain_names_only(run_directory: Path) -> None:
    text, shown = canaries(run_directory, acknowledged=False)
    assert "quokka" not in text
    assert "50414267" not in text
    assert len(shown.figures) == len(PANELS) + 1


def test_figures_of_acknowledged_data_are_as_they_are(run_directory: Path) -> None:
    assert "quokka" in canaries(run_directory, acknowledged=True)[0]
