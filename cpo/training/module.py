"""The one LightningModule: a policy, its reference, a loss. Methods differ in the loss and in the pairs."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from cpo.errors import DataError
from cpo.losses.base import Loss
from cpo.policy.logps import compute_logps
from cpo.policy.reference import Reference
from cpo.records import Tracker
from cpo.tensors import Logps, LossOutput, PairBatch, StreamInfo
from cpo.training.health import Health
from cpo.training.optim import AdamWCosine


class PolicyModule(pl.LightningModule):
    """Tunes a policy by any loss.

    Args:
        model: The policy; its trainable parameters are those with `requires_grad`.
        reference: Where reference log-probs come from, for losses that want them.
        loss: Arithmetic on log-probs.
        recipe: Optimiser, schedule, clipping.
        steps: Optimiser steps in all.
        tracker: Gets the metrics of every optimiser step.
        stage: Prefix of their keys: `sft`, `control`, `train`.
        seed: Of dropout; each batch has its own, so that a resumed training draws what it would have drawn.
        stream: What the loss may know of the stream as a whole.
    """

    strict_loading = False  # checkpoints hold trainable weights alone

    def __init__(
        self,
        *,
        model: Any,
        reference: Reference,
        loss: Loss,
        recipe: AdamWCosine,
        steps: int,
        tracker: Tracker,
        stage: str,
        seed: int,
        stream: StreamInfo,
    ) -> None:
        super().__init__()
        self.model, self.reference, self.loss = model, reference, loss
        self.recipe, self.steps = recipe, steps
        self.tracker, self.stage, self.seed, self.stream = tracker, stage, seed, stream
        self.health = Health(stage)
        self.means: dict[str, float] | None = None  # of the optimiser step that the last batch has made, if it has
        self.before_update: Logps | None = None  # of the last batch, before the step that it was part of
        self._gradient_norm = 0.0
        self._since_step: list[dict[str, Tensor]] = []

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Policy log-probs; reference log-probs if the loss wants them; loss; log."""
        policy = compute_logps(self.model, batch)
        reference = self.reference.logps(self.model, batch) if self.loss.requires_reference else None
        output = self.loss(policy, reference, batch.info(self.stream))
        check_finite(output.loss, policy, reference, batch)
        self.before_update = policy.detach()
        self._since_step.append(step_metrics(policy.detach(), reference, output, batch))
        return output.loss

    def configure_optimizers(self) -> Any:
        """AdamW over the trainable parameters, its schedule stepped with it."""
        optimizer, schedule = self.recipe.build(self.parameters(), self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, batch: PairBatch, batch_idx: int) -> None:
        """Seeds what is random in a forward pass."""
        torch.manual_seed(self.seed * 1_000_003 + batch_idx)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Takes the norm of the gradients, before they are clipped."""
        gradients = [parameter.grad for parameter in self.parameters() if parameter.grad is not None]
        self._gradient_norm = torch.nn.utils.get_total_norm(gradients).item() if gradients else 0.0

    def log_step(self, batch_idx: int) -> None:
        """Logs the means over the batches of an optimiser step, if it is made with this batch."""
        self.means = None
        if (batch_idx + 1) % self.recipe.accumulate and batch_idx + 1 < self.trainer.num_training_batches:
            return
        keys = list(self._since_step[0])
        table = torch.stack([torch.stack([m[key].float() for key in keys]) for m in self._since_step]).mean(dim=0)
        means = dict(zip(keys, self.trainer.strategy.reduce(table, reduce_op="mean").tolist(), strict=True))
        means["lr"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        means["grad_norm"] = self._gradient_norm
        self._since_step.clear()
        if self.trainer.is_global_zero:
            self.health.observe(self.trainer.global_step, means)
        self.tracker.log(
            {f"{self.stage}/{key}": value for key, value in means.items()},
            stage=self.stage,
            step=self.trainer.global_step,
        )
        for key, short in (("loss", "loss"), ("rewards/margins", "margin"), ("rewards/accuracies", "accuracy")):
            if key in means:
                self.log(short, means[key], prog_bar=True, logger=False)
        self.means = means

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps trainable weights only: the frozen ones stand in the SFT directory."""
        trainable = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k in trainable}


