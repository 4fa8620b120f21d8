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


class Incremental(Schedule):
    r"""The concept moves to the second through intermediate ones: stairs of equal height and length.

    Inside a ramp of centre c and span w as `Gradual`'s stand `steps` stairs, each w / steps long and stationary: on
    the j-th, P(new) is j / (steps + 1). So a stair is a concept of its own, a fixed mixture of the two ends. Where a
    shift selects samples, the mixture of two distributions is the distribution half-way; where it changes samples, a
    share of them is changed, each in full. With ever more steps this is `Gradual`; a ramp no wider than one sample is
    `Sudden` exactly.

    Args:
        position: Centre of the ramp, as a fraction of the stream in [0, 1].
        width: Its span, as a fraction of the stream in [0, 1].
        steps: Intermediate concepts, ≥ 1.

    Raises:
        ConfigError: `position` or `width` outside [0, 1], or `steps` below 1.

    Source:
        Lu et al. 2019 (arXiv 2004.05785): an old concept changes to a new one through intermediate concepts. That these
        are mixtures in equal stairs is our choice.

    Example:
        >>> stairs = Incremental(position=0.5, width=0.5, steps=2)
        >>> stairs.probabilities(12, n_concepts=2)[:, 1].round(2).tolist()  # c = 6, w = 6: two stairs of 3 samples
        [0.0, 0.0, 0.0, 0.33, 0.33, 0.33, 0.67, 0.67, 0.67, 1.0, 1.0, 1.0]
    """

    def __init__(self, *, position: float, width: float, steps: int) -> None:
        self.position, self.width = _fraction("position", position), _fraction("width", width)
        self.steps = _count("steps", steps, at_least=1)

    def probabilities(self, n: int, n_concepts: int) -> FloatArray:
        """P(concept) `[n, 2]`: a clamped staircase."""
        ramp = _ramp(n, n_concepts, self.position, self.width)[:, 1]
        stair = (np.floor(ramp * self.steps) + 1) / (self.steps + 1)
        return _two(np.where((ramp > 0) & (ramp < 1), stair, ramp))

    def changes(self, n: int, n_concepts: int) -> tuple[tuple[int, int], ...]:
        """One, around the centre."""
        return (_span(self.probabilities(n, n_concepts)[:, 1]),)


class Recurring(Schedule):
    """The second concept comes, and the first returns, again and again: every half period one gives way to the other.

    The second concept arrives at `position`, the first returns half a period later, the second comes again after a
    whole period, and so on until the first has returned `returns` times: 2 · returns drifts. Each is a ramp as
    `Gradual`'s, sudden at width 0. Without returns this is `Gradual` exactly.

    Args:
        position: Centre of the first drift, as a fraction of the stream in [0, 1].
        period: From one arrival of a concept to its next, as a fraction of the stream in (0, 1].
        returns: How often the first concept comes back, ≥ 0; the last time at position + (returns − ½) · period ≤ 1.
        width: Span of each ramp, as a fraction of the stream in [0, period / 2].

    Raises:
        ConfigError: A knob out of its range, or more returns than the stream has room for.

    Source:
        Widmer & Kubat 1996, recurring contexts; "reoccurring" in Lu et al. 2019 (arXiv 2004.05785).

    Example:
        >>> recurring = Recurring(position=0.25, period=0.5, returns=1, width=0.0)
        >>> recurring.plan(8, n_concepts=2, seed=0).tolist(), recurring.changes(8, n_concepts=2)
        ([0, 0, 1, 1, 0, 0, 0, 0], ((2, 2), (4, 4)))
    """

    def __init__(self, *, position: float, period: float, returns: int, width: float) -> None:
        self.position, self.width = _fraction("position", position), _fraction("width", width)
        self.period, self.returns = _fraction("period", period), _count("returns", returns, at_least=0)
        drifts = max(2 * self.returns, 1)
        self.centres = tuple(self.position + k * self.period / 2 for k in range(drifts))
        if self.returns and not (self.period > 0 and self.width <= self.period / 2 and self.centres[-1] <= 1 + 1e-9):
            raise ConfigError(
                got=f"drift.position={position}, period={period}, returns={returns}, width={width}: "
                f"drifts at {', '.join(f'{c:.3g}' for c in self.centres)}",
                wanted="all of them inside the stream, and ramps no wider than half a period",
                remedy="pass drift.position=0.2 drift.period=0.4 drift.returns=2 drift.width=0",
            )

    def probabilities(self, n: int, n_concepts: int) -> FloatArray:
        """P(concept) `[n, 2]`: ramps up and down in turn."""
        ramps = [_ramp(n, n_concepts, centre, self.width)[:, 1] for centre in self.centres]
        return _two(sum((ramp if k % 2 == 0 else -ramp for k, ramp in enumerate(ramps)), np.zeros(n)))

    def changes(self, n: int, n_concepts: int) -> tuple[tuple[int, int], ...]:
        """One around each centre."""
        return tuple(_span(_ramp(n, n_concepts, centre, self.width)[:, 1]) for centre in self.centres)


def _count(knob: str, value: int, at_least: int) -> int:
    if value < at_least:
        raise ConfigError(
            got=f"drift.{knob}={value}", wanted=f"{at_least} or more", remedy=f"pass drift.{knob}={max(at_least, 2)}"
        )
    return int(value)


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
    return _two(new)


def _two(new: FloatArray) -> FloatArray:
    return np.stack([1.0 - new, new], axis=1)


def _span(new: FloatArray) -> tuple[int, int]:
    """First position with P(new) > 0 and first with P(new) = 1, for a P(new) that never falls."""
    return int(np.count_nonzero(new == 0.0)), int(np.count_nonzero(new < 1.0))
