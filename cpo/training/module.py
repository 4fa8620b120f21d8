"""The one LightningModule: a policy, its reference, a loss. Methods differ in the loss and in the pairs."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from cpo.losses.base import Loss
from cpo.policy.logps import compute_logps
from cpo.policy.reference import Reference
from cpo.records import Tracker
from cpo.tensors import Logps, LossOutput, PairBatch, PairInfo
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
    ) -> None:
        super().__init__()
        self.model, self.reference, self.loss = model, reference, loss
        self.recipe, self.steps = recipe, steps
        self.tracker, self.stage, self.seed = tracker, stage, seed
        self._since_step: list[dict[str, Tensor]] = []

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        """Policy log-probs; reference log-probs if the loss wants them; loss; log."""
        policy = compute_logps(self.model, batch)
        reference = self.reference.logps(self.model, batch) if self.loss.requires_reference else None
        output = self.loss(policy, reference, PairInfo(batch.weight, batch.time))
        self._since_step.append(step_metrics(policy.detach(), output, batch))
        return output.loss

    def configure_optimizers(self) -> Any:
        """AdamW over the trainable parameters, its schedule stepped with it."""
        optimizer, schedule = self.recipe.build(self.parameters(), self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, batch: PairBatch, batch_idx: int) -> None:
        """Seeds what is random in a forward pass."""
        torch.manual_seed(self.seed * 1_000_003 + batch_idx)

    def on_train_batch_end(self, outputs: Any, batch: PairBatch, batch_idx: int) -> None:
        """Logs the means over the batches of an optimiser step, once it is made."""
        if (batch_idx + 1) % self.recipe.accumulate and batch_idx + 1 < self.trainer.num_training_batches:
            return
        means = {key: torch.stack([m[key] for m in self._since_step]).mean().item() for key in self._since_step[0]}
        means["lr"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        self._since_step.clear()
        self.tracker.log(
            {f"{self.stage}/{key}": value for key, value in means.items()},
            stage=self.stage,
            step=self.trainer.global_step,
        )
        for key, short in (("loss", "loss"), ("rewards/margins", "margin"), ("rewards/accuracies", "accuracy")):
            if key in means:
                self.log(short, means[key], prog_bar=True, logger=False)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps trainable weights only: the frozen ones stand in the SFT directory."""
        trainable = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k in trainable}


def step_metrics(policy: Logps, output: LossOutput, batch: PairBatch) -> dict[str, Tensor]:
    """What is logged of one batch, in TRL's spelling where TRL has the quantity.

    `prequential/accuracy` is the share of pairs whose chosen trajectory is the likelier one *before* the policy has
    been updated on them: test, then train.

    Args:
        policy: Detached log-probs.
        output: Of the loss.
        batch: The batch.
    """
    metrics = {"loss": output.loss.detach(), "logps/chosen": policy.chosen.mean()}
    metrics["stream/position"] = batch.time.float().mean()
    if policy.rejected.numel():
        metrics["logps/rejected"] = policy.rejected.mean()
        metrics["prequential/accuracy"] = (policy.chosen[:, None] > policy.rejected).float().mean()
        metrics["prequential/margin"] = (policy.chosen[:, None] - policy.rejected).mean()
    margins = output.margins
    if margins is not None and output.chosen_rewards is not None and output.rejected_rewards is not None:
        metrics["rewards/chosen"] = output.chosen_rewards.mean()
        metrics["rewards/rejected"] = output.rejected_rewards.mean()
        metrics["rewards/margins"] = margins.mean()
        metrics["rewards/accuracies"] = (margins > 0).float().mean()
    return metrics | {f"loss/{name}": value for name, value in output.parts.items()}
