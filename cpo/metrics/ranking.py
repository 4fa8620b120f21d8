"""How well scores rank images by a label: AUROC and AUPRC, per label and macro-averaged, with clustered intervals.

R resamples, N images, D labels.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cpo.errors import ShapeError
from cpo.metrics.intervals import Array, Interval, Statistic, cluster_bootstraps, ratio

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RankingScores:
    """Scores of a set of images.

    Args:
        auroc: Macro average over the labels that can be ranked.
        auprc: Likewise; its chance level is the prevalence, not 0.5.
        labels: Each of those labels: `auroc`, `auprc`, `positives`.
        left_out: Labels without a positive or without a negative image, and how many positives they have.
    """

    auroc: Interval
    auprc: Interval
    labels: Mapping[str, Mapping[str, Any]]
    left_out: Mapping[str, int]

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "auroc": self.auroc.as_dict(),
            "auprc": self.auprc.as_dict(),
            "labels": {name: dict(values) for name, values in self.labels.items()},
            "left_out": dict(self.left_out),
        }


def score_rankings(
    scores: Array,
    present: Bools,
    groups: Sequence[Hashable],
    *,
    labels: Sequence[str],
    resamples: int = 1000,
    level: float = 0.95,
    seed: int,
) -> RankingScores:
    """AUROC and AUPRC per label and macro-averaged.

    Args:
        scores: [N, D], higher where the label is likelier present.
        present: [N, D].
        groups: Patient of each image: the bootstrap resamples these.
        labels: Names of the D labels.
        resamples: Of the bootstrap; one in which a label has a single class leaves that label out of its average.
        level: Confidence level.
        seed: Of the bootstrap.

    Raises:
        ShapeError: Scores, truth, groups and labels do not fit.

    Source:
        On the sample itself `sklearn.metrics.roc_auc_score` and `average_precision_score` with `average="macro"`, as
        CARZero reports them; a label without positives, on which scikit-learn gives no number, is named and left out.
    """
    if scores.shape != present.shape or scores.shape != (len(groups), len(labels)):
        raise ShapeError(
            got=f"scores {scores.shape}, truth {present.shape}, {len(groups)} groups, {len(labels)} labels",
            wanted="a score and a truth for every image and label",
            remedy="score every label of every image",
        )
    positives = present.sum(axis=0)
    ranked = (positives > 0) & (positives < len(present))
    statistics: list[Statistic] = [
        kind(scores[:, d], present[:, d]) for kind in (auroc_of, auprc_of) for d in np.flatnonzero(ranked)
    ]
    count = int(ranked.sum())

    def everything(weights: Array) -> Array:
        values = np.stack([statistic(weights) for statistic in statistics], axis=1) if statistics else None
        if values is None:
            return np.full((len(weights), 2), np.nan)
        means = [_nan_mean(values[:, :count]), _nan_mean(values[:, count:])]
        return np.column_stack([*means, values])

    intervals = cluster_bootstraps(everything, groups, resamples=resamples, level=level, seed=seed)
    names = [name for name, kept in zip(labels, ranked.tolist(), strict=True) if kept]
    counts = dict(zip(labels, positives.tolist(), strict=True))
    return RankingScores(
        auroc=intervals[0],
        auprc=intervals[1],
        labels={
            name: {"auroc": a.as_dict(), "auprc": p.as_dict(), "positives": counts[name]}
            for name, a, p in zip(names, intervals[2 : 2 + count], intervals[2 + count :], strict=True)
        },
        left_out={name: n for name, n in counts.items() if name not in names},
    )


def auroc_of(scores: Array, present: Bools) -> Statistic:
    """Probability that a positive image scores above a negative one, ties half, as a statistic `[R, N]` → `[R]`.

    Example:
        Of the four pairs of a positive and a negative image three are in order.

        >>> auroc_of(np.array([0.9, 0.4, 0.5, 0.1]), np.array([True, True, False, False]))(np.ones((1, 4))).tolist()
        [0.75]
    """
    order, end, start = _blocks(scores)
    truth = present[order]

    def statistic(weights: Array) -> Array:
        sorted_weights = weights[:, order]
        negative = np.cumsum(sorted_weights * ~truth, axis=1)
        below = np.concatenate([np.zeros((len(weights), 1)), negative], axis=1)
        # negatives strictly below, and half of those with the same score
        rank = 0.5 * (below[:, start] + below[:, end])
        wins = (sorted_weights * truth * rank).sum(axis=1)
        return ratio(wins, (sorted_weights * truth).sum(axis=1) * negative[:, -1])

    return statistic


def auprc_of(scores: Array, present: Bools) -> Statistic:
    """Average precision Σ (R_k − R_{k−1}) P_k over the distinct scores, as a statistic `[R, N]` → `[R]`.

    Example:
        Precision is 1 at the first positive and 2/3 at the second.

        >>> statistic = auprc_of(np.array([0.9, 0.4, 0.5, 0.1]), np.array([True, True, False, False]))
        >>> statistic(np.ones((1, 4))).round(4).tolist()
        [0.8333]
    """
    order, end, _ = _blocks(-scores)
    truth = present[order]

    def statistic(weights: Array) -> Array:
        sorted_weights = weights[:, order]
        hits = sorted_weights * truth
        # at each image the precision at the end of its block of equal scores
        precision = ratio(np.cumsum(hits, axis=1)[:, end - 1], np.cumsum(sorted_weights, axis=1)[:, end - 1])
        return ratio(np.nansum(hits * precision, axis=1), hits.sum(axis=1))

    return statistic


def _blocks(scores: Array) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The ascending order, and for each sorted place the end and the start of its block of equal scores."""
    order = np.argsort(scores, kind="stable")
    ascending = scores[order]
    end = np.searchsorted(ascending, ascending, side="right").astype(np.int64)
    start = np.searchsorted(ascending, ascending, side="left").astype(np.int64)
    return order, end, start


def _nan_mean(values: Array) -> Array:
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=1), defined.sum(axis=1).astype(np.float64))
