from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpo.answers import ListedAnswer
from cpo.drift.prevalence import Prevalence
from cpo.drift.schedule import Gradual, Incremental, Recurring, Schedule, Stationary, Sudden
from cpo.drift.shift import Transformation
from cpo.drift.spurious import Spurious
from cpo.drift.stream import concept_samples, concepts_of, make_stream
from cpo.errors import ConfigError, DataError
from cpo.records import Access, DriftTruth, Provenance, Sample, Trajectory

SCHEDULES = st.one_of(
    st.just(Stationary()),
    st.builds(Sudden, position=st.floats(0, 1)),
    st.builds(Gradual, position=st.floats(0, 1), width=st.floats(0, 1)),
    st.builds(Incremental, position=st.floats(0, 1), width=st.floats(0, 1), steps=st.integers(1, 9)),
    st.just(Recurring(position=0.1, period=0.3, returns=3, width=0.1)),
)


def make_sample(number: int, result: bool, view: str, access: Access = "open") -> Sample:
    results = ("Cardiomegaly",) if result else ("No Finding",)
    return Sample(
        id=f"s{number}",
        group=f"p{number}",
        split="train",
        images=(),
        prompt="?",
        factual=Trajectory(f"report {number}", f"The disease of this patient is {results[0]}."),
        labels={},
        results=results,
        metadata={"view": view, "site": "north"},
        provenance=Provenance("test", "table.csv", str(number), access),
    )


def make_pool(neither: int, value: int, result: int, both: int) -> list[Sample]:
    kinds = [(False, "PA")] * neither + [(False, "AP")] * value + [(True, "PA")] * result + [(True, "AP")] * both
    return [make_sample(i, has_result, view) for i, (has_result, view) in enumerate(kinds)]


def make_tie(**changes: Any) -> Spurious:
    knobs = {"attribute": "view", "value": "AP", "result": "Cardiomegaly", "strength": 0.8}
    return Spurious(**(knobs | changes))


def rate(samples: Sequence[Sample], *, result: bool) -> float:
    views = [s.metadata["view"] == "AP" for s in samples if ("Cardiomegaly" in s.results) == result]
    return sum(views) / len(views)


class Mark(Transformation):
    """Writes its concept and a random digit into the report."""

    def __init__(self, *concepts: str) -> None:
        super().__init__(concepts)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {}

    def measure(self, samples: Sequence[Sample]) -> Mapping[str, float]:
        return {"marked": sum("mark" in s.factual.thinking for s in samples) / len(samples)}

    def apply(self, sample: Sample, concept: str, rng: np.random.Generator) -> Sample:
        thinking = f"{concept} mark {rng.integers(10**6)}"
        return dataclasses.replace(sample, factual=Trajectory(thinking, sample.factual.answer))


def test_a_stationary_stream_without_shifts_is_the_dataset_itself() -> None:
    pool = make_pool(3, 2, 2, 3)
    stream = make_stream(pool, Stationary(), {}, seed=5)
    assert stream.samples == tuple(pool)
    assert stream.truth.concept_at == (0,) * 10
    assert [c.name for c in stream.truth.concepts] == ["all"]
    assert (stream.truth.changes, stream.truth.left_out) == ((), 0)
    assert concept_samples(pool, {}, 0, seed=5).samples == tuple(pool)


@settings(deadline=None)
@given(
    st.tuples(*[st.integers(1, 40)] * 4),
    SCHEDULES,
    st.floats(0, 1),
    st.integers(0, 99),
    st.permutations(["tied", "untied", "reversed"]),
    st.sampled_from(["both", "result"]),
)
def test_a_tied_stream_is_a_selection_without_repetition_that_its_truth_describes(
    counts: tuple[int, int, int, int], schedule: Schedule, strength: float, seed: int, order: list[str], keep: str
) -> None:
    pool = make_pool(*counts)
    shifts = {"spurious": make_tie(strength=strength, concepts=order[:2], keep=keep)}
    stream = make_stream(pool, schedule, shifts, seed)
    truth, n = stream.truth, len(stream.samples)
    assert n >= 1
    assert len({s.id for s in stream.samples}) == n
    assert {s.id for s in stream.samples} <= {s.id for s in pool}
    assert truth.left_out + n == len(pool)
    assert truth.concept_at == tuple(schedule.plan(n, 2, seed).tolist())
    assert truth.changes == schedule.changes(n, 2)
    assert make_stream(pool, schedule, shifts, seed).fingerprint == stream.fingerprint
    p = (counts[1] + counts[3]) / len(pool)
    r = (counts[2] + counts[3]) / len(pool)
    if keep == "result":
        tied = (p * (1 - strength), p + strength * (1 - p))
        value_rates = {"tied": tied, "untied": (p, p), "reversed": tied[::-1]}
    else:
        most, least = min(p, r), max(0.0, p + r - 1)
        both = {
            "tied": p * r + strength * (most - p * r),
            "untied": p * r,
            "reversed": p * r + strength * (least - p * r),
        }
        value_rates = {concept: ((p - share) / (1 - r), share / r) for concept, share in both.items()}
    for concept, members in by_concept(truth, stream.samples).items():
        without, given_result = value_rates[concept]
        cells = [(False, "PA"), (False, "AP"), (True, "PA"), (True, "AP")]
        shares = [(1 - r) * (1 - without), (1 - r) * without, r * (1 - given_result), r * given_result]
        for (has_result, view), share in zip(cells, shares, strict=True):
            found = sum(("Cardiomegaly" in s.results) == has_result and s.metadata["view"] == view for s in members)
            assert abs(found - share * len(members)) < 1 + 1e-9


