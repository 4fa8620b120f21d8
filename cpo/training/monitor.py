"""Drift detectors along the training stream: every pair is looked at before the policy is updated on it."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from cpo.diagnostics.detection_scores import score_alarms
from cpo.diagnostics.detectors import Detector
from cpo.diagnostics.mmd import MMDDetector
from cpo.errors import ConfigError
from cpo.metrics.stream import prequential, recovery_times
from cpo.records import DriftTruth, Tracker
from cpo.tensors import Logps, PairBatch
from cpo.training.optim import RestartableSchedule

Signal = Literal["error", "margin", "nll", "embedding"]
Reaction = Literal["none", "reset_lr", "snapshot"]


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm.

    Args:
        position: In the stream, from 0.
        detector: Name of its config.
        signal: What it watched.
        step: Optimiser steps made by then.
    """

    position: int
    detector: str
    signal: str
    step: int


class DriftMonitor:
    """What is watched along the stream, and what an alarm does.

    Args:
        signals: Of each pair, before the policy is updated on it. `error`: 1 where a rejected trajectory is at least as
            likely as the chosen one, else 0; `margin`: log π(chosen) − log π(rejected), mean over the rejected ones, in
            nats; `nll`: −log π(chosen) per token, in nats; `embedding`: the hidden state behind the prompt, for MMD.
        reaction: What an alarm does: `none`; `reset_lr` starts the learning rate's schedule over, warm-up included, for
            the steps that are left; `snapshot` keeps a copy of the adapter.
        max_delay: How long after its end a drift may still be found, in samples, ≥ 1, when alarms are scored.
        fading: Factor per sample of the prequential mean, in (0, 1]; 1 − 1 / w has the memory of a window of w.
        tolerance: How much lower than before a drift counts as recovered, in accuracy, ≥ 0.
        probe: Held-out pairs of each concept to measure before training, at each change and at the end; 0 for none.

    Raises:
        ConfigError: A knob out of its range.
    """

    def __init__(
        self,
        *,
        signals: Sequence[Signal],
        reaction: Reaction,
        max_delay: int,
        fading: float,
        tolerance: float,
        probe: int,
    ) -> None:
        unknown = set(signals) - set(get_args(Signal))
        numbers = max_delay >= 1 and 0 < fading <= 1 and tolerance >= 0 and probe >= 0
        if unknown or reaction not in get_args(Reaction) or not numbers:
            raise ConfigError(
                got=f"signals={list(signals)}, reaction={reaction}, max_delay={max_delay}, fading={fading}, "
                f"tolerance={tolerance}, probe={probe}",
                wanted=f"signals among {', '.join(get_args(Signal))}; reaction one of {', '.join(get_args(Reaction))}; "
                "max_delay ≥ 1; fading in (0, 1]; tolerance, probe ≥ 0",
                remedy="see conf/monitor/default.yaml",
            )
        self.signals, self.reaction, self.max_delay = tuple(signals), reaction, max_delay
        self.fading, self.tolerance, self.probe = fading, tolerance, probe

    def watch(self, detectors: Mapping[str, Any], tracker: Tracker, snapshots: Path) -> WatchStream:
        """A callback that feeds each signal to a fresh copy of each detector that can take it.

        Args:
            detectors: By the name of their config, not yet fed.
            tracker: Is told of alarms as they come.
            snapshots: Where `snapshot` keeps adapters.
        """
        pairs: dict[tuple[str, str], Detector[Any]] = {
            (name, signal): copy.deepcopy(detector)
            for name, detector in detectors.items()
            for signal in self.signals
            if isinstance(detector, MMDDetector) == (signal == "embedding")
            and (signal == "error" or name != "ddm")  # DDM counts errors and nothing else
        }
        return WatchStream(pairs, self.reaction, tracker, snapshots)

    def stream_scores(self, watch: WatchStream, truth: DriftTruth) -> dict[str, Any]:
        """Prequential pair accuracy over the stream and by concept, and how long it took to recover from each drift.

        Args:
            watch: Has seen the stream.
            truth: Of the stream.
        """
        n = len(truth.concept_at)
        sums, counts = np.zeros(n), np.zeros(n)
        for position, error in watch.errors:
            sums[position] += 1 - error
            counts[position] += 1
        correct = np.divide(sums, counts, out=np.full(n, np.nan), where=counts > 0)
        names = [concept.name for concept in truth.concepts]
        found = prequential(correct, truth.concept_at, names, fading=self.fading)
        recovered = recovery_times(found.curve, truth.changes, tolerance=self.tolerance)
        return {
            "prequential_accuracy": _known(found.overall),
            "by_concept": {name: _known(value) for name, value in found.by_concept.items()},
            "recovery": [_known(samples) for samples in recovered],
        }

    def scores(self, alarms: Sequence[Alarm], truth: DriftTruth, watched: Sequence[str]) -> dict[str, Any]:
        """Each watcher's alarms scored against the truth of the stream.

        Args:
            alarms: All of them.
            truth: Of the stream.
            watched: Every `detector/signal`, silent ones too.
        """
        n = len(truth.concept_at)
        positions = {name: [a.position for a in alarms if f"{a.detector}/{a.signal}" == name] for name in watched}
        return {
            name: score_alarms(sorted(found), truth.changes, n, max_delay=self.max_delay).as_dict()
            for name, found in positions.items()
        }


