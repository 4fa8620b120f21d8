"""Where adapters go and how large they are, on the shapes of the released models (no weights are allocated)."""

from __future__ import annotations

import pytest
import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from cpo.errors import ConfigError
from cpo.policy.lora import LANGUAGE_MODEL_LINEARS, LoRA

SHAPES_7B = {
    "text_config": {
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "tie_word_embeddings": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    },
    "vision_config": {"hidden_size": 1280, "intermediate_size": 3420, "depth": 32, "out_hidden_size": 3584},
}


def large() -> Qwen2_5_VLForConditionalGeneration:
    with torch.device("meta"):
        return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**SHAPES_7B))


def test_a_7b_policy_s_adapter_is_below_one_percent_and_off_the_vision_tower() -> None:
    model = LoRA(r=8, alpha=32, dropout=0.0, target_modules=LANGUAGE_MODEL_LINEARS).attach(large())
    trainable = {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}
    total = sum(p.numel() for p in model.parameters())
    assert 8e9 < total < 9e9
    assert 0 < sum(trainable.values()) < 0.01 * total
    # 7 linear layers in each of 28 blocks, two matrices each
    assert len(trainable) == 7 * 28 * 2
    assert not any("visual" in name for name in trainable)


def test_an_expression_that_matches_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"policy\.lora\.target_modules"):
        LoRA(r=8, alpha=32, dropout=0.0, target_modules="nothing_of_this_name").attach(large())
