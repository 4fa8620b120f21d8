"""Released counterfactuals are taken in their order, word for word, unless they cannot be trained on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cpo.counterfactual.released import ReleasedCounterfactual
from cpo.errors import ConfigError
from cpo.preference.k_negatives import KNegatives
from cpo.preference.one_negative import OneNegative
from cpo.records import Concept, DriftTruth, ImageRef, LabelState, Released, Sample, Stream, Trajectory

TEXT = Trajectory("The left lung is clear.", "The disease of this patient is Edema.")
OTHER = Trajectory("The right lung is clear.", "The disease of this patient is Edema.")


def released_method(targets: int, doubtful: Any = "keep") -> ReleasedCounterfactual:
    return ReleasedCounterfactual(targets=targets, doubtful=doubtful)


@pytest.fixture
def with_released(make_sample: Any) -> Any:
    def make(*released: Released, id: str = "s1") -> Sample:
        return replace(make_sample("There is a cortical break of a left rib.", id=id), counterfactuals=released)

    return make


def test_they_are_kept_in_order_up_to_the_number_asked_for(with_released: Any) -> None:
    sample = with_released(Released("Edema", TEXT), Released("Pneumonia", OTHER), Released("", TEXT))
    made = released_method(2).make([sample], seed=0)
    assert [(c.target, c.trajectory, c.method, c.images) for c in made.all] == [
        ("Edema", TEXT, "released", None),
        ("Pneumonia", OTHER, "released", None),
    ]
    assert (made.rejected, made.short) == ({}, 0)


def test_a_sample_without_any_is_counted(make_sample: Any, with_released: Any) -> None:
    samples = [make_sample("The left pleura is calcified.", id="a"), with_released(Released("", TEXT), id="b")]
    made = released_method(1).make(samples, seed=0)
    assert made.rejected == {"nothing released with the sample": 1}
    assert (made.by_sample["a"], made.short) == ((), 1)


@pytest.mark.parametrize(
    ("released", "reason"),
    [
        (Released("Fracture", TEXT), "target is already true of the sample"),
        (Released("", Trajectory("x", " ")), "format broken"),
        (Released("", Trajectory("x </think>", "y")), "format broken"),
        (Released("", Trajectory("", "<|im_end|>")), "format broken"),
    ],
)
def test_what_cannot_be_trained_on_is_rejected_and_counted(with_released: Any, released: Released, reason: str) -> None:
    made = released_method(2).make([with_released(released, Released("Edema", TEXT))], seed=0)
    assert made.rejected == {reason: 1}
    assert [c.target for c in made.all] == ["Edema"]


def test_the_factual_trajectory_counts_only_with_another_image(with_released: Any) -> None:
    sample = with_released()
    other = (ImageRef("/elsewhere/other.png"),)
    released = [Released("", sample.factual, images) for images in (None, sample.images, other)]
    made = released_method(2).make([replace(sample, counterfactuals=tuple(released))], seed=0)
    assert made.rejected == {"equal to the chosen trajectory": 2}
    assert [c.images for c in made.all] == [other]


def test_text_without_thinking_is_no_fault(with_released: Any) -> None:
    made = released_method(1).make([with_released(Released("", Trajectory("", "Else.")))], seed=0)
    assert made.all[0].trajectory == Trajectory("", "Else.")


def test_pairs_carry_the_texts_and_the_images_of_both_sides(with_released: Any) -> None:
    shown = (ImageRef("/elsewhere/other.png"),)
    sample = with_released(Released("Edema", TEXT), Released("", OTHER, shown))
    stream = Stream((sample,), DriftTruth((Concept("all", 0),), (0,)))
    made = released_method(2).make([sample], seed=0)
    pairs = OneNegative().make(stream, made).pairs
    assert [(p.source, p.rejected[0].images) for p in pairs] == [("thinking", None), ("perception", shown)]
    both = replace(sample, counterfactuals=(Released("Edema", TEXT), Released("", OTHER)))
    made = released_method(2).make([both], seed=0)
    (pair,) = KNegatives(k=2).make(replace(stream, samples=(both,)), made).pairs
    assert [r.trajectory for r in pair.rejected] == [TEXT, OTHER]


def test_a_target_in_doubt_is_kept_as_released_unless_it_shall_not(with_released: Any) -> None:
    sample = with_released(Released("Edema", TEXT))
    for state in (LabelState.PRESENT, LabelState.UNCERTAIN):
        doubtful = replace(sample, labels={**sample.labels, "Edema": state})
        assert len(released_method(1).make([doubtful], seed=0).all) == 1
        rejected = released_method(1, "reject").make([doubtful], seed=0).rejected
        assert rejected == {"target is already true of the sample": 1}


def test_knobs_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        released_method(0)
    with pytest.raises(ConfigError, match="keep, reject"):
        released_method(1, "drop")
