"""A training recipe: optimiser, schedule, and how batches are cut."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch.nn import Parameter
from torch.optim.lr_scheduler import LambdaLR

from cpo.errors import ConfigError


class AdamWCosine:
    """AdamW with linear warm-up and cosine decay, and the batch it is stepped on.

    Args:
        lr: Peak learning rate, > 0.
        min_lr: Learning rate at the last step, in [0, lr].
        betas: Decay of the first and second moment.
        weight_decay: Decoupled weight decay, ≥ 0.
        warmup_steps: Steps of linear warm-up, ≥ 0.
        clip_norm: Largest gradient norm; 0 for no clipping.
        batch_size: Pairs (or samples) per forward pass and device.
        accumulate: Forward passes per optimiser step.
        epochs: Passes over the data, if `max_steps` is −1; may be a fraction.
        max_steps: Optimiser steps; −1 leaves it to `epochs`.
        early_stop: Optimiser steps of a window: training stops when the mean training loss of one is not below that of
            every earlier one; 0 for never. The learning rate follows the schedule of all steps either way, and control
            and preference stage stop each by their own loss.

    Raises:
        ConfigError: A knob out of its range.
    """

    def __init__(
        self,
        *,
        lr: float,
        min_lr: float,
        betas: tuple[float, float],
        weight_decay: float,
        warmup_steps: int,
        clip_norm: float,
        batch_size: int,
        accumulate: int,
        epochs: float,
        max_steps: int,
        early_stop: int,
    ) -> None:
        ranges = {
            "lr > 0": lr > 0,
            "0 ≤ min_lr ≤ lr": 0 <= min_lr <= lr,
            "weight_decay ≥ 0": weight_decay >= 0,
            "warmup_steps ≥ 0": warmup_steps >= 0,
            "clip_norm ≥ 0": clip_norm >= 0,
            "batch_size ≥ 1": batch_size >= 1,
            "accumulate ≥ 1": accumulate >= 1,
            "epochs > 0": epochs > 0,
            "max_steps ≥ 1 or −1": max_steps >= 1 or max_steps == -1,
            "early_stop ≥ 0": early_stop >= 0,
            "two betas in [0, 1)": len(betas) == 2 and all(0 <= b < 1 for b in betas),
        }
        broken = [rule for rule, holds in ranges.items() if not holds]
        if broken:
            raise ConfigError(
                got=f"an optimiser recipe that breaks {broken}",
                wanted=", ".join(ranges),
                remedy="see conf/optim/adamw_cosine.yaml for values that work",
            )
        self.lr, self.min_lr, self.betas = lr, min_lr, tuple(betas)
        self.weight_decay, self.warmup_steps, self.clip_norm = weight_decay, warmup_steps, clip_norm
        self.batch_size, self.accumulate = batch_size, accumulate
        self.epochs, self.max_steps, self.early_stop = epochs, max_steps, early_stop

    def steps(self, n: int, *, devices: int = 1) -> int:
        """Optimiser steps over n pairs or samples."""
        if self.max_steps != -1:
            return self.max_steps
        return max(1, math.ceil(self.epochs * n / (self.batch_size * self.accumulate * devices)))

    def build(self, parameters: Iterable[Parameter], steps: int) -> tuple[torch.optim.Optimizer, LambdaLR]:
        """The optimiser over trainable parameters, and its schedule over `steps` steps."""
        optimizer = torch.optim.AdamW(
            [p for p in parameters if p.requires_grad],
            lr=self.lr,
            betas=self.betas,  # type: ignore[arg-type]
            weight_decay=self.weight_decay,
        )
        return optimizer, LambdaLR(optimizer, RestartableSchedule(self, steps))

    def factor(self, step: int, steps: int) -> float:
        """Learning rate at a step over the peak: a ramp to 1 during warm-up, then a cosine to min_lr / lr.

        Example:
            >>> recipe = AdamWCosine(lr=1.0, min_lr=0.0, betas=(0.9, 0.98), weight_decay=0.0, warmup_steps=2,
            ...     clip_norm=0.0, batch_size=1, accumulate=1, epochs=1, max_steps=-1, early_stop=0)
            >>> [round(recipe.factor(step, 6), 2) for step in range(6)]
            [0.5, 1.0, 1.0, 0.85, 0.5, 0.15]
        """
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        progress = min(1.0, (step - self.warmup_steps) / max(1, steps - self.warmup_steps))
        floor = self.min_lr / self.lr
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


class RestartableSchedule:
    """The learning rate's factor at a step, which may start over; `LambdaLR` keeps its state in checkpoints.

    Args:
        recipe: Gives the shape.
        steps: Optimiser steps in all.

    Example:
        >>> recipe = AdamWCosine(lr=1.0, min_lr=0.0, betas=(0.9, 0.98), weight_decay=0.0, warmup_steps=2,
        ...     clip_norm=0.0, batch_size=1, accumulate=1, epochs=1, max_steps=-1, early_stop=0)
        >>> schedule = RestartableSchedule(recipe, steps=8)
        >>> schedule.restart(4)
        >>> [round(schedule(step), 2) for step in range(4, 8)]
        [0.5, 1.0, 1.0, 0.5]
    """

    def __init__(self, recipe: AdamWCosine, steps: int) -> None:
        self.recipe, self.steps, self.restarted_at = recipe, steps, 0

    def restart(self, step: int) -> None:
        """Warms up again from a step on, then falls over the steps that are left."""
        self.restarted_at = step

    def __call__(self, step: int) -> float:
        """The learning rate at a step over its peak."""
        return self.recipe.factor(step - self.restarted_at, self.steps - self.restarted_at)
