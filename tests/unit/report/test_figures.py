from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cpo.panels import PANELS, Panel, PanelKind
from cpo.report.bands import bands
from cpo.report.figures import headline_figure, panel_figure, running_mean
from cpo.report.record import RunRecord

PANEL = Panel("Loss", PanelKind.LINE, ("sft/*", "control/loss"), y="nats", note="Falls.")


def record(**series: list[float | None]) -> RunRecord:
    rows = [
        {"stage": key.split("_")[0], "step": step, "time": 0.0, key.replace("_", "/"): value}
        for key, values in series.items()
        for step, value in enumerate(values)
    ]
    return RunRecord(Path("run"), metrics=rows)


def test_a_panel_without_its_metrics_has_no_figure() -> None:
    assert panel_figure(PANEL, record(train_loss=[1.0])) is None


def test_stages_of_one_panel_are_named_and_have_two_cues() -> None:
    figure = panel_figure(PANEL, record(sft_loss=[2.0, 1.0], control_loss=[1.0, 0.9]))
    assert figure is not None
    first, second = figure.figure["data"]
    assert (first["name"], second["name"]) == ("SFT", "SFT continued (control)")
    assert first["line"]["color"] != second["line"]["color"]
    assert first["line"]["dash"] != second["line"]["dash"]
    assert first["y"] == [2.0, 1.0]
    assert (figure.y, figure.caption) == ("nats", "Falls.")


def test_a_value_that_was_not_finite_is_a_gap() -> None:
    figure = panel_figure(PANEL, record(sft_loss=[2.0, None, 1.0]))
    assert figure is not None
    assert figure.figure["data"][0]["y"] == [2.0, None, 1.0]


def test_a_long_curve_is_smoothed_with_its_raw_values_behind_and_says_so() -> None:
    noise = np.random.default_rng(0).normal(size=400).tolist()
    figure = panel_figure(PANEL, record(sft_loss=noise))
    assert figure is not None
    raw, smooth = figure.figure["data"]
    assert raw["opacity"] < 0.5
    assert np.std(smooth["y"]) < 0.5 * np.std(raw["y"])
    assert "Running mean over 21 points" in figure.caption


def test_a_very_long_curve_is_thinned_and_says_so() -> None:
    figure = panel_figure(PANEL, record(sft_loss=[1.0] * 9000))
    assert figure is not None
    assert len(figure.figure["data"][1]["x"]) == 1800
    assert "Every 5th point is drawn." in figure.caption


def test_the_running_mean_of_a_line_is_the_line_away_from_its_ends() -> None:
    line = np.arange(20.0)
    assert running_mean(line, 5)[2:-2] == pytest.approx(line[2:-2])


@pytest.mark.parametrize(
    ("concept_at", "changes", "expected"),
    [
        ([0, 0, 0], [], [(0, 3, 0, 0)]),
        ([0, 0, 1, 1], [[2, 2]], [(0, 2, 0, 0), (2, 4, 1, 1)]),
        ([0, 1, 0, 1], [[0, 4]], []),
        ([0, 0, 1, 1, 0], [[2, 2], [4, 4]], [(0, 2, 0, 0), (2, 4, 1, 1), (4, 5, 0, 0)]),
        ([0, 0, 1, 0, 1, 1], [(2, 4)], [(0, 2, 0, 0), (2, 4, 0, 1), (4, 6, 1, 1)]),
        ([], [], []),
    ],
)
def test_bands_follow_the_truth_of_the_stream(concept_at: list[int], changes: Any, expected: list[Any]) -> None:
    found = bands({"concept_at": concept_at, "changes": changes})
    assert [(b.start, b.end, b.before, b.after) for b in found] == expected


def test_the_stream_is_drawn_over_its_concepts_and_changes() -> None:
    (panel,) = (panel for panel in PANELS if panel.kind is PanelKind.BAND)
    rows = [{"step": i, "train/prequential/accuracy": 0.5, "train/stream/position": 8 * i} for i in range(10)]
    drift = {
        "concepts": [{"index": 0, "name": "tied"}, {"index": 1, "name": "untied"}],
        "concept_at": [0] * 40 + [1] * 40,
        "changes": [[40, 40]],
    }
    figure = panel_figure(panel, RunRecord(Path("run"), metrics=rows, drift=drift))
    assert figure is not None
    assert figure.figure["data"][0]["x"] == [8.0 * i for i in range(10)]
    assert [note["text"] for note in figure.figure["layout"]["annotations"]] == ["tied", "untied"]
    spans = [(shape["x0"], shape["x1"]) for shape in figure.figure["layout"]["shapes"]]
    assert spans == [(0, 40), (40, 80), (40, 40)]


def test_the_headline_shows_intervals_and_shuffled_pictures_hollow() -> None:
    result = {
        "balanced_accuracy": {"value": 0.8, "low": 0.7, "high": 0.85},
        "shuffled_balanced_accuracy": {"value": 0.5, "low": None, "high": None},
    }
    figure = headline_figure({"before": {"all": result}, "after": {"all": {}}}, {})
    assert figure is not None
    plain, hollow = figure.figure["data"]
    assert (plain["x"], hollow["x"]) == ([0.8], [0.5])
    assert plain["error_x"]["array"] == pytest.approx([0.05])
    assert plain["error_x"]["arrayminus"] == pytest.approx([0.1])
    assert hollow["marker"]["symbol"] == "circle-open"
    assert hollow["error_x"]["array"] == [0.0]


def test_without_balanced_accuracy_there_is_no_headline_figure() -> None:
    assert headline_figure({"after": {"all": {"margin": 1.0}}}, {}) is None
