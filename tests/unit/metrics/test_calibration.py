from __future__ import annotations

import math

import numpy as np
import pytest

from cpo.metrics.calibration import calibration_errors
from cpo.metrics.intervals import quantiles_of


def test_a_calibrated_policy_has_no_error_and_an_overconfident_one_its_excess() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1.0, size=200_000)
    right = rng.random(len(confidence)) < confidence
    ones = np.ones((1, len(confidence)))
    error, mean = calibration_errors(np.where(right, confidence, 1 - confidence)[:, None], ones, bins=10)[0]
    assert error < 0.005
    assert mean == pytest.approx(0.75, abs=0.005)
    sure = np.where(rng.random(1000) < 0.7, 0.95, 0.05)[:, None]
    error, _ = calibration_errors(sure, np.ones((1, 1000)), bins=10)[0]
    assert error == pytest.approx(0.95 - (sure > 0.5).mean())


def test_it_is_the_usual_expected_calibration_error() -> None:
    from torch import tensor
    from torchmetrics.functional.classification import multiclass_calibration_error

    p = np.random.default_rng(1).uniform(0.01, 0.99, size=300)
    theirs = multiclass_calibration_error(
        tensor(np.column_stack([p, 1 - p])), tensor([0] * 300), num_classes=2, n_bins=20, norm="l1"
    )
    # their bins go from 0 to 1, and the lower half of them is empty
    ours = calibration_errors(p[:, None], np.ones((1, 300)), bins=10)[0, 0]
    assert ours == pytest.approx(float(theirs), abs=1e-6)


def test_at_the_start_of_training_nothing_is_decided_and_nothing_is_wrong() -> None:
    error, mean = calibration_errors(np.full((5, 2), 0.5), np.ones((1, 5)), bins=10)[0]
    assert (error, mean) == (0, 0.5)


def test_multiplicities_count_pairs_as_often_as_they_were_drawn() -> None:
    p = np.array([[0.9], [0.2], [0.7]])
    drawn = calibration_errors(p, np.array([[2.0, 0.0, 1.0]]), bins=4)
    assert drawn == pytest.approx(calibration_errors(p[[0, 0, 2]], np.ones((1, 3)), bins=4))
    assert np.isnan(calibration_errors(p[:0], np.ones((1, 0)), bins=4)).all()


def test_quantiles_of_resamples_are_those_of_the_repeated_values() -> None:
    rng = np.random.default_rng(2)
    values, weights = rng.normal(size=40), rng.integers(0, 4, size=(5, 40)).astype(float)
    found = quantiles_of(values, [0.1, 0.5, 0.9])(weights)
    for row, times in zip(found, weights, strict=True):
        repeated = np.repeat(values, times.astype(int))
        assert row.tolist() == np.quantile(repeated, [0.1, 0.5, 0.9], method="inverted_cdf").tolist()
    assert math.isnan(quantiles_of([], [0.5])(np.ones((1, 0)))[0, 0])
