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
    model: Any, encoder: Encoder, samples: Sequence[Sample], *, batch_size: int, max_new_tokens: int
) -> Iterator[list[str]]:
    """Completions of samples, batch by batch, deterministic (greedy), with a KV cache.

    Args:
        model: A Qwen-VL model, with or without adapter; its mode is restored at the end.
        encoder: Of the model's own directory.
        samples: Their images and prompts are read, nothing else.
        batch_size: Samples per batch.
        max_new_tokens: Longest completion; one that does not end within it is returned as it stands.

    Yields:
        For each batch the completion texts, end token removed, `<think>` kept.
    """
    inner = unwrap(model)
    training = inner.training
    inner.eval()
    try:
        for start in range(0, len(samples), batch_size):
            inputs = _inputs(encoder, samples[start : start + batch_size], inner.device)
            tokens = inner.generate(
                **inputs,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                eos_token_id=encoder.end_token_id,
                pad_token_id=encoder.pad_token_id,
            )
            new = tokens[:, inputs["input_ids"].shape[1] :]
            yield [text.strip() for text in encoder.tokenizer.batch_decode(new, skip_special_tokens=True)]
    finally:
        inner.train(training)


def _inputs(encoder: Encoder, samples: Sequence[Sample], device: torch.device) -> dict[str, torch.Tensor]:
    """Left-padded prompts, so that all completions start at the same column."""
    prompts = [encoder.prompt(sample) for sample in samples]
    length = max(len(p.ids) for p in prompts)
    ids = np.full((len(prompts), length), encoder.pad_token_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, length - len(prompt.ids) :] = prompt.ids
        mask[row, length - len(prompt.ids) :] = 1
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
