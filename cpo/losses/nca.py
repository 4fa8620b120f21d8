"""Noise contrastive alignment: each trajectory against noise, so that the chosen one's likelihood is held."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from cpo.losses.reward import RewardLoss


class NCA(RewardLoss):
    r"""NCA: −log σ(r_chosen) − 1/(1+K)·Σ log σ(−r), the sum over all 1 + K trajectories; r = β·log π/π_ref.

    The chosen reward is pulled up by the first term and held by the second: its optimum is finite, where DPO's margin
    grows without end. With K = 1 the factor is the familiar ½.

    Args:
        beta: Inverse temperature, > 0, in 1/nats.

    Raises:
        ConfigError: β out of its range.

    Source:
        Chen et al. 2024 (arXiv 2402.05369), the NCA objective with hard labels: all weight on the chosen trajectory.

    Example:
        >>> import torch
        >>> NCA(beta=1.0).of_rewards(torch.tensor([1.0]), torch.tensor([[0.0]]))  # 0.3133 + (1.3133 + 0.6931) / 2
        tensor([1.3165])
    """

    def of_rewards(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """See `RewardLoss.of_rewards`."""
        everything = torch.cat([chosen[:, None], rejected], dim=1)
        return -logsigmoid(chosen) - logsigmoid(-everything).mean(dim=1)
