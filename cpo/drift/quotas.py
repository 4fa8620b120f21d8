"""Quotas: exact numbers of samples per concept and cell, and their places in the stream.

Shapes: `n` positions, `C` concepts, `Q` cells, `N` samples in the pool.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cpo.drift.schedule import FloatArray, IntArray
from cpo.drift.seeds import generator


def largest_remainder(shares: FloatArray, total: int) -> IntArray:
    """Whole numbers in proportion to `shares` that sum to `total`: each is its exact value rounded down or up.

    Args:
        shares: Proportions `[Q]`, ≥ 0, summing to 1.
        total: ≥ 0.

    Source:
        Hamilton's method of apportionment; of equal remainders the first is rounded up.

    Example:
        >>> largest_remainder(np.array([0.5, 0.3, 0.2]), 4).tolist()  # 2, 1.2, 0.8
        [2, 1, 1]
    """
    exact = shares * total
    quotas = np.floor(exact).astype(np.int64)
    rounded_up = np.argsort(quotas - exact, kind="stable")[: total - int(quotas.sum())]
    quotas[rounded_up] += 1
    return quotas


def quotas(concept_at: IntArray, shares: FloatArray) -> IntArray:
    """Samples of each cell in each concept `[C, Q]`.

    Args:
        concept_at: Concept of each position `[n]`.
        shares: Share of each cell in each concept `[C, Q]`.
    """
    sizes = np.bincount(concept_at, minlength=len(shares))
    return np.stack([largest_remainder(share, int(size)) for share, size in zip(shares, sizes, strict=True)])


def fits(concept_at: IntArray, shares: FloatArray, available: IntArray) -> bool:
    """Whether a pool with `available [Q]` samples per cell can fill a plan without using one twice."""
    return bool((quotas(concept_at, shares).sum(axis=0) <= available).all())


def longest(plan: Callable[[int], IntArray], shares: FloatArray, available: IntArray) -> int:
    """The longest stream that a pool can fill, found by bisection; 0 if not even one sample fits.

    Rounding and the draws of a plan can make one length fit where a shorter one does not: the result fits, its
    successor does not, and a longer one that fits again would be longer by a few samples.

    Args:
        plan: Concept of each position for a stream of a given length.
        shares: Share of each cell in each concept `[C, Q]`.
        available: Samples of the pool in each cell `[Q]`.
    """
    low, high = 0, int(available.sum()) + 1  # low fits, high does not
    while high - low > 1:
        middle = (low + high) // 2
        if fits(plan(middle), shares, available):
            low = middle
        else:
            high = middle
    return low


def select(concept_at: IntArray, cells: IntArray, shares: FloatArray, seed: int) -> IntArray:
    """An index into the pool for each position `[n]`, none twice, filling the quotas of `fits` plans exactly.

    Inside a concept the cells stand in random order; inside a cell the pool's samples do.

    Args:
        concept_at: Concept of each position `[n]`.
        cells: Cell of each sample of the pool `[N]`.
        shares: Share of each cell in each concept `[C, Q]`.
        seed: Any integer ≥ 0.
    """
    places, pool = generator(seed, "places"), generator(seed, "pool")
    cell_at = np.empty(len(concept_at), dtype=np.int64)
    for concept, wanted in enumerate(quotas(concept_at, shares)):
        cell_at[concept_at == concept] = places.permutation(np.repeat(np.arange(len(wanted)), wanted))
    indices = np.empty(len(concept_at), dtype=np.int64)
    for cell in range(shares.shape[1]):
        positions = np.flatnonzero(cell_at == cell)
        indices[positions] = pool.permutation(np.flatnonzero(cells == cell))[: len(positions)]
    return indices
