"""What a job will cost, told before it is spent: counts, token lengths, memory and time, measured on two steps."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from cpo.errors import ConfigError
from cpo.losses.base import Loss
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.logps import compute_logps
from cpo.records import PreferencePair
from cpo.sequence.collator import Collator, stream_info
from cpo.training.lengths import check_lengths
from cpo.training.ranks import world_size
from cpo.training.stages import Stage


@dataclass(frozen=True)
class Estimate:
    """Cost of a stage.

    Args:
        steps: Optimiser steps.
        tokens_median: Of prompt and completion, images included.
        tokens_max: Likewise, if the longest completion stood behind the longest prompt.
        seconds: Expected time of training.
        peak_memory_mb: Of two steps, in MiB, without optimiser state.
    """

    steps: int
    tokens_median: int
    tokens_max: int
    seconds: float
    peak_memory_mb: float


def check_pairs(loss: Loss, pairs: Sequence[PreferencePair]) -> None:
    """Refuses pairs that a loss cannot read.

    Raises:
        ConfigError: The loss reads log-probs under a rejected image, and no pair has one.
    """
    if all(pair.image_rejected is None for pair in pairs):
        check_pairing(loss, rejects_images=False, count=f"{len(pairs)} ")


def check_pairing(loss: Loss, *, rejects_images: bool, count: str = "") -> None:
    """Refuses a pairing that a loss cannot read, before there are any pairs.

    Raises:
        ConfigError: The loss reads log-probs under a rejected image, and its pairs have none.
    """
    if loss.requires_image_rejected and not rejects_images:
        raise ConfigError(
            got=f"{type(loss).__name__} on {count}pairs that have no rejected image",
            wanted="pairs whose chosen text is also scored under another image",
            remedy="pass counterfactual=thinking_and_perception pairing=text_and_image, or loss=dpo",
        )


def estimate(stage: Stage, policy: LoadedPolicy, pairs: Sequence[PreferencePair]) -> Estimate:
    """Measures forward and backward of two batches, without an update, and multiplies.

    Raises:
        DataError: A pair is too long.
    """
    lengths = check_lengths(policy, pairs)
    collator = Collator(
        policy.encoder, policy.layout, max_length=policy.max_length, with_rejected=stage.loss.requires_rejected
    )
    stream = stream_info(pairs)
    model = policy.model.to(stage.engine.device).train()
    if stage.loss.requires_reference:
        stage.reference.freeze(model)
    times = []
    # the longest pairs tell the memory
    longest = sorted(range(len(pairs)), key=lambda n: -lengths[n])[: stage.recipe.batch_size]
    for chosen in (longest, range(min(stage.recipe.batch_size, len(pairs)))):
        started = time.perf_counter()
        batch = collator([pairs[n] for n in chosen]).to(stage.engine.device)
        reference = stage.reference.logps(model, batch) if stage.loss.requires_reference else None
        stage.loss(compute_logps(model, batch), reference, batch.info(stream)).loss.backward()
        times.append(time.perf_counter() - started)
    model.zero_grad(set_to_none=True)
    model.eval()
    steps = stage.recipe.steps(len(pairs), devices=world_size())
    return Estimate(
        steps=steps,
        tokens_median=int(statistics.median(lengths)),
        tokens_max=max(lengths),
        seconds=times[-1] * stage.recipe.accumulate * steps,
        peak_memory_mb=stage.engine.peak_memory_mb(),
    )
