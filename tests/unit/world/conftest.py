"""Small written worlds for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpo.world.chest import ChestWorld
from cpo.world.road import RoadWorld, RoadWorldVideo


@pytest.fixture(scope="session")
def small() -> ChestWorld:
    return ChestWorld(studies=40, image_size=64, seed=3, workers=1, test_share=0.2, validate_share=0.1)


@pytest.fixture(scope="session")
def written(small: ChestWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.write(tmp_path_factory.mktemp("worlds"))


@pytest.fixture(scope="session")
def small_road() -> RoadWorld:
    return RoadWorld(scenes=40, image_size=64, seed=3, workers=1, test_share=0.2, validate_share=0.1)


@pytest.fixture(scope="session")
def written_road(small_road: RoadWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_road.write(tmp_path_factory.mktemp("roads"))


@pytest.fixture(scope="session")
def small_clips() -> RoadWorldVideo:
    return RoadWorldVideo(clips=18, image_size=64, fps=2, seed=3, workers=1, test_share=0.2, validate_share=0.1)


@pytest.fixture(scope="session")
def written_clips(small_clips: RoadWorldVideo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_clips.write(tmp_path_factory.mktemp("clips"))
