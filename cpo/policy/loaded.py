"""A policy ready for use: model, encoder and layout together, for scoring and generation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cpo.policy.generate import generate
from cpo.policy.logps import compute_logps, unwrap
from cpo.records import PreferencePair, Sample, Trajectory
from cpo.sequence.collator import Collator
from cpo.sequence.encode import Encoder
from cpo.sequence.layouts import Layout
from cpo.tensors import Logps

BATCH = 32
"""Samples per forward pass where a torch-free stage asks, which knows of no batches."""


@dataclass
class LoadedPolicy:
    """A model with its encoder, as evaluation and the torch-free stages (as `Generator` and `Scorer`) use it.

    Args:
        model: A Qwen-VL model, with or without adapter.
        encoder: Of the model's own directory.
        layout: How branches are laid out for scoring.
        max_length: Longest prompt + completion, in tokens.
        directory: The model directory that `model` (without adapter) was loaded from.
    """

    model: Any
    encoder: Encoder
    layout: Layout
    max_length: int
    directory: Path

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        device: torch.device = unwrap(self.model).device
        return device

    def completions(
        self,
        samples: Sequence[Sample],
        *,
        batch_size: int,
        max_new_tokens: int,
        prefixes: Sequence[str] | None = None,
    ) -> Iterator[list[str]]:
        """Greedy completions, batch by batch, from forced prefixes if there are any; see `generate`."""
        return generate(
            self.model,
            self.encoder,
            samples,
            batch_size=batch_size,
            max_new_tokens=max_new_tokens,
            prefixes=prefixes,
        )

    @torch.no_grad()
    def logps(self, pairs: Sequence[PreferencePair], *, batch_size: int) -> Iterator[Logps]:
        """Log-probs of pairs, batch by batch, dropout off."""
        collate = Collator(self.encoder, self.layout, max_length=self.max_length)
        training = self.model.training
        self.model.eval()
        try:
            for start in range(0, len(pairs), batch_size):
                yield compute_logps(self.model, collate(pairs[start : start + batch_size]).to(self.device))
        finally:
            self.model.train(training)

    def generate(
        self, samples: Sequence[Sample], *, max_new_tokens: int = 1024, temperature: float = 0.0, seed: int = 0
    ) -> list[str]:
        """See `cpo.records.Generator`."""
        batches = generate(
            self.model,
            self.encoder,
            samples,
            batch_size=BATCH,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed,
        )
        return [text for texts in batches for text in texts]

    def score(self, samples: Sequence[Sample], completions: Sequence[Trajectory]) -> list[float]:
        """See `cpo.records.Scorer`."""
        pairs = [
            PreferencePair(sample, completion, (), 0) for sample, completion in zip(samples, completions, strict=True)
        ]
        return [value for logps in self.logps(pairs, batch_size=BATCH) for value in logps.chosen.tolist()]

    def save(self, directory: Path) -> None:
        """Writes model, tokenizer and image processor as an ordinary model directory."""
        self.model.save_pretrained(directory)
        self.encoder.tokenizer.save_pretrained(directory)
        self.encoder.image_processor.save_pretrained(directory)
