"""Refused strategies say why, and what to do instead."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cpo.errors import ConfigError
from cpo.training.engine import Engine
from cpo.training.strategies import check_strategy, check_sweep

CONF = Path(__file__).parents[3] / "conf"
TWO = {"LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "2"}


@pytest.mark.parametrize(
    ("devices", "strategy", "environ"),
    [
        (1, "auto", {}),
        (1, "auto", {"LOCAL_WORLD_SIZE": "1"}),
        (1, "ddp", {"LOCAL_WORLD_SIZE": "1"}),
        (2, "ddp", TWO),
        (4, "ddp", {"LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}),
    ],
)
def test_what_fits_passes(devices: int, strategy: str, environ: dict[str, str]) -> None:
    check_strategy(accelerator="gpu", devices=devices, strategy=strategy, environ=environ)


@pytest.mark.parametrize(
    ("devices", "strategy", "environ", "said"),
    [
        (2, "fsdp", TWO, "judged outside the trainer"),
        (2, "deepspeed_stage_2", TWO, "only the adapter has gradients"),
        (2, "fsdp", TWO, "two or more GPUs it would need"),
        (2, "deepspeed_stage_2", TWO, "the package deepspeed it would need"),
        (1, "dp", {}, "trainer.strategy=dp"),
        (2, "auto", {}, r"trainer=ddp trainer\.accelerator=gpu trainer\.devices=2"),
        (1, "auto", TWO, "trainer.strategy=auto for 2 processes"),
        (2, "ddp", {}, "not by torchrun"),
        (2, "ddp", {}, "torchrun --nproc-per-node 2 train.py"),
        (4, "ddp", TWO, "as 2 processes on this machine"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(
    devices: int, strategy: str, environ: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        check_strategy(accelerator="gpu", devices=devices, strategy=strategy, environ=environ)


@pytest.mark.parametrize("choice", ["fsdp", "deepspeed"])
def test_a_strategy_that_shards_is_refused_for_its_own_reason_on_any_machine(choice: str) -> None:
    """Not because this machine has no GPU: with one it would be refused too."""
    node = yaml.safe_load((CONF / "trainer" / f"{choice}.yaml").read_text(encoding="utf-8"))
    with pytest.raises(ConfigError, match="which shards"):
        Engine(**{key: value for key, value in node.items() if key != "_target_"})


def test_a_sweep_runs_in_one_process_only() -> None:
    check_sweep({})
    check_sweep({"WORLD_SIZE": "1"})
    for environ in (TWO, {"WORLD_SIZE": "4"}):
        with pytest.raises(ConfigError, match="leave out -m"):
            check_sweep(environ)
