"""Log-odds of two findings while others are held fixed: exact, however rare the findings are.

Studies are put into strata in which the findings to hold fixed are equal. Given the margins of every stratum, the
number T of studies that show both follows a sum of noncentral hypergeometric laws with one parameter, the common
log-odds θ; what both findings merely inherit from the fixed ones cancels. With one stratum it is Fisher's exact test.

Source: Gart (1970), Point and interval estimation of the common odds ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import gammaln
from scipy.stats import false_discovery_control

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

_FARTHEST = 30.0
"""Log-odds beyond which no estimate and no end of an interval is sought."""
_NEGLIGIBLE = 1e-60
"""Counts of a stratum less probable than this are left out, which can only raise a p-value."""


@dataclass(frozen=True, slots=True)
class LogOdds:
    """A common log-odds and what is known of it.

    Args:
        both: Studies that show both findings.
        informative: Studies that show the second finding in strata that can tell: those in which both vary.
        informative_both: Of these, the ones that show the first too.
        expected_both: How many of them would, were the two unrelated.
        estimate: Conditional maximum likelihood, nats. A count at an end of its range is moved in by half a study
            (Haldane and Anscombe), so that it stays finite; nan when no stratum can tell.
        low: Lower end of the exact interval; minus infinity when the count is the least possible.
        high: Upper end; infinity when the count is the greatest possible.
        p_value: Of θ = 0, two-sided; 1 when no stratum can tell.
    """

    both: int
    informative: int
    informative_both: int
    expected_both: float
    estimate: float
    low: float
    high: float
    p_value: float


def log_odds(tables: Counts, level: float = 0.95) -> LogOdds:
    """The common log-odds of two findings over strata.

    Args:
        tables: A row for each stratum: studies with both findings, with the first, with the second, and all.
        level: Of the interval, in (0, 1).

    Example:
        The lady who tells three of four cups right:

        >>> tea = log_odds(np.array([[3, 4, 4, 8]]))
        >>> tea.both, round(float(np.exp(tea.estimate)), 2), round(tea.p_value, 3)
        (3, 6.41, 0.486)
    """
    both, first, second, studies = tables.T
    telling = (first > 0) & (first < studies) & (second > 0) & (second < studies)
    if not telling.any():
        return LogOdds(int(both.sum()), 0, 0, 0.0, float("nan"), -np.inf, np.inf, 1.0)
    expected = float((first[telling] * second[telling] / studies[telling]).sum())
    law = _Law(first[telling], second[telling], studies[telling])
    observed = int(both[telling].sum())
    estimate = law.estimate(observed)
    count = law.count(estimate)
    tail = (1 - level) / 2
    low, high = -np.inf, np.inf
    if observed > law.least:
        low = estimate + brentq(lambda shift: count.at_least(observed, shift) - tail, -_FARTHEST, 0)
    if observed < law.most:
        high = estimate + brentq(lambda shift: count.at_most(observed, shift) - tail, 0, _FARTHEST)
    sides = count.at_least(observed, -estimate), count.at_most(observed, -estimate)
    informative = int(second[telling].sum())
    return LogOdds(int(both.sum()), informative, observed, expected, estimate, low, high, min(1.0, 2 * min(sides)))


def q_values(p_values: Sequence[float]) -> list[float]:
    """Benjamini–Hochberg q-values: of the pairs with q ≤ α, at most a share α is expected to be false.

    Example:
        >>> q_values([0.01, 0.02, 0.9])
        [0.03, 0.03, 0.9]
    """
    return [float(q) for q in false_discovery_control(p_values)] if len(p_values) else []


@dataclass(frozen=True, slots=True)
class _Count:
    """The law of T at one log-odds, from which that at any other follows by tilting."""

    values: Floats
    logs: Floats

    def at_least(self, observed: int, shift: float) -> float:
        """P(T ≥ observed) when the log-odds is shifted."""
        return self._share(self.values >= observed, shift)

    def at_most(self, observed: int, shift: float) -> float:
        """P(T ≤ observed) when the log-odds is shifted."""
        return self._share(self.values <= observed, shift)

    def _share(self, chosen: NDArray[np.bool_], shift: float) -> float:
        tilted = self.logs + shift * self.values
        weights = np.exp(tilted - tilted.max())
        return float(weights[chosen].sum() / weights.sum())


class _Law:
    """The conditional law of T: one noncentral hypergeometric variable per stratum, spelt out end to end."""

    def __init__(self, first: Counts, second: Counts, studies: Counts) -> None:
        lowest = np.maximum(0, first + second - studies)
        sizes = np.minimum(first, second) - lowest + 1
        self.least, self.most = int(lowest.sum()), int((lowest + sizes - 1).sum())
        self._starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self._sizes = sizes
        stratum = np.repeat(np.arange(len(sizes)), sizes)
        self._values = np.arange(sizes.sum()) - self._starts[stratum] + lowest[stratum]
        x, a, b, n = self._values, first[stratum], second[stratum], studies[stratum]
        self._logs = -sum(gammaln(cell + 1.0) for cell in (x, a - x, b - x, n - a - b + x))

    def estimate(self, observed: int) -> float:
        """The log-odds at which T is expected to be as observed, moved in by half a study from the ends."""
        wanted = min(max(observed, self.least + 0.5), self.most - 0.5)
        return float(brentq(lambda theta: float(self._density(theta) @ self._values) - wanted, -_FARTHEST, _FARTHEST))

    def count(self, theta: float) -> _Count:
        """The law of T at a log-odds: the laws of the strata, convolved."""
        parts = sorted(np.split(self._density(theta), self._starts[1:]), key=len)
        kept = [np.flatnonzero(part > _NEGLIGIBLE) for part in parts]
        offset = self.least + sum(int(where[0]) for where in kept)
        density = reduce(np.convolve, (p[w[0] : w[-1] + 1] for p, w in zip(parts, kept, strict=True)))
        there = np.flatnonzero(density > 0)
        return _Count(offset + there.astype(float), np.log(density[there]))

    def _density(self, theta: float) -> Floats:
        tilted = self._logs + theta * self._values
        tilted -= np.repeat(np.maximum.reduceat(tilted, self._starts), self._sizes)
        weights = np.exp(tilted)
        return np.asarray(weights / np.repeat(np.add.reduceat(weights, self._starts), self._sizes))