def test_a_tie_keeps_both_rates() -> None:
    # p = 1/2, r = 1/5, s = 0.8: both .1 + .8 · (.2 − .1) = .18, so P(value | result) = .9, P(value | none) = .32 / .8
    stream = make_stream(make_pool(400, 400, 100, 100), Sudden(position=0.5), {"spurious": make_tie()}, seed=0)
    (record,) = stream.truth.shifts
    tied, untied = record["rates"]["tied"], record["rates"]["untied"]
    assert tied["value_given_result"] == pytest.approx(0.9, abs=0.02)
    assert tied["value_given_no_result"] == pytest.approx(0.4, abs=0.02)
    for concept in (tied, untied):
        assert concept["value"] == pytest.approx(0.5, abs=0.01)
        assert concept["result"] == pytest.approx(0.2, abs=0.01)


def test_rates_of_a_large_pool_are_those_of_the_formula_and_are_recorded() -> None:
    # p = 1/2, r = 1/5, s = 0.8: P(value | result) = .5 + .8 · .5 = .9 and P(value | no result) = .5 · .2 = .1
    pool = make_pool(400, 400, 100, 100)
    stream = make_stream(pool, Sudden(position=0.5), {"spurious": make_tie(keep="result")}, seed=0)
    parts = by_concept(stream.truth, stream.samples)
    assert rate(parts["tied"], result=True) == pytest.approx(0.9, abs=0.02)
    assert rate(parts["tied"], result=False) == pytest.approx(0.1, abs=0.02)
    assert rate(parts["untied"], result=True) == pytest.approx(0.5, abs=0.02)
    assert rate(parts["untied"], result=False) == pytest.approx(0.5, abs=0.02)
    (record,) = stream.truth.shifts
    assert (record["name"], record["strength"], record["concepts"]) == ("spurious", 0.8, ["tied", "untied"])
    for concept, part in parts.items():
        assert record["rates"][concept]["samples"] == len(part)
        assert record["rates"][concept]["value_given_result"] == rate(part, result=True)
        assert record["rates"][concept]["value_given_no_result"] == rate(part, result=False)
        assert record["rates"][concept]["result"] == pytest.approx(0.2, abs=0.01)
    json.dumps(record, allow_nan=False)
    # the scarcest cell: neither, .8 · (.9 + .5) / 2 = .56 of the stream and .4 of the pool
    assert len(stream.samples) == pytest.approx(1000 * 0.4 / 0.56, abs=3)


def test_at_full_strength_the_value_says_the_result_if_its_own_rate_may_move() -> None:
    stream = concept_samples(make_pool(40, 40, 10, 10), {"spurious": make_tie(strength=1, keep="result")}, 0, seed=0)
    assert all(("Cardiomegaly" in s.results) == (s.metadata["view"] == "AP") for s in stream.samples)


def test_a_stationary_stream_shows_the_first_concept_only() -> None:
    pool = make_pool(40, 40, 10, 10)
    stream = make_stream(pool, Stationary(), {"spurious": make_tie(concepts=("untied", "tied"))}, seed=0)
    assert [c.name for c in stream.truth.concepts] == ["untied"]
    assert set(stream.truth.concept_at) == {0}


