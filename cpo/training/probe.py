"""Where the policy stands on every concept, each time the stream has left one: trained up to × tested on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from cpo.metrics.stream import transfer
from cpo.policy.loaded import LoadedPolicy
from cpo.records import DriftTruth, PreferencePair
from cpo.tensors import PairBatch


class ProbeConcepts(Callback):
    """Measures pair accuracy on a few held-out pairs of each concept, where the stream goes over to another one.

    The rows of its matrix are: before training, at the start of each change of concept, at the end of the stream.

    Args:
        policy: The policy in training.
        pairs: By concept, held-out pairs.
        truth: Of the stream.
        batch_size: Pairs per forward pass.
    """

    def __init__(
        self, policy: LoadedPolicy, pairs: Mapping[str, Sequence[PreferencePair]], truth: DriftTruth, batch_size: int
    ) -> None:
        self.policy, self.pairs, self.batch_size = policy, dict(pairs), batch_size
        self.truth = truth
        self._boundaries = [start for start, _ in truth.changes if start < len(truth.concept_at)]
        self.rows: list[dict[str, Any]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The row before training, unless a resumed training has it."""
        if not self.rows:
            self._measure(0)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: PairBatch, batch_idx: int
    ) -> None:
        """A row before the first batch that reaches into the next concept."""
        reached = int(batch.time.max())
        while len(self.rows) <= len(self._boundaries) and reached >= self._boundaries[len(self.rows) - 1]:
            self._measure(self._boundaries[len(self.rows) - 1])

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The last row, if training came to the end of the stream."""
        if len(self.rows) == len(self._boundaries) + 1 and not trainer.interrupted:
            self._measure(len(self.truth.concept_at))

    def state_dict(self) -> dict[str, Any]:
        """See Lightning's `Callback`."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See Lightning's `Callback`."""
        self.rows = state_dict["rows"]

    def summary(self) -> dict[str, Any]:
        """The matrix, and forgetting and transfer where every concept came once, in the order of their index."""
        found: dict[str, Any] = {"rows": self.rows}
        names = [concept.name for concept in self.truth.concepts]
        if len(self.rows) == len(names) + 1 and len(self._boundaries) == len(names) - 1 > 0:
            table = [[row["pair_accuracy"][name] for name in names] for row in self.rows]
            moved = transfer(table[1:], table[0])
            found |= {"forgetting": moved.forgetting, "backward": moved.backward, "forward": moved.forward}
        return found

    def _measure(self, position: int) -> None:
        state = torch.get_rng_state()
        accuracy = {name: self._accuracy(some) for name, some in self.pairs.items()}
        torch.set_rng_state(state)  # a training that is probed draws what it would have drawn
        self.rows.append({"trained_up_to": position, "pair_accuracy": accuracy})

    def _accuracy(self, pairs: Sequence[PreferencePair]) -> float:
        right, count = 0.0, 0
        for logps in self.policy.logps(pairs, batch_size=self.batch_size):
            won = logps.chosen[:, None] > logps.rejected
            right, count = right + float(won.float().mean(dim=1).sum()), count + len(won)
        return right / count if count else float("nan")
