"""The batches of a whole training, known before it starts."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpo.training.datamodule import BatchPlan

SIZES = st.integers(1, 40)


@given(n=SIZES, batch_size=SIZES, seed=st.integers(0, 5))
def test_a_shuffled_pass_shows_every_item_once(n: int, batch_size: int, seed: int) -> None:
    plan = BatchPlan(n, batch_size=batch_size, batches=n, shuffle=True, seed=seed)
    shown = [index for index, _ in chain.from_iterable(plan)]
    assert len(shown) == n * batch_size
    for start in range(0, n * batch_size, n):
        assert sorted(shown[start : start + n]) == list(range(n))


@given(n=SIZES, batch_size=SIZES)
def test_a_single_ordered_pass_is_the_stream_itself(n: int, batch_size: int) -> None:
    plan = BatchPlan(n, batch_size=batch_size, batches=-(-n // batch_size), shuffle=False, seed=0)
    assert list(chain.from_iterable(plan)) == [(index, 1.0) for index in range(n)]


@given(n=SIZES, batch_size=SIZES, shuffle=st.booleans(), start=st.integers(0, 9))
def test_a_resumed_plan_goes_on_where_it_was_left(n: int, batch_size: int, shuffle: bool, start: int) -> None:
    whole = BatchPlan(n, batch_size=batch_size, batches=10, shuffle=shuffle, seed=3)
    rest = BatchPlan(n, batch_size=batch_size, batches=10, shuffle=shuffle, seed=3, start=start)
    assert list(rest) == list(whole)[start:]


def test_passes_differ_in_order_and_seeds_do() -> None:
    def orders(seed: int) -> list[list[tuple[int, float]]]:
        return list(BatchPlan(30, batch_size=30, batches=2, shuffle=True, seed=seed))

    first, second = orders(0)
    assert first != second
    assert orders(1)[0] != first


@given(n=SIZES, batch_size=SIZES, ranks=st.integers(1, 4))
def test_processes_share_each_batch_and_its_mean(n: int, batch_size: int, ranks: int) -> None:
    """Mean over processes of (Σ factor · value / items) is the batch's own mean, whatever does not divide."""
    batches = -(-n // batch_size)
    whole = BatchPlan(n, batch_size=batch_size, batches=batches, shuffle=False, seed=0)
    parts = [
        BatchPlan(n, batch_size=batch_size, batches=batches, shuffle=False, seed=0, rank=rank, ranks=ranks)
        for rank in range(ranks)
    ]
    for number in range(batches):
        shares = [part.share(number) for part in parts]
        assert len({len(share) for share in shares}) == 1
        means = [sum(index * factor for index, factor in share) / len(share) for share in shares]
        batch = whole.batch(number)
        assert sum(means) / ranks == pytest.approx(sum(batch) / len(batch))
