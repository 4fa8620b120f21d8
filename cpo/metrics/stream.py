"""Metrics of a stream: test-then-train accuracy, what is forgotten and what carries over, and how soon a drift is over.

Shapes: `n` positions of the stream, `C` concepts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cpo.errors import ConfigError, ShapeError

Array = NDArray[np.float64]


def fading_mean(values: ArrayLike, *, fading: float) -> Array:
    """Mean of all values so far `[n]`, older ones weighing less by a factor per position.

    With v the values and α the factor, S_i = v_i + α S_{i−1}, N_i = 1 + α N_{i−1}, and the mean is S_i / N_i. A value
    that is nan (a position that was not tested) is left out and does not fade the others; before the first one the mean
    is nan.

    Args:
        values: One per position; 0 or 1 for accuracy.
        fading: α in (0, 1]; 1 is the plain mean so far, 1 − 1 / w has the memory of a window of w.

    Raises:
        ConfigError: `fading` out of range.

    Source:
        Prequential error with a fading factor: Gama, Sebastião & Rodrigues 2013.

    Example:
        >>> fading_mean([1, 0, 0], fading=0.5).round(4).tolist()  # 1, .5 / 1.5, .25 / 1.75
        [1.0, 0.3333, 0.1429]
    """
    if not 0 < fading <= 1:
        raise ConfigError(got=f"fading={fading}", wanted="0 < fading ≤ 1", remedy="pass 0.99, a memory of 100")
    total = weight = 0.0
    means = []
    for value in np.asarray(values, dtype=np.float64).tolist():
        if not math.isnan(value):
            total, weight = value + fading * total, 1 + fading * weight
        means.append(total / weight if weight else math.nan)
    return np.array(means, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Prequential:
    """Accuracy of a policy that is tested on each sample before it trains on it.

    Args:
        overall: Share of right answers over the whole stream; nan of nothing.
        by_concept: Share of right answers on each concept's samples; nan of none.
        curve: Fading mean at each position `[n]`.
        curves: For each concept the fading mean of its samples so far `[n]`; nan before its first.
    """

    overall: float
    by_concept: Mapping[str, float]
    curve: Array
    curves: Mapping[str, Array]


def prequential(
    correct: ArrayLike, concept_at: Sequence[int], concepts: Sequence[str], *, fading: float
) -> Prequential:
    """Prequential (test-then-train) accuracy, over all and per concept.

    Args:
        correct: 1 for a right answer, 0 for a wrong one, nan for a position that was not tested `[n]`.
        concept_at: Concept behind each position `[n]`.
        concepts: Names, by index.
        fading: See `fading_mean`; it fades per sample of the concept in the concept's own curve.

    Raises:
        ShapeError: Answers and concepts of different length.

    Source:
        Gama, Sebastião & Rodrigues 2013.

    Example:
        >>> found = prequential([1, 0, 1, 1], [0, 0, 1, 1], ["old", "new"], fading=1.0)
        >>> found.overall, found.by_concept
        (0.75, {'old': 0.5, 'new': 1.0})
        >>> found.curves["new"].tolist()
        [nan, nan, 1.0, 1.0]
    """
    values, at = np.asarray(correct, dtype=np.float64), np.asarray(concept_at, dtype=np.int64)
    if values.shape != at.shape or values.ndim != 1:
        raise ShapeError(
            got=f"{values.shape} answers and {at.shape} concepts",
            wanted="one of each per position of the stream",
            remedy="pass nan for positions that were not tested",
        )
    own = {name: np.where(at == index, values, np.nan) for index, name in enumerate(concepts)}
    return Prequential(
        overall=_mean(values),
        by_concept={name: _mean(part) for name, part in own.items()},
        curve=fading_mean(values, fading=fading),
        curves={name: fading_mean(part, fading=fading) for name, part in own.items()},
    )


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a policy keeps and what carries over, from a matrix `trained up to × tested on`.

    Args:
        forgetting: For each concept but the last, its best accuracy before the end minus that at the end; its mean.
        backward: Accuracy at the end minus that right after its own training, on average over all but the last.
        forward: Accuracy right before a concept is trained on minus the baseline's, on average over all but the first.
        final: Accuracy at the end, on average over all.
    """

    forgetting: float
    backward: float
    forward: float
    final: float


