"""Bootstrap intervals that resample whole clusters (patients, driving clips), for every statistic we report.

Two studies of one patient are not two independent observations: resampling studies would make intervals too narrow.
A statistic is written once, over *multiplicities*: how often each item counts. All ones is the sample itself, and a
bootstrap resample is a row of small integers, so that a thousand resamples are one vectorised call.

R resamples (1 for the sample itself), N items, S statistics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cpo.errors import ConfigError, ShapeError

Array = NDArray[np.float64]
Statistic = Callable[[Array], Array]
"""Multiplicities `[R, N]` → values `[R]`; nan where it is undefined."""
Method = Literal["percentile", "bca"]
"""How the ends follow from the draws; see `cluster_bootstraps`."""

BLOCK = 4_000_000
"""Multiplicities held at once (32 MB): large test sets are resampled in blocks, with the same result."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A statistic with its bootstrap interval.

    Args:
        value: The statistic on the sample itself; nan when undefined.
        low: Lower end; nan with fewer than two clusters, which say nothing about variation.
        high: Upper end; nan like `low`.
        n: Items.
        clusters: Independent clusters among them.
        level: Confidence level, in (0, 1).
        undefined: Resamples in which the statistic was undefined; the ends come from the others.
        method: How the ends follow from the draws.
    """

    value: float
    low: float
    high: float
    n: int
    clusters: int
    level: float = 0.95
    undefined: int = 0
    method: Method = "percentile"

    def as_dict(self) -> dict[str, float | int | str | None]:
        """As JSON has it: nan is null.

        Example:
            >>> Interval(0.5, math.nan, math.nan, n=2, clusters=1).as_dict()["low"] is None
            True
        """
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(self).items()}


def cluster_bootstrap(
    statistic: Statistic,
    clusters: Sequence[Hashable],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    method: Method = "percentile",
    seed: int,
) -> Interval:
    """Bootstrap of one statistic; see `cluster_bootstraps`.

    Example:
        Two patients, of two and one studies; a resample holds patient a twice, b twice, or each once.

        >>> correct = np.array([1.0, 1.0, 0.0])
        >>> interval = cluster_bootstrap(mean_of(correct), ["a", "a", "b"], seed=0)
        >>> round(interval.value, 3), interval.low, interval.high, interval.clusters
        (0.667, 0.0, 1.0, 2)
    """
    return cluster_bootstraps(
        lambda weights: statistic(weights)[:, None],
        clusters,
        resamples=resamples,
        level=level,
        method=method,
        seed=seed,
    )[0]


def cluster_bootstraps(
    statistics: Statistic,
    clusters: Sequence[Hashable],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    method: Method = "percentile",
    seed: int,
) -> tuple[Interval, ...]:
    """Bootstrap of several statistics on the same resamples.

    Each resample draws as many clusters as there are, with replacement, and takes all items of each. The ends are
    quantiles of the draws: the outer ones as they are (`percentile`), or moved by the draws' bias and by how much the
    statistic's spread depends on its value (`bca`), which the jackknife over clusters tells.

    Args:
        statistics: Multiplicities `[R, N]` → values `[R, S]`; called with one row of ones for the values themselves.
        clusters: Cluster of each item; its names do not matter, only which items share one.
        resamples: ≥ 1.
        level: Confidence level, in (0, 1).
        method: `percentile`, or `bca` (bias-corrected and accelerated). The ends of the latter are nan where they are
            undefined: all draws on one side of the value, or a statistic that no cluster changes.
        seed: Equal seeds give equal intervals.

    Returns:
        One interval per statistic. Without items every value is what the statistic says of none (nan).

    Raises:
        ConfigError: `resamples`, `level` or `method` out of range.
        ShapeError: The statistics do not return one row per resample.

    Source:
        Efron & Tibshirani 1993, chapters 8, 13 and 14. With one item per cluster the result equals
        `scipy.stats.bootstrap` of the same method under the same random generator.
    """
    if method not in get_args(Method):
        raise ConfigError(got=f"method={method}", wanted=f"one of {', '.join(get_args(Method))}", remedy="pass bca")
    if resamples < 1:
        raise ConfigError(got=f"resamples={resamples}", wanted="resamples ≥ 1", remedy="pass 1000, the usual number")
    if not 0 < level < 1:
        raise ConfigError(got=f"level={level}", wanted="0 < level < 1", remedy="pass 0.95 for a 95 % interval")
    codes = codes_of(clusters)
    count = len(set(clusters))
    values = _checked(statistics(np.ones((1, len(codes)))), rows=1)
    blocks = _resampled(codes, count, resamples, seed) if count > 1 else ()
    draws = np.concatenate([values[:0], *(_checked(statistics(weights), rows=len(weights)) for weights in blocks)])
    found = zip(values[0].tolist(), draws.T, strict=True)
    if method == "percentile" or count < 2:
        return tuple(interval_of(value, column, n=len(codes), clusters=count, level=level) for value, column in found)
    without = np.concatenate([_checked(statistics(weights), rows=len(weights)) for weights in _left_out(codes, count)])
    return tuple(
        interval_of(value, column, n=len(codes), clusters=count, level=level, jackknife=held)
        for (value, column), held in zip(found, without.T, strict=True)
    )


def mean_of(values: Sequence[float] | Array) -> Statistic:
    """The mean of one value per item, as a statistic; nan in, nan out.

    Example:
        >>> mean_of([1.0, 4.0])(np.array([[1.0, 1.0], [2.0, 0.0]])).tolist()
        [2.5, 1.0]
    """
    items = np.asarray(values, dtype=np.float64)
    return lambda weights: ratio(weights @ items, weights.sum(axis=1))


def quantiles_of(values: Sequence[float] | Array, probabilities: Sequence[float]) -> Statistic:
    """Quantiles of one value per item, as statistics `[R, S]`: the smallest values that so large shares do not exceed.

    Example:
        >>> quantiles_of([3.0, 1.0, 2.0], [0.5, 0.9])(np.array([[1.0, 1.0, 1.0], [0.0, 3.0, 0.0]])).tolist()
        [[2.0, 3.0], [1.0, 1.0]]
    """
    items = np.asarray(values, dtype=np.float64)
    order = np.argsort(items, kind="stable")

    def statistic(weights: Array) -> Array:
        if not len(items):
            return np.full((len(weights), len(probabilities)), np.nan)
        reached = np.cumsum(weights[:, order], axis=1)
        # a hair less, for shares of sums of ones are not exact
        wanted = reached[:, -1:, None] * np.array(probabilities) * (1 - 1e-12)
        places = (reached[:, :, None] < wanted).sum(axis=1)
        return items[order][places]

    return statistic


def ratio(numerator: Array, denominator: Array) -> Array:
    """Elementwise quotient; nan where the denominator is 0: a rate of nothing is undefined.

    Example:
        >>> ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0])).tolist()
        [0.5, nan]
    """
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator != 0)


def codes_of(clusters: Sequence[Hashable]) -> NDArray[np.int64]:
    """Clusters numbered by first appearance, so that renaming patients changes no interval."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(c, len(numbers)) for c in clusters], dtype=np.int64)


