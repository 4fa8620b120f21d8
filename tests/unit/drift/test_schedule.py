from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpo.drift.schedule import Gradual, Schedule, Stationary, Sudden
from cpo.errors import ConfigError

LENGTHS = st.integers(1, 300)
FRACTIONS = st.floats(0, 1)
SEEDS = st.integers(0, 2**32)
TWO_CONCEPT_SCHEDULES = st.one_of(
    st.just(Stationary()),
    st.builds(Sudden, position=FRACTIONS),
    st.builds(Gradual, position=FRACTIONS, width=FRACTIONS),
)


@given(TWO_CONCEPT_SCHEDULES, LENGTHS, SEEDS)
def test_probabilities_are_distributions_and_a_plan_visits_only_what_they_allow(
    schedule: Schedule, n: int, seed: int
) -> None:
    probabilities = schedule.probabilities(n, 2)
    plan = schedule.plan(n, 2, seed)
    assert probabilities.shape == (n, 2)
    assert plan.shape == (n,)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (probabilities[np.arange(n), plan] > 0).all()


@given(TWO_CONCEPT_SCHEDULES, LENGTHS, SEEDS)
def test_a_plan_is_decided_by_its_seed(schedule: Schedule, n: int, seed: int) -> None:
    np.testing.assert_array_equal(schedule.plan(n, 2, seed), schedule.plan(n, 2, seed))


@given(LENGTHS, FRACTIONS, SEEDS, st.floats(0, 1))
def test_a_gradual_drift_no_wider_than_one_sample_is_a_sudden_one_exactly(
    n: int, position: float, seed: int, part: float
) -> None:
    sudden, gradual = Sudden(position=position), Gradual(position=position, width=part / n)
    np.testing.assert_array_equal(gradual.probabilities(n, 2), sudden.probabilities(n, 2))
    np.testing.assert_array_equal(gradual.plan(n, 2, seed), sudden.plan(n, 2, seed))
    assert gradual.changes(n, 2) == sudden.changes(n, 2)


@given(LENGTHS, FRACTIONS, FRACTIONS)
def test_a_ramp_never_falls_and_is_zero_before_its_change_and_one_after(n: int, position: float, width: float) -> None:
    gradual = Gradual(position=position, width=width)
    new = gradual.probabilities(n, 2)[:, 1]
    ((start, end),) = gradual.changes(n, 2)
    assert (np.diff(new) >= 0).all()
    assert (new[:start] == 0).all()
    assert (new[start:] > 0).all()
    assert (new[:end] < 1).all()
    assert (new[end:] == 1).all()


@given(FRACTIONS, FRACTIONS, st.integers(20, 300))
def test_a_ramp_spans_its_fraction_of_the_stream_around_its_position(position: float, width: float, n: int) -> None:
    ((start, end),) = Gradual(position=position, width=width).changes(n, 2)
    assert abs(start - max(0, position - width / 2) * n) <= 1.5
    assert abs(end - min(1, position + width / 2) * n) <= 1.5


@given(st.integers(1, 100), FRACTIONS)
def test_a_sudden_drift_stands_at_the_same_fraction_of_every_length(n: int, position: float) -> None:
    ((start, end),) = Sudden(position=position).changes(n, 2)
    assert start == end
    assert abs(start - position * n) <= 0.5


def test_the_new_concept_arrives_in_proportion_to_the_ramp() -> None:
    # over the ramp P(new) averages 1/2; 4000 draws have a standard error of at most 0.008
    plan = Gradual(position=0.5, width=0.4).plan(10_000, 2, seed=1)
    assert plan[:3000].sum() == 0
    assert abs(plan[3000:7000].mean() - 0.5) < 0.03
    assert abs(plan[3000:5000].mean() - 0.25) < 0.04
    assert plan[7000:].all()


def test_other_seeds_give_other_plans_inside_a_ramp() -> None:
    gradual = Gradual(position=0.5, width=1.0)
    assert (gradual.plan(200, 2, seed=0) != gradual.plan(200, 2, seed=1)).any()


@pytest.mark.parametrize("n_concepts", [1, 3])
def test_a_drift_needs_two_concepts(n_concepts: int) -> None:
    with pytest.raises(ConfigError, match="shift=spurious"):
        Sudden(position=0.5).plan(10, n_concepts, seed=0)
    assert Stationary().plan(10, n_concepts, seed=0).tolist() == [0] * 10


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_positions_and_widths_outside_the_stream_are_refused(fraction: float) -> None:
    with pytest.raises(ConfigError, match=r"drift\.position"):
        Sudden(position=fraction)
    with pytest.raises(ConfigError, match=r"drift\.width"):
        Gradual(position=0.5, width=fraction)
