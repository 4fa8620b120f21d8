from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from cpo.drift.quotas import fits, largest_remainder, longest, quotas, select

WEIGHTS = st.lists(st.integers(0, 20), min_size=2, max_size=5).filter(any)
POOLS = st.lists(st.integers(0, 3), min_size=1, max_size=60)


def shares_of(weights: list[int]) -> np.ndarray:
    return np.array(weights) / sum(weights)


@given(WEIGHTS, st.integers(0, 500))
def test_quotas_sum_to_the_total_and_are_each_within_one_of_their_share(weights: list[int], total: int) -> None:
    found = largest_remainder(shares_of(weights), total)
    assert found.sum() == total
    assert (np.abs(found - shares_of(weights) * total) < 1).all()
    assert (found[np.array(weights) == 0] == 0).all()


@given(POOLS, st.integers(0, 30), st.integers(0, 30), st.integers(0, 9))
def test_a_selection_uses_no_sample_twice_and_fills_its_quotas(
    pool: list[int], first: int, second: int, seed: int
) -> None:
    cells, concept_at = np.array(pool), np.repeat([0, 1], [first, second])
    shares = np.array([[0.4, 0.3, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25]])
    assume(fits(concept_at, shares, np.bincount(cells, minlength=4)))
    indices = select(concept_at, cells, shares, seed)
    assert len(set(indices.tolist())) == len(concept_at)
    np.testing.assert_array_equal(indices, select(concept_at, cells, shares, seed))
    for concept, wanted in enumerate(quotas(concept_at, shares)):
        found = np.bincount(cells[indices[concept_at == concept]], minlength=4)
        np.testing.assert_array_equal(found, wanted)


def test_the_longest_stream_is_set_by_the_scarcest_cell() -> None:
    # 5 samples for a share of 10 %: at 55 it is 5.5 and the other cell, 49.5, is first to be rounded up; at 56, 5.6 is
    available = np.array([1000, 5])
    found = longest(lambda n: np.zeros(n, dtype=np.int64), np.array([[0.9, 0.1]]), available)
    assert found == 55


def test_cells_are_spread_over_a_concept_and_not_in_blocks() -> None:
    cells = np.repeat([0, 1], 500)
    indices = select(np.zeros(1000, dtype=np.int64), cells, np.array([[0.5, 0.5]]), seed=0)
    assert 0.4 < cells[indices[:500]].mean() < 0.6
    assert (np.diff(indices[cells[indices] == 0]) < 0).any()  # and the pool's own order is gone


def test_another_seed_selects_other_samples() -> None:
    cells, concept_at = np.zeros(50, dtype=np.int64), np.zeros(25, dtype=np.int64)
    shares = np.array([[1.0]])
    assert set(select(concept_at, cells, shares, 0).tolist()) != set(select(concept_at, cells, shares, 1).tolist())
