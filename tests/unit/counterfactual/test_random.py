"""The baseline's rejected trajectories are other patients', and none of them is true of the sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpo.counterfactual.random import RandomTrajectory, shuffled
from cpo.errors import ConfigError, DataError
from cpo.records import LabelState, Sample, Trajectory

Pool = Callable[[int, int], Sequence[Sample]]


def test_trajectories_are_whole_distinct_and_of_other_groups_with_another_result(make_pool: Pool) -> None:
    pool = make_pool(60, 0)
    made = RandomTrajectory(negatives=3).make(pool, seed=0)
    assert (made.rejected, made.short, len(made.all)) == ({}, 0, 180)
    owners = {s.factual: s for s in pool}
    for sample in pool:
        found = made.by_sample[sample.id]
        assert len({c.trajectory for c in found}) == 3
        for c in found:
            other = owners[c.trajectory]
            assert other.group != sample.group
            assert c.target in other.results
            assert c.target not in sample.results
            assert sample.labels[c.target] is not LabelState.UNCERTAIN


def test_a_sample_that_no_other_differs_from_is_short(make_sample: Any) -> None:
    pool = [make_sample("There is a cortical break of a left rib.", id=f"s{i}") for i in range(5)]
    pool.append(make_sample("The left pleura is calcified.", id="other"))
    made = RandomTrajectory(negatives=2).make(pool, seed=0)
    assert made.short == 5
    assert [len(found) for found in made.by_sample.values()] == [1] * 5 + [2]


def test_the_same_group_never_lends_its_report(make_sample: Any) -> None:
    texts = ("There is a cortical break of a left rib.", "The left pleura is calcified.")
    pool = [make_sample(text, id=text, group="one patient") for text in texts]
    assert RandomTrajectory(negatives=1).make(pool, seed=0).all == ()


def test_a_report_with_marks_of_the_chat_template_is_rejected_and_counted(make_sample: Any) -> None:
    sound, odd = make_sample("There is a cortical break of a left rib.", id="a"), make_sample("Clear lungs.", id="b")
    odd = replace(odd, factual=Trajectory("Clear lungs. </think>", odd.factual.answer))
    made = RandomTrajectory(negatives=1).make([sound, odd], seed=0)
    assert made.rejected == {"format broken": 1}
    assert made.by_sample["a"] == ()


def test_draws_depend_on_the_seed_alone(make_pool: Pool) -> None:
    pool = make_pool(40, 1)
    first, again, other = (RandomTrajectory(negatives=1).make(pool, seed=s) for s in (1, 1, 2))
    assert first.by_sample == again.by_sample
    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_two_samples_with_one_id_are_refused_without_naming_it(make_sample: Any) -> None:
    pool = [make_sample("The left pleura is calcified.", id="p10000032")] * 2
    with pytest.raises(DataError, match="1 of 2 samples repeat") as error:
        RandomTrajectory(negatives=1).make(pool, seed=0)
    assert "p10000032" not in str(error.value)


def test_less_than_one_negative_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        RandomTrajectory(negatives=0)


@given(st.integers(0, 30), st.integers(0, 10**6))
def test_shuffled_numbers_are_a_permutation(n: int, seed: int) -> None:
    assert sorted(shuffled(n, np.random.default_rng(seed))) == list(range(n))


def test_every_number_is_first_about_equally_often() -> None:
    first = [next(shuffled(4, np.random.default_rng(seed))) for seed in range(2000)]
    assert max(abs(first.count(i) - 500) for i in range(4)) < 80
    second = [list(islice(shuffled(4, np.random.default_rng(seed)), 2))[1] for seed in range(2000)]
    assert max(abs(second.count(i) - 500) for i in range(4)) < 80
