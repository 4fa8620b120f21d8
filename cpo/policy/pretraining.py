"""What a large backbone brings along and a tiny one must learn first: to see, and to name what it sees.

Qwen2.5-VL's vision tower and its alignment with the language model were pretrained on the web. From random numbers, the
loss on a report's words alone takes long to teach either. So a tiny policy goes through both on its training samples:
its vision tower by telling their results from the visual tokens (a linear readout, thrown away), then the whole by
answering a short question with the results' names. SFT then teaches it to think first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch.nn import Linear, Parameter
from torch.nn.functional import binary_cross_entropy_with_logits

from cpo.policy.logps import compute_logps
from cpo.records import Sample, Trajectory
from cpo.sequence.collator import Collator, as_pairs
from cpo.sequence.encode import Encoder
from cpo.sequence.layouts import Padded

BATCH, WARMUP, CLIP, BETAS, DECAY = 32, 50, 1.0, (0.9, 0.98), 0.05
VISION_LR, ALIGNMENT_LR = 3e-3, 2e-3
QUESTION = "Name the disease."
"""Of the alignment phase; it must differ from the dataset's prompt, which asks for thinking first."""


def pretrain_vision(
    model: Any, encoder: Encoder, samples: Sequence[Sample], results: Sequence[str], *, steps: int, seed: int
) -> None:
    """Trains the vision tower in place by multi-label classification of the samples' first images.

    Args:
        model: A Qwen-VL model; its language model is left alone.
        encoder: Of the model's directory; all images have the same number of visual tokens.
        samples: Pictures, and the results that are true of them.
        results: Every result there is.
        steps: Optimiser steps.
        seed: Of the readout and of the order.
    """
    tower = model.model.visual
    truth = torch.tensor([[float(name in sample.results) for name in results] for sample in samples])
    torch.manual_seed(seed)
    readout = Linear(_visual_tokens(tower, encoder, samples[:1]).shape[1], len(results))

    def loss(chosen: list[int]) -> torch.Tensor:
        logits = readout(_visual_tokens(tower, encoder, [samples[i] for i in chosen]))
        return binary_cross_entropy_with_logits(logits, truth[chosen])

    parameters = [*tower.parameters(), *readout.parameters()]
    _train(parameters, loss, n=len(samples), steps=steps, lr=VISION_LR, seed=seed, what="pretraining: see")


def pretrain_alignment(model: Any, encoder: Encoder, samples: Sequence[Sample], *, steps: int, seed: int) -> None:
    """Trains the whole model in place to answer a short question about a picture with the names of its results.

    Args:
        model: A Qwen-VL model.
        encoder: Of the model's directory.
        samples: Pictures, and the results that are true of them.
        steps: Optimiser steps.
        seed: Of the order.
    """
    answers = [
        replace(sample, prompt=QUESTION, factual=Trajectory("", f"{', '.join(sample.results)}.")) for sample in samples
    ]
    pairs = as_pairs(answers)
    collate = Collator(encoder, Padded(), max_length=4096)

    def loss(chosen: list[int]) -> torch.Tensor:
        logps = compute_logps(model, collate([pairs[i] for i in chosen]))
        return -(logps.chosen / logps.chosen_length).mean()

    _train(
        list(model.parameters()), loss, n=len(pairs), steps=steps, lr=ALIGNMENT_LR, seed=seed, what="pretraining: name"
    )


def _train(
    parameters: list[Parameter],
    loss: Callable[[list[int]], torch.Tensor],
    *,
    n: int,
    steps: int,
    lr: float,
    seed: int,
    what: str,
) -> None:
    """AdamW with warm-up and a cosine to a tenth of the learning rate, over shuffled passes."""
    optimizer = torch.optim.AdamW(parameters, lr=lr, betas=BETAS, weight_decay=DECAY)
    for step, chosen in enumerate(_batches(n, steps, seed, what)):
        ramp = min(1.0, (step + 1) / WARMUP)
        cosine = 0.55 + 0.45 * np.cos(np.pi * step / steps)
        for group in optimizer.param_groups:
            group["lr"] = lr * ramp * cosine
        loss(chosen).backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        optimizer.zero_grad()


def _batches(n: int, steps: int, seed: int, what: str) -> Iterable[list[int]]:
    """Batches of indices below n, one permutation after another, under a progress bar where there is a terminal."""
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(n) for _ in range(-(-steps * BATCH // n))])[: steps * BATCH]
    quiet = not Console().is_terminal
    return track(order.reshape(steps, BATCH).tolist(), description=what, transient=True, disable=quiet)


def _visual_tokens(tower: Any, encoder: Encoder, samples: Sequence[Sample]) -> torch.Tensor:
    """Visual tokens of each sample's first image, side by side: [B, tokens · width]."""
    images = [encoder.image(sample.images[0]) for sample in samples]
    patches = torch.from_numpy(np.concatenate([image.patches for image in images]))
    grids = torch.tensor([image.grid for image in images])
    tokens: torch.Tensor = tower(patches, grid_thw=grids, return_dict=True).pooler_output
    return tokens.view(len(samples), -1)
