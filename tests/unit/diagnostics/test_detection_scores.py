"""Scores of alarms, derived by hand."""

from __future__ import annotations

import math

import pytest

from cpo.diagnostics.detection_scores import score_alarms
from cpo.errors import ConfigError, DataError


def test_windows_include_both_ends_and_one_alarm_more_is_false() -> None:
    # window [100, 150]: 99 and 151 are outside
    found = score_alarms([99, 100, 150, 151], [(100, 100)], 1000, max_delay=50)
    assert (found.alarms, found.false_alarms, found.episode_recall) == (4, 2, 1.0)
    assert found.precision == 0.5
    assert found.detection_delay == 0
    assert found.false_alarm_rate == pytest.approx(2 / (1000 - 51) * 1000)


def test_a_gradual_drift_is_late_from_its_end_on_and_its_delay_counts_from_its_start() -> None:
    # window [200, 450]; delay 440 − 200
    found = score_alarms([440], [(200, 400)], 1000, max_delay=50)
    assert (found.episode_recall, found.detection_delay, found.false_alarms) == (1.0, 240.0, 0)


def test_an_alarm_belongs_to_the_earliest_of_overlapping_windows() -> None:
    # windows [100, 200] and [150, 250]: 160 is the first drift's, 210 the second's
    found = score_alarms([160, 210], [(100, 100), (150, 150)], 1000, max_delay=100)
    assert found.episode_recall == 1.0
    assert found.detection_delay == pytest.approx((60 + 60) / 2)
    assert found.false_alarm_rate == 0


def test_missed_drifts_do_not_enter_the_delay() -> None:
    found = score_alarms([120], [(100, 100), (500, 500), (800, 800)], 1000, max_delay=50)
    assert found.episode_recall == pytest.approx(1 / 3)
    assert found.detection_delay == 20


def test_alarms_on_a_stationary_stream_are_all_false() -> None:
    found = score_alarms([10, 20], [], 500, max_delay=50, period=100)
    assert (found.false_alarms, found.precision, found.false_alarm_rate) == (2, 0.0, 0.4)
    assert math.isnan(found.episode_recall)
    assert math.isnan(found.detection_delay)


def test_what_is_undefined_is_nan_and_null_in_json() -> None:
    silent = score_alarms([], [(3, 3)], 10, max_delay=5)
    assert (silent.drifts, silent.episode_recall, silent.false_alarm_rate) == (1, 0.0, 0.0)
    assert math.isnan(silent.precision)
    assert silent.as_dict()["detection_delay"] is None
    assert math.isnan(score_alarms([], [(0, 0)], 10, max_delay=20).false_alarm_rate), "no sample outside the window"


def test_a_drift_at_the_end_of_the_stream_never_came() -> None:
    assert score_alarms([], [(5, 5), (10, 10)], 10, max_delay=2).drifts == 1


@pytest.mark.parametrize(
    ("alarms", "changes"),
    [([5, 3], []), ([10], []), ([-1], []), ([], [(5, 3)]), ([], [(5, 11)]), ([], [(5, 5), (2, 2)])],
)
def test_positions_that_are_none_of_the_stream_are_refused(alarms: list[int], changes: list[tuple[int, int]]) -> None:
    with pytest.raises(DataError, match="in order within 10 samples"):
        score_alarms(alarms, changes, 10, max_delay=2)


def test_windows_and_periods_need_a_length() -> None:
    with pytest.raises(ConfigError, match="max_delay=0"):
        score_alarms([], [], 10, max_delay=0)
