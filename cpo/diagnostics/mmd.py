"""Maximum mean discrepancy: do two sets of embeddings come from one distribution? With a permutation test.

Shapes: `m` and `n` vectors of `D` numbers; `P` permutations.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cpo.errors import ConfigError, ShapeError

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MMDTest:
    """What a test found.

    Args:
        mmd2: Squared discrepancy, unbiased: around 0, or below, for one distribution.
        p_value: How probable so large a value is for one distribution, in (0, 1].
        bandwidth: Of the kernel.
    """

    mmd2: float
    p_value: float
    bandwidth: float


def mmd_test(first: ArrayLike, second: ArrayLike, *, permutations: int, seed: int) -> MMDTest:
    """Two-sample test by the squared maximum mean discrepancy, with a Gaussian kernel of median bandwidth.

    MMD² = mean k(x, x') + mean k(y, y') − 2 mean k(x, y), x ≠ x' and y ≠ y', with k(x, y) = exp(−|x − y|² / (2 h²)) and
    h the median distance between any two vectors of both sets. p = (1 + #{permuted ≥ observed}) / (1 + P), in which
    vectors change sets at random, so that the test keeps its level whatever the distribution.

    Args:
        first: `[m, D]`, m ≥ 2.
        second: `[n, D]`, n ≥ 2.
        permutations: P ≥ 1; the smallest p-value that can be had is 1 / (1 + P).
        seed: Of the permutations.

    Raises:
        ShapeError: Not two sets of vectors of one length, or fewer than two in one.
        ConfigError: `permutations` below 1.

    Source:
        Gretton et al. 2012 (JMLR 13), lemma 6 and section 8; the p-value counts the observed split as one of the
        permutations (Phipson & Smyth 2010).

    Example:
        Of six distances two are 0 and four are 1, so that h = 1: MMD² = k(0) + k(0) − 2 k(1) = 2 − 2 e^−½.

        >>> found = mmd_test([[0.0], [0.0]], [[1.0], [1.0]], permutations=9, seed=0)
        >>> round(found.mmd2, 4), found.bandwidth
        (0.7869, 1.0)
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ShapeError(
            got=f"sets of shapes {x.shape} and {y.shape}",
            wanted="[m, D] and [n, D], with two vectors or more in each",
            remedy="pass one embedding per row",
        )
    if permutations < 1:
        raise ConfigError(got=f"permutations={permutations}", wanted="1 or more", remedy="pass 199")
    kernel, bandwidth = _kernel(np.concatenate([x, y]))
    member = np.zeros((1 + permutations, len(kernel)))
    member[0, : len(x)] = 1.0
    member[1:] = np.random.default_rng(seed).permuted(np.repeat(member[:1], permutations, axis=0), axis=1)
    values = _mmd2(kernel, member)
    # equal splits give values that differ by rounding only
    p_value = float(np.mean(values >= values[0] - 1e-12))
    return MMDTest(float(values[0]), p_value, bandwidth)


class MMDDetector:
    """Watches embeddings: an alarm where the latest differ from those at the start, by `mmd_test`.

    The first `window` vectors are the reference. The `window` after it are tested against it, and from then on the
    latest `window` every `stride` vectors. After an alarm the next `window` vectors are the new reference. Each test
    has a false alarm probability of `alpha`, and there is one per `stride` vectors.

    Args:
        window: Vectors that are compared with as many, ≥ 2.
        stride: Vectors between two tests, ≥ 1; below `window`, tests share vectors.
        alpha: Level of each test, in [1 / (1 + permutations), 1).
        permutations: Of each test, ≥ 1.
        seed: Of the permutations.

    Raises:
        ConfigError: A knob out of its range.

    Example:
        >>> from cpo.diagnostics.detectors import alarms_of
        >>> detector = MMDDetector(window=20, stride=10, alpha=0.01, permutations=199, seed=0)
        >>> stream = np.random.default_rng(0).normal(size=(100, 3)) + 4 * (np.arange(100) >= 50)[:, None]
        >>> alarms_of(detector, stream)
        (59,)
    """

    def __init__(self, *, window: int, stride: int, alpha: float, permutations: int, seed: int) -> None:
        if window < 2 or stride < 1 or permutations < 1 or seed < 0 or not 1 / (1 + permutations) <= alpha < 1:
            raise ConfigError(
                got=f"window={window}, stride={stride}, alpha={alpha}, permutations={permutations}, seed={seed}",
                wanted="window ≥ 2, stride ≥ 1, and alpha in [1 / (1 + permutations), 1), or no test could ever reject",
                remedy="pass window=50 stride=25 alpha=0.01 permutations=199",
            )
        self.window, self.stride, self.alpha = window, stride, alpha
        self.permutations, self.seed = permutations, seed
        self.last: MMDTest | None = None
        self._reference: list[Array] = []
        self._latest: deque[Array] = deque(maxlen=window)
        self._since, self._tests = 0, 0

    def update(self, value: ArrayLike) -> bool:
        """Takes the next embedding `[D]`; whether it raises an alarm. `last` has the numbers of the latest test."""
        vector = np.asarray(value, dtype=np.float64)
        if len(self._reference) < self.window:
            self._reference.append(vector)
            return False
        self._latest.append(vector)
        self._since += 1
        if self._since < self.window or (self._since - self.window) % self.stride:
            return False
        self._tests += 1
        seed = self.seed + self._tests
        reference, latest = np.stack(self._reference), np.stack(self._latest)
        self.last = mmd_test(reference, latest, permutations=self.permutations, seed=seed)
        if self.last.p_value > self.alpha:
            return False
        self._reference, self._since = [], 0
        self._latest.clear()
        return True


def _kernel(vectors: Array) -> tuple[Array, float]:
    """Gaussian kernel of all pairs, 0 on the diagonal, and its bandwidth."""
    squares = (vectors**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2 * vectors @ vectors.T, 0.0)
    pairs = np.sqrt(distances[np.triu_indices(len(vectors), k=1)])
    bandwidth = float(np.median(pairs)) or float(pairs.max()) or 1.0  # most of the vectors may be equal, or all
    kernel: Array = np.exp(-distances / (2 * bandwidth**2))
    np.fill_diagonal(kernel, 0.0)
    return kernel, bandwidth


def _mmd2(kernel: Array, member: Array) -> Array:
    """Unbiased MMD² for each assignment to the first set, `[1 + P, m + n]` of 0 and 1."""
    m = member[0].sum()
    n = len(kernel) - m
    inside = ((member @ kernel) * member).sum(axis=1)
    across = member @ kernel.sum(axis=1) - inside
    outside = kernel.sum() - inside - 2 * across
    values: Array = inside / (m * (m - 1)) + outside / (n * (n - 1)) - 2 * across / (m * n)
    return values
