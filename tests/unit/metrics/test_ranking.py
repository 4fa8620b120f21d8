from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from cpo.errors import ShapeError
from cpo.metrics.ranking import auprc_of, auroc_of, score_rankings


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 3)), min_size=2, max_size=40))
def test_weighted_areas_are_scikit_learns(rows: list[tuple[int, bool, int]]) -> None:
    scores, present, weights = (np.array(column) for column in zip(*rows, strict=True))
    counted = {bool(p) for p, w in zip(present, weights, strict=True) if w}
    auroc, auprc = (
        kind(scores.astype(float), present)(weights[None].astype(float))[0] for kind in (auroc_of, auprc_of)
    )
    if counted == {True, False}:
        assert auroc == pytest.approx(roc_auc_score(present, scores, sample_weight=weights))
        assert auprc == pytest.approx(average_precision_score(present, scores, sample_weight=weights))
    else:
        assert np.isnan(auroc)


def drawn(n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    present = rng.random((n, 3)) < [0.3, 0.1, 0.0]
    return rng.normal(size=(n, 3)) + present, present


def test_a_label_without_positives_is_named_and_left_out_of_the_average() -> None:
    scores, present = drawn()
    found = score_rankings(scores, present, range(200), labels=["A", "B", "C"], resamples=20, seed=0)
    assert dict(found.left_out) == {"C": 0}
    expected = roc_auc_score(present[:, :2], scores[:, :2], average="macro")
    assert found.auroc.value == pytest.approx(expected)
    assert found.auprc.value == pytest.approx(average_precision_score(present[:, :2], scores[:, :2], average="macro"))
    assert found.auroc.low < expected < found.auroc.high
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["labels"]["A"]["positives"] == present[:, 0].sum()


def test_the_interval_is_clustered_by_patient() -> None:
    scores, present = drawn(60)
    repeated = np.repeat(scores, 4, axis=0), np.repeat(present, 4, axis=0)
    by_patient = score_rankings(*repeated, np.repeat(np.arange(60), 4).tolist(), labels="ABC", resamples=200, seed=0)
    by_image = score_rankings(*repeated, range(240), labels="ABC", resamples=200, seed=0)
    width = [found.auroc.high - found.auroc.low for found in (by_patient, by_image)]
    assert width[0] > 1.5 * width[1]


def test_nothing_to_rank_is_undefined_and_misfits_are_refused() -> None:
    found = score_rankings(np.zeros((3, 1)), np.zeros((3, 1), dtype=bool), range(3), labels=["A"], resamples=5, seed=0)
    assert np.isnan(found.auroc.value)
    with pytest.raises(ShapeError, match="2 labels"):
        score_rankings(np.zeros((3, 1)), np.zeros((3, 1), dtype=bool), range(3), labels=["A", "B"], seed=0)
