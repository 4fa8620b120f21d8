"""The tiny policy: Qwen2.5-VL's own architecture at about half a million weights, from random numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2VLImageProcessorPil
from transformers.utils.logging import disable_progress_bar

from cpo.errors import ConfigError
from cpo.files import build_directory
from cpo.policy.backbone import Backbone
from cpo.policy.lora import LoRA
from cpo.policy.pretraining import pretrain_alignment, pretrain_vision
from cpo.policy.tokenizer import train_tokenizer
from cpo.records import Sample, fingerprint
from cpo.sequence.encode import Encoder
from cpo.sequence.template import completion_text

PATCH, MERGE = 14, 2
"""Pixels per patch side and patches per merged side: those of the large models."""

VERSION = 3
"""Raised whenever the same knobs and samples would give other weights."""


class TinyQwen25VL(Backbone):
    """Qwen2.5-VL's own classes at a small size, tokenizer and first sight learnt from the training samples.

    Everything else is as for the large models: an ordinary model directory that `transformers` loads.

    Args:
        hidden: Width of the language model; divisible by 4 · `heads`.
        layers: Its depth.
        heads: Its query heads; half as many key-value heads.
        vision_hidden: Width of the vision tower.
        vision_layers: Its depth; the last block attends globally, the others in windows.
        image_size: Side to which every image is resized, in pixels; a multiple of 28.
        vocab_size: Learnt tokens, at most.
        vision_steps: Steps that pretrain the vision tower on the training pictures, ≥ 0; 0 for none.
        alignment_steps: Steps that then teach the whole to name results, ≥ 0; 0 for none.
        max_length: Longest prompt + completion, in tokens.
        lora: Adapter of the preference stage.

    Raises:
        ConfigError: A size that does not divide as the architecture needs.
    """

    dtype = "float32"

    def __init__(
        self,
        *,
        hidden: int,
        layers: int,
        heads: int,
        vision_hidden: int,
        vision_layers: int,
        image_size: int,
        vocab_size: int,
        vision_steps: int,
        alignment_steps: int,
        max_length: int,
        lora: LoRA,
    ) -> None:
        if image_size % (PATCH * MERGE):
            raise ConfigError(
                got=f"policy.image_size={image_size}",
                wanted=f"a multiple of {PATCH * MERGE} pixels (one merged patch)",
                remedy="pass policy.image_size=112",
            )
        if hidden % (4 * heads):
            raise ConfigError(
                got=f"policy.hidden={hidden}, policy.heads={heads}",
                wanted="hidden divisible by 4 · heads",
                remedy="pass policy.hidden=96 policy.heads=4",
            )
        self.hidden, self.layers, self.heads = hidden, layers, heads
        self.vision_hidden, self.vision_layers = vision_hidden, vision_layers
        if vision_steps < 0 or alignment_steps < 0:
            raise ConfigError(
                got=f"policy.vision_steps={vision_steps}, policy.alignment_steps={alignment_steps}",
                wanted="both at least 0",
                remedy="pass policy.vision_steps=600 policy.alignment_steps=300",
            )
        self.image_size, self.vocab_size = image_size, vocab_size
        self.vision_steps, self.alignment_steps = vision_steps, alignment_steps
        self.max_length, self.lora = max_length, lora
        self.train_all_in_sft = True
        disable_progress_bar()  # transformers' bars on one shard that loads in a millisecond

    def directory(self, cache: Path, *, samples: Sequence[Sample], results: Sequence[str], seed: int) -> Path:
        """See `Backbone.directory`; learns tokenizer and sight from `samples`, draws the weights from `seed`."""
        knobs = {k: v for k, v in vars(self).items() if k not in ("lora", "max_length", "train_all_in_sft")}
        key = fingerprint([knobs, [sample.content for sample in samples], list(results), seed, VERSION])
        final = cache / "policies" / f"tiny-{key}"
        build_directory(final, lambda directory: self._build(directory, samples, results, seed))
        return final

    def _build(self, directory: Path, samples: Sequence[Sample], results: Sequence[str], seed: int) -> None:
        texts = (text for s in samples for text in (s.prompt, completion_text(s.factual)))
        tokenizer = train_tokenizer(texts, vocab_size=self.vocab_size)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = Qwen2_5_VLForConditionalGeneration(self._config(tokenizer))
        pixels = self.image_size**2
        size = {"shortest_edge": pixels, "longest_edge": pixels}
        processor = Qwen2VLImageProcessorPil(size=size, patch_size=PATCH, merge_size=MERGE)
        encoder, seen = Encoder(tokenizer, processor), [sample for sample in samples if sample.images]
        with torch.random.fork_rng(devices=[]):
            # without results there is nothing to see or to name
            if self.vision_steps and results:
                pretrain_vision(model, encoder, seen, results, steps=self.vision_steps, seed=seed)
            if self.alignment_steps and results:
                pretrain_alignment(model, encoder, seen, steps=self.alignment_steps, seed=seed)
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)
        processor.save_pretrained(directory)

    def _config(self, tokenizer: Any) -> Qwen2_5_VLConfig:
        half = self.hidden // self.heads // 2  # M-RoPE splits half a head's width among time, height and width
        side = 3 * half // 8
        token = tokenizer.convert_tokens_to_ids
        return Qwen2_5_VLConfig(
            text_config={
                "vocab_size": 64 * math.ceil(len(tokenizer) / 64),
                "hidden_size": self.hidden,
                "intermediate_size": self.hidden * 8 // 3 // 32 * 32,
                "num_hidden_layers": self.layers,
                "num_attention_heads": self.heads,
                "num_key_value_heads": self.heads // 2,
                "max_position_embeddings": 4096,
                "rms_norm_eps": 1e-6,
                "rope_parameters": {
                    "rope_type": "default",
                    "rope_theta": 10_000.0,
                    "mrope_section": [half - 2 * side, side, side],
                },
                "bos_token_id": None,
                "eos_token_id": tokenizer.eos_token_id,
                "pad_token_id": tokenizer.pad_token_id,
                "tie_word_embeddings": True,
            },
            vision_config={
                "depth": self.vision_layers,
                "hidden_size": self.vision_hidden,
                "intermediate_size": 2 * self.vision_hidden,
                "num_heads": 4,
                "out_hidden_size": self.hidden,
                "patch_size": PATCH,
                "spatial_merge_size": MERGE,
                "temporal_patch_size": 2,
                "window_size": 112,
                "fullatt_block_indexes": [self.vision_layers - 1],
            },
            image_token_id=token("<|image_pad|>"),
            video_token_id=token("<|video_pad|>"),
            vision_start_token_id=token("<|vision_start|>"),
            vision_end_token_id=token("<|vision_end|>"),
            tie_word_embeddings=True,
        )