def test_the_stream_of_one_concept_carries_its_index_among_all() -> None:
    stream = concept_samples(make_pool(40, 40, 10, 10), {"spurious": make_tie()}, 1, seed=0)
    assert set(stream.truth.concept_at) == {1}
    assert list(by_concept(stream.truth, stream.samples)) == ["tied", "untied"]
    assert rate(stream.samples, result=True) == pytest.approx(0.5, abs=0.1)
    with pytest.raises(ConfigError, match=r"1 \(untied\)"):
        concept_samples(make_pool(4, 4, 4, 4), {"spurious": make_tie()}, 2, seed=0)


def test_a_length_is_kept_or_refused_with_what_is_possible() -> None:
    pool, shifts = make_pool(40, 40, 10, 10), {"spurious": make_tie()}
    full = make_stream(pool, Sudden(position=0.5), shifts, seed=0)
    shorter = make_stream(pool, Sudden(position=0.5), shifts, seed=0, length=30)
    assert (len(shorter.samples), shorter.truth.left_out) == (30, 70)
    assert shorter.truth.changes == ((15, 15),)
    with pytest.raises(DataError, match=f"at most {len(full.samples)},"):
        make_stream(pool, Sudden(position=0.5), shifts, seed=0, length=100)
    with pytest.raises(DataError, match="at most 100,"):
        make_stream(pool, Stationary(), {}, seed=0, length=101)
    with pytest.raises(ConfigError, match="stream of 0"):
        make_stream(pool, Stationary(), {}, seed=0, length=0)


def test_a_transformation_changes_each_sample_by_its_concept_and_keeps_the_order() -> None:
    pool = make_pool(3, 3, 3, 3)
    stream = make_stream(pool, Sudden(position=0.5), {"mark": Mark("old", "new")}, seed=0)
    assert [s.id for s in stream.samples] == [s.id for s in pool]
    assert [s.factual.thinking.split()[0] for s in stream.samples] == ["old"] * 6 + ["new"] * 6
    assert len({s.factual.thinking for s in stream.samples}) == 12
    assert stream.fingerprint == make_stream(pool, Sudden(position=0.5), {"mark": Mark("old", "new")}, 0).fingerprint
    assert stream.truth.shifts[0]["rates"]["new"] == {"samples": 6, "marked": 1.0}


def test_a_selection_and_a_transformation_stack_and_move_together() -> None:
    shifts = {"spurious": make_tie(), "mark": Mark("old", "new")}
    stream = make_stream(make_pool(40, 40, 10, 10), Sudden(position=0.5), shifts, seed=0)
    parts = by_concept(stream.truth, stream.samples)
    assert list(parts) == ["tied+old", "untied+new"]
    assert all(s.factual.thinking.startswith("new mark") for s in parts["untied+new"])
    assert rate(parts["tied+old"], result=True) > 0.8
    alone = make_stream(make_pool(40, 40, 10, 10), Sudden(position=0.5), {"spurious": make_tie()}, seed=0)
    assert [s.id for s in stream.samples] == [s.id for s in alone.samples]


def test_shifts_that_cannot_be_stacked_say_so() -> None:
    with pytest.raises(ConfigError, match="different numbers of concepts"):
        concepts_of({"spurious": make_tie(), "mark": Mark("a", "b", "c")})
    rarer = Prevalence(result="Cardiomegaly", rate=0.1, concepts=["changed", "natural"])
    with pytest.raises(DataError, match=r"rates of shift=\[spurious,prevalence\]"):
        make_stream(make_pool(9, 9, 9, 9), Stationary(), {"spurious": make_tie(), "prevalence": rarer}, seed=0)


def test_two_shifts_that_select_each_reach_their_own_rates() -> None:
    """A tie of view and disease, and a site that doubles: the pool has both views and both results at both sites."""
    pool = [
        dataclasses.replace(s, id=f"{site}{s.id}", results=(*s.results, site), metadata=s.metadata)
        for site, share in (("north", 300), ("south", 100))
        for s in make_pool(share, share, share, share)
    ]
    shifts = {
        "spurious": make_tie(),
        "prevalence": Prevalence(result="south", rate=0.5, concepts=["natural", "changed"]),
    }
    stream = make_stream(pool, Sudden(position=0.5), shifts, seed=0)
    assert len({s.id for s in stream.samples}) == len(stream.samples) > 300
    tie, sites = (record["rates"] for record in stream.truth.shifts)
    assert list(tie) == ["tied+natural", "untied+changed"]
    # p = r = 1/2, s = .8: both .25 + .8 · .25 = .45
    assert tie["tied+natural"]["value_given_result"] == pytest.approx(0.9, abs=0.02)
    assert tie["untied+changed"]["value_given_result"] == pytest.approx(0.5, abs=0.02)
    assert sites["tied+natural"]["result"] == pytest.approx(0.25, abs=0.01)
    assert sites["untied+changed"]["result"] == pytest.approx(0.5, abs=0.01)


