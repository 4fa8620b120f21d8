"""Efficient exact optimization: the reverse KL from the policy's preference to the labels'."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn.functional import logsigmoid

from cpo.losses.base import check_range
from cpo.losses.reward import RewardLoss


class EXO(RewardLoss):
    r"""EXO on pairs: σ(m)·[log σ(m) − log(1−ε)] + σ(−m)·[log σ(−m) − log ε].

    That is KL(p ‖ q) with p = (σ(m), σ(−m)) the preference the policy implies and q = (1−ε, ε) the label, where DPO
    minimises KL(q ‖ p) at ε = 0. m is the margin β·(log-ratio of chosen − log-ratio of rejected); the minimum, 0, is
    at m = log((1−ε)/ε). Far below it the gradient vanishes, as it does for every reverse KL. With K > 1 the mean over
    the K pairs.

    Args:
        beta: Inverse temperature, > 0, in 1/nats.
        label_smoothing: ε, probability that the label gives to the rejected trajectory, in (0, 0.5); at 0 the loss
            would be infinite.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Ji et al. 2024 (arXiv 2402.00856), eq. 16 with two completions.

    Example:
        >>> import torch
        >>> loss = EXO(beta=1.0, label_smoothing=0.1)
        >>> loss.of_rewards(torch.tensor([1.0]), torch.tensor([[0.0]]))
        ... # 0.7311·(−0.3133 + 0.1054) + 0.2689·(−1.3133 + 2.3026)
        tensor([0.1141])
    """

    is_margin_only = True

    def __init__(self, *, beta: float, label_smoothing: float) -> None:
        super().__init__(beta=beta)
        check_range(
            "loss.label_smoothing", label_smoothing, low=0.0, high=0.5, remedy="pass loss.label_smoothing=0.001"
        )
        self.label_smoothing = label_smoothing

    def of_rewards(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """See `RewardLoss.of_rewards`."""
        margins = chosen[:, None] - rejected
        right = margins.sigmoid() * (logsigmoid(margins) - math.log1p(-self.label_smoothing))
        wrong = (-margins).sigmoid() * (logsigmoid(-margins) - math.log(self.label_smoothing))
        return (right + wrong).mean(dim=1)
