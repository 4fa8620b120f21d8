"""Binary classifier optimization: rewards are the logits of a classifier of good and bad trajectories."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import logsigmoid

from cpo.losses.base import check_range
from cpo.losses.reward import RewardLoss


class BCO(RewardLoss):
    r"""BCO on pairs: −log σ(r_chosen − δ) − log σ(−(r_rejected − δ)), r = β·log π/π_ref.

    It bounds DPO's loss from above, and unlike DPO it fixes where the rewards lie: chosen above δ, rejected below.
    With K > 1 the mean over the rejected.

    Args:
        beta: Inverse temperature, > 0, in 1/nats.
        delta: δ, the boundary between good and bad rewards, in nats.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Jung et al. 2024 (arXiv 2404.04656). The paper's δ is a running mean of the rewards; here, as in TRL, it
        is a constant, 0 by default: a loss that remembers batches could neither be resumed nor accumulated exactly.

    Example:
        >>> import torch
        >>> BCO(beta=1.0, delta=0.0).of_rewards(torch.tensor([1.0]), torch.tensor([[0.0]]))  # 0.3133 + 0.6931
        tensor([1.0064])
    """

    def __init__(self, *, beta: float, delta: float) -> None:
        super().__init__(beta=beta)
        check_range("loss.delta", delta, low=-math.inf, remedy="pass loss.delta=0")
        self.delta = delta

    def of_rewards(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """See `RewardLoss.of_rewards`."""
        return -logsigmoid(chosen - self.delta) - logsigmoid(self.delta - rejected).mean(dim=1)
