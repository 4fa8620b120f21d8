"""A fixed share of conflict in every stretch of a stream, whatever there was before."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpo.errors import ConfigError, DataError
from cpo.preference.balance import ConflictBalance, mixed
from cpo.preference.k_negatives import KNegatives
from cpo.preference.one_negative import OneNegative
from cpo.records import Concept, Counterfactual, DriftTruth, PreferencePair, Provenance, Sample, Stream, Trajectory

TIE: dict[str, Any] = {"cause": "view=AP", "effect": "Edema", "share": 0.5, "graph": "chest"}


def sample(name: str, view: str, *results: str, thinking: str = "Clear.") -> Sample:
    text = Trajectory(thinking, f"It is {', '.join(results)}.")
    source = Provenance("hand", "none", name, "open")
    return Sample(name, name, "train", (), "Which?", text, {}, results, {"view": view}, source)


def rejected(of: Sample) -> Counterfactual:
    return Counterfactual(of.id, "hand", "Fracture", Trajectory("Else.", "It is Fracture."))


def stream_of(samples: list[Sample]) -> tuple[Stream, Any]:
    stream = Stream(tuple(samples), DriftTruth((Concept(0, "all"),), (0,) * len(samples)))
    made = type("Made", (), {"by_sample": {s.id: (rejected(s),) for s in samples}})
    return stream, made


TIED = [
    sample("a", "AP", "Edema"),
    sample("b", "PA", "No Finding"),
    sample("c", "AP", "No Finding"),  # the cause without the effect
    sample("d", "AP", "Edema"),
    sample("e", "PA", "Edema"),  # the effect without the cause
    sample("f", "PA", "Pneumonia"),
    sample("g", "PA", "No Finding"),
    sample("h", "AP", "Edema", "Pneumonia"),
]


def test_half_of_every_two_pairs_contradicts_the_tie() -> None:
    balanced = OneNegative(balance="conflict", cause="view=AP", effect="Edema").for_training(*stream_of(TIED))
    assert [pair.sample.id for pair in balanced.pairs] == ["a", "c", "b", "e", "f", "c", "g", "e"]
    assert balanced.balance == {"conflict": 2, "ordinary": 6, "conflict used": 4, "repeated": 2, "left out": 2}
    assert [pair.time for pair in balanced.pairs] == [0, 2, 1, 4, 5, 2, 6, 4]


def test_without_balance_and_in_judging_pairs_stay_as_they_are() -> None:
    plain = OneNegative().for_training(*stream_of(TIED))
    assert plain == OneNegative().make(*stream_of(TIED))
    assert plain.balance == {}
    balancing = OneNegative(balance="conflict", cause="view=AP", effect="Edema")
    assert balancing.make(*stream_of(TIED)).pairs == plain.pairs
    assert balancing.for_training(*stream_of(TIED)).fingerprint != plain.fingerprint


def test_k_negatives_are_balanced_alike() -> None:
    balanced = KNegatives(k=1, balance="conflict", cause="view=AP", effect="Edema").for_training(*stream_of(TIED))
    assert [pair.sample.id for pair in balanced.pairs][:4] == ["a", "c", "b", "e"]


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(["0.1", "0.25", "0.3", "0.5", "0.9"]),
    st.integers(1, 20),
)
def test_any_stretch_holds_its_share_and_each_kind_comes_round_evenly(
    ordinary: int, conflict: int, share: str, length: int
) -> None:
    order = mixed(range(ordinary), range(ordinary, ordinary + conflict), Fraction(share))
    assert len(order) == ordinary + conflict
    for start in range(len(order) - length + 1):
        found = sum(n >= ordinary for n in order[start : start + length])
        assert abs(found - Fraction(share) * length) < 1
    for kind in (range(ordinary), range(ordinary, ordinary + conflict)):
        times = [order.count(n) for n in kind]
        assert max(times) - min(times) <= 1


def test_a_cause_is_metadata_a_result_or_an_attribute_of_the_report() -> None:
    heart = sample("x", "PA", "Edema", thinking="The heart is mildly enlarged.")
    small = sample("y", "PA", "Edema", thinking="The heart is not enlarged.")
    by_word = ConflictBalance(**{**TIE, "cause": "enlarged heart"})
    assert [by_word.contradicts(s) for s in (heart, small)] == [False, True]
    by_result = ConflictBalance(**{**TIE, "cause": "Pneumonia"})
    assert [by_result.contradicts(s) for s in (TIED[7], TIED[5], TIED[0], TIED[1])] == [False, True, True, False]


def test_mistakes_are_refused() -> None:
    for wrong in ({"share": 0.0}, {"share": 1.0}, {"cause": ""}, {"effect": "view=AP"}):
        with pytest.raises(ConfigError, match=r"pairing\."):
            ConflictBalance(**{**TIE, **wrong})
    with pytest.raises(ConfigError, match=r"pairing\.balance=half"):
        OneNegative(balance="half")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="0 of 2 pairs"):
        ConflictBalance(**TIE)([PreferencePair(s, s.factual, (rejected(s),), 0) for s in TIED[:2]])
