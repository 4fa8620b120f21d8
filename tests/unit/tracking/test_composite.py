from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cpo.records import Tracker
from cpo.tracking.composite import CompositeTracker
from cpo.tracking.local import LocalTracker


class Broken:
    def __init__(self) -> None:
        self.finished = 0

    def log(self, metrics: Mapping[str, float], *, stage: str, step: int) -> None:
        raise ConnectionError("the server is gone")

    def summary(self, values: Mapping[str, Any]) -> None:
        raise ConnectionError("the server is gone")

    def finish(self) -> None:
        self.finished += 1
        raise ConnectionError("the server is gone")


def test_every_tracker_hears_everything(tmp_path: Path) -> None:
    tracker = CompositeTracker(trackers=[LocalTracker(directory=tmp_path / name) for name in "ab"])
    tracker.log({"sft/loss": 1.0}, stage="sft", step=0)
    tracker.summary({"seed": 0})
    tracker.finish()
    for name in "ab":
        assert '"sft/loss": 1.0' in (tmp_path / name / "metrics.jsonl").read_text()
        assert '"seed": 0' in (tmp_path / name / "summary.json").read_text()
    assert isinstance(tracker, Tracker)


def test_a_broken_tracker_is_heard_of_after_the_others_were_served(tmp_path: Path) -> None:
    broken, local = Broken(), LocalTracker(directory=tmp_path)
    tracker = CompositeTracker(trackers=[broken, local])
    with pytest.raises(ConnectionError):
        tracker.log({"sft/loss": 1.0}, stage="sft", step=0)
    assert "sft/loss" in (tmp_path / "metrics.jsonl").read_text()
    with pytest.raises(ConnectionError):
        tracker.finish()
    assert local._file.closed


def test_several_broken_trackers_are_all_named() -> None:
    tracker = CompositeTracker(trackers=[Broken(), Broken()])
    with pytest.raises(ExceptionGroup) as caught:
        tracker.finish()
    assert len(caught.value.exceptions) == 2
