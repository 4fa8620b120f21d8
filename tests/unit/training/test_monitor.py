from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cpo.diagnostics.detectors import Ddm, PageHinkley
from cpo.diagnostics.mmd import MMDDetector
from cpo.errors import ConfigError
from cpo.records import Concept, DriftTruth
from cpo.tensors import Logps
from cpo.tracking.composite import CompositeTracker
from cpo.training.monitor import DriftMonitor, WatchStream, signals_of
from cpo.training.optim import AdamWCosine, RestartableSchedule


class Told(CompositeTracker):
    def __init__(self) -> None:
        super().__init__(trackers=[])
        self.rows: list[tuple[int, Mapping[str, float]]] = []

    def log(self, metrics: Mapping[str, float], *, stage: str, step: int) -> None:
        self.rows.append((step, metrics))


def logps(chosen: list[float], rejected: list[list[float]]) -> Logps:
    n = len(chosen)
    lengths = torch.full((n,), 2)
    embedding = torch.arange(n * 2.0).view(n, 2)
    return Logps(
        torch.tensor(chosen),
        torch.tensor(rejected),
        lengths,
        torch.ones_like(torch.tensor(rejected)),
        embedding=embedding,
    )


def hinkley(threshold: float = 2.0) -> PageHinkley:
    return PageHinkley(min_instances=3, delta=0.0, threshold=threshold, alpha=1.0, direction="both")


def run(watch: WatchStream, errors: list[int], start: int = 0, schedule: Any = None) -> None:
    scheduler = SimpleNamespace(scheduler=SimpleNamespace(lr_lambdas=[schedule]))
    for n, error in enumerate(errors, start=start):
        trainer = SimpleNamespace(global_step=n + 1, lr_scheduler_configs=[scheduler], is_global_zero=True)
        module = SimpleNamespace(before_update=logps([0.0], [[1.0 if error else -1.0]]))
        batch = SimpleNamespace(time=torch.tensor([n]))
        watch.on_train_batch_end(trainer, module, None, batch, n)  # type: ignore[arg-type]


KNOBS = {"signals": ["error"], "reaction": "none", "max_delay": 5, "fading": 0.9, "tolerance": 0.1, "probe": 0}


def monitor(**knobs: Any) -> DriftMonitor:
    return DriftMonitor(**{**KNOBS, **knobs})


def test_signals_are_those_of_each_pair() -> None:
    found = signals_of(logps([-4.0, -2.0], [[-5.0, -3.0], [-4.0, -6.0]]), {"error", "margin", "nll", "embedding"})
    assert found["nll"] == [2.0, 1.0]
    assert found["margin"] == [0.0, 3.0]
    assert found["error"] == [1.0, 0.0]
    np.testing.assert_array_equal(found["embedding"], [[0, 1], [2, 3]])
    alone = Logps(torch.tensor([-4.0]), torch.empty(1, 0), torch.tensor([2]), torch.empty(1, 0))
    assert set(signals_of(alone, {"error", "nll"})) == {"nll"}


def test_each_detector_watches_what_it_can_take(tmp_path: Path) -> None:
    mmd = MMDDetector(window=4, stride=2, alpha=0.1, permutations=19, seed=0)
    detectors = {"page_hinkley": hinkley(), "ddm": Ddm(warm_start=3, drift_threshold=3.0), "mmd": mmd}
    watch = monitor(signals=["error", "margin", "embedding"]).watch(detectors, Told(), tmp_path)
    assert set(watch.watched) == {"page_hinkley/error", "page_hinkley/margin", "ddm/error", "mmd/embedding"}


def test_an_alarm_is_told_with_its_place_in_the_stream_and_scored(tmp_path: Path) -> None:
    told, watcher = Told(), monitor()
    watch = watcher.watch({"page_hinkley": hinkley()}, told, tmp_path)
    run(watch, [0] * 10 + [1] * 10)
    assert watch.alarms
    first = watch.alarms[0]
    assert 10 <= first.position <= 15
    assert told.rows[0] == (first.step, {"drift/alarm/error/page_hinkley": float(first.position)})
    truth = DriftTruth((Concept(0, "a"), Concept(1, "b")), (0,) * 10 + (1,) * 10, ((10, 10),))
    scores = watcher.scores(watch.alarms[:1], truth, watch.watched)["page_hinkley/error"]
    assert (scores["episode_recall"], scores["detection_delay"]) == (1.0, first.position - 10)
    assert watcher.scores([], truth, watch.watched)["page_hinkley/error"]["episode_recall"] == 0.0


def test_a_resumed_watcher_raises_the_alarms_that_it_would_have_raised(tmp_path: Path) -> None:
    errors = [0] * 10 + [1] * 10 + [0] * 10
    straight, before, after = (monitor().watch({"page_hinkley": hinkley()}, Told(), tmp_path) for _ in range(3))
    run(straight, errors)
    run(before, errors[:12])
    after.load_state_dict(before.state_dict())
    run(after, errors[12:], start=12)
    assert len(straight.alarms) > 1
    assert after.alarms == straight.alarms


def test_an_alarm_may_start_the_learning_rate_over(tmp_path: Path) -> None:
    recipe = AdamWCosine(
        lr=1.0, min_lr=0.0, betas=(0.9, 0.98), weight_decay=0.0, warmup_steps=2, clip_norm=0.0, batch_size=1,
        accumulate=1, epochs=1, max_steps=-1, early_stop=0,
    )  # fmt: skip
    schedule = RestartableSchedule(recipe, steps=30)
    watch = monitor(reaction="reset_lr").watch({"page_hinkley": hinkley()}, Told(), tmp_path)
    run(watch, [0] * 10 + [1] * 5, schedule=schedule)
    assert schedule.restarted_at == watch.alarms[-1].step
    assert schedule(schedule.restarted_at) == 0.5


def test_prequential_accuracy_stands_by_concept_and_replayed_pairs_do_not_count(tmp_path: Path) -> None:
    watcher = monitor()
    watch = watcher.watch({}, Told(), tmp_path)
    run(watch, [0, 0, 1, 0])
    run(watch, [1], start=0)  # a pair of position 0 comes back
    truth = DriftTruth((Concept(0, "a"), Concept(1, "b")), (0, 0, 1, 1), ((2, 2),))
    found = watcher.stream_scores(watch, truth)
    assert found["prequential_accuracy"] == 0.75
    assert found["by_concept"] == {"a": 1.0, "b": 0.5}
    assert found["recovery"] == [None]


def test_knobs_out_of_range_are_refused() -> None:
    for wrong in ({"signals": ["loss"]}, {"reaction": "stop"}, {"max_delay": 0}, {"fading": 0.0}, {"probe": -1}):
        with pytest.raises(ConfigError, match="conf/monitor"):
            monitor(**wrong)
