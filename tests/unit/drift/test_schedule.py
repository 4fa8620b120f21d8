from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpo.drift.schedule import Gradual, Incremental, Recurring, Schedule, Stationary, Sudden
from cpo.errors import ConfigError

LENGTHS = st.integers(1, 300)
FRACTIONS = st.floats(0, 1)
SEEDS = st.integers(0, 2**32)
TWO_CONCEPT_SCHEDULES = st.one_of(
    st.just(Stationary()),
    st.builds(Sudden, position=FRACTIONS),
    st.builds(Gradual, position=FRACTIONS, width=FRACTIONS),
    st.builds(Incremental, position=FRACTIONS, width=FRACTIONS, steps=st.integers(1, 9)),
    st.builds(
        lambda start, period, returns, part: Recurring(
            position=start,
            period=period * (1 - start) / max(returns - 0.5, 1),
            returns=returns,
            width=part * period / 9,
        ),
        FRACTIONS.map(lambda x: x / 2),
        st.floats(0.1, 1),
        st.integers(1, 4),
        st.floats(0, 0.1),
    ),
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


@given(LENGTHS, FRACTIONS, SEEDS, st.floats(0, 1), st.integers(1, 9))
def test_stairs_no_wider_than_one_sample_are_a_sudden_drift_exactly(
    n: int, position: float, seed: int, part: float, steps: int
) -> None:
    sudden, stairs = Sudden(position=position), Incremental(position=position, width=part / n, steps=steps)
    np.testing.assert_array_equal(stairs.plan(n, 2, seed), sudden.plan(n, 2, seed))
    assert stairs.changes(n, 2) == sudden.changes(n, 2)


@given(LENGTHS, FRACTIONS, FRACTIONS, st.integers(1, 9))
def test_stairs_rise_at_the_ramp_s_ends_and_stay_within_one_rise_of_it(
    n: int, position: float, width: float, steps: int
) -> None:
    stairs, gradual = Incremental(position=position, width=width, steps=steps), Gradual(position=position, width=width)
    new, ramp = stairs.probabilities(n, 2)[:, 1], gradual.probabilities(n, 2)[:, 1]
    assert (np.diff(new) >= 0).all()
    assert np.abs(new - ramp).max() <= 1 / (steps + 1) + 1e-12
    assert stairs.changes(n, 2) == gradual.changes(n, 2)
    assert set(np.round(new * (steps + 1), 9)) <= set(range(steps + 2))


def test_stairs_are_of_equal_length_and_height() -> None:
    # c = 500, w = 600, four stairs of 150 samples from 200 on, at 1/5, 2/5, 3/5, 4/5
    new = Incremental(position=0.5, width=0.6, steps=4).probabilities(1000, 2)[:, 1]
    levels, counts = np.unique(new.round(9), return_counts=True)
    assert levels.tolist() == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert counts.tolist() == [200, 150, 150, 150, 150, 200]


@given(LENGTHS, FRACTIONS, FRACTIONS, SEEDS)
def test_a_drift_that_never_returns_is_gradual_exactly(n: int, position: float, width: float, seed: int) -> None:
    gradual, once = (
        Gradual(position=position, width=width),
        Recurring(position=position, period=1, returns=0, width=width),
    )
    np.testing.assert_array_equal(once.plan(n, 2, seed), gradual.plan(n, 2, seed))
    assert once.changes(n, 2) == gradual.changes(n, 2)


def test_concepts_recur_with_the_period() -> None:
    # drifts at .2, .4, .6, .8 of 50 samples
    recurring = Recurring(position=0.2, period=0.4, returns=2, width=0.0)
    plan = recurring.plan(50, 2, seed=0)
    assert plan.tolist() == [0] * 10 + [1] * 10 + [0] * 10 + [1] * 10 + [0] * 10
    assert recurring.changes(50, 2) == ((10, 10), (20, 20), (30, 30), (40, 40))


def test_ramps_of_a_recurring_drift_lie_around_its_changes_and_may_touch() -> None:
    recurring = Recurring(position=0.25, period=0.5, returns=1, width=0.25)
    assert recurring.changes(80, 2) == ((10, 30), (30, 50))
    new = recurring.probabilities(80, 2)[:, 1]
    assert (new[:10] == 0).all()
    assert (np.diff(new[:30]) >= 0).all()
    assert (np.diff(new[30:]) <= 0).all()
    assert new.max() == pytest.approx(1 - 0.5 / 20)  # the middle of the last sample of a ramp of 20
    assert (new[50:] == 0).all()


def test_a_change_cut_off_by_the_end_of_the_stream_ends_there() -> None:
    assert Gradual(position=1.0, width=0.5).changes(100, 2) == ((75, 100),)
    assert Gradual(position=0.0, width=0.5).changes(100, 2) == ((0, 25),)
    assert Recurring(position=0.5, period=1.0, returns=1, width=0.5).changes(100, 2) == ((25, 75), (75, 100))


@pytest.mark.parametrize(
    "knobs",
    [
        {"position": 0.5, "period": 0.4, "returns": 2, "width": 0.0},  # the last return would be at 1.1
        {"position": 0.2, "period": 0.4, "returns": 2, "width": 0.3},  # ramps would overlap
        {"position": 0.2, "period": 0.0, "returns": 1, "width": 0.0},
        {"position": 0.2, "period": 0.4, "returns": -1, "width": 0.0},
    ],
)
def test_returns_that_the_stream_has_no_room_for_are_refused(knobs: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"drift\."):
        Recurring(**knobs)


def test_stairs_need_a_step() -> None:
    with pytest.raises(ConfigError, match="steps=0"):
        Incremental(position=0.5, width=0.5, steps=0)
