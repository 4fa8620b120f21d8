"""The exact log-odds over strata, against other implementations and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact
from scipy.stats.contingency import odds_ratio

from cpo.graph.statistics import log_odds, q_values

CELLS = st.tuples(*[st.integers(0, 12)] * 4)


def table(both: int, first_only: int, second_only: int, neither: int) -> list[int]:
    return [both, both + first_only, both + second_only, both + first_only + second_only + neither]


def strata(*cells: tuple[int, int, int, int]) -> np.ndarray:
    return np.array([table(*each) for each in cells])


@given(CELLS)
def test_one_stratum_is_fishers_exact_test_with_its_conditional_interval(cells: tuple[int, int, int, int]) -> None:
    both, first, second, neither = cells
    found = log_odds(strata(cells))
    square = [[both, first], [second, neither]]
    if found.informative == 0:
        assert math.isnan(found.estimate)
        return
    sides = [fisher_exact(square, alternative=side).pvalue for side in ("less", "greater")]
    assert found.p_value == pytest.approx(min(1, 2 * min(sides)), rel=1e-6)
    peer = odds_ratio(square, kind="conditional")
    low, high = peer.confidence_interval(0.95)
    assert math.exp(found.low) == pytest.approx(low, rel=1e-4)
    assert math.exp(found.high) == pytest.approx(high, rel=1e-4)
    if math.isfinite(found.low) and math.isfinite(found.high):
        assert math.exp(found.estimate) == pytest.approx(peer.statistic, rel=1e-4)
    else:
        assert math.isfinite(found.estimate)


@given(CELLS, CELLS)
def test_the_order_of_strata_and_of_the_two_findings_does_not_matter(
    one: tuple[int, int, int, int], other: tuple[int, int, int, int]
) -> None:
    turned = [(a, c, b, d) for a, b, c, d in (other, one)]
    found, again = log_odds(strata(one, other)), log_odds(strata(*turned))

    assert found.p_value == pytest.approx(again.p_value, rel=1e-6)
    assert found.estimate == pytest.approx(again.estimate, abs=1e-6, nan_ok=True)


def test_what_both_inherit_from_a_third_is_no_relation_once_that_is_held_fixed() -> None:
    # a cause shown by half of the studies makes each finding nine times as frequent, independently
    with_cause, without = (81, 9, 9, 1), (1, 9, 9, 81)
    pooled = tuple(a + b for a, b in zip(with_cause, without, strict=True))

    assert log_odds(strata(pooled)).p_value < 1e-10  # type: ignore[arg-type]
    held = log_odds(strata(with_cause, without))
    assert held.estimate == pytest.approx(0, abs=1e-6)
    assert held.p_value == 1


def test_strata_in_which_one_finding_does_not_vary_say_nothing() -> None:
    telling, silent = (5, 3, 2, 9), (40, 60, 0, 0)

    assert log_odds(strata(telling, silent)).p_value == log_odds(strata(telling)).p_value
    assert log_odds(strata(telling, silent)).both == 45
    assert log_odds(strata(silent)).informative == 0


def test_never_together_has_a_finite_estimate_and_no_lower_bound() -> None:
    found = log_odds(strata((0, 200, 60, 740)))

    assert found.low == -math.inf
    assert -6 < found.estimate < found.high < -1
    assert found.expected_both == pytest.approx(12)


def test_large_tables_stay_exact_where_plain_probabilities_underflow() -> None:
    found = log_odds(strata((20_000, 1_000, 2_000, 137_000)))

    assert found.p_value < 1e-300
    assert found.estimate == pytest.approx(math.log(20_000 * 137_000 / (1_000 * 2_000)), abs=0.01)
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(1 / 20_000 + 1 / 1_000 + 1 / 2_000), rel=0.05)


def test_q_values_are_benjamini_and_hochbergs_and_none_of_none() -> None:
    assert q_values([0.005, 0.04, 0.03, 0.5]) == pytest.approx([0.02, 0.04 * 4 / 3, 0.04 * 4 / 3, 0.5])
    assert q_values([]) == []
