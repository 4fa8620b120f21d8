from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from cpo.diagnostics.detectors import PageHinkley
from cpo.diagnostics.thinking import (
    Floats,
    decided_at,
    displacement,
    early_answering_area,
    jensen_shannon,
    thought_alarms,
    thought_drift,
)
from cpo.errors import ShapeError


def distributions(seed: int, cuts: int, results: int) -> Floats:
    return np.random.default_rng(seed).dirichlet(np.full(results, 0.3), size=cuts)


@given(seed=st.integers(0, 2**32 - 1), cuts=st.integers(2, 9), results=st.integers(2, 14))
def test_the_divergence_is_scipys(seed: int, cuts: int, results: int) -> None:
    z = distributions(seed, cuts, results)
    expected = [jensenshannon(p, q, base=2) ** 2 for p, q in pairwise(z)]
    np.testing.assert_allclose(jensen_shannon(z[:-1], z[1:]), expected, atol=1e-12)


def test_the_divergence_is_symmetric_bounded_and_zero_only_between_equals() -> None:
    p, q = distributions(0, 2, 5)
    assert jensen_shannon(p, q) == pytest.approx(jensen_shannon(q, p))
    assert jensen_shannon(p, p) == 0
    assert jensen_shannon(np.eye(3)[0], np.eye(3)[2]) == 1
    assert 0 < jensen_shannon(p, q) < 1


def test_a_thinking_that_moves_nothing_was_decided_before_it_began() -> None:
    found = thought_drift(np.tile([0.6, 0.4], (4, 1)), np.linspace(0, 1, 4))
    assert (found.total, found.peak, found.decided_at, found.early_area) == (0, 0, 0, 0)


def test_a_thinking_whose_last_word_decides_has_nearly_all_of_the_area() -> None:
    """Nine tenths of the curve are 0, and the last tenth is a straight line from 0 to 1: 1 − 0.1 / 2."""
    z = np.array([[0.9, 0.1]] * 10 + [[0.1, 0.9]])
    shares = np.linspace(0, 1, 11)
    assert early_answering_area(z, shares) == pytest.approx(0.95)
    assert decided_at(z, shares) == 1
    assert thought_drift(z, shares).peak_at == 1


def test_the_area_of_the_mean_curve_is_the_mean_area() -> None:
    shares = np.array([0.0, 0.2, 0.7, 1.0])
    streams = [distributions(seed, 4, 3) for seed in range(20)]
    curve = np.mean([(z.argmax(axis=1) == z[-1].argmax()) for z in streams], axis=0)
    expected = 1 - np.trapezoid(curve, shares)
    assert np.mean([early_answering_area(z, shares) for z in streams]) == pytest.approx(expected)


def test_alarms_stand_where_the_result_has_moved_and_not_where_it_wavers() -> None:
    detector = {"min_instances": 3, "delta": 0.01, "threshold": 0.5, "alpha": 1.0, "direction": "up"}
    wavering = np.array([[0.6, 0.4], [0.55, 0.45]] * 6)
    turned = np.array([[0.95, 0.05]] * 6 + [[0.05, 0.95]] * 6)
    assert thought_alarms(wavering, PageHinkley(**detector)) == ()
    alarms = thought_alarms(turned, PageHinkley(**detector))
    assert alarms[0] == 6
    assert displacement(turned)[5] == 0


@pytest.mark.parametrize("shares", [[0.0, 1.0], [0.0, 0.5, 0.9], [0.1, 0.5, 1.0], [0.0, 0.0, 1.0]])
def test_cuts_that_do_not_cover_the_thinking_are_refused(shares: list[float]) -> None:
    with pytest.raises(ShapeError, match="cuts"):
        thought_drift(distributions(0, 3, 2), np.array(shares))