def transfer(matrix: ArrayLike, baseline: ArrayLike) -> Transfer:
    """Forgetting, backward and forward transfer over a sequence of concepts.

    With R_ij the accuracy on concept j after training up to concept i, and b_j that before any training:
    forgetting = mean over j < C of max over i < C of R_ij − R_Cj; backward = mean over j < C of R_Cj − R_jj; forward =
    mean over j > 1 of R_{j−1,j} − b_j. nan with fewer than two concepts.

    Args:
        matrix: R `[C, C]`, in the order in which the concepts are trained on.
        baseline: b `[C]`.

    Raises:
        ShapeError: Not a square matrix with as many baselines.

    Source:
        Forgetting: Chaudhry et al. 2018 (arXiv 1801.10112). Transfer: Lopez-Paz & Ranzato 2017 (arXiv 1706.08840).

    Example:
        >>> found = transfer([[0.9, 0.4], [0.6, 0.8]], [0.5, 0.3])
        >>> round(found.forgetting, 9), round(found.backward, 9), round(found.forward, 9), round(found.final, 9)
        (0.3, -0.3, 0.1, 0.7)
    """
    accuracy, before = np.asarray(matrix, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    count = len(before)
    if accuracy.shape != (count, count):
        raise ShapeError(
            got=f"a matrix of shape {accuracy.shape} and {count} baselines",
            wanted="[C, C] and [C]",
            remedy="test on every concept after each, and once before the first",
        )
    if count < 2:
        return Transfer(math.nan, math.nan, math.nan, _mean(accuracy[-1:]))
    end, own = accuracy[-1], np.diag(accuracy)
    return Transfer(
        forgetting=float(np.mean(accuracy[:-1, :-1].max(axis=0) - end[:-1])),
        backward=float(np.mean(end[:-1] - own[:-1])),
        forward=float(np.mean(np.diag(accuracy, k=1) - before[1:])),
        final=float(end.mean()),
    )


def recovery_times(curve: ArrayLike, changes: Sequence[tuple[int, int]], *, tolerance: float) -> tuple[float, ...]:
    """For each drift, how many samples after its start a curve is back at its level from before.

    The level is the curve's value at the last position before the drift, and it is back where the curve, having fallen
    below level − tolerance, reaches that again; 0 where it never falls so far before the next drift.

    Args:
        curve: Higher is better, one value per position `[n]`: a fading mean of accuracy.
        changes: `DriftTruth.changes`: `(start, end)` of each drift, in order.
        tolerance: How much lower counts as back, ≥ 0.

    Returns:
        nan where the level is unknown (a drift at the very start, an untested position) or the curve is not back before
        the next drift or the end of the stream.

    Raises:
        ConfigError: `tolerance` below 0.

    Example:
        >>> recovery_times([0.9, 0.9, 0.5, 0.6, 0.86, 0.9], [(2, 2)], tolerance=0.05)
        (2.0,)
        >>> recovery_times([0.9, 0.9, 0.5, 0.6, 0.7, 0.7], [(2, 2)], tolerance=0.05)
        (nan,)
    """
    if not tolerance >= 0:
        raise ConfigError(got=f"tolerance={tolerance}", wanted="0 or more", remedy="pass 0.02")
    values = np.asarray(curve, dtype=np.float64)
    ends = [*(start for start, _ in changes[1:]), len(values)]
    return tuple(_recovery(values, start, end, tolerance) for (start, _), end in zip(changes, ends, strict=False))


def _recovery(values: Array, start: int, end: int, tolerance: float) -> float:
    if not 0 < start < len(values) or math.isnan(values[start - 1]):
        return math.nan
    back = values[start:end] >= values[start - 1] - tolerance
    fallen = np.flatnonzero(~back)
    if not fallen.size:
        return 0.0
    later = np.flatnonzero(back[fallen[0] :])
    return float(fallen[0] + later[0]) if later.size else math.nan


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan
