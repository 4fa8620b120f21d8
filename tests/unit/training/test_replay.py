from __future__ import annotations

import pytest

from cpo.errors import ConfigError
from cpo.training.datamodule import BatchPlan
from cpo.training.replay import Replay


def plan_of(n: int, start: int = 0, accumulate: int = 1) -> BatchPlan:
    replay = Replay(per_batch=2, capacity=4).plan(n, batch_size=3, seed=0, single_pass=True)
    batches = -(-n // 3)
    return BatchPlan(
        n, batch_size=3, batches=batches, shuffle=False, seed=0, start=start, replay=replay, accumulate=accumulate
    )


def test_each_batch_holds_its_new_items_and_some_earlier_ones() -> None:
    plan = plan_of(9)
    assert plan.batch(0) == [0, 1, 2]
    for number in (1, 2):
        new, again = plan.batch(number)[:3], plan.batch(number)[3:]
        assert new == [3 * number, 3 * number + 1, 3 * number + 2]
        assert len(again) == 2
        assert max(again) < new[0]


def test_a_resumed_plan_goes_on_as_it_would_have_gone_on() -> None:
    assert list(plan_of(12, start=2)) == list(plan_of(12))[2:]


def test_a_step_of_unequal_batches_weighs_items_alike() -> None:
    """The first batch of a step has no replayed items: 3 and 5 items, each 1/8 of the mean over the step."""
    first, second = list(plan_of(6, accumulate=2))
    weights = [factor / len(batch) / 2 for batch in (first, second) for _, factor in batch]
    assert weights == pytest.approx([1 / 8] * 8)


def test_replay_is_refused_where_the_data_come_again_anyway() -> None:
    assert Replay(per_batch=0, capacity=0).plan(9, batch_size=3, seed=0, single_pass=False) is None
    with pytest.raises(ConfigError, match="single ordered pass"):
        Replay(per_batch=1, capacity=0).plan(9, batch_size=3, seed=0, single_pass=False)
    with pytest.raises(ConfigError, match="capacity"):
        Replay(per_batch=4, capacity=2)
