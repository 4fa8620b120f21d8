from __future__ import annotations

import json
import math
import time
from typing import Any

import numpy as np
import pytest
from scipy.stats import bootstrap

from cpo.errors import ConfigError, ShapeError
from cpo.metrics import intervals
from cpo.metrics.intervals import cluster_bootstrap, cluster_bootstraps, mean_of


def test_one_item_per_cluster_gives_scipys_interval() -> None:
    values = np.random.default_rng(3).gamma(2.0, size=80)
    ours = cluster_bootstrap(mean_of(values), range(80), resamples=500, level=0.9, seed=7)
    theirs = bootstrap(
        (values,), np.mean, n_resamples=500, confidence_level=0.9, method="percentile", rng=np.random.default_rng(7)
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-12)
    assert ours.value == pytest.approx(values.mean())


@pytest.mark.parametrize("statistic", ["mean", "ratio of means"])
def test_one_item_per_cluster_gives_scipys_bca_interval(statistic: str) -> None:
    rng = np.random.default_rng(3)
    values, others = rng.gamma(0.5, size=60), rng.gamma(2.0, size=60)
    if statistic == "mean":
        ours_of, data, theirs_of = mean_of(values), (values,), np.mean
    else:
        data = (values, others)

        def ours_of(weights: np.ndarray) -> np.ndarray:
            return (weights @ values) / (weights @ others)

        def theirs_of(one: np.ndarray, other: np.ndarray, axis: int) -> np.ndarray:
            return one.mean(axis=axis) / other.mean(axis=axis)

    ours = cluster_bootstrap(ours_of, range(60), resamples=800, level=0.9, method="bca", seed=7)
    found = bootstrap(
        data, theirs_of, n_resamples=800, confidence_level=0.9, method="BCa", paired=True, rng=np.random.default_rng(7)
    )
    theirs = found.confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)
    assert ours.method == "bca"
    plain = cluster_bootstrap(ours_of, range(60), resamples=800, level=0.9, seed=7)
    assert plain.high < ours.high, "of a skewed statistic the upper end moves up"


def test_bca_leaves_out_whole_patients(monkeypatch: pytest.MonkeyPatch) -> None:
    patients = np.random.default_rng(0).gamma(1.0, size=30)
    once = cluster_bootstrap(mean_of(patients), range(30), method="bca", seed=1)
    clusters = np.repeat(np.arange(30), 4).tolist()
    fourfold = cluster_bootstrap(mean_of(np.repeat(patients, 4)), clusters, method="bca", seed=1)
    assert (fourfold.low, fourfold.high) == pytest.approx((once.low, once.high))
    monkeypatch.setattr(intervals, "BLOCK", 30 * 7)
    blocks = cluster_bootstrap(mean_of(patients), range(30), method="bca", seed=1)
    assert (blocks.low, blocks.high) == pytest.approx((once.low, once.high))


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0], [1.0], []])
def test_bca_has_no_ends_where_nothing_varies(values: list[float]) -> None:
    interval = cluster_bootstrap(mean_of(values), range(len(values)), method="bca", seed=0)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_patients_with_many_equal_studies_widen_the_interval_to_that_of_the_patients() -> None:
    patients = np.random.default_rng(0).normal(size=30)
    once = cluster_bootstrap(mean_of(patients), range(30), seed=1)
    tenfold = cluster_bootstrap(mean_of(np.repeat(patients, 10)), np.repeat(np.arange(30), 10).tolist(), seed=1)
    naive = cluster_bootstrap(mean_of(np.repeat(patients, 10)), range(300), seed=1)
    assert (tenfold.low, tenfold.high) == pytest.approx((once.low, once.high))
    assert naive.high - naive.low < 0.5 * (tenfold.high - tenfold.low)
    assert (tenfold.n, tenfold.clusters) == (300, 30)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    hits = 0
    for trial in range(200):
        effect = rng.normal(size=40).repeat(3) + 0.3 * rng.normal(size=120)
        interval = cluster_bootstrap(mean_of(effect), np.arange(40).repeat(3).tolist(), resamples=300, seed=trial)
        hits += interval.low <= 0 <= interval.high
    assert 0.87 <= hits / 200 <= 0.99


def test_renaming_and_typing_of_clusters_does_not_matter() -> None:
    values = [0.0, 1.0, 1.0, 5.0]
    assert cluster_bootstrap(mean_of(values), ["b", "a", "b", "c"], seed=2) == cluster_bootstrap(
        mean_of(values), [9, ("x", 1), 9, None], seed=2
    )


def test_blocks_of_resamples_give_the_same_interval_as_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(50.0)
    whole = cluster_bootstrap(mean_of(values), range(50), seed=4)
    monkeypatch.setattr(intervals, "BLOCK", 50 * 7)
    assert cluster_bootstrap(mean_of(values), range(50), seed=4) == whole


def test_one_patient_has_a_value_but_no_interval() -> None:
    interval = cluster_bootstrap(mean_of([1.0, 2.0]), ["a", "a"], seed=0)
    assert interval.value == 1.5
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_nothing_measured_is_undefined_not_zero() -> None:
    interval = cluster_bootstrap(mean_of([]), [], seed=0)
    assert math.isnan(interval.value)
    assert (interval.n, interval.clusters) == (0, 0)
    assert json.loads(json.dumps(interval.as_dict(), allow_nan=False))["value"] is None


def test_undefined_resamples_are_counted_and_left_out_of_the_ends() -> None:
    def mean_where_positive(weights: np.ndarray) -> np.ndarray:
        # only the first of three patients has the disease; in (2/3)³ of the resamples nobody has it
        return np.where(weights[:, 0] > 0, 0.5, np.nan)

    interval = cluster_bootstrap(mean_where_positive, range(3), resamples=2000, seed=0)
    assert (interval.value, interval.low, interval.high) == (0.5, 0.5, 0.5)
    assert interval.undefined / 2000 == pytest.approx(8 / 27, abs=0.04)


def test_statistics_share_their_resamples() -> None:
    values = np.random.default_rng(1).normal(size=20)
    mean = mean_of(values)
    first, second = cluster_bootstraps(lambda w: np.stack([mean(w), -mean(w)], axis=1), range(20), seed=0)
    assert (first.low, first.high) == pytest.approx((-second.high, -second.low))


def test_a_thousand_resamples_of_twelve_diseases_are_fast() -> None:
    rng = np.random.default_rng(0)
    items = rng.normal(size=(600, 12))
    start = time.process_time()
    cluster_bootstraps(lambda w: w @ items, rng.integers(300, size=600).tolist(), seed=0)
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize(("knob", "value"), [("resamples", 0), ("level", 0.0), ("level", 1.0), ("method", "t")])
def test_a_knob_out_of_range_is_refused(knob: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=knob):
        cluster_bootstrap(mean_of([1.0]), [0], seed=0, **{knob: value})


def test_a_statistic_that_reduces_the_wrong_axis_is_refused() -> None:
    with pytest.raises(ShapeError, match="one value per row"):
        cluster_bootstrap(lambda weights: weights.sum(axis=0), range(5), seed=0)
