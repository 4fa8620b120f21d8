"""Policies of the benchmarks: `tiny` as it stands in conf/, and `mid`, which has the proportions of the large ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from cpo import config
from cpo.drift.stream import make_stream
from cpo.policy.backbone import Backbone
from cpo.policy.lora import LANGUAGE_MODEL_LINEARS, LoRA
from cpo.policy.tiny import TinyQwen25VL
from cpo.records import PreferencePair

VOCABULARY = 32_000


class Mid(TinyQwen25VL):
    """About 45 million random weights: 256 visual tokens, a vocabulary of 32,000, a deep enough language model."""

    def __init__(self) -> None:
        super().__init__(
            hidden=512,
            layers=8,
            heads=8,
            vision_hidden=256,
            vision_layers=8,
            image_size=448,
            vocab_size=1024,
            vision_steps=0,
            alignment_steps=0,
            max_length=2048,
            lora=LoRA(r=8, alpha=32, dropout=0.0, target_modules=LANGUAGE_MODEL_LINEARS),
        )

    def _config(self, tokenizer: Any) -> Any:
        # the corpus is too small to learn 32,000 tokens from: rows that no text reaches cost the LM head as much
        found = super()._config(tokenizer)
        found.text_config.vocab_size = VOCABULARY
        return found


OVERRIDES = {
    "tiny": ["policy.vision_steps=0", "policy.alignment_steps=0", "policy.lora.r=8"],
    "mid": ["policy.vision_steps=0", "policy.alignment_steps=0", "dataset.world.image_size=448"],
}


def composed(policy: str, *, studies: int, negatives: int, more: tuple[str, ...] = ()) -> DictConfig:
    """The default config of `train.py` for a benchmark on chest-world pairs."""
    pairing = ["pairing=one_negative"] if negatives == 1 else ["pairing=k_negatives", f"pairing.k={negatives}"]
    config.register_schemas()
    with initialize_config_dir(str(config.ROOT / "conf"), version_base="1.3"):
        return compose("train", [f"dataset.world.studies={studies}", *pairing, *OVERRIDES[policy], *more])


def prepared(cfg: DictConfig, policy: str, cache: Path) -> tuple[Backbone, Path, list[PreferencePair]]:
    """Backbone, model directory and training pairs, made under `cache` by the project's own stages."""
    node = config.resolved(cfg.dataset)
    root = config.build(node.pop("world")).write(cache)
    dataset = config.build(node, root=str(root))
    samples = dataset.samples("train")
    stream = make_stream(samples, config.build(cfg.drift), config.build_all(cfg.shift), cfg.seed)
    made = config.build(cfg.counterfactual).make(stream.samples, seed=cfg.seed)
    pairs = list(config.build(cfg.pairing).make(stream, made).pairs)
    backbone: Backbone = Mid() if policy == "mid" else config.build(cfg.policy)
    return backbone, backbone.directory(cache, samples=samples, results=dataset.results, seed=cfg.seed), pairs
