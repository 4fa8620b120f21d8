"""Pairs in batches, in an order that is fixed before the first step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytorch_lightning as pl
from torch.utils.data import DataLoader, Dataset, Sampler

from cpo.drift.replay import ReplayedBatch
from cpo.records import PreferencePair
from cpo.sequence.collator import Collator
from cpo.tensors import PairBatch

Item = tuple[int, float]
"""Index of a pair, and what its weight is multiplied by."""


class PairDataset(Dataset[PreferencePair]):
    """Pairs by index and factor; encoding waits for the collator."""

    def __init__(self, pairs: Sequence[PreferencePair]) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, item: Item) -> PreferencePair:
        index, factor = item
        pair = self.pairs[index]
        return pair if factor == 1 else replace(pair, weight=pair.weight * factor)


class BatchPlan(Sampler[list[Item]]):
    """The batches of a whole training, known in advance: batch i is the same whether or not training was interrupted.

    Passes over the data follow one another without a seam, so every batch is full except, in a single ordered pass,
    the last.

    Args:
        n: Items.
        batch_size: Items per batch, of all processes together.
        batches: Batches in all.
        shuffle: A new order each pass, drawn from (seed, pass); else the given order, as a stream wants it.
        seed: Of the orders.
        start: First batch to yield, after a resume.
        rank: This process among those that share each batch.
        ranks: Their number.
        accumulate: Batches per optimiser step.
        replay: The batches of a stream of which earlier items come back; None for the items one after the other.
    """

    def __init__(
        self,
        n: int,
        *,
        batch_size: int,
        batches: int,
        shuffle: bool,
        seed: int,
        start: int = 0,
        rank: int = 0,
        ranks: int = 1,
        accumulate: int = 1,
        replay: Sequence[ReplayedBatch] | None = None,
    ) -> None:
        self.replay = replay
        self.n, self.batch_size, self.batches = n, batch_size, batches
        self.shuffle, self.seed, self.start = shuffle, seed, start
        self.rank, self.ranks, self.accumulate = rank, ranks, accumulate

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[Item]]:
        for number in range(self.start, self.batches):
            yield self.share(number)

    def share(self, number: int) -> list[Item]:
        """This process's part of a batch: every `ranks`-th item, the same number in every process.

        Where a last batch does not divide, parts are filled up with items of factor 0 and the others weigh a little
        more, so that the mean over processes of the mean over their items is the mean over the batch. Likewise a last
        step of fewer or shorter batches is the mean over its items, however they are cut into batches.
        """
        batch = self.batch(number)
        mine, each = batch[self.rank :: self.ranks], -(-len(batch) // self.ranks)
        first = number - number % self.accumulate
        step = range(first, min(first + self.accumulate, self.batches))
        in_step = sum(len(self.batch(other)) for other in step) if self._short(step) else len(batch) * self.accumulate
        factor = each * self.ranks / len(batch) * (len(batch) * self.accumulate / in_step)
        return [(index, factor) for index in mine] + [(batch[0], 0.0)] * (each - len(mine))

    def items(self, *, upto: int) -> int:
        """Items of all processes in the batches from the first to yield up to a number."""
        return sum(len(self.batch(number)) for number in range(self.start, min(upto, self.batches)))

    def _short(self, step: range) -> bool:
        """Whether a step has fewer batches than others, or ends in a shorter one."""
        return self.replay is not None or len(step) < self.accumulate or len(self.batch(step[-1])) < self.batch_size

    def batch(self, number: int) -> list[int]:
        """Indices of one batch, of all processes together."""
        if self.replay is not None:
            return list(self.replay[number].positions)
        first = number * self.batch_size
        last = first + self.batch_size
        if not self.shuffle and first < self.n and number == self.batches - 1:
            last = min(last, self.n)  # the tail of one ordered pass is not filled up from its head
        return [self._order(at // self.n)[at % self.n] for at in range(first, last)]

    def _order(self, number: int) -> Sequence[int]:
        if not self.shuffle:
            return range(self.n)
        if getattr(self, "_held", None) != number:
            self._held = number
            self._permutation = np.random.default_rng([self.seed, number]).permutation(self.n).tolist()
        return self._permutation


class PairDataModule(pl.LightningDataModule):
    """Feeds pairs to a training stage.

    Args:
        pairs: In the order of the stream.
        collator: Encodes and lays out.
        plan: The batches.
        workers: Loader processes; 0 encodes in the training process, whose image cache then serves all epochs.
    """

    def __init__(
        self, pairs: Sequence[PreferencePair], collator: Collator, plan: BatchPlan, *, workers: int = 0
    ) -> None:
        super().__init__()
        self.pairs, self.collator, self.plan, self.workers = pairs, collator, plan, workers

    def train_dataloader(self) -> DataLoader[PairBatch]:
        """Batches of the plan."""
        return DataLoader(
            PairDataset(self.pairs),  # type: ignore[arg-type]
            batch_sampler=self.plan,
            collate_fn=self.collator,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
        )
