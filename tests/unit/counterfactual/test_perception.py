"""Another image makes the text false, resembles the sample's own, and is hard where a policy is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpo.counterfactual.base import may_be_true
from cpo.counterfactual.concept_graph import ConceptGraphCounterfactual
from cpo.counterfactual.neighbours import WEIGHT, Neighbours
from cpo.counterfactual.perception import Perception, Unfit, other_result
from cpo.counterfactual.thinking_and_perception import ThinkingAndPerception
from cpo.errors import ConfigError
from cpo.records import ImageRef, LabelState, Sample, Trajectory

Pool = Callable[[int, int], Sequence[Sample]]
EFFUSION = "There is a moderate amount of fluid in the left pleural space."


@dataclass
class Table:
    """A scorer that looks log-probs up by image."""

    logps: dict[str, float]
    shown: list[tuple[str, Trajectory]] = field(default_factory=list)

    def score(self, samples: Sequence[Sample], completions: Sequence[Trajectory]) -> list[float]:
        self.shown += [(s.images[0].path, c) for s, c in zip(samples, completions, strict=True)]
        return [self.logps[sample.images[0].path] for sample in samples]


def method(**knobs: Any) -> Perception:
    defaults: dict[str, Any] = {
        "graph": "chest",
        "negatives": 1,
        "candidates": 2,
        "source": "nearest",
        "strength": 1.0,
        "crop_share": 0.25,
        "inverse_match": "none",
        "margin": 2.0,
    }
    return Perception(**defaults | knobs)


def few(make_sample: Any) -> list[Sample]:
    """A sample, one more like it with another result, one less like it, one of its own patient, one with its result."""
    return [
        make_sample(EFFUSION, id="own", group="p"),
        make_sample(
            "There is a small air space above the left pleural line. There are septal lines at both lung bases.",
            id="far",
        ),
        make_sample("The heart is mildly enlarged.", id="near"),
        make_sample("The heart is mildly enlarged.", id="same patient", group="p"),
        make_sample(EFFUSION, id="same result"),
    ]


def test_the_nearest_image_of_another_patient_with_another_result_is_taken_under_the_same_text(
    make_sample: Any,
) -> None:
    pool = few(make_sample)
    (made,) = method().make(pool, seed=0).by_sample["own"]
    assert made.trajectory == pool[0].factual
    assert made.images == pool[2].images
    assert made.target == "Cardiomegaly"


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_each_of_the_two_reports_is_false_of_the_other_image(make_pool: Pool, seed: int) -> None:
    pool = make_pool(30, seed)
    by_image = {sample.images: sample for sample in pool}
    for sample, found in zip(pool, method(negatives=2).make(pool, seed=seed).by_sample.values(), strict=True):
        for made in found:
            assert made.images is not None
            other = by_image[made.images]
            assert other.group != sample.group
            assert not may_be_true(sample, made.target)
            assert any(not may_be_true(other, result) for result in sample.results)


def test_a_report_that_says_less_is_not_false(make_sample: Any) -> None:
    one, both = make_sample(EFFUSION), make_sample(f"{EFFUSION} The heart is mildly enlarged.", id="s2")
    diagnoses = {"Cardiomegaly", "Pleural Effusion"}
    assert other_result(one, both, diagnoses) is None
    assert other_result(both, one, diagnoses) is None


def test_a_pacemaker_more_is_no_other_diagnosis(make_sample: Any) -> None:
    heart = make_sample("The heart is mildly enlarged.", id="s2", devices=True)
    diagnoses = {"Cardiomegaly", "Pleural Effusion"}
    assert other_result(make_sample(EFFUSION), heart, diagnoses) == "Cardiomegaly"
    assert other_result(make_sample(EFFUSION), heart, {"Cardiomegaly"}) is None
    assert other_result(make_sample(EFFUSION), make_sample(EFFUSION, devices=True), diagnoses) is None


def test_the_inverse_match_keeps_images_under_which_the_text_stays_likely(make_sample: Any) -> None:
    pool = few(make_sample)[:3]
    asked = method(inverse_match="scorer", negatives=2)
    assert asked.needs == "scorer"
    scorer = Table({"own.jpg": -10.0, "near.jpg": -12.1, "far.jpg": -12.0})
    asked.use(scorer, identity="sft")
    found = asked.make(pool, seed=0)
    assert [c.images for c in found.by_sample["own"]] == [pool[1].images]
    assert found.rejected[Unfit.EASY.value] == 1  # 2.1 nats below its own image
    assert {c for _, c in scorer.shown[:3]} == {pool[0].factual}


def test_the_inverse_match_without_a_policy_is_refused(make_sample: Any) -> None:
    with pytest.raises(ConfigError, match="without a policy"):
        method(inverse_match="scorer").make(few(make_sample), seed=0)


@pytest.mark.parametrize("source", ["noise", "crop"])
def test_spoilt_images_are_the_samples_own_and_repeat_with_the_seed(make_sample: Any, source: str) -> None:
    pool = [make_sample(EFFUSION)]
    (made,) = method(source=source).make(pool, seed=1).all
    assert made.images is not None
    assert made.images[0].path == pool[0].images[0].path
    assert [edit.name for edit in made.images[0].edits] == [source]
    assert made.target == ""
    assert method(source=source).make(pool, seed=1).all == (made,)
    assert method(source=source).make(pool, seed=2).all != (made,)


def test_a_crop_shows_its_share_of_the_area(make_sample: Any) -> None:
    (made,) = method(source="crop", crop_share=0.25).make([make_sample(EFFUSION)], seed=0).all
    assert made.images is not None
    numbers = dict(made.images[0].edits[0].params)
    assert numbers["side"] == 0.5
    assert 0 <= numbers["x"] <= 0.5


def test_a_sample_alone_has_no_other_image_and_one_without_images_none_to_replace(make_sample: Any) -> None:
    from dataclasses import replace

    alone = make_sample(EFFUSION)
    blind = replace(make_sample("The heart is mildly enlarged.", id="blind"), images=())
    found = method().make([alone, blind], seed=0)
    assert found.rejected == {Unfit.NO_OTHER.value: 1, Unfit.NO_IMAGE.value: 1}


def test_both_streams_come_one_after_the_other(make_pool: Pool) -> None:
    thinking = ConceptGraphCounterfactual(
        graph="chest", targets=2, choice="nearest", healthy_target=False, max_edit_ratio=1.0
    )
    both = ThinkingAndPerception(thinking=thinking, perception=method())
    pool = make_pool(20, 4)
    kinds = [[c.images is not None for c in found] for found in both.make(pool, seed=0).by_sample.values()]
    assert kinds.count([False, False, True]) > 10
    assert all(kind == sorted(kind) for kind in kinds)
    alone = thinking.make(pool, seed=0).by_sample
    assert all(
        tuple(c for c in found if c.images is None) == alone[name]
        for name, found in both.make(pool, seed=0).by_sample.items()
    )


def test_neighbours_are_ranked_as_by_the_distance_of_every_pair() -> None:
    rng = np.random.default_rng(0)
    names, states = [f"a{i}" for i in range(12)], list(LabelState)
    said = [{name: states[rng.integers(4)] for name in rng.choice(names, 5)} for _ in range(300)]
    found = Neighbours(said)
    shown = np.array([[WEIGHT.get(one.get(name, LabelState.ABSENT), 0.0) for name in names] for one in said])
    for index in (0, 255, 256, 299):
        expected = np.square(shown - shown[index]).sum(axis=1)
        np.testing.assert_allclose(found.distances(index), expected, atol=1e-5)
        ranked = list(found.ranked(index, np.random.default_rng(1)))
        assert sorted(ranked) == list(range(300))
        assert (np.diff(expected[ranked]) >= 0).all()


@pytest.mark.parametrize(
    "knobs",
    [
        {"candidates": 0},
        {"source": "other"},
        {"strength": 0.0},
        {"crop_share": 1.1},
        {"margin": -1.0},
        {"negatives": 0},
    ],
)
def test_knobs_out_of_range_are_refused(knobs: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        method(**knobs)


def test_the_text_stream_may_not_ask_a_policy() -> None:
    with pytest.raises(ConfigError, match="needs none"):
        ThinkingAndPerception(thinking=method(inverse_match="scorer"), perception=method())


def test_images_are_told_apart_by_their_reference() -> None:
    assert ImageRef("a.jpg").fingerprint != ImageRef("b.jpg").fingerprint
