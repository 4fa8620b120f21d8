"""One small written world for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from cpo.world.chest import ChestWorld


@pytest.fixture(scope="session")
def small() -> ChestWorld:
    return ChestWorld(studies=40, image_size=64, seed=3, workers=1, test_share=0.2, validate_share=0.1)


@pytest.fixture(scope="session")
def written(small: ChestWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.write(tmp_path_factory.mktemp("worlds"))
