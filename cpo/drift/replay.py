"""Replay: which earlier samples of a stream are seen again in which batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cpo.drift.schedule import IntArray
from cpo.drift.seeds import generator
from cpo.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ReplayedBatch:
    """Positions of the stream that one batch holds.

    Args:
        new: Seen for the first time, in the order of the stream.
        replayed: Seen again, all before the first of `new`, none twice.
    """

    new: tuple[int, ...]
    replayed: tuple[int, ...]

    @property
    def positions(self) -> tuple[int, ...]:
        """All of them, the new ones first."""
        return self.new + self.replayed


def replay_plan(n: int, *, batch_size: int, replayed: int, capacity: int, seed: int) -> tuple[ReplayedBatch, ...]:
    """A stream in batches of new positions, each with some that are drawn from a buffer of earlier ones.

    The buffer holds a uniform sample, without repetition, of everything before the batch (a reservoir), from which the
    replayed positions are drawn uniformly. The first batch has none to replay, and early ones may have fewer.
    The plan is known before the first step and depends on its arguments alone, so training can be continued anywhere.

    Args:
        n: Length of the stream, ≥ 0.
        batch_size: New positions per batch, ≥ 1; the last batch may have fewer.
        replayed: Earlier positions per batch, ≥ 0.
        capacity: Positions that the buffer holds, ≥ `replayed`; 0 for all of them.
        seed: Any integer ≥ 0.

    Raises:
        ConfigError: An argument out of its range.

    Source:
        Reservoir sampling (Vitter 1985, algorithm R) as the buffer of experience replay (Chaudhry et al. 2019,
        arXiv 1902.10486).

    Example:
        >>> for batch in replay_plan(6, batch_size=2, replayed=1, capacity=2, seed=0):
        ...     print(batch.new, batch.replayed)
        (0, 1) ()
        (2, 3) (0,)
        (4, 5) (1,)
    """
    if n < 0 or batch_size < 1 or replayed < 0 or (capacity and capacity < replayed) or capacity < 0:
        raise ConfigError(
            got=f"n={n}, batch_size={batch_size}, replayed={replayed}, capacity={capacity}",
            wanted="n ≥ 0, batch_size ≥ 1, replayed ≥ 0, and capacity ≥ replayed or 0 for no limit",
            remedy="pass replayed=4 capacity=500",
        )
    draws, buffer = generator(seed, "replay"), _Reservoir(capacity or n, generator(seed, "reservoir"))
    batches = []
    for start in range(0, n, batch_size):
        new = tuple(range(start, min(start + batch_size, n)))
        count = min(replayed, len(buffer.held))
        again = draws.choice(buffer.held, size=count, replace=False) if count else np.empty(0, dtype=np.int64)
        batches.append(ReplayedBatch(new, tuple(int(position) for position in again)))
        for position in new:
            buffer.add(position)
    return tuple(batches)


def replay_counts(plan: tuple[ReplayedBatch, ...], n: int) -> IntArray:
    """How often each position of a stream is replayed `[n]`.

    Example:
        >>> plan = (ReplayedBatch((0, 1), ()), ReplayedBatch((2,), (0,)))
        >>> replay_counts(plan, 3).tolist()
        [1, 0, 0]
    """
    again = [position for batch in plan for position in batch.replayed]
    return np.bincount(np.array(again, dtype=np.int64), minlength=n).astype(np.int64)


class _Reservoir:
    """A uniform sample of what has been added, of bounded size."""

    def __init__(self, capacity: int, rng: np.random.Generator) -> None:
        self.held: list[int] = []
        self._capacity, self._rng, self._seen = capacity, rng, 0

    def add(self, position: int) -> None:
        self._seen += 1
        if len(self.held) < self._capacity:
            self.held.append(position)
        elif (place := int(self._rng.integers(self._seen))) < self._capacity:
            self.held[place] = position
