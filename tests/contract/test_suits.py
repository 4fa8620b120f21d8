"""What a dataset's config says suits it is what other groups take, unless they are told otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir

from cpo.config import build_all, register_schemas
from cpo.graph.schema import ConceptGraph

CONF = Path(__file__).parents[2] / "conf"
DATASETS = sorted(file.stem for file in (CONF / "dataset").glob("*.yaml"))
WORLDS = [name for name in DATASETS if "world" in yaml.safe_load((CONF / f"dataset/{name}.yaml").read_text("utf-8"))]


@pytest.fixture(scope="module", autouse=True)
def _conf() -> Iterator[None]:
    register_schemas()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


@pytest.mark.parametrize("dataset", DATASETS)
def test_graph_and_nuisance_follow_the_dataset(dataset: str) -> None:
    cfg = compose("train", overrides=[f"dataset={dataset}", "++dataset.root=somewhere"])
    graph = ConceptGraph.load(cfg.counterfactual.graph)
    tie = build_all(cfg.shift)["spurious"]
    suits = cfg.dataset.get("suits", {})
    assert graph.name == suits.get("graph", "chest")
    assert (tie.attribute, tie.value) == (suits.get("attribute", "view"), suits.get("value", "AP"))
    assert tie.result in graph.diseases


def test_what_is_told_otherwise_wins() -> None:
    told = ["counterfactual.graph=chest", "shift.spurious.attribute=bus_lane"]
    cfg = compose("train", overrides=["dataset=road_world", *told])
    assert (cfg.counterfactual.graph, cfg.shift.spurious.attribute) == ("chest", "bus_lane")


@pytest.mark.parametrize("dataset", WORLDS)
def test_a_world_is_small_in_a_smoke_run(dataset: str) -> None:
    usual, small = (
        compose("train", overrides=[f"dataset={dataset}", *more]).dataset.world for more in ([], ["debug=smoke"])
    )
    assert set(small) == set(usual)
    assert small.image_size < usual.image_size


def test_a_release_has_no_world_in_a_smoke_run() -> None:
    cfg = compose("train", overrides=["dataset=mimic_cxr", "dataset.root=somewhere", "debug=smoke"])
    assert "world" not in cfg.dataset
