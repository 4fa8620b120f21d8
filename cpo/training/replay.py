"""Replay in training: each batch of a stream brings some earlier pairs along."""

from __future__ import annotations

from cpo.drift.replay import ReplayedBatch, replay_plan
from cpo.errors import ConfigError


class Replay:
    """How many earlier pairs come back, and from how large a memory.

    Args:
        per_batch: Earlier pairs in each batch, beside its new ones, ≥ 0; 0 replays nothing.
        capacity: Pairs that the memory holds, a uniform sample of all so far, ≥ `per_batch`; 0 for all of them.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Experience replay with a reservoir (Chaudhry et al. 2019, arXiv 1902.10486).
    """

    def __init__(self, *, per_batch: int, capacity: int) -> None:
        replay_plan(0, batch_size=1, replayed=per_batch, capacity=capacity, seed=0)  # checks the ranges
        self.per_batch, self.capacity = per_batch, capacity

    def plan(self, n: int, *, batch_size: int, seed: int, single_pass: bool) -> tuple[ReplayedBatch, ...] | None:
        """The batches of a stream of n pairs; None without replay.

        Args:
            n: Pairs.
            batch_size: New pairs per batch.
            seed: Of the memory and the draws.
            single_pass: The stream is seen once, in order.

        Raises:
            ConfigError: Replay in a training that sees its data again anyway.
        """
        if not self.per_batch:
            return None
        if not single_pass:
            raise ConfigError(
                got=f"replay.per_batch={self.per_batch} in a training that is no single ordered pass",
                wanted="at most one pass (optim.epochs=1): pairs that come again in each pass need no memory",
                remedy="leave replay out, or train in one pass",
            )
        return replay_plan(n, batch_size=batch_size, replayed=self.per_batch, capacity=self.capacity, seed=seed)