def check_finite(loss: Tensor, policy: Logps, reference: Logps | None, batch: PairBatch) -> None:
    """Stops before a loss that is no number reaches the weights.

    Raises:
        DataError: Naming the samples whose log-probs are no numbers, or all of the batch if all are: by place in the
            dataset, and by the hash of pixels, prompt and chosen trajectory.
    """
    if torch.isfinite(loss):
        return
    broken = torch.zeros(len(batch.ids), dtype=torch.bool, device=loss.device)
    for logps in (policy, *([reference] if reference else [])):
        broken |= ~(logps.chosen.isfinite() & logps.rejected.isfinite().all(dim=1))
        if logps.image_rejected is not None:
            broken |= ~logps.image_rejected.isfinite()
    guilty = broken.nonzero().flatten().tolist() or range(len(batch.ids))
    named = [f"{batch.ids[n]} (hash {batch.keys[n * batch.branches]})" for n in guilty]
    raise DataError(
        got=f"a loss of {loss.item()} on the samples {', '.join(named)}",
        wanted="a finite loss",
        remedy="look at those samples and lower the learning rate; the last good checkpoint is kept",
    )


def step_metrics(policy: Logps, reference: Logps | None, output: LossOutput, batch: PairBatch) -> dict[str, Tensor]:
    """What is logged of one batch, in TRL's spelling where TRL has the quantity.

    `prequential/accuracy` is the share of pairs whose chosen trajectory is the likelier one *before* the policy has
    been updated on them: test, then train. `logratios/…` is how far the log-probs of chosen and rejected trajectories
    have drifted from the reference's, in nats per completion.

    `kl/chosen` is an estimate of KL(π_ref ‖ π) per token, in nats: the mean of e^d − 1 − d over the tokens of the
    chosen trajectories, d the log-ratio policy − reference of a token. It has low variance and is never negative, but
    its tokens are the data's and not sampled from the reference, so it is the divergence *on the data*.

    Args:
        policy: Detached log-probs.
        reference: Log-probs of the reference, for losses that want them.
        output: Of the loss.
        batch: The batch.
    """
    metrics = {"loss": output.loss.detach(), "logps/chosen": policy.chosen.mean()}
    metrics["stream/position"] = batch.time.float().mean()
    if policy.rejected.numel():
        metrics["logps/rejected"] = policy.rejected.mean()
        metrics["prequential/accuracy"] = (policy.chosen[:, None] > policy.rejected).float().mean()
        metrics["prequential/margin"] = (policy.chosen[:, None] - policy.rejected).mean()
    if reference is not None:
        metrics["ref_logps/chosen"] = reference.chosen.mean()
        metrics["logratios/chosen"] = (policy.chosen - reference.chosen).mean()
        if policy.rejected.numel():
            metrics["ref_logps/rejected"] = reference.rejected.mean()
            metrics["logratios/rejected"] = (policy.rejected - reference.rejected).mean()
        if (kl := chosen_kl(policy, reference)) is not None:
            metrics["kl/chosen"] = kl
    margins = output.margins
    if margins is not None and output.chosen_rewards is not None and output.rejected_rewards is not None:
        metrics["rewards/chosen"] = output.chosen_rewards.mean()
        metrics["rewards/rejected"] = output.rejected_rewards.mean()
        metrics["rewards/margins"] = margins.mean()
        metrics["rewards/accuracies"] = (margins > 0).float().mean()
        quantiles = torch.tensor([0.1, 0.5, 0.9], dtype=margins.dtype, device=margins.device)
        for name, value in zip(("q10", "q50", "q90"), margins.flatten().quantile(quantiles), strict=True):
            metrics[f"margins/{name}"] = value
    return metrics | {f"loss/{name}": value for name, value in output.parts.items()}


def chosen_kl(policy: Logps, reference: Logps) -> Tensor | None:
    """The mean of e^d − 1 − d over the chosen tokens, d = policy − reference; None where only sums are known.

    Example:
        >>> one = torch.tensor([1])
        >>> def logps(value: float) -> Logps:
        ...     token = torch.tensor([[value]])
        ...     return Logps(token[0], torch.empty(1, 0), one, torch.empty(1, 0), token, token < 0)
        >>> round(chosen_kl(logps(-1.0), logps(-2.0)).item(), 4)  # d = 1: e − 2
        0.7183
    """
    if policy.token_logps is None or reference.token_logps is None or policy.completion_mask is None:
        return None
    rows = slice(None, None, len(policy.token_logps) // len(policy.chosen))  # the first branch of each pair
    ratio = (policy.token_logps - reference.token_logps)[rows][policy.completion_mask[rows]]
    return (ratio.expm1() - ratio).mean()
