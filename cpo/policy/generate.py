"""Generation for many samples at once, greedy or sampled."""

from __future__ import annotations

import hashlib
from collections import Counter
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
    temperature: float = 0.0,
    seed: int = 0,
) -> Iterator[list[str]]:
    """Completions of samples, batch by batch, deterministic, with a KV cache.

    Args:
        model: A Qwen-VL model, with or without adapter; its mode is restored at the end.
        encoder: Of the model's own directory.
        samples: Their images and prompts are read, nothing else.
        batch_size: Samples per batch.
        max_new_tokens: Longest completion, its prefix apart; one that does not end within it is returned as it stands.
        prefixes: What each completion is forced to begin with; the policy goes on from there. None for nothing.
        temperature: Of the sampling, ≥ 0; 0 is greedy.
        seed: Of the draws, each sample's apart from the others': batches do not change them.

    Yields:
        For each batch the completion texts, prefix included, end token removed, `<think>` kept.
    """
    inner = unwrap(model)
    training = inner.training
    forced = [""] * len(samples) if prefixes is None else prefixes
    draws = generators(samples, seed, inner.device) if temperature > 0 else []
    inner.eval()
    try:
        for start in range(0, len(samples), batch_size):
            begun = forced[start : start + batch_size]
            inputs = _inputs(encoder, samples[start : start + batch_size], begun, inner.device)
            tokens = inner.generate(
                **inputs,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                logits_processor=[GumbelNoise(temperature, draws[start : start + batch_size])] if draws else None,
                eos_token_id=encoder.end_token_id,
                pad_token_id=encoder.pad_token_id,
            )
            new = tokens[:, inputs["input_ids"].shape[1] :]
            texts = encoder.tokenizer.batch_decode(new, skip_special_tokens=True)
            yield [f"{prefix}{text}".strip() for prefix, text in zip(begun, texts, strict=True)]
    finally:
        inner.train(training)


class GumbelNoise:
    """Makes the most probable token a draw from softmax(logits / temperature), each row by its own generator.

    The largest of logits / temperature plus independent Gumbel noise is such a draw.

    Args:
        temperature: > 0.
        rows: A generator for each row of the batch.
    """

    def __init__(self, temperature: float, rows: Sequence[torch.Generator]) -> None:
        self.temperature, self.rows = temperature, rows

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Adds the noise to the logits [rows, V]."""
        waits = torch.empty_like(scores, dtype=torch.float32)
        for wait, row in zip(waits, self.rows, strict=True):
            wait.exponential_(generator=row)
        return scores.float() / self.temperature - waits.log()


def generators(samples: Sequence[Sample], seed: int, device: torch.device) -> list[torch.Generator]:
    """A generator for each sample, by its id and how often that came before."""
    made, times = [], Counter[str]()
    for sample in samples:
        digest = hashlib.sha256(f"{seed} {times[sample.id]} {sample.id}".encode()).digest()
        made.append(torch.Generator(device).manual_seed(int.from_bytes(digest[:7], "big")))
        times[sample.id] += 1
    return made


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
