"""A training stage: pairs, a loss and a recipe in; a tuned model and an account of the work out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.callbacks import Callback

from cpo.errors import ConfigError, DataError
from cpo.losses.base import Loss
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.logps import compute_logps
from cpo.policy.reference import Reference
from cpo.records import PreferencePair, Tracker
from cpo.sequence.collator import Collator, stream_info
from cpo.tensors import PairBatch, StreamInfo
from cpo.training.callbacks import Interrupted, LogSteps, SaveLast, StopOnSignal, StopWhenFlat
from cpo.training.datamodule import BatchPlan, PairDataModule
from cpo.training.engine import Engine
from cpo.training.module import PolicyModule
from cpo.training.optim import AdamWCosine
from cpo.training.ranks import rank, world_size
from cpo.training.replay import Replay

STEP0_TOLERANCE = 1e-4
"""How far margins (nats) and the loss may be from their known values before the first step."""


@dataclass(frozen=True)
class StageReport:
    """What a stage did.

    Args:
        steps: Optimiser steps.
        seconds: Wall time of training, since the last interruption.
        cached: An earlier run had trained it.
        pairs_per_second: Pairs (or samples) per second of that time.
        peak_memory_mb: Peak memory so far, in MiB.
        reference_seconds: Wall time of freezing the reference and, if it is cached, of computing what was not yet.
        step0_loss: Loss before the first step, on the first batch.
        step0_margin_max_abs: Largest |margin| there, in nats; None for losses without a reference.
        stopped_early: The loss no longer fell, and steps were left; None if all were made.
    """

    steps: int
    seconds: float
    cached: bool = False
    pairs_per_second: float | None = None
    peak_memory_mb: float | None = None
    reference_seconds: float | None = None
    step0_loss: float | None = None
    step0_margin_max_abs: float | None = None
    stopped_early: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """Without the fields that this stage does not have."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Stage:
    """Everything a stage is made of, apart from the policy.

    Args:
        name: Prefix of its metrics.
        loss: What is minimised.
        reference: Where reference log-probs come from.
        recipe: Optimiser and batches.
        engine: The machine.
        seed: Of batch order and dropout.
        shuffle: New order in each pass; False keeps the order of the stream.
        checkpoints: Directory of checkpoints; None for none.
        references: Directory of cached reference log-probs; None for none.
        watchers: Look at the stream as training goes along it.
        replay: Which earlier pairs come back; None for none.
    """

    name: str
    loss: Loss
    reference: Reference
    recipe: AdamWCosine
    engine: Engine
    seed: int
    shuffle: bool
    checkpoints: Path | None = None
    references: Path | None = None
    watchers: tuple[Callback, ...] = ()
    replay: Replay | None = None


