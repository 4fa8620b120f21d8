"""The papers' recipes hold the papers' numbers, and a policy of their kind can be tuned as they say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from cpo.config import register_schemas

CONF = Path(__file__).parents[2] / "conf"
RECIPES = sorted(file.stem for file in (CONF / "experiment" / "recipe").glob("*.yaml"))
COMMON = {"min_lr": 1e-7, "betas": [0.9, 0.98], "weight_decay": 0.05, "epochs": 1}
SFT = COMMON | {"lr": 1e-4, "warmup_steps": 20, "batch_size": 15, "accumulate": 16, "max_steps": 660}
CPO = COMMON | {"lr": 2e-5, "warmup_steps": 0, "batch_size": 4, "accumulate": 8, "max_steps": 7750}
PREFERENCE: dict[str, dict[str, Any]] = {
    "cpo": CPO,
    "dpo": CPO,
    "apo": COMMON | {"lr": 5e-7, "batch_size": 2, "accumulate": 4},
    "cpo_plus": COMMON | {"lr": 1e-4},
}
LANGUAGE = [f"model.language_model.layers.3.self_attn.{name}_proj" for name in "qkvo"]
VISION = [f"model.visual.blocks.7.{name}" for name in ("attn.qkv", "attn.proj", "mlp.gate_proj", "mlp.down_proj")]
NEITHER = ["lm_head", "model.visual.merger.mlp.0", "model.visual.patch_embed.proj"]


@pytest.fixture(scope="module", autouse=True)
def _conf() -> Iterator[None]:
    register_schemas()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def holds(found: Any, wanted: dict[str, Any]) -> bool:
    return {key: found[key] for key in wanted} == wanted


def test_every_recipe_is_checked_here() -> None:
    assert sorted([*PREFERENCE, "sft"]) == RECIPES


@pytest.mark.parametrize("name", PREFERENCE)
def test_a_preference_recipe_starts_from_sft_of_all_reports(name: str) -> None:
    cfg = compose("train", overrides=[f"experiment=recipe/{name}"])

    assert holds(cfg.optim, PREFERENCE[name])
    assert holds(cfg.init.optim, SFT)
    assert cfg.init.share == 1.0
    assert cfg.loss.beta == 0.1


@pytest.mark.parametrize("name", [name for name in RECIPES])
def test_a_recipe_tunes_the_papers_policy_on_a_stream_without_drift(name: str) -> None:
    cfg = compose("train", overrides=[f"experiment=recipe/{name}"])

    assert holds(cfg.policy, {"path": "Qwen/Qwen2.5-VL-7B-Instruct", "dtype": "bfloat16", "image_size": 512})
    assert holds(cfg.policy.lora, {"r": 8, "alpha": 32, "dropout": 0.1})
    assert cfg.policy.max_length == (2048 if name == "sft" else 4096)
    assert cfg.drift._target_.endswith("Stationary")
    assert not cfg.shift


def test_sft_tunes_the_vision_tower_and_the_preference_stage_leaves_it_alone() -> None:
    policy = compose("train", overrides=["experiment=recipe/cpo"]).policy
    alone = compose("train", overrides=["experiment=recipe/sft"]).policy.lora.target_modules

    assert policy.sft_lora.target_modules == alone
    assert holds(policy.sft_lora, {"r": 8, "alpha": 32, "dropout": 0.1})
    for pattern, tuned, left in (
        (alone, [*LANGUAGE, *VISION], NEITHER),
        (policy.lora.target_modules, LANGUAGE, [*VISION, *NEITHER]),
    ):
        assert all(re.fullmatch(pattern, module) for module in tuned)
        assert not any(re.fullmatch(pattern, module) for module in left)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_offered_on_mimic_cxr_with_nothing_else_changed(name: str) -> None:
    recipe = compose("train", overrides=[f"experiment=recipe/{name}", "dataset=mimic_cxr"])

    assert compose("train", overrides=[f"experiment={name}_mimic_cxr"]) == recipe


def test_what_tells_the_arms_apart() -> None:
    cfgs = {name: compose("train", overrides=[f"experiment=recipe/{name}"]) for name in RECIPES}

    assert {name: cfg.loss._target_.rsplit(".", 1)[1] for name, cfg in cfgs.items()} == {
        "apo": "PlackettLuce",
        "cpo": "DPO",
        "cpo_plus": "CPOPlus",
        "dpo": "DPO",
        "sft": "SFT",
    }
    assert cfgs["cpo"].counterfactual.targets == cfgs["dpo"].counterfactual.negatives == cfgs["apo"].pairing.k == 2
    assert {key for key in cfgs["cpo"] if cfgs["cpo"][key] != cfgs["dpo"][key]} == {"counterfactual"}
    assert (cfgs["cpo"].loss.nll_weight, cfgs["cpo_plus"].loss.nll_weight) == (0.0, 0.1)
