"""Pairs keep the stream's order, time and concept, and count whatever is in none of them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpo.errors import ConfigError, DataError
from cpo.preference.k_negatives import KNegatives
from cpo.preference.one_negative import OneNegative
from cpo.records import Concept, Counterfactual, DriftTruth, ImageRef, Provenance, Sample, Stream, Trajectory


@dataclass(frozen=True)
class Made:
    """Stands for a counterfactual set."""

    by_sample: dict[str, tuple[Counterfactual, ...]]


def sample(name: str) -> Sample:
    return Sample(
        id=name,
        group=name,
        split="train",
        images=(ImageRef(f"{name}.jpg"),),
        prompt="Which disease?",
        factual=Trajectory(f"Findings of {name}.", "The disease of this patient is Edema."),
        labels={},
        results=("Edema",),
        metadata={},
        provenance=Provenance("hand", "none", name, "open"),
    )


def counterfactual(name: str, target: str, images: tuple[ImageRef, ...] | None = None) -> Counterfactual:
    answer = f"The disease of this patient is {target}."
    return Counterfactual(name, "hand", target, Trajectory(f"{target} in {name}.", answer), images=images)


def stream_of(counts: list[int]) -> tuple[Stream, Made]:
    """A stream whose i-th sample has counts[i] counterfactuals; the second half is concept 1."""
    samples = tuple(sample(f"s{i}") for i in range(len(counts)))
    concept_at = tuple(int(2 * i >= len(counts)) for i in range(len(counts)))
    truth = DriftTruth((Concept(0, "tied"), Concept(1, "untied")), concept_at)
    made = {s.id: tuple(counterfactual(s.id, f"T{j}") for j in range(n)) for s, n in zip(samples, counts, strict=True)}
    return Stream(samples, truth), Made(made)


def test_one_negative_makes_one_pair_per_counterfactual_in_stream_order() -> None:
    pairs = OneNegative().make(*stream_of([2, 0, 1, 2]))
    assert [(p.time, p.concept, p.rejected[0].target) for p in pairs.pairs] == [
        (0, 0, "T0"),
        (0, 0, "T1"),
        (2, 1, "T0"),
        (3, 1, "T0"),
        (3, 1, "T1"),
    ]
    assert all(len(p.rejected) == 1 and p.chosen is p.sample.factual for p in pairs.pairs)
    assert pairs.dropped == {"sample without a counterfactual": 1}


def test_k_negatives_takes_the_first_k_and_counts_short_samples_and_surplus() -> None:
    pairs = KNegatives(k=2).make(*stream_of([2, 0, 1, 3]))
    assert [(p.time, [c.target for c in p.rejected]) for p in pairs.pairs] == [(0, ["T0", "T1"]), (3, ["T0", "T1"])]
    assert pairs.dropped == {
        "counterfactual beyond the first K": 1,
        "sample with fewer than K counterfactuals": 1,
        "sample without a counterfactual": 1,
    }


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.integers(1, 4))
def test_every_counterfactual_is_in_a_pair_or_counted(counts: list[int], k: int) -> None:
    if max(counts) < k:
        with pytest.raises(DataError):
            KNegatives(k=k).make(*stream_of(counts))
        return
    pairs = KNegatives(k=k).make(*stream_of(counts))
    assert len(pairs.pairs) == sum(n >= k for n in counts)
    assert pairs.dropped.get("counterfactual beyond the first K", 0) == sum(max(n - k, 0) for n in counts if n >= k)
    assert pairs.dropped.get("sample with fewer than K counterfactuals", 0) == sum(0 < n < k for n in counts)
    assert pairs.dropped.get("sample without a counterfactual", 0) == counts.count(0)


def test_k_negatives_with_one_equals_one_negative_where_each_sample_has_one() -> None:
    stream, made = stream_of([1, 1, 1])
    assert KNegatives(k=1).make(stream, made) == OneNegative().make(stream, made)


def test_a_counterfactual_equal_to_the_chosen_trajectory_is_counted_and_left_out() -> None:
    stream, made = stream_of([1, 1])
    same = Counterfactual("s0", "hand", "Edema", stream.samples[0].factual)
    made.by_sample["s0"] += (same,)
    pairs = OneNegative().make(stream, made)
    assert len(pairs.pairs) == 2
    assert pairs.dropped == {"counterfactual equal to the chosen trajectory": 1}


def test_the_same_text_under_another_image_is_a_perception_pair() -> None:
    stream, made = stream_of([0])
    made.by_sample["s0"] = (Counterfactual("s0", "hand", "T", stream.samples[0].factual, images=(ImageRef("b.jpg"),)),)
    (pair,) = OneNegative().make(stream, made).pairs
    assert pair.source == "perception"


def test_thinking_and_perception_are_not_mixed_in_one_pair() -> None:
    stream, made = stream_of([1])
    made.by_sample["s0"] += (counterfactual("s0", "T", images=(ImageRef("b.jpg"),)),)
    with pytest.raises(DataError, match="one source per pair"):
        KNegatives(k=2).make(stream, made)


def test_counterfactuals_of_other_samples_are_refused() -> None:
    stream, made = stream_of([1, 1, 1])
    del made.by_sample["s1"]
    with pytest.raises(DataError, match="1 of 3 samples"):
        OneNegative().make(stream, made)


def test_a_stream_without_any_pair_is_refused_with_the_reasons() -> None:
    with pytest.raises(DataError, match="sample with fewer than K counterfactuals: 2"):
        KNegatives(k=2).make(*stream_of([1, 1]))


def test_k_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"pairing\.k=0"):
        KNegatives(k=0)


def test_the_fingerprint_follows_content_and_order() -> None:
    stream, made = stream_of([1, 1])
    first = OneNegative().make(stream, made)
    assert first.fingerprint == OneNegative().make(stream, made).fingerprint
    turned = Stream(stream.samples[::-1], stream.truth)
    assert first.fingerprint != OneNegative().make(turned, made).fingerprint
    made.by_sample["s1"] = (counterfactual("s1", "Pneumonia"),)
    assert first.fingerprint != OneNegative().make(stream, made).fingerprint
