"""Stream metrics, derived by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpo.errors import ConfigError, ShapeError
from cpo.metrics.stream import fading_mean, prequential, recovery_times, transfer


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_without_fading_it_is_the_mean_so_far(values: list[float]) -> None:
    expected = np.cumsum(values) / np.arange(1, len(values) + 1)
    np.testing.assert_allclose(fading_mean(values, fading=1.0), expected, atol=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.01, 1))
def test_fading_is_a_weighted_mean(values: list[float], fading: float) -> None:
    weights = fading ** np.arange(len(values))[::-1].astype(float)
    assert fading_mean(values, fading=fading)[-1] == pytest.approx(np.average(values, weights=weights))


def test_positions_that_were_not_tested_neither_count_nor_fade() -> None:
    nan = math.nan
    found = fading_mean([nan, 1, nan, 0], fading=0.5)
    assert math.isnan(found[0])
    assert found[1:].tolist() == [1, 1, pytest.approx(0.5 / 1.5)]


def test_each_concept_has_a_curve_of_its_own() -> None:
    found = prequential([1, 0, 0, 1, math.nan], [0, 1, 0, 1, 1], ["old", "new", "never"], fading=1.0)
    assert found.overall == 0.5
    assert found.by_concept["old"] == found.by_concept["new"] == 0.5
    assert math.isnan(found.by_concept["never"])
    assert found.curves["old"].tolist() == [1, 1, 0.5, 0.5, 0.5]
    assert found.curves["new"].tolist()[1:] == [0, 0, 0.5, 0.5]
    assert found.curve.tolist() == pytest.approx([1, 1 / 2, 1 / 3, 1 / 2, 1 / 2])


def test_transfer_of_three_concepts() -> None:
    matrix = [[0.8, 0.5, 0.2], [0.9, 0.7, 0.4], [0.6, 0.6, 0.9]]
    found = transfer(matrix, [0.1, 0.2, 0.3])
    assert found.forgetting == pytest.approx(((0.9 - 0.6) + (0.7 - 0.6)) / 2), "the best before the end, not its own"
    assert found.backward == pytest.approx(((0.6 - 0.8) + (0.6 - 0.7)) / 2)
    assert found.forward == pytest.approx(((0.5 - 0.2) + (0.4 - 0.3)) / 2)
    assert found.final == pytest.approx(0.7)


def test_one_concept_has_nothing_to_transfer() -> None:
    found = transfer([[0.8]], [0.1])
    assert found.final == 0.8
    assert all(math.isnan(value) for value in (found.forgetting, found.backward, found.forward))


def test_recovery_is_counted_from_the_start_of_each_drift() -> None:
    curve = [0.8, 0.8, 0.3, 0.5, 0.8, 0.9, 0.9, 0.2, 0.85, 0.95]
    assert recovery_times(curve, [(2, 4), (7, 7)], tolerance=0.05) == (2.0, 1.0)
    assert recovery_times(curve, [(2, 4), (7, 7)], tolerance=0.04) == (2.0, 2.0)


def test_a_late_fall_is_recovered_from_later() -> None:
    # still up at 2 and 3, down at 4 and 5, back at 6: four samples after the start
    assert recovery_times([0.8, 0.8, 0.8, 0.8, 0.5, 0.6, 0.8], [(2, 5)], tolerance=0.0) == (4.0,)


def test_recovery_has_to_come_before_the_next_drift() -> None:
    first, second = recovery_times([0.8, 0.3, 0.4, 0.5, 0.9], [(1, 1), (3, 3)], tolerance=0.0)
    assert math.isnan(first)
    assert second == 0, "it does not fall below the .4 before it"


@pytest.mark.parametrize("change", [(0, 0), (5, 5)])
def test_a_drift_at_an_end_of_the_stream_has_no_recovery(change: tuple[int, int]) -> None:
    assert math.isnan(recovery_times([0.5] * 5, [change], tolerance=0.1)[0])


def test_no_drift_no_recovery() -> None:
    assert recovery_times([0.5] * 5, [], tolerance=0.1) == ()


def test_arguments_out_of_their_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="fading=0"):
        fading_mean([1.0], fading=0.0)
    with pytest.raises(ConfigError, match="tolerance=-1"):
        recovery_times([1.0], [], tolerance=-1.0)
    with pytest.raises(ShapeError, match="concepts"):
        prequential([1, 0], [0], ["all"], fading=1.0)
    with pytest.raises(ShapeError, match="baselines"):
        transfer([[0.5, 0.5]], [0.1, 0.1])
