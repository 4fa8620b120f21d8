from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from cpo.errors import DataError
from cpo.records import Tracker
from cpo.tracking.local import LocalTracker


def rows(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def test_rows_carry_stage_step_time_and_metrics(tmp_path: Path) -> None:
    tracker = LocalTracker(directory=tmp_path / "run")
    tracker.log({"sft/loss": 1.5, "sft/lr": 2e-5}, stage="sft", step=10)
    (row,) = rows(tmp_path / "run")  # before finish: each row is flushed
    tracker.finish()
    assert row.pop("time") >= 0
    assert row == {"stage": "sft", "step": 10, "sft/loss": 1.5, "sft/lr": 2e-5}
    assert isinstance(tracker, Tracker)


def test_values_that_json_has_not_become_null_and_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tracker = LocalTracker(directory=tmp_path)
    tracker.log({"train/loss": math.nan, "train/lr": 1.0, "train/norm": math.inf}, stage="train", step=0)
    tracker.finish()
    (row,) = rows(tmp_path)
    assert row["train/loss"] is None
    assert row["non_finite"] == {"train/loss": "nan", "train/norm": "inf"}
    assert "2 non-finite values" in caplog.text


def test_reopening_appends_and_time_goes_on(tmp_path: Path) -> None:
    tracker = LocalTracker(directory=tmp_path)
    tracker._start -= 100.0
    tracker.log({"sft/loss": 2.0}, stage="sft", step=0)
    tracker.finish()
    again = LocalTracker(directory=tmp_path)
    again.log({"sft/loss": 1.0}, stage="sft", step=1)
    again.finish()
    first, second = rows(tmp_path)
    assert 100.0 <= first["time"] <= second["time"] < 105.0


def test_rewinding_drops_only_later_rows_of_that_stage(tmp_path: Path) -> None:
    tracker = LocalTracker(directory=tmp_path)
    for stage in ("sft", "train"):
        for step in range(4):
            tracker.log({f"{stage}/loss": 1.0}, stage=stage, step=step)
    tracker.rewind(stage="train", step=1)
    tracker.rewind(stage="train", step=1)
    tracker.log({"train/loss": 0.5}, stage="train", step=2)
    tracker.finish()
    assert [(row["stage"], row["step"]) for row in rows(tmp_path)] == [
        *(("sft", step) for step in range(4)),
        *(("train", step) for step in range(3)),
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]  # no temporary file is left


@pytest.mark.parametrize("cut", [1, 10, 39])
def test_a_row_cut_off_by_a_kill_is_dropped_on_reopening(tmp_path: Path, cut: int) -> None:
    tracker = LocalTracker(directory=tmp_path)
    tracker.log({"sft/loss": 2.0}, stage="sft", step=0)
    tracker.log({"sft/loss": 1.0}, stage="sft", step=1)
    tracker.finish()
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    again = LocalTracker(directory=tmp_path)
    again.log({"sft/loss": 0.5}, stage="sft", step=1)
    again.finish()
    assert [row["sft/loss"] for row in rows(tmp_path)] == [2.0, 0.5]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"stage": "sft", "step": 0, "time": 0.0}\nhello\n')
    with pytest.raises(DataError, match=r"line 2 of .*metrics\.jsonl"):
        LocalTracker(directory=tmp_path)


def test_summaries_are_merged_and_stay_json(tmp_path: Path) -> None:
    tracker = LocalTracker(directory=tmp_path)
    tracker.summary({"seed": 0, "eval": {"before": {"all": {"accuracy": math.nan}}}})
    tracker.summary({"seed": 1, "stages": ("sft",)})
    tracker.finish()
    assert json.loads((tmp_path / "summary.json").read_text()) == {
        "seed": 1,
        "eval": {"before": {"all": {"accuracy": None}}},
        "stages": ["sft"],
    }
