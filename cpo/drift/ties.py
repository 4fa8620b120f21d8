"""Ties: two things that go together in one concept more than in another, by selection."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from cpo.drift.reading import BoolArray, rate
from cpo.drift.schedule import FloatArray, IntArray
from cpo.drift.shift import Selection, check_concepts, in_unit_interval
from cpo.records import Sample


def tied_shares(first: float, second: float, tie: float) -> FloatArray:
    """Shares of (neither, second alone, first alone, both) `[4]` when two things go together as much as `tie` says.

    P(first) and P(second) stay what they are; only P(both) moves: between independence and the most that the two
    rates allow, min(first, second), for a tie > 0; the least, max(0, first + second − 1), for a tie < 0.

    Args:
        first: P(first), in [0, 1].
        second: P(second), in [0, 1].
        tie: In [−1, 1]; 0 is independence.

    Source:
        Fréchet's bounds on a joint distribution with given margins.

    Example:
        >>> tied_shares(0.2, 0.5, 0.5).round(2).tolist()  # both: .1 independently, .2 at most, half-way here
        [0.45, 0.35, 0.05, 0.15]
        >>> tied_shares(0.2, 0.5, -1.0).round(2).tolist()
        [0.3, 0.5, 0.2, 0.0]
    """
    bound = min(first, second) if tie > 0 else max(0.0, first + second - 1)
    both = first * second + abs(tie) * (bound - first * second)
    return np.array([1 - first - second + both, second - both, first - both, both])


class Tie(Selection):
    """Two things that go together in one concept and not, or the other way round, in another.

    Args:
        concepts: Names out of `directions`, in the order in which the schedule visits them.
        strength: s, in [0, 1].

    Raises:
        ConfigError: `strength` out of range, or unknown concepts.
    """

    name: ClassVar[str]
    directions: ClassVar[Mapping[str, float]]
    """Sign of the tie in each concept that there is."""
    sides: ClassVar[tuple[str, str]]
    """What the two things are called in the record."""

    def __init__(self, concepts: Sequence[str], strength: float) -> None:
        super().__init__(concepts)
        check_concepts(self.name, self.concepts, tuple(self.directions))
        self.strength = in_unit_interval(f"{self.name}.strength", strength)

    @abstractmethod
    def has(self, samples: Sequence[Sample], *, check: bool) -> tuple[BoolArray, BoolArray]:
        """Which samples have the first thing and which the second, `[N]` each.

        Args:
            samples: The pool, or any part of it.
            check: Whether to refuse a pool in which one of them does not vary.
        """

    def cells(self, samples: Sequence[Sample]) -> IntArray:
        """2 · (has the first) + (has the second)."""
        return _cells(*self.has(samples, check=True))

    def shares(self, cells: IntArray) -> FloatArray:
        """Share of each cell in each concept `[len(concepts), 4]`."""
        first, second = float(np.mean(cells >= 2)), float(np.mean(cells % 2 == 1))
        return np.array([self.joint(first, second, self.directions[c] * self.strength) for c in self.concepts])

    def joint(self, first: float, second: float, tie: float) -> FloatArray:
        """Shares of the cells under a tie `[4]`, from the pool's rates."""
        return tied_shares(first, second, tie)

    def measure(self, samples: Sequence[Sample]) -> Mapping[str, float]:
        """P(first), P(second), P(second | first) and P(second | no first) in these samples; nan of nothing."""
        counts = np.bincount(_cells(*self.has(samples, check=False)), minlength=4).reshape(2, 2)
        first, second = self.sides
        return {
            first: rate(counts[1].sum(), counts.sum()),
            second: rate(counts[:, 1].sum(), counts.sum()),
            f"{second}_given_{first}": rate(counts[1, 1], counts[1].sum()),
            f"{second}_given_no_{first}": rate(counts[0, 1], counts[0].sum()),
        }


def _cells(first: BoolArray, second: BoolArray) -> IntArray:
    return 2 * first.astype(np.int64) + second
