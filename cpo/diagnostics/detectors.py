"""Drift detectors: one value of a stream after the other goes in, an alarm comes out.

The four of river stand behind one call and with every knob spelt out; `mmd.py` adds one for vectors. Each starts
afresh after an alarm. They tell that a stream has moved, not which way: a loss that falls because training works is a
drift, too. What a detector is worth on a stream whose drift is known says `detection_scores.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, Protocol, TypeVar, get_args

from river import drift
from river.base.drift_detector import _BaseDriftDetector as RiverDetector

from cpo.errors import ConfigError, DataError

Value = TypeVar("Value", contravariant=True)
Direction = Literal["up", "down", "both"]


class Detector(Protocol[Value]):
    """Watches a stream."""

    def update(self, value: Value) -> bool:
        """Takes the next value of the stream; whether it raises an alarm."""
        ...


def alarms_of(detector: Detector[Value], values: Iterable[Value]) -> tuple[int, ...]:
    """Positions of a stream at which a detector raises an alarm.

    Example:
        After ten zeros the k-th one lies 1 − k / (10 + k) above the mean so far: .91 + .83 + .77 + .71 > 3.

        >>> detector = PageHinkley(min_instances=5, delta=0.0, threshold=3.0, alpha=1.0, direction="up")
        >>> alarms_of(detector, [0] * 10 + [1] * 9)
        (13,)
    """
    return tuple(position for position, value in enumerate(values) if detector.update(value))


class _River:
    """A detector of river's behind one call."""

    def __init__(self, detector: RiverDetector) -> None:
        self._detector = detector

    def update(self, value: float) -> bool:
        """Takes the next value of the stream; whether it raises an alarm.

        Raises:
            DataError: The value is not finite: one of them would blind the detector for good.
        """
        if not math.isfinite(value):
            raise DataError(
                got=f"{value} in a watched stream",
                wanted="a finite number",
                remedy="watch another quantity, or skip it",
            )
        self._take(float(value))
        return bool(self._detector.drift_detected)

    def _take(self, value: float) -> None:
        self._detector.update(value)  # type: ignore[attr-defined]  # river's two kinds share no base with `update`


class Adwin(_River):
    """ADWIN: a window that grows while its parts agree on the mean, and drops the older part where they do not.

    Args:
        delta: Confidence that two parts differ, in (0, 1); smaller is more cautious.
        clock: Values between two looks, ≥ 1.
        grace_period: Values before the first look, ≥ 1.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Bifet & Gavaldà 2007; `river.drift.ADWIN`.
    """

    def __init__(self, *, delta: float, clock: int, grace_period: int) -> None:
        _check("adwin", {"delta": 0 < delta < 1, "clock": clock >= 1, "grace_period": grace_period >= 1})
        watch = drift.ADWIN(delta=delta, clock=clock, grace_period=grace_period)  # type: ignore[no-untyped-call]
        super().__init__(watch)


class Kswin(_River):
    """KSWIN: the latest values of a sliding window against a draw from its older ones, by a Kolmogorov-Smirnov test.

    It tests at every value, so that false alarms come at least as often as the test's level says.

    Args:
        alpha: Level of the test, in (0, 1).
        window_size: Values in the window.
        stat_size: Latest of them that are compared, in [1, window_size / 2].
        seed: Of the draws.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Raab, Heusinger & Schleif 2020; `river.drift.KSWIN`.
    """

    def __init__(self, *, alpha: float, window_size: int, stat_size: int, seed: int) -> None:
        _check("kswin", {"alpha": 0 < alpha < 1, "stat_size": 1 <= stat_size <= window_size / 2, "seed": seed >= 0})
        super().__init__(drift.KSWIN(alpha=alpha, window_size=window_size, stat_size=stat_size, seed=seed))


class PageHinkley(_River):
    """Page-Hinkley: values that stay above (or below) their mean add up until the sum is too large.

    Args:
        min_instances: Values before the first alarm, ≥ 1.
        delta: Size of a change that does not count, in the unit of the values, ≥ 0.
        threshold: Sum that raises an alarm, in the unit of the values, > 0: scale it to the stream.
        alpha: Factor by which the sum fades with each value, in (0, 1].
        direction: Changes that count: `up`, `down` or `both`.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Page 1954; `river.drift.PageHinkley`.
    """

    def __init__(
        self, *, min_instances: int, delta: float, threshold: float, alpha: float, direction: Direction
    ) -> None:
        _check(
            "page_hinkley",
            {
                "min_instances": min_instances >= 1,
                "delta": delta >= 0,
                "threshold": threshold > 0,
                "alpha": 0 < alpha <= 1,
                "direction": direction in get_args(Direction),
            },
        )
        super().__init__(
            drift.PageHinkley(
                min_instances=min_instances, delta=delta, threshold=threshold, alpha=alpha, mode=direction
            )
        )


class Ddm(_River):
    """DDM: the rate of errors leaves its best so far by some standard deviations.

    Args:
        warm_start: Values before the first alarm, ≥ 1.
        drift_threshold: Standard deviations that raise an alarm, > 0.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Gama et al. 2004; `river.drift.binary.DDM`.
    """

    def __init__(self, *, warm_start: int, drift_threshold: float) -> None:
        _check("ddm", {"warm_start": warm_start >= 1, "drift_threshold": drift_threshold > 0})
        super().__init__(drift.binary.DDM(warm_start=warm_start, drift_threshold=drift_threshold))

    def update(self, value: float) -> bool:
        """Takes the next error (1) or success (0); whether it raises an alarm.

        Raises:
            DataError: The value is neither 0 nor 1.
        """
        if value not in (0, 1):
            raise DataError(
                got=f"{value} in a stream that DDM watches",
                wanted="1 for an error or 0",
                remedy="watch errors of single answers, or take another detector",
            )
        return super().update(value)


def _check(detector: str, fine: dict[str, bool]) -> None:
    if wrong := [knob for knob, holds in fine.items() if not holds]:
        raise ConfigError(
            got=f"detector {detector} with {', '.join(wrong)} out of range",
            wanted="the ranges that the class names",
            remedy=f"correct {wrong[0]}",
        )
