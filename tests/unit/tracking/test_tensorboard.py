from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from cpo.records import Tracker
from cpo.tracking.local import LocalTracker
from cpo.tracking.tensorboard import TensorBoardTracker

pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")


def shown(folder: Path) -> dict[str, dict[int, float]]:
    """What TensorBoard's own reader makes of a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: {e.step: e.value for e in reader.Scalars(tag)} for tag in reader.Tags()["scalars"]}


def kept(directory: Path, stage: str) -> dict[str, dict[int, float]]:
    rows = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    series: dict[str, dict[int, float]] = {}
    for row in rows:
        for key, value in row.items():
            if row["stage"] == stage and "/" in key:
                series.setdefault(key, {})[row["step"]] = value
    return series


def both(directory: Path) -> list[Tracker]:
    return [LocalTracker(directory=directory), TensorBoardTracker(directory=directory, access="open")]


def test_a_killed_and_continued_run_shows_what_the_local_record_holds(tmp_path: Path) -> None:
    killed = both(tmp_path)  # logs to step 7; its checkpoint is of step 4
    for tracker in killed:
        for step in range(1, 8):
            tracker.log({"train/loss": 1 / 2**step, "drift/alarm/error/adwin": 8.0 * step}, stage="train", step=step)
            tracker.log({"sft/loss": float(step)}, stage="sft", step=step)
    for tracker in both(tmp_path):
        tracker.rewind(stage="train", step=4)
        for step in range(5, 7):
            tracker.log({"train/loss": 3.0 + step}, stage="train", step=step)
        tracker.finish()

    for stage in ("train", "sft"):
        assert shown(tmp_path / "tensorboard" / stage) == kept(tmp_path, stage)
    assert max(kept(tmp_path, "train")["train/loss"]) == 6
    killed[0].finish()


def test_a_new_stage_is_not_rewound(tmp_path: Path) -> None:
    tracker = TensorBoardTracker(directory=tmp_path, access="open")
    tracker.rewind(stage="train", step=0)
    assert not (tmp_path / "tensorboard" / "train").exists()
    tracker.finish()


def test_what_is_not_finite_is_written_as_it_is(tmp_path: Path) -> None:
    tracker = TensorBoardTracker(directory=tmp_path, access="open")
    tracker.log({"train/loss": math.nan}, stage="train", step=1)
    tracker.finish()
    assert math.isnan(shown(tmp_path / "tensorboard" / "train")["train/loss"][1])


def test_of_credentialed_data_only_numbers_and_plain_names_are_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    canaries = {"text": "canary report text", "root": "/canary/p10000032", "loss": "dpo"}
    tracker = TensorBoardTracker(directory=tmp_path, config=canaries)
    tracker.log({"sft/loss": 1.25, "sft/s50414267canary": 1.0}, stage="sft", step=0)
    tracker.summary({"id": "s50414267canary", "choices": {"loss": "ipo"}})
    tracker.finish()

    written = b"".join(path.read_bytes() for path in tmp_path.rglob("events.*"))
    assert b"canary" not in written
    assert b"10000032" not in written
    assert b"ipo" in written
    assert shown(tmp_path / "tensorboard" / "sft")["sft/loss"] == {0: 1.25}
    assert "withheld from TensorBoard" in caplog.text