def _resampled(codes: NDArray[np.int64], count: int, resamples: int, seed: int) -> Iterator[Array]:
    """Blocks of multiplicities `[≤ BLOCK / N, N]`: how often each item's cluster was drawn."""
    generator = np.random.default_rng(seed)
    rows = max(1, BLOCK // max(count, len(codes)))
    for start in range(0, resamples, rows):
        block = min(rows, resamples - start)
        drawn = generator.integers(count, size=(block, count)) + count * np.arange(block)[:, None]
        times = np.bincount(drawn.ravel(), minlength=block * count).reshape(block, count)
        yield times[:, codes].astype(np.float64)


def _left_out(codes: NDArray[np.int64], count: int) -> Iterator[Array]:
    """Blocks of multiplicities `[≤ BLOCK / N, N]`: each cluster in turn left out, the others once."""
    rows = max(1, BLOCK // max(count, len(codes)))
    for start in range(0, count, rows):
        block = np.arange(start, min(start + rows, count))
        yield (codes[None, :] != block[:, None]).astype(np.float64)


def _checked(values: Array, rows: int) -> Array:
    if values.ndim != 2 or len(values) != rows:
        raise ShapeError(
            got=f"a statistic of shape {values.shape} for multiplicities of {rows} rows",
            wanted=f"one value per row: ({rows},)",
            remedy="reduce over the items (the last axis) only",
        )
    return values


def interval_of(
    value: float, draws: Array, *, n: int, clusters: int, level: float, jackknife: Array | None = None
) -> Interval:
    """A value with the interval of its draws; undefined draws are counted, not used.

    Args:
        value: On the sample itself.
        draws: On its resamples.
        n: Items.
        clusters: Independent clusters among them.
        level: Confidence level, in (0, 1).
        jackknife: The statistic without each cluster in turn, for the BCa interval; None for the percentile interval.
    """
    defined = draws[~np.isnan(draws)]
    low = high = math.nan
    if len(defined) and not math.isnan(value):
        ends = np.array([(1 - level) / 2, (1 + level) / 2])
        if jackknife is not None:
            ends = _corrected(ends, value, defined, jackknife[~np.isnan(jackknife)])
        if not np.isnan(ends).any():
            low, high = np.quantile(defined, ends).tolist()
    method: Method = "percentile" if jackknife is None else "bca"
    undefined = len(draws) - len(defined)
    return Interval(value, low, high, n=n, clusters=clusters, level=level, undefined=undefined, method=method)


def _corrected(ends: Array, value: float, draws: Array, jackknife: Array) -> Array:
    """Where BCa reads the draws: Φ(b + (b + z) / (1 − a (b + z))), z the normal quantiles of `ends`.

    The bias b is the normal quantile of the share of draws below the value (ties count half), the acceleration a the
    skewness of the jackknife; nan where either is undefined.
    """
    below = ((draws < value).mean() + (draws <= value).mean()) / 2
    moves = jackknife.mean() - jackknife if len(jackknife) else np.zeros(1)
    spread = (moves**2).sum() ** 1.5
    if not 0 < below < 1 or spread == 0:
        return np.full_like(ends, np.nan)
    normal = NormalDist()
    bias, acceleration = normal.inv_cdf(below), (moves**3).sum() / (6 * spread)
    moved = [bias + normal.inv_cdf(end) for end in ends.tolist()]
    return np.array([normal.cdf(bias + z / (1 - acceleration * z)) for z in moved])
