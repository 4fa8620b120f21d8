"""Effects of interventions, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cpo.diagnostics.causal import Effects, per_sample, statistics_of, total_variation
from cpo.errors import ShapeError

RESULTS = ("a", "b", "c")


def effects() -> Effects:
    """Three samples: two licensed moves on the first, an unlicensed one on the first and the second, none on the third.

    The second unlicensed move is judged by a : b alone, which it turns from 3 : 1 to 1 : 1.
    """
    before = np.array([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.3, 0.1, 0.6]])
    after = np.array([[0.2, 0.3, 0.5], [0.6, 0.1, 0.3], [0.6, 0.2, 0.2], [0.4, 0.4, 0.2]])
    kept = np.ones((4, 3), dtype=np.bool_)
    kept[3, 2] = False
    return Effects(
        sample=np.array([0, 0, 0, 1]),
        kind=["denied", "asserted", "paraphrase", "irrelevant"],
        licensed=np.array([True, True, False, False]),
        before=before,
        after=after,
        kept=kept,
        own=np.array([0, 2, -1, -1]),
    )


def test_each_sample_contributes_the_mean_over_its_own_interventions() -> None:
    found = per_sample(effects(), 3, RESULTS)
    # total variation: (.4 + 0 + .4) / 2, (0 + .2 + .2) / 2, (0 + .1 + .1) / 2; and |3/4 − 1/2|
    np.testing.assert_allclose(found["beneficial_sensitivity"], [0.3, np.nan, np.nan])
    np.testing.assert_allclose(found["detrimental_sensitivity"], [0.1, 0.25, np.nan])
    np.testing.assert_allclose(found["denied_own_effect"], [-0.4, np.nan, np.nan])
    np.testing.assert_allclose(found["asserted_own_effect"], [0.2, np.nan, np.nan])
    np.testing.assert_allclose(found["effects/denied/c"], [0.4, np.nan, np.nan])
    np.testing.assert_allclose(found["effects/irrelevant/a"], [np.nan, -0.25, np.nan])
    assert np.isnan(found["effects/irrelevant/c"]).all()
    assert "paraphrase_own_effect" not in found


def test_means_and_ratio_follow_multiplicities() -> None:
    names, statistic = statistics_of(per_sample(effects(), 3, RESULTS))
    assert names[:3] == ("beneficial_sensitivity", "detrimental_sensitivity", "sensitivity_ratio")
    rows = statistic(np.array([[1.0, 1.0, 1.0], [3.0, 1.0, 0.0], [0.0, 1.0, 1.0]]))
    np.testing.assert_allclose(rows[0, :3], [0.3, 0.175, 0.175 / 0.3])
    np.testing.assert_allclose(rows[1, :3], [0.3, 0.1375, 0.1375 / 0.3])
    np.testing.assert_allclose(rows[2, :3], [np.nan, 0.25, np.nan])


def test_a_policy_that_nothing_licensed_moves_has_no_ratio() -> None:
    table = {"beneficial_sensitivity": np.array([0.0]), "detrimental_sensitivity": np.array([0.5])}
    _, statistic = statistics_of(table)
    assert math.isnan(statistic(np.ones((1, 1)))[0, 2])


def test_total_variation_leaves_out_what_is_undefined_in_both() -> None:
    one, other = np.array([[0.75, 0.25, np.nan], [np.nan] * 3]), np.array([[0.5, 0.5, np.nan], [np.nan] * 3])
    np.testing.assert_allclose(total_variation(one, other), [0.25, np.nan])


def test_results_without_any_mass_among_those_compared_are_undefined() -> None:
    z = np.array([[1.0, 0.0, 0.0]])
    kept = np.array([[False, True, True]])
    some = Effects(np.array([0]), ["irrelevant"], np.array([False]), z, z, kept, np.array([-1]))
    assert np.isnan(some.moved).all()
    assert np.isnan(per_sample(some, 1, RESULTS)["detrimental_sensitivity"]).all()


def test_arrays_that_do_not_fit_are_refused() -> None:
    z, kept = np.ones((2, 3)) / 3, np.ones((2, 3), dtype=np.bool_)
    with pytest.raises(ShapeError, match=r"\[M, Z\]"):
        Effects(np.array([0]), ["denied"], np.array([True]), z, z, kept, np.array([0]))
    with pytest.raises(ShapeError, match=r"\[M, Z\]"):
        Effects(np.array([0, 1]), ["denied"] * 2, np.ones(2, dtype=np.bool_), z, z[:1], kept, np.array([0, 0]))