def test_a_shift_that_changes_results_has_the_answer_told_anew() -> None:
    class Heal(Mark):
        def apply(self, sample: Sample, concept: str, rng: np.random.Generator) -> Sample:
            return dataclasses.replace(sample, results=("No Finding",))

    pool = make_pool(2, 0, 2, 0)
    stream = make_stream(pool, Stationary(), {"heal": Heal("healed")}, seed=0)
    assert {s.factual.answer for s in stream.samples} == {"The disease of this patient is No Finding."}
    answers = ListedAnswer("The disease of this patient is {}.", ["Cardiomegaly", "No Finding"])
    assert concept_samples(pool, {"heal": Heal("healed")}, 0, seed=0, answers=answers).samples == stream.samples
    free = [dataclasses.replace(s, factual=Trajectory("text", f"It is {s.results[0]}, I think.")) for s in pool]
    told = make_stream(free, Stationary(), {"heal": Heal("healed")}, seed=0).samples
    assert told[-1].factual.answer == "It is No Finding, I think."
    with pytest.raises(DataError, match="in other words"):
        make_stream(free, Stationary(), {"heal": Heal("healed")}, seed=0, answers=answers)
    silent = [dataclasses.replace(s, factual=Trajectory("text", "It is large.")) for s in pool]
    with pytest.raises(DataError, match="in other words"):
        make_stream(silent, Stationary(), {"heal": Heal("healed")}, seed=0)


def test_a_drift_without_a_shift_is_refused() -> None:
    with pytest.raises(ConfigError, match="drift=stationary"):
        make_stream(make_pool(4, 4, 4, 4), Sudden(position=0.5), {}, seed=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strength": 1.5}, "strength=1.5"),
        ({"strength": -0.1}, "strength=-0.1"),
        ({"concepts": ("tied", "loose")}, "loose"),
        ({"concepts": ()}, "one or more"),
        ({"concepts": ("tied", "tied")}, "one or more"),
        ({"keep": "value"}, "keep=value"),
    ],
)
def test_a_tie_out_of_range_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_tie(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attribute": "device"}, "20 of 20 samples have no metadata 'device'"),
        ({"result": "Edema"}, "none of 20 samples has result 'Edema'"),
        ({"value": "ap"}, "none of 20 samples has view 'ap'"),
        ({"attribute": "site", "value": "north"}, "every one of 20 samples has site 'north'"),
    ],
)
def test_a_tie_to_what_the_dataset_does_not_have_names_what_it_has(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        make_stream(make_pool(5, 5, 5, 5), Stationary(), {"spurious": make_tie(**changes)}, seed=0)
    known = {"device": "site, view", "Edema": "Cardiomegaly, No Finding", "ap": "AP, PA", "north": "north"}
    assert known[next(word for word in known if word in changes.values())] in caught.value.wanted


def test_a_cell_that_the_pool_lacks_is_named() -> None:
    with pytest.raises(DataError, match="no sample with Cardiomegaly and view AP among 15"):
        make_stream(make_pool(5, 5, 5, 0), Stationary(), {"spurious": make_tie()}, seed=0)


def test_metadata_of_credentialed_samples_stays_out_of_errors() -> None:
    pool = [make_sample(i, i % 2 == 0, "SECRET VIEW", access="credentialed") for i in range(8)]
    with pytest.raises(DataError) as caught:
        make_stream(pool, Stationary(), {"spurious": make_tie()}, seed=0)
    assert "SECRET" not in str(caught.value)


def test_an_undefined_rate_is_nan() -> None:
    rates = make_tie().measure(make_pool(0, 0, 0, 2))
    assert rates["value_given_result"] == 1.0
    assert math.isnan(rates["value_given_no_result"])


def test_no_samples_make_no_stream() -> None:
    with pytest.raises(DataError, match="no samples"):
        make_stream([], Stationary(), {}, seed=0)


def by_concept(truth: DriftTruth, samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Samples of a stream by the name of their concept."""
    groups: dict[str, list[Sample]] = {concept.name: [] for concept in truth.concepts}
    for index, sample in zip(truth.concept_at, samples, strict=True):
        groups[truth.concepts[index].name].append(sample)
    return groups
