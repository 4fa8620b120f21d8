"""Detectors alarm where a stream moves, keep quiet where it does not, and start afresh."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cpo.diagnostics.detectors import Adwin, Ddm, Detector, Kswin, PageHinkley, alarms_of
from cpo.errors import ConfigError, DataError

MAKE: dict[str, Callable[[], Detector[float]]] = {
    "adwin": lambda: Adwin(delta=0.002, clock=32, grace_period=10),
    "kswin": lambda: Kswin(alpha=0.0001, window_size=100, stat_size=30, seed=0),
    "page_hinkley": lambda: PageHinkley(min_instances=30, delta=0.05, threshold=20.0, alpha=0.9999, direction="both"),
    "ddm": lambda: Ddm(warm_start=30, drift_threshold=3.0),
}
each_detector = pytest.mark.parametrize("name", MAKE)


def errors(rates: list[tuple[int, float]], seed: int = 0) -> list[float]:
    """Errors (1) and successes (0) at one rate after the other."""
    rng = np.random.default_rng(seed)
    return [float(rng.random() < rate) for length, rate in rates for _ in range(length)]


@each_detector
def test_a_jump_of_the_error_rate_is_seen_soon_after_and_not_before(name: str) -> None:
    alarms = alarms_of(MAKE[name](), errors([(1000, 0.1), (300, 0.9)]))
    assert len(alarms) == 1
    assert 1000 <= alarms[0] < 1100


@each_detector
def test_a_detector_is_decided_by_its_stream(name: str) -> None:
    stream = errors([(300, 0.1), (300, 0.6), (300, 0.1)])
    assert alarms_of(MAKE[name](), stream) == alarms_of(MAKE[name](), stream) != ()


@pytest.mark.parametrize("name", ["adwin", "kswin", "page_hinkley"])
def test_a_detector_starts_afresh_after_an_alarm(name: str) -> None:
    alarms = alarms_of(MAKE[name](), errors([(500, 0.05), (500, 0.95), (500, 0.05)]))
    assert [alarm // 500 for alarm in alarms] == [1, 2]


def test_a_direction_is_kept() -> None:
    stream = errors([(300, 0.9), (300, 0.1)])
    knobs = {"min_instances": 30, "delta": 0.05, "threshold": 20.0, "alpha": 0.9999}
    assert alarms_of(PageHinkley(**knobs, direction="up"), stream) == ()
    assert alarms_of(PageHinkley(**knobs, direction="down"), stream) != ()


@each_detector
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused_and_does_not_blind(name: str, value: float) -> None:
    detector = MAKE[name]()
    with pytest.raises(DataError):
        detector.update(value)
    assert alarms_of(detector, errors([(500, 0.05), (300, 0.95)])) != ()


def test_ddm_counts_errors_only() -> None:
    with pytest.raises(DataError, match=r"0\.5 in a stream that DDM watches"):
        Ddm(warm_start=30, drift_threshold=3.0).update(0.5)


@pytest.mark.parametrize(
    ("make", "knobs", "wrong"),
    [
        (Adwin, {"delta": 0.0, "clock": 32, "grace_period": 10}, "delta"),
        (Adwin, {"delta": 0.1, "clock": 0, "grace_period": 10}, "clock"),
        (Kswin, {"alpha": 0.1, "window_size": 50, "stat_size": 30, "seed": 0}, "stat_size"),
        (Ddm, {"warm_start": 30, "drift_threshold": 0.0}, "drift_threshold"),
        (
            PageHinkley,
            {"min_instances": 1, "delta": 0.0, "threshold": 1.0, "alpha": 1.0, "direction": "sideways"},
            "direction",
        ),
    ],
)
def test_knobs_out_of_their_range_are_refused(make: Any, knobs: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ConfigError, match=wrong):
        make(**knobs)
