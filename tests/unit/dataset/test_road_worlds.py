"""What the road worlds write is read back by the readers of the releases, and is what the truth beside it says."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cpo.counterfactual.concept_graph import ConceptGraphCounterfactual
from cpo.dataset.base import Dataset
from cpo.dataset.bdd_x import BddX
from cpo.dataset.coda_lm import CodaLM
from cpo.records import Sample
from cpo.sequence.pixels import read_image
from cpo.world.road import RoadWorld, RoadWorldVideo

SMALL = {"seed": 3, "workers": 1, "test_share": 0.25, "validate_share": 0.125, "image_size": 64}


def dataset_of(kind: str, folder: Path) -> Dataset:
    if kind == "stills":
        root = RoadWorld(scenes=48, **SMALL).write(folder)  # type: ignore[arg-type]
        return CodaLM(name="road_world", root=str(root), answers="listed", quarantine_limit=0)
    root = RoadWorldVideo(clips=16, **SMALL).write(folder)  # type: ignore[arg-type]
    return BddX(name="road_world_video", root=str(root), frames=3, quarantine_limit=0)


@pytest.fixture(scope="module", params=["stills", "clips"])
def dataset(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset_of(request.param, tmp_path_factory.mktemp("worlds"))


@pytest.fixture(scope="module")
def samples(dataset: Dataset) -> dict[str, Sample]:
    return {sample.id: sample for split in dataset.splits for sample in dataset.samples(split)}


@pytest.fixture(scope="module")
def truth(dataset: Dataset) -> dict[str, Any]:
    lines = (dataset.root / "truth/studies.jsonl").read_text().splitlines()
    return {row["study_id"]: row for row in map(json.loads, lines)}


def test_every_record_is_read_and_none_is_left_out(dataset: Dataset, samples: Any, truth: Any) -> None:
    quality = dataset.quality()
    assert (quality.excluded, quality.quarantined, quality.details["media_absent"]) == ({}, (), 0)
    assert set(samples) == set(truth)
    assert {name: sample.split for name, sample in samples.items()} == {n: row["split"] for n, row in truth.items()}


def test_answers_name_the_true_actions_and_are_read_back(dataset: Dataset, samples: Any, truth: Any) -> None:
    for name, sample in samples.items():
        sure = [action for action, state in truth[name]["actions"].items() if state == "present"]
        assert list(sample.results) == (sure or ["keep going"])
        assert dataset.answers.read(sample.factual.answer) == set(sample.results)
    assert len({sample.results for sample in samples.values()}) > 8


def test_nuisances_are_told_in_the_metadata(samples: Any, truth: Any) -> None:
    for name, sample in samples.items():
        nuisances = truth[name]["nuisances"]
        assert (sample.metadata["night"] == "told") == nuisances["night"]
        assert (sample.metadata["bus_lane"] == "told") == nuisances["bus_lane"]
    assert {sample.metadata["night"] for sample in samples.values()} == {"told", "untold"}


def test_every_image_or_frame_is_read_and_frames_differ(samples: Any) -> None:
    for sample in list(samples.values())[:6]:
        pictures = [np.asarray(read_image(image)) for image in sample.images]
        assert all(picture.shape == (64, 64, 3) for picture in pictures)
        assert all((one != other).any() for one, other in pairwise(pictures))


def test_the_driving_graph_makes_counterfactuals_of_nearly_all(samples: Any) -> None:
    method = ConceptGraphCounterfactual(
        graph="driving", targets=2, choice="nearest", healthy_target=False, max_edit_ratio=0.8
    )
    made = method.make(tuple(samples.values()), seed=0)
    assert made.stats["valid_share"] > 0.95
    assert made.short <= 0.05 * len(samples)
    for counterfactual in made.all:
        assert counterfactual.target not in samples[counterfactual.sample_id].results


def test_an_answer_with_another_action_is_told_in_the_same_manner(dataset: Dataset, samples: Any) -> None:
    method = ConceptGraphCounterfactual(
        graph="driving", targets=1, choice="nearest", healthy_target=False, max_edit_ratio=0.8
    )
    for counterfactual in method.make(tuple(samples.values()), seed=0).all:
        named = dataset.answers.read(counterfactual.trajectory.answer)
        assert counterfactual.target in named  # type: ignore[operator]
        assert len(named) == len(samples[counterfactual.sample_id].results)  # type: ignore[arg-type]