class WatchStream(Callback):
    """Feeds detectors pair by pair, in the order of the stream, and acts on their alarms.

    Its state is what it has seen: detectors that are resumed see it again, and so are where they were.

    Args:
        detectors: By detector and signal.
        reaction: See `DriftMonitor`.
        tracker: See `DriftMonitor.watch`.
        snapshots: See `DriftMonitor.watch`.
    """

    def __init__(
        self, detectors: Mapping[tuple[str, str], Detector[Any]], reaction: Reaction, tracker: Tracker, snapshots: Path
    ) -> None:
        self.detectors, self.reaction = dict(detectors), reaction
        self.tracker, self.snapshots = tracker, snapshots
        self.alarms: list[Alarm] = []
        self._front = 0
        self.errors: list[tuple[int, float]] = []  # of every pair: position and error, detectors or none
        self._seen: dict[str, list[Any]] = {signal: [] for _, signal in self.detectors}

    @property
    def watched(self) -> tuple[str, ...]:
        """Every `detector/signal`."""
        return tuple("/".join(pair) for pair in self.detectors)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: PairBatch, batch_idx: int
    ) -> None:
        """Looks at the pairs of a batch, as they were before the policy learnt from them."""
        values = signals_of(pl_module.before_update, {"error", *self._seen})
        times = batch.time.tolist()
        front, self._front = self._front, max(self._front, *times)
        for row, position in enumerate(times):
            if position < front:
                continue  # a replayed pair is no news of the stream
            if "error" in values:
                self.errors.append((position, values["error"][row]))
            for signal, column in values.items():
                if signal not in self._seen:
                    continue
                self._seen[signal].append(column[row])
                for (name, watched), detector in self.detectors.items():
                    if watched == signal and detector.update(column[row]):
                        self._alarm(trainer, pl_module, Alarm(position, name, signal, trainer.global_step))

    def state_dict(self) -> dict[str, Any]:
        """See Lightning's `Callback`."""
        return {
            "seen": self._seen,
            "alarms": [asdict(alarm) for alarm in self.alarms],
            "front": self._front,
            "errors": self.errors,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See Lightning's `Callback`."""
        self._seen, self._front = state_dict["seen"], state_dict["front"]
        self.errors = [(position, error) for position, error in state_dict["errors"]]
        self.alarms = [Alarm(**alarm) for alarm in state_dict["alarms"]]
        for (_, signal), detector in self.detectors.items():
            for value in self._seen.get(signal, ()):
                detector.update(value)

    def _alarm(self, trainer: pl.Trainer, module: Any, alarm: Alarm) -> None:
        self.alarms.append(alarm)
        key = f"drift/alarm/{alarm.signal}/{alarm.detector}"
        self.tracker.log({key: float(alarm.position)}, stage="train", step=max(alarm.step, 1))
        if self.reaction == "reset_lr":
            for config in trainer.lr_scheduler_configs:
                for schedule in getattr(config.scheduler, "lr_lambdas", ()):
                    if isinstance(schedule, RestartableSchedule):
                        schedule.restart(alarm.step)
        elif self.reaction == "snapshot" and trainer.is_global_zero:
            module.model.save_pretrained(self.snapshots / f"alarm-at-{alarm.position}")


def _known(value: float) -> float | None:
    """As JSON has it: nan is null."""
    return None if math.isnan(value) else value


def signals_of(logps: Logps, wanted: set[str]) -> dict[str, list[Any]]:
    """Some signals of each pair of a batch; those that need a rejected trajectory are absent without one.

    Args:
        logps: Of the policy before it is updated.
        wanted: Names of signals.
    """
    found: dict[str, list[Any]] = {}
    if "nll" in wanted:
        found["nll"] = (-logps.chosen / logps.chosen_length).tolist()
    if logps.rejected.numel():
        margins = logps.chosen[:, None] - logps.rejected
        if "margin" in wanted:
            found["margin"] = margins.mean(dim=1).tolist()
        if "error" in wanted:
            found["error"] = (margins <= 0).any(dim=1).float().tolist()
    if "embedding" in wanted and logps.embedding is not None:
        found["embedding"] = list(logps.embedding.to(torch.float32).cpu().numpy())
    return found
