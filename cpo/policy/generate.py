"""Greedy generation for many samples at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from cpo.policy.logps import unwrap
from cpo.records import Sample
from cpo.sequence.encode import Encoder


@torch.inference_mode()
def generate(
    model: Any,
    encoder: Encoder,
    samples: Sequence[Sample],
    *,
    batch_size: int,
    max_new_tokens: int,
    prefixes: Sequence[str] | None = None,
) -> Iterator[list[str]]:
    """Completions of samples, batch by batch, deterministic (greedy), with a KV cache.

    Args:
        model: A Qwen-VL model, with or without adapter; its mode is restored at the end.
        encoder: Of the model's own directory.
        samples: Their images and prompts are read, nothing else.
        batch_size: Samples per batch.
        max_new_tokens: Longest completion, its prefix apart; one that does not end within it is returned as it stands.
        prefixes: What each completion is forced to begin with; the policy goes on from there. None for nothing.

    Yields:
        For each batch the completion texts, prefix included, end token removed, `<think>` kept.
    """
    inner = unwrap(model)
    training = inner.training
    forced = [""] * len(samples) if prefixes is None else prefixes
    inner.eval()
    try:
        for start in range(0, len(samples), batch_size):
            begun = forced[start : start + batch_size]
            inputs = _inputs(encoder, samples[start : start + batch_size], begun, inner.device)
            tokens = inner.generate(
                **inputs,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                eos_token_id=encoder.end_token_id,
                pad_token_id=encoder.pad_token_id,
            )
            new = tokens[:, inputs["input_ids"].shape[1] :]
            texts = encoder.tokenizer.batch_decode(new, skip_special_tokens=True)
            yield [f"{prefix}{text}".strip() for prefix, text in zip(begun, texts, strict=True)]
    finally:
        inner.train(training)


def _inputs(
    encoder: Encoder, samples: Sequence[Sample], prefixes: Sequence[str], device: torch.device
) -> dict[str, torch.Tensor]:
    """Left-padded prompts, each with its prefix behind it, so that all that is new starts at the same column."""
    prompts = [encoder.prompt(sample) for sample in samples]
    begun = [
        (*prompt.ids, *(encoder.text(prefix, end=False) if prefix else ()))
        for prompt, prefix in zip(prompts, prefixes, strict=True)
    ]
    length = max(map(len, begun))
    ids = np.full((len(begun), length), encoder.pad_token_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(begun):
        ids[row, length - len(tokens) :] = tokens
        mask[row, length - len(tokens) :] = 1
    images = [image for prompt in prompts for image in prompt.images]
    inputs = {
        "input_ids": torch.from_numpy(ids),
        "attention_mask": torch.from_numpy(mask),
        # without the token types the model falls back to plain positions and says nothing
        "mm_token_type_ids": torch.from_numpy((ids == encoder.image_token_id).astype(np.int64)),
    }
    if images:
        inputs["pixel_values"] = torch.from_numpy(np.concatenate([image.patches for image in images]))
        inputs["image_grid_thw"] = torch.tensor([image.grid for image in images])
    return {name: tensor.to(device) for name, tensor in inputs.items()}
