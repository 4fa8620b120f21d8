from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpo.drift.replay import replay_counts, replay_plan
from cpo.errors import ConfigError


@given(st.integers(0, 60), st.integers(1, 9), st.integers(0, 5), st.integers(0, 9), st.integers(0, 99))
def test_every_position_is_new_once_and_replayed_only_after_that(
    n: int, batch_size: int, replayed: int, more: int, seed: int
) -> None:
    capacity = replayed + more
    plan = replay_plan(n, batch_size=batch_size, replayed=replayed, capacity=capacity, seed=seed)
    assert plan == replay_plan(n, batch_size=batch_size, replayed=replayed, capacity=capacity, seed=seed)
    assert [p for batch in plan for p in batch.new] == list(range(n))
    for batch in plan:
        assert len(set(batch.replayed)) == len(batch.replayed) == min(replayed, batch.new[0])
        assert all(position < batch.new[0] for position in batch.replayed)
    assert replay_counts(plan, n).sum() == sum(len(batch.replayed) for batch in plan)


def test_without_replay_the_plan_is_the_stream_in_batches() -> None:
    plan = replay_plan(5, batch_size=2, replayed=0, capacity=0, seed=0)
    assert [batch.positions for batch in plan] == [(0, 1), (2, 3), (4,)]


def test_a_buffer_of_one_holds_each_earlier_position_equally_often() -> None:
    # after 10 positions each of them is held with probability 1/10: 2000 draws have a standard error of .007
    last = [replay_plan(11, batch_size=1, replayed=1, capacity=1, seed=seed)[-1].replayed[0] for seed in range(2000)]
    assert np.bincount(last, minlength=10) / 2000 == pytest.approx(0.1, abs=0.03)


def test_early_samples_are_not_forgotten_by_a_small_buffer() -> None:
    counts = replay_counts(replay_plan(2000, batch_size=8, replayed=8, capacity=50, seed=0), 2000)
    assert counts[:500].sum() > counts[1000:1500].sum(), "they have been in reach for longer"
    assert counts[1500:].sum() > 0


@pytest.mark.parametrize("wrong", [{"n": -1}, {"batch_size": 0}, {"replayed": -1}, {"capacity": 1}, {"capacity": -1}])
def test_impossible_buffers_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="capacity"):
        replay_plan(**({"n": 9, "batch_size": 2, "replayed": 2, "capacity": 4, "seed": 0} | wrong))
