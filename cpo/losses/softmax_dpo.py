"""Softmax DPO: one chosen trajectory against K rejected ones at once."""

from __future__ import annotations

import torch
from torch import Tensor

from cpo.losses.reward import RewardLoss


class SoftmaxDPO(RewardLoss):
    r"""Softmax DPO: log(1 + Σₖ exp(r_k − r_chosen)) = −log softmax(r)_chosen over all 1 + K; r = β·log π/π_ref.

    The hardest negative weighs most, by the policy's own measure. With K = 1 it is DPO.

    Args:
        beta: Inverse temperature, > 0, in 1/nats.

    Raises:
        ConfigError: β out of its range.

    Source:
        Chen et al. 2024 (S-DPO, arXiv 2406.09215), written as one logsumexp: the released code exponentiates
        before it takes the logarithm and can overflow.

    Example:
        >>> import torch
        >>> SoftmaxDPO(beta=1.0).of_rewards(torch.tensor([1.0]), torch.tensor([[0.0, 0.0]]))  # log(1 + 2/e)
        tensor([0.5514])
    """

    is_margin_only = True

    def of_rewards(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """See `RewardLoss.of_rewards`."""
        above = rejected - chosen[:, None]
        return torch.cat([torch.zeros_like(above[:, :1]), above], dim=1).logsumexp(dim=1)
