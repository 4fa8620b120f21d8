"""Several losses at once."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from cpo.errors import ConfigError
from cpo.losses.base import Loss, check_range
from cpo.tensors import Logps, LossOutput, PairInfo


class WeightedSum(Loss):
    r"""Σ wᵢ·Lᵢ of named losses; it reads whatever one of them reads.

    Its rewards are those of the first summand that has rewards, in the order of the config. Each summand is logged as
    a part under its name, unweighted, and its own parts below.

    Args:
        losses: The summands by name.
        weights: The weight of each, > 0; same names.

    Raises:
        ConfigError: No summand, names that do not match, or a weight that is not positive.

    Example:
        >>> from cpo.losses.sft import SFT
        >>> twice = WeightedSum(losses={"a": SFT(), "b": SFT()}, weights={"a": 0.5, "b": 1.5})
        >>> policy = Logps(torch.tensor([-6.0]), torch.zeros(1, 0), torch.tensor([2]), torch.zeros(1, 0))
        >>> twice(policy, None, PairInfo(torch.ones(1), torch.zeros(1))).loss.item()  # (0.5 + 1.5) · 6/2
        6.0
    """

    def __init__(self, *, losses: Mapping[str, Loss], weights: Mapping[str, float]) -> None:
        if not losses or set(losses) != set(weights):
            raise ConfigError(
                got=f"losses {sorted(losses)} with weights for {sorted(weights)}",
                wanted="at least one loss, and one weight for each",
                remedy="pass loss.weights.NAME=… for each loss.losses.NAME, or ~loss.weights.NAME to take one away",
            )
        for name, weight in weights.items():
            check_range(f"loss.weights.{name}", weight, low=0.0, remedy=f"leave {name} out, or weigh it above 0")
        self.losses, self.weights = dict(losses), dict(weights)
        self.requires_reference = any(loss.requires_reference for loss in losses.values())
        self.requires_rejected = any(loss.requires_rejected for loss in losses.values())
        self.requires_image_rejected = any(loss.requires_image_rejected for loss in losses.values())
        self.is_margin_only = all(loss.is_margin_only for loss in losses.values())
        self.reads_time = any(loss.reads_time for loss in losses.values())

    def __call__(self, policy: Logps, reference: Logps | None, info: PairInfo) -> LossOutput:
        """See `Loss.__call__`."""
        outputs = {name: loss(policy, reference, info) for name, loss in self.losses.items()}
        rewarded = next((o for o in outputs.values() if o.chosen_rewards is not None), None)
        parts = {name: output.loss.detach() for name, output in outputs.items()}
        parts |= {f"{name}/{part}": value for name, o in outputs.items() for part, value in o.parts.items()}
        return LossOutput(
            loss=torch.stack([self.weights[name] * o.loss for name, o in outputs.items()]).sum(),
            per_pair=torch.stack([self.weights[name] * o.per_pair for name, o in outputs.items()]).sum(dim=0),
            chosen_rewards=rewarded.chosen_rewards if rewarded else None,
            rejected_rewards=rewarded.rejected_rewards if rewarded else None,
            parts=parts,
        )
