"""How well generated answers name the findings of held-out patients, per disease and on average, with intervals.

A malformed answer names nothing that could be credited: it counts as wrong for every disease, where the disease is
present and where it is absent, and is counted as malformed beside. Dropping such answers would reward a model that
falls silent on hard pictures; reading them as "nothing present" would reward it on the many negatives.

N items, D diseases, R resamples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cpo.answers import Malformed
from cpo.errors import ConfigError, DataError, ShapeError
from cpo.metrics.intervals import Array, Interval, Statistic, cluster_bootstraps, ratio

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DiseaseScore:
    """One disease: how often it is there, and how often answers are right about it."""

    positives: int
    balanced_accuracy: Interval
    accuracy: Interval

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "positives": self.positives,
            "balanced_accuracy": self.balanced_accuracy.as_dict(),
            "accuracy": self.accuracy.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class FindingScores:
    """Scores of a set of answers.

    Args:
        balanced_accuracy: Mean over the scored diseases of (sensitivity + specificity) / 2; 0.5 is chance.
        accuracy: Mean over the scored diseases of the share of right items.
        diseases: Each scored disease.
        left_out: Diseases with too few positives or negatives, and how many positives they have.
        answers: All answers.
        malformed: Those that cannot be read, by reason.
    """

    balanced_accuracy: Interval
    accuracy: Interval
    diseases: Mapping[str, DiseaseScore]
    left_out: Mapping[str, int]
    answers: int
    malformed: Mapping[str, int]

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it: what `summary.json` keeps."""
        count = sum(self.malformed.values())
        return {
            "balanced_accuracy": self.balanced_accuracy.as_dict(),
            "accuracy": self.accuracy.as_dict(),
            "malformed": {"count": count, "answers": self.answers, **self.malformed},
            "diseases": {name: score.as_dict() for name, score in self.diseases.items()},
            "left_out": dict(self.left_out),
        }


def score_findings(
    predictions: Sequence[frozenset[str] | Malformed],
    truth: Sequence[Collection[str]],
    groups: Sequence[Hashable],
    *,
    results: Sequence[str],
    diseases: Sequence[str],
    min_positives: int = 30,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int,
) -> FindingScores:
    """Accuracy and balanced accuracy of generated answers, per disease and averaged, with clustered intervals.

    Args:
        predictions: The results that each item's answer names, or why it cannot be read.
        truth: The results that are true of each item.
        groups: Patient (or scene) of each item: the bootstrap resamples these.
        results: Every name an answer may hold.
        diseases: Those to score, in the order to list them.
        min_positives: A disease is scored, and enters the average, with at least so many positives and negatives.
            To average over the same diseases in several subsets, pass those scored on the whole and 1 here.
        resamples: Bootstrap resamples.
        level: Confidence level.
        seed: Of the bootstrap.

    Raises:
        ShapeError: Predictions, truth and groups of different length.
        DataError: A disease or a true result that is not among `results`.
        ConfigError: `min_positives` below 1.

    Source:
        On readable answers the per-disease values are `sklearn.metrics.balanced_accuracy_score`'s, and the mean of
        `torchmetrics`' multilabel recall and specificity.
    """
    _check(predictions, truth, groups, results=results, diseases=diseases, min_positives=min_positives)
    present = indicators(truth, diseases)
    positives = present.sum(axis=0)
    scored = np.minimum(positives, len(present) - positives) >= min_positives
    correct = right_answers(predictions, present, diseases)[:, scored]
    balanced, plain = balanced_accuracy_of(correct, present[:, scored]), accuracy_of(correct)
    intervals = cluster_bootstraps(
        lambda weights: np.hstack([_average_first(balanced(weights)), _average_first(plain(weights))]),
        groups,
        resamples=resamples,
        level=level,
        seed=seed,
    )
    half = len(intervals) // 2
    names = [name for name, kept in zip(diseases, scored.tolist(), strict=True) if kept]
    counts = dict(zip(diseases, positives.tolist(), strict=True))
    rows = zip(names, intervals[1:half], intervals[half + 1 :], strict=True)
    reasons = Counter(failure for failure in predictions if isinstance(failure, Malformed))
    return FindingScores(
        balanced_accuracy=intervals[0],
        accuracy=intervals[half],
        diseases={name: DiseaseScore(counts[name], *scores) for name, *scores in rows},
        left_out={name: count for name, count in counts.items() if name not in names},
        answers=len(predictions),
        malformed={reason.value: reasons[reason] for reason in Malformed},
    )


