from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cpo.errors import ConfigError, ShapeError
from cpo.metrics.comparison import holm, interquartile_mean, over_seeds, paired_permutation


def test_with_one_item_per_cluster_the_exact_p_value_is_scipys() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(0.4, 1, 10), rng.normal(0, 1, 10)
    ours = paired_permutation(one, other, range(10), seed=0)
    theirs = stats.permutation_test(
        (one, other), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples", vectorized=True
    )
    assert ours.exact
    assert ours.p_value == pytest.approx(theirs.pvalue)


def test_random_flips_come_near_the_exact_p_value() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(0.5, 1, 16), rng.normal(0, 1, 16)
    theirs = stats.permutation_test(
        (one, other), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples", vectorized=True,
        n_resamples=2**16,
    )  # fmt: skip
    ours = paired_permutation(one, other, range(16), permutations=20_000, seed=3)
    assert not ours.exact
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=0.01)


def test_items_of_one_patient_are_flipped_together() -> None:
    """Twenty studies of two patients are two observations: no p-value below 1/2."""
    assert paired_permutation([1.0] * 20, [0.0] * 20, [0, 1] * 10, seed=0).p_value == 0.5
    assert math.isnan(paired_permutation([1.0], [0.0], ["a"], seed=0).p_value)


def test_no_difference_is_never_significant() -> None:
    assert paired_permutation([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], range(3), seed=0).p_value == 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_monotone_and_no_smaller_than_the_p_values(p_values: list[float]) -> None:
    adjusted = holm({str(n): p for n, p in enumerate(p_values)})
    order = np.argsort(p_values, kind="stable")
    values = [adjusted[str(n)] for n in order]
    assert all(a <= b + 1e-15 for a, b in pairwise(values))
    assert all(adjusted[str(n)] >= p for n, p in enumerate(p_values))
    assert values[0] == pytest.approx(min(1.0, len(p_values) * min(p_values)))


def test_an_undefined_p_value_stays_undefined_and_costs_nothing() -> None:
    adjusted = holm({"a": 0.02, "b": math.nan})
    assert adjusted["a"] == 0.02
    assert math.isnan(adjusted["b"])


@given(st.lists(st.floats(-5, 5), min_size=4, max_size=30))
def test_the_interquartile_mean_is_scipys_trimmed_mean(values: list[float]) -> None:
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25), abs=1e-12)


def test_seeds_are_resampled_within_their_stratum() -> None:
    """Strata without spread have an interval without width, however far apart they are."""
    found = over_seeds({"a": [0.0, 0.0], "b": [1.0, 1.0]}, seed=0)
    assert (found.value, found.low, found.high, found.n, found.clusters) == (0.5, 0.5, 0.5, 4, 2)
    assert math.isnan(over_seeds({"a": [0.3]}, seed=0).low)
    assert math.isnan(over_seeds({}, seed=0).value)


def test_mistakes_are_refused() -> None:
    with pytest.raises(ShapeError, match="2 and 1 values"):
        paired_permutation([1, 2], [1], ["a", "b"], seed=0)
    with pytest.raises(ConfigError, match="permutations=0"):
        paired_permutation([1], [1], ["a"], permutations=0, seed=0)
