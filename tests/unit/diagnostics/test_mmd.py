from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpo.diagnostics.detectors import alarms_of
from cpo.diagnostics.mmd import MMDDetector, mmd_test
from cpo.errors import ConfigError, ShapeError


@settings(deadline=None)
@given(st.integers(2, 8), st.integers(2, 8), st.integers(0, 99))
def test_the_statistic_is_that_of_three_plain_loops(m: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(m, 3)), 0.5 + rng.normal(size=(n, 3))
    found = mmd_test(x, y, permutations=1, seed=0)
    both = np.concatenate([x, y])
    distances = [np.linalg.norm(a - b) for i, a in enumerate(both) for b in both[:i]]
    assert found.bandwidth == pytest.approx(np.median(distances))

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-((a - b) ** 2).sum() / (2 * found.bandwidth**2)))

    inside = np.mean([k(x[i], x[j]) for i in range(m) for j in range(m) if i != j])
    outside = np.mean([k(y[i], y[j]) for i in range(n) for j in range(n) if i != j])
    across = np.mean([k(a, b) for a in x for b in y])
    assert found.mmd2 == pytest.approx(inside + outside - 2 * across, abs=1e-12)


def test_a_permutation_test_keeps_its_level() -> None:
    # p ≤ .1 has probability .1 at most: 400 draws have a standard error of .015
    rng = np.random.default_rng(0)
    found = [mmd_test(rng.normal(size=(12, 2)), rng.normal(size=(15, 2)), permutations=39, seed=i) for i in range(400)]
    rejected = np.mean([test.p_value <= 0.1 for test in found])
    assert 0.055 < rejected < 0.145
    assert np.mean([test.mmd2 for test in found]) == pytest.approx(0, abs=0.005), "unbiased"


def test_distributions_of_one_mean_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    narrow, wide = rng.normal(size=(60, 2)), 3 * rng.normal(size=(60, 2))
    assert mmd_test(narrow, wide, permutations=199, seed=0).p_value == 1 / 200


def test_equal_vectors_are_no_difference_and_no_division_by_zero() -> None:
    found = mmd_test(np.ones((5, 2)), np.ones((4, 2)), permutations=19, seed=0)
    assert (found.mmd2, found.p_value) == (pytest.approx(0), 1.0)


def test_an_alarm_makes_a_new_reference() -> None:
    rng = np.random.default_rng(1)
    stream = rng.normal(size=(240, 4))
    stream[80:160] += 3
    detector = MMDDetector(window=20, stride=20, alpha=0.01, permutations=199, seed=0)
    # reference 0-19, alarm on 80-99; reference 100-119, alarm on 160-179
    assert alarms_of(detector, stream) == (99, 179)
    assert detector.last is not None
    assert detector.last.p_value > 0.01, "the last window belongs to the new reference"


def test_a_stationary_stream_of_embeddings_is_quiet() -> None:
    stream = np.random.default_rng(2).normal(size=(400, 8))
    assert alarms_of(MMDDetector(window=40, stride=40, alpha=0.005, permutations=199, seed=0), stream) == ()


@pytest.mark.parametrize(
    "wrong", [{"window": 1}, {"stride": 0}, {"alpha": 0.001}, {"alpha": 1.0}, {"permutations": 0}, {"seed": -1}]
)
def test_knobs_out_of_their_range_are_refused(wrong: dict[str, float]) -> None:
    knobs = {"window": 20, "stride": 10, "alpha": 0.05, "permutations": 99, "seed": 0}
    with pytest.raises(ConfigError, match="window="):
        MMDDetector(**(knobs | wrong))


def test_sets_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ShapeError, match="sets of shapes"):
        mmd_test(np.ones((3, 2)), np.ones((3, 4)), permutations=9, seed=0)
    with pytest.raises(ShapeError, match="two vectors or more"):
        mmd_test(np.ones((1, 2)), np.ones((3, 2)), permutations=9, seed=0)
