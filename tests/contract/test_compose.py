"""Every choice of every group composes into a run; a misspelt one does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException

from cpo.config import TrainConfig, register_schemas

CONF = Path(__file__).parents[2] / "conf"
CHOICES = [
    f"{group.name}={file.relative_to(group).with_suffix('').as_posix()}"
    for group in sorted(CONF.iterdir())
    if group.is_dir() and group.name not in {"hydra", "tuned"}
    for file in sorted(group.rglob("*.yaml"))
]


@pytest.fixture(scope="module", autouse=True)
def _conf() -> Iterator[None]:
    register_schemas()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_composes(choice: str) -> None:
    compose("train", overrides=[choice])


def test_every_group_of_the_root_has_choices() -> None:
    groups = {choice.split("=")[0] for choice in CHOICES}
    knobs = {name for name, field in TrainConfig.__dataclass_fields__.items() if "Group" in str(field.type)}

    assert knobs
    assert knobs - {"second", "judged"} <= groups, "these two are the group dataset once more, as dataset@second"


def test_the_root_of_evaluation_composes() -> None:
    assert set(compose("evaluate", overrides=["run=somewhere"])) >= {"run", "benchmark", "trainer"}


@pytest.mark.parametrize(("root", "overrides"), [("train", []), ("evaluate", ["run=somewhere"])])
def test_hydras_own_folders_are_named_by_what_the_root_has(root: str, overrides: list[str]) -> None:
    hydra = compose(root, overrides=overrides, return_hydra_config=True).hydra

    assert hydra.run.dir
    assert hydra.sweep.dir


@pytest.mark.parametrize("override", ["sede=1", "loss=dpoo", "losss=dpo", "loss.betta=1", "seed=one"])
def test_a_misspelt_override_is_refused(override: str) -> None:
    with pytest.raises(HydraException):
        compose("train", overrides=[override])