def indicators(results: Sequence[Collection[str]], names: Sequence[str]) -> Bools:
    """Which of `names` each item has, `[N, D]`."""
    rows = [[name in have for name in names] for have in results]
    return np.array(rows, dtype=bool).reshape(len(results), len(names))  # also when there are none of either


def right_answers(read: Sequence[frozenset[str] | Malformed], present: Bools, diseases: Sequence[str]) -> Bools:
    """Whether each answer is right about each disease, `[N, D]`; a malformed one is right about none."""
    said = indicators([() if isinstance(answer, Malformed) else answer for answer in read], diseases)
    readable = np.array([not isinstance(answer, Malformed) for answer in read], dtype=bool)
    return (said == present) & readable[:, None]


def accuracy_of(correct: Bools) -> Statistic:
    """Share of right answers per disease, as a statistic `[R, N]` → `[R, D]`.

    Example:
        >>> accuracy_of(np.array([[True, False], [True, True]]))(np.ones((1, 2))).tolist()
        [[1.0, 0.5]]
    """
    return _share_of(correct, np.ones_like(correct))


def balanced_accuracy_of(correct: Bools, present: Bools) -> Statistic:
    """(Sensitivity + specificity) / 2 per disease, as a statistic `[R, N]` → `[R, D]`; nan without both kinds of item.

    Example:
        Three patients have the disease and two of them are found; the one without it is left in peace: (2/3 + 1) / 2.

        >>> present = np.array([[True], [True], [True], [False]])
        >>> correct = np.array([[True], [True], [False], [True]])
        >>> balanced_accuracy_of(correct, present)(np.ones((1, 4))).round(4).tolist()
        [[0.8333]]
    """
    sensitivity, specificity = _share_of(correct, present), _share_of(correct, ~present)
    return lambda weights: (sensitivity(weights) + specificity(weights)) / 2


def contributions(
    read: Sequence[frozenset[str] | Malformed], truth: Sequence[Collection[str]], diseases: Sequence[str]
) -> dict[str, Array]:
    """What each item adds to the average accuracy and balanced accuracy: one value per item, whose mean is the metric.

    A right answer about one of P patients with a disease adds N / 2P to its balanced accuracy, about one of the others
    N / 2(N − P). Diseases without both kinds of item add nothing.

    Args:
        read: The results that each item's answer names, or why it cannot be read.
        truth: The results that are true of each item.
        diseases: Those that are averaged over.

    Example:
        >>> values = contributions([frozenset({"A"}), frozenset()], [{"A"}, {"A"}], ["A"])
        >>> values["accuracy"].tolist(), values["balanced_accuracy"].tolist()
        ([1.0, 0.0], [nan, nan])
    """
    present = indicators(truth, diseases)
    correct = right_answers(read, present, diseases).astype(np.float64)
    positives = present.sum(axis=0)
    both = (positives > 0) & (positives < len(present))
    share = np.where(present, positives, len(present) - positives)[:, both]
    balanced = (correct[:, both] * len(present) / (2 * share)).sum(axis=1) / both.sum() if both.any() else None
    nothing = np.full(len(present), np.nan)
    return {
        "balanced_accuracy": nothing if balanced is None else balanced,
        "accuracy": correct.mean(axis=1) if diseases else nothing,
    }


def _share_of(correct: Bools, among: Bools) -> Statistic:
    hits, total = (correct & among).astype(np.float64), among.astype(np.float64)
    return lambda weights: ratio(weights @ hits, weights @ total)


def _average_first(values: Array) -> Array:
    """`[R, D]` → `[R, 1 + D]`: the mean over the diseases, then each; nan when there is none."""
    return np.hstack([ratio(values.sum(axis=1, keepdims=True), np.full((len(values), 1), values.shape[1])), values])


def _check(
    predictions: Sequence[frozenset[str] | Malformed],
    truth: Sequence[Collection[str]],
    groups: Sequence[Hashable],
    *,
    results: Sequence[str],
    diseases: Sequence[str],
    min_positives: int,
) -> None:
    if not len(predictions) == len(truth) == len(groups):
        raise ShapeError(
            got=f"{len(predictions)} predictions, {len(truth)} truths, {len(groups)} groups",
            wanted="one of each per item",
            remedy="pass predictions for every item; a failed generation is a malformed one",
        )
    if unknown := sorted({*diseases, *(name for true in truth for name in true)} - set(results)):
        raise DataError(
            got=f"results {unknown}", wanted=f"names among {list(results)}", remedy="pass the dataset's own `results`"
        )
    if min_positives < 1:
        raise ConfigError(
            got=f"min_positives={min_positives}",
            wanted="min_positives ≥ 1",
            remedy="pass 30: with fewer positives sensitivity has an interval too wide to rank models by",
        )
