"""Shifts that select samples, by hand."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpo.drift.co_occurrence import CoOccurrence
from cpo.drift.domain import Domain
from cpo.drift.long_tail import LongTail
from cpo.drift.prevalence import Prevalence
from cpo.drift.raking import rake
from cpo.drift.schedule import Stationary, Sudden
from cpo.drift.shift import Shift
from cpo.drift.stream import concept_samples, make_stream
from cpo.drift.ties import tied_shares
from cpo.errors import ConfigError, DataError
from cpo.records import Provenance, Sample, Trajectory

RATES = st.floats(0.01, 0.99)


def make_pool(*kinds: tuple[int, Sequence[str]], dataset: str = "test") -> list[Sample]:
    results = [names for count, names in kinds for _ in range(count)]
    return [
        Sample(
            id=f"{dataset}{i}",
            group=f"g{i}",
            split="train",
            images=(),
            prompt="?",
            factual=Trajectory("text", ", ".join(names)),
            labels={},
            results=tuple(names),
            metadata={},
            provenance=Provenance(dataset, "table.csv", str(i), "open"),
        )
        for i, names in enumerate(results)
    ]


def share(samples: Sequence[Sample], *names: str) -> float:
    return float(np.mean([set(names) <= set(s.results) for s in samples]))


def concept(pool: Sequence[Sample], shift: Shift, index: int) -> tuple[Sample, ...]:
    return concept_samples(pool, {"shift": shift}, index, seed=0).samples


@given(RATES, RATES, st.floats(-1, 1))
def test_a_tie_keeps_both_rates_and_is_a_distribution(first: float, second: float, tie: float) -> None:
    neither, second_alone, first_alone, both = tied_shares(first, second, tie)
    assert min(neither, second_alone, first_alone, both) >= -1e-12
    assert neither + second_alone + first_alone + both == pytest.approx(1)
    assert first_alone + both == pytest.approx(first)
    assert second_alone + both == pytest.approx(second)
    assert (both - first * second) * tie >= -1e-12


def test_prevalence_moves_a_rate_and_nothing_within() -> None:
    # a fifth has Edema, and half of all have Pneumonia, whether or not they have Edema
    pool = make_pool((200, ["None"]), (200, ["Pneumonia"]), (50, ["Edema"]), (50, ["Edema", "Pneumonia"]))
    shift = Prevalence(result="Edema", rate=0.5, concepts=["natural", "changed"])
    natural, changed = concept(pool, shift, 0), concept(pool, shift, 1)
    assert share(natural, "Edema") == pytest.approx(0.2)
    assert share(changed, "Edema") == pytest.approx(0.5, abs=0.01)
    assert share(changed, "Pneumonia") == pytest.approx(0.5, abs=0.05)
    assert len(natural) == 500, "the whole pool is natural"
    assert len(changed) == 201, "100 with Edema, and as many without; the last is rounded"


def test_results_go_together_and_apart_without_changing_their_rates() -> None:
    pool = make_pool((250, ["None"]), (250, ["B"]), (250, ["A"]), (250, ["A", "B"]))
    shift = CoOccurrence(first="A", second="B", strength=0.8, concepts=["together", "apart"])
    # .25 ± .8 · .25
    assert share(concept(pool, shift, 0), "A", "B") == pytest.approx(0.45, abs=0.01)
    assert share(concept(pool, shift, 1), "A", "B") == pytest.approx(0.05, abs=0.01)
    for index in (0, 1):
        assert share(concept(pool, shift, index), "A") == pytest.approx(0.5, abs=0.01)
        assert share(concept(pool, shift, index), "B") == pytest.approx(0.5, abs=0.01)


def test_a_pair_that_never_occurs_cannot_start_to() -> None:
    pool = make_pool((10, ["None"]), (10, ["A"]), (10, ["B"]))
    shift = CoOccurrence(first="A", second="B", strength=0.5, concepts=["together", "independent"])
    with pytest.raises(DataError, match="no sample with A and B among 30"):
        make_stream(pool, Stationary(), {"co_occurrence": shift}, seed=0)


def test_a_long_tail_falls_off_exponentially_in_the_pool_s_order() -> None:
    pool = make_pool((400, ["often"]), (300, ["rare", "often"]), (350, ["some"]))
    tailed = concept(pool, LongTail(imbalance=9.0, concepts=["natural", "tailed"]), 1)
    # by rarest result: often 400, some 350, rare 300, so 9 : 3 : 1
    kinds = [s.results[0] for s in tailed]
    assert kinds.count("often") == 400, "all there are"
    assert kinds.count("some") == pytest.approx(400 / 3, abs=1)
    assert kinds.count("rare") == pytest.approx(400 / 9, abs=1)
    balanced = concept(pool, LongTail(imbalance=1.0, concepts=["balanced", "natural"]), 0)
    assert len(balanced) in (900, 901, 902)
    assert share(balanced, "rare") == pytest.approx(1 / 3, abs=0.01)


def test_a_domain_shift_goes_from_one_dataset_into_the_other() -> None:
    pool = make_pool((30, ["A"]), dataset="ours") + make_pool((50, ["A"]), dataset="theirs")
    shift = Domain(second="theirs", concepts=["first", "second"])
    stream = make_stream(pool, Sudden(position=0.5), {"domain": shift}, seed=0)
    assert [s.provenance.dataset for s in stream.samples] == ["ours"] * 30 + ["theirs"] * 30
    with pytest.raises(DataError, match="samples of ours alone"):
        make_stream(pool[:30], Sudden(position=0.5), {"domain": shift}, seed=0)


@pytest.mark.parametrize(
    ("shift", "message"),
    [
        (Prevalence(result="Gout", rate=0.5, concepts=["natural", "changed"]), "none of 6 samples has result 'Gout'"),
        (Prevalence(result="A", rate=0.5, concepts=["natural", "changed"]), "every one of 6 samples has result 'A'"),
        (LongTail(imbalance=2.0, concepts=["natural", "tailed"]), "6 samples with A as their rarest result"),
    ],
)
def test_what_the_pool_lacks_is_named(shift: Shift, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_stream(make_pool((6, ["A"])), Stationary(), {"shift": shift}, seed=0)


def test_a_sample_without_results_has_no_place_in_a_long_tail() -> None:
    pool = [*make_pool((3, ["A"]), (3, ["B"])), dataclasses.replace(make_pool((1, ["A"]))[0], id="x", results=())]
    with pytest.raises(DataError, match="1 of 7 samples without a result"):
        make_stream(pool, Stationary(), {"shift": LongTail(imbalance=2.0, concepts=["natural", "tailed"])}, seed=0)


@pytest.mark.parametrize(
    ("make", "knobs"),
    [
        (Prevalence, {"result": "A", "rate": 1.1, "concepts": ["natural", "changed"]}),
        (Prevalence, {"result": "A", "rate": 0.1, "concepts": ["natural", "other"]}),
        (CoOccurrence, {"first": "A", "second": "A", "strength": 0.5, "concepts": ["together", "apart"]}),
        (CoOccurrence, {"first": "A", "second": "B", "strength": -0.5, "concepts": ["together", "apart"]}),
        (LongTail, {"imbalance": 0.5, "concepts": ["natural", "tailed"]}),
        (Domain, {"second": "B", "concepts": ["first", "third"]}),
    ],
)
def test_knobs_out_of_their_range_are_refused(make: Any, knobs: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"shift\."):
        make(**knobs)


def test_rates_of_nothing_are_nan() -> None:
    pair = CoOccurrence(first="A", second="B", strength=0.5, concepts=["together", "apart"])
    assert math.isnan(pair.measure(make_pool((2, ["A"])))["second_given_no_first"])
    assert pair.measure(make_pool((2, ["A"])))["second_given_first"] == 0


@given(st.lists(st.floats(0.05, 1), min_size=6, max_size=6), RATES, st.tuples(RATES, RATES, RATES))
def test_raking_reaches_both_margins_and_keeps_what_is_between(
    weights: list[float], first: float, second: tuple[float, float, float]
) -> None:
    table = np.array(weights).reshape(2, 3)
    margins = [np.array([first, 1 - first]), np.array(second) / sum(second)]
    joint = rake(table, margins)
    assert joint is not None
    np.testing.assert_allclose(joint.sum(axis=1), margins[0], atol=1e-8)
    np.testing.assert_allclose(joint.sum(axis=0), margins[1], atol=1e-8)
    odds, found = (t[0, 0] * t[1, 1] / (t[0, 1] * t[1, 0]) for t in (table, joint))
    assert found == pytest.approx(odds, rel=1e-6), "odds ratios are the pool's"
