"""Two runs on the same items, and several seeds of one: paired permutation tests, Holm's correction, IQM.

N items, C clusters, D strata (tasks, regimes), S seeds.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cpo.errors import ConfigError, ShapeError
from cpo.metrics.intervals import Array, Interval, cluster_bootstrap, codes_of, interval_of, mean_of

EXACT = 12
"""Up to so many clusters all 2^C sign flips are tried, and the p-value is exact."""


@dataclass(frozen=True, slots=True)
class Paired:
    """The difference of two runs on the same items.

    Args:
        difference: Mean of first − second, with its clustered bootstrap interval.
        p_value: Two-sided, of the permutation test; nan with fewer than two clusters.
        permutations: Sign flips tried; all there are when `exact`.
        exact: Whether all of them were.
    """

    difference: Interval
    p_value: float
    permutations: int
    exact: bool


def paired_permutation(
    first: Sequence[float] | Array,
    second: Sequence[float] | Array,
    clusters: Sequence[Hashable],
    *,
    permutations: int = 10_000,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int,
) -> Paired:
    """Whether two runs differ in the mean of one value per item, exchanging the runs within whole clusters.

    Under the null hypothesis the two values of a cluster's items could be swapped: the sum of each cluster's
    differences keeps its size and takes either sign. p = (1 + flips at least as extreme) / (1 + flips), or exactly the
    share of all 2^C flips with few clusters.

    Args:
        first: Value of each item under the first run.
        second: The same items under the second.
        clusters: Patient (or scene) of each item.
        permutations: Random flips, ≥ 1, when there are more than 2^12.
        resamples: Of the bootstrap.
        level: Of its interval.
        seed: Of both.

    Raises:
        ShapeError: The three differ in length.
        ConfigError: `permutations` below 1.

    Source:
        Good 2005, chapter 3; equal to `scipy.stats.permutation_test(permutation_type="samples")` with one item per
        cluster.

    Example:
        Three patients, always better: of 8 flips the 2 that keep all signs alike are as extreme.

        >>> paired_permutation([1, 1, 1], [0, 0, 0], ["a", "b", "c"], seed=0).p_value
        0.25
    """
    if permutations < 1:
        raise ConfigError(got=f"permutations={permutations}", wanted="at least 1", remedy="pass 10000")
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if not len(one) == len(other) == len(clusters):
        raise ShapeError(
            got=f"{len(one)} and {len(other)} values for {len(clusters)} items",
            wanted="a value of each run for every item",
            remedy="compare runs that were judged on the same items",
        )
    difference = one - other
    interval = cluster_bootstrap(mean_of(difference), clusters, resamples=resamples, level=level, seed=seed)
    sums = np.bincount(codes_of(clusters), weights=difference) if len(difference) else np.empty(0)
    if len(sums) < 2:
        return Paired(interval, math.nan, 0, exact=False)
    observed = abs(sums.sum())
    tolerance = 1e-12 * max(1.0, float(np.abs(sums).sum()))
    if len(sums) <= EXACT:
        signs = 1 - 2 * ((np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums))) & 1)
        extreme = np.abs(signs @ sums) >= observed - tolerance
        return Paired(interval, float(extreme.mean()), len(signs), exact=True)
    generator, hits = np.random.default_rng(seed), 0
    for start in range(0, permutations, 1000):
        rows = min(1000, permutations - start)
        signs = 1 - 2 * generator.integers(2, size=(rows, len(sums)))
        hits += int((np.abs(signs @ sums) >= observed - tolerance).sum())
    return Paired(interval, (1 + hits) / (1 + permutations), permutations, exact=False)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's step-down adjusted p-values: those below α are significant at a family-wise error rate of α.

    Undefined p-values (nan) stay undefined and do not count.

    Source:
        Holm 1979; equal to `statsmodels.stats.multitest.multipletests(method="holm")`.

    Example:
        >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
        {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    defined = sorted((p, name) for name, p in p_values.items() if not math.isnan(p))
    adjusted, largest = dict(p_values), 0.0
    for rank, (p, name) in enumerate(defined):
        largest = max(largest, min(1.0, (len(defined) - rank) * p))
        adjusted[name] = largest
    return adjusted


def interquartile_mean(values: Sequence[float] | Array) -> float:
    """Mean of the middle half of the values, the quarters at either end cut off; nan of none.

    Where a quarter is no whole number of values, ⌊n/4⌋ are cut off at each end, as SciPy's `trim_mean` does.

    Example:
        >>> interquartile_mean([0.0, 0.5, 0.7, 9.0])
        0.6
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64).ravel())
    cut = len(ordered) // 4
    middle = ordered[cut : len(ordered) - cut]
    return float(middle.mean()) if len(middle) else math.nan


def over_seeds(
    scores: Mapping[str, Sequence[float]], *, resamples: int = 2000, level: float = 0.95, seed: int
) -> Interval:
    """Interquartile mean over all seeds and strata, with a bootstrap that resamples seeds within each stratum.

    Args:
        scores: For each stratum (task, regime) one score per seed.
        resamples: ≥ 1.
        level: Confidence level, in (0, 1).
        seed: Of the bootstrap.

    Returns:
        `n` is the number of scores, `clusters` the smallest number of seeds; no interval with a single seed.

    Source:
        Agarwal et al. 2021 (arXiv 2108.13264), stratified bootstrap of the IQM.
    """
    strata = [np.asarray(values, dtype=np.float64) for values in scores.values() if len(values)]
    everything = np.concatenate(strata) if strata else np.empty(0)
    seeds = min((len(values) for values in strata), default=0)
    draws = np.empty(0)
    if seeds > 1:
        generator = np.random.default_rng(seed)
        drawn = [values[generator.integers(len(values), size=(resamples, len(values)))] for values in strata]
        draws = np.array([interquartile_mean(row) for row in np.concatenate(drawn, axis=1)])
    return interval_of(interquartile_mean(everything), draws, n=len(everything), clusters=seeds, level=level)