def run_stage(stage: Stage, policy: LoadedPolicy, pairs: Sequence[PreferencePair], tracker: Tracker) -> StageReport:
    """Tunes the trainable parameters of `policy.model` in place.

    A stage that was interrupted goes on from its last checkpoint, and ends as if it had not been.

    Raises:
        DataError: There is nothing to train on.
        Interrupted: A signal asked to stop; the checkpoint is written.
        ConfigError: The reference is not the policy that training starts from.
    """
    if not pairs:
        raise DataError(
            got=f"no pairs for stage {stage.name}",
            wanted="at least one",
            remedy="enlarge the dataset, or loosen drift, shift or counterfactual",
        )
    recipe = stage.recipe
    collator = Collator(
        policy.encoder, policy.layout, max_length=policy.max_length, with_rejected=stage.loss.requires_rejected
    )
    per_batch = recipe.batch_size * world_size()
    steps = recipe.steps(len(pairs), devices=world_size())
    # a single ordered pass ends with the data, not with a full last step
    batches = steps * recipe.accumulate
    if recipe.max_steps == -1 and recipe.epochs == 1 and not stage.shuffle:
        batches = -(-len(pairs) // per_batch)
    checkpoint, done = last_checkpoint(stage)
    single_pass = not stage.shuffle and batches <= -(-len(pairs) // per_batch)
    replayed = (
        stage.replay.plan(len(pairs), batch_size=per_batch, seed=stage.seed, single_pass=single_pass)
        if stage.replay
        else None
    )
    plan = BatchPlan(
        len(pairs),
        batch_size=per_batch,
        batches=batches,
        shuffle=stage.shuffle,
        seed=stage.seed,
        start=done * recipe.accumulate,
        rank=rank(),
        ranks=world_size(),
        accumulate=recipe.accumulate,
        replay=replayed,
    )
    stream = stream_info(pairs)
    prepared = None
    if stage.loss.requires_reference:
        prepared = stage.reference.prepare(
            policy.model.to(stage.engine.device),
            pairs,
            collator,
            directory=stage.references,
            batch_size=recipe.batch_size,
            progress=stage.engine.progress,
        )
    step0 = check_start(stage, policy, collator([pairs[i] for i in plan.batch(0)]), stream)
    module = PolicyModule(
        model=policy.model,
        reference=stage.reference,
        loss=stage.loss,
        recipe=recipe,
        steps=steps,
        tracker=tracker,
        stage=stage.name,
        seed=stage.seed,
        stream=stream,
    )
    stop, flat = StopOnSignal(recipe.accumulate), StopWhenFlat(recipe.early_stop)
    callbacks = [LogSteps(), *([flat] if recipe.early_stop else []), *stage.watchers, stop]
    if stage.checkpoints:
        callbacks.append(SaveLast(stage.checkpoints, stage.engine.checkpoint_every))
    trainer = stage.engine.trainer(accumulate=recipe.accumulate, clip_norm=recipe.clip_norm, callbacks=callbacks)
    tracker.rewind(stage=stage.name, step=done)
    policy.model.train()
    started = time.perf_counter()
    trainer.fit(
        module,
        datamodule=PairDataModule(pairs, collator, plan, workers=stage.engine.workers),
        ckpt_path=checkpoint,
        weights_only=False,
    )
    seconds = time.perf_counter() - started
    policy.model.eval()
    if stop.number:
        raise Interrupted(stop.number)
    return StageReport(
        steps=trainer.global_step,
        seconds=round(seconds, 3),
        pairs_per_second=round(plan.items(upto=trainer.global_step * recipe.accumulate) / seconds, 2),
        peak_memory_mb=round(stage.engine.peak_memory_mb(), 1),
        reference_seconds=None if prepared is None else round(prepared, 3),
        stopped_early=(trainer.global_step < steps and flat.stopped) or None,
        **step0,
    )


def last_checkpoint(stage: Stage) -> tuple[Path | None, int]:
    """The checkpoint that an interrupted training left, and the optimiser steps it holds."""
    path = stage.checkpoints / "last.ckpt" if stage.checkpoints else None
    if path is None or not path.is_file():
        return None, 0
    # our own file: it holds loop and optimiser state beside tensors
    return path, int(torch.load(path, map_location="cpu", weights_only=False)["global_step"])


def check_start(stage: Stage, policy: LoadedPolicy, batch: PairBatch, stream: StreamInfo) -> dict[str, Any]:
    """Loss and largest |margin| before the first step; both are known if the reference is what training starts from.

    An adapter trained by SFT and left unmerged would make `adapter_off` the base model, not the SFT policy: the
    field's commonest silent mistake, and the one this catches.

    Raises:
        ConfigError: A margin is not 0, or the loss is not its known value.
    """
    model = policy.model.to(stage.engine.device)
    batch = batch.to(stage.engine.device)
    model.eval()
    with torch.no_grad():
        logps = compute_logps(model, batch)
        reference = stage.reference.logps(model, batch) if stage.loss.requires_reference else None
        output = stage.loss(logps, reference, batch.info(stream))
    found: dict[str, Any] = {"step0_loss": output.loss.item()}
    known = stage.loss.initial_value(logps, batch.info(stream))
    if output.margins is not None and reference is not None:
        found["step0_margin_max_abs"] = output.margins.abs().max().item()
    off = abs(found["step0_loss"] - known) > STEP0_TOLERANCE * max(1.0, abs(known))
    if off or found.get("step0_margin_max_abs", 0.0) > STEP0_TOLERANCE:
        raise ConfigError(
            got=f"before the first step: {found}, expected loss {known}",
            wanted="margins of 0 and the loss's known value: the reference is the policy that training starts from",
            remedy="start from a merged model directory (init=sft does), with a fresh adapter",
        )
    return found
