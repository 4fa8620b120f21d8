"""Schedules: when the concept of a stream changes.

Shapes: `n` positions of the stream, `C` concepts. Positions and widths are fractions of the stream, so that a schedule
means the same for every length. A new schedule is one class here with one YAML that names it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from cpo.drift.seeds import generator
from cpo.errors import ConfigError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Schedule(ABC):
    """Which concept stands behind each position of a stream: a distribution per position, and a plan drawn from it."""

    @abstractmethod
    def probabilities(self, n: int, n_concepts: int) -> FloatArray:
        """P(concept) at each position `[n, C]`; rows sum to 1.

        Raises:
            ConfigError: The schedule cannot move between that many concepts.
        """

    @abstractmethod
    def changes(self, n: int, n_concepts: int) -> tuple[tuple[int, int], ...]:
        """For each drift `(start, end)` in samples: P(new concept) is 0 before `start` and 1 from `end` on.

        A drift that the stream is too short to see the end (or start) of has `n` there.
        """

    def plan(self, n: int, n_concepts: int, seed: int) -> IntArray:
        """The concept behind each position `[n]`, drawn from `probabilities`.

        Each position is decided by one uniform number that depends on the seed alone: schedules that agree on the
        probabilities of a position agree on its concept.

        Args:
            n: Length of the stream, ≥ 0.
            n_concepts: C, ≥ 1.
            seed: Any integer ≥ 0.
        """
        uniform = generator(seed, "plan").random(n)
        reached = uniform[:, None] >= np.cumsum(self.probabilities(n, n_concepts), axis=1)[:, :-1]
        plan: IntArray = reached.sum(axis=1, dtype=np.int64)
        return plan


class Stationary(Schedule):
    """No drift: the first concept throughout.

    Example:
        >>> Stationary().plan(4, n_concepts=2, seed=0).tolist()
        [0, 0, 0, 0]
    """

    def probabilities(self, n: int, n_concepts: int) -> FloatArray:
        """P(concept) `[n, C]`: 1 for the first."""
        return np.eye(n_concepts)[np.zeros(n, dtype=np.int64)]

    def changes(self, n: int, n_concepts: int) -> tuple[tuple[int, int], ...]:
        """None."""
        return ()


class Sudden(Schedule):
    """The second concept replaces the first between two samples.

    Args:
        position: Where, as a fraction of the stream in [0, 1]; rounded to the nearest whole sample.

    Raises:
        ConfigError: `position` outside [0, 1].

    Example:
        >>> sudden = Sudden(position=0.5)
        >>> sudden.plan(6, n_concepts=2, seed=0).tolist(), sudden.changes(6, n_concepts=2)
        ([0, 0, 0, 1, 1, 1], ((3, 3),))
    """

    def __init__(self, *, position: float) -> None:
        self.position = _fraction("position", position)

    def probabilities(self, n: int, n_concepts: int) -> FloatArray:
        """P(concept) `[n, 2]`: 0 or 1."""
        return _ramp(n, n_concepts, self.position, width=0.0)

    def changes(self, n: int, n_concepts: int) -> tuple[tuple[int, int], ...]:
        """One, with start = end."""
        return (_span(self.probabilities(n, n_concepts)[:, 1]),)


class Gradual(Schedule):
    r"""The second concept replaces the first along a linear ramp, sample by sample at random.

    P(new) at sample i is (i + ½ − (c − w/2)) / w, clamped to [0, 1], with centre c = position · n rounded to the
    nearest whole sample and w = width · n. A ramp no wider than one sample is `Sudden` exactly. What of a ramp would
    lie outside the stream is cut off.

    Args:
        position: Centre of the ramp, as a fraction of the stream in [0, 1].
        width: Its span, as a fraction of the stream in [0, 1].

    Raises:
        ConfigError: `position` or `width` outside [0, 1].

    Source:
        The window semantics of CapyMOA's drift streams; a linear ramp where MOA and river use a sigmoid, which never
        reaches 0 or 1 and overflows as the width goes to 0.

    Example:
        >>> gradual = Gradual(position=0.5, width=0.5)
        >>> gradual.probabilities(8, n_concepts=2)[:, 1].tolist()  # c = 4, w = 4: (i + ½ − 2) / 4
        [0.0, 0.0, 0.125, 0.375, 0.625, 0.875, 1.0, 1.0]
        >>> gradual.changes(8, n_concepts=2)
        ((2, 6),)
    """

    def __init__(self, *, position: float, width: float) -> None:
        self.position, self.width = _fraction("position", position), _fraction("width", width)

    def probabilities(self, n: int, n_concepts: int) -> FloatArray:
        """P(concept) `[n, 2]`: a clamped ramp."""
        return _ramp(n, n_concepts, self.position, self.width)

    def changes(self, n: int, n_concepts: int) -> tuple[tuple[int, int], ...]:
        """One, around the centre."""
        return (_span(self.probabilities(n, n_concepts)[:, 1]),)


def _fraction(knob: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ConfigError(
            got=f"drift.{knob}={value}",
            wanted="a fraction of the stream in [0, 1]",
            remedy=f"pass drift.{knob}=0.5 for half of the stream",
        )
    return float(value)


def _ramp(n: int, n_concepts: int, position: float, width: float) -> FloatArray:
    """P(concept) `[n, 2]` along one linear ramp."""
    if n_concepts != 2:
        raise ConfigError(
            got=f"a drift from one concept to another, and {n_concepts} concept(s) to move between",
            wanted="two concepts",
            remedy="choose what changes, as with shift=spurious, or no drift, with drift=stationary",
        )
    # the middle of sample i is i + ½ and the centre is whole, so no sample sits on the centre of a step
    from_centre = np.arange(n) + 0.5 - math.floor(position * n + 0.5)
    span = max(width * n, 1.0)  # one sample: the steepest ramp there is, and a step
    new = np.clip(from_centre / span + 0.5, 0.0, 1.0)
    return np.stack([1.0 - new, new], axis=1)


def _span(new: FloatArray) -> tuple[int, int]:
    """First position with P(new) > 0 and first with P(new) = 1, for a P(new) that never falls."""
    return int(np.count_nonzero(new == 0.0)), int(np.count_nonzero(new < 1.0))
