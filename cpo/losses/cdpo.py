"""Conservative DPO: DPO for labels of which some are flipped."""

from __future__ import annotations

from torch import Tensor

from cpo.losses.base import check_range
from cpo.losses.reward import RewardLoss, bradley_terry


class CDPO(RewardLoss):
    r"""cDPO: −(1−ε)·log σ(m) − ε·log σ(−m), the cross-entropy against a label that is wrong with probability ε.

    m is the margin β·(log-ratio of chosen − log-ratio of rejected). Its optimum is the finite margin log((1−ε)/ε), so
    it keeps pulling on pairs that DPO has let go. The letters stand for *conservative*.

    Args:
        beta: Inverse temperature, > 0, in 1/nats.
        label_smoothing: ε, assumed share of flipped labels, in [0, 0.5); 0 is DPO.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Mitchell 2023, "A note on DPO with noisy preferences and relationship to IPO", eq. 3.

    Example:
        >>> import torch
        >>> loss = CDPO(beta=1.0, label_smoothing=0.1)
        >>> loss.of_rewards(torch.tensor([1.0]), torch.tensor([[0.0]]))  # 0.9·0.3133 + 0.1·1.3133
        tensor([0.4133])
    """

    is_margin_only = True

    def __init__(self, *, beta: float, label_smoothing: float) -> None:
        super().__init__(beta=beta)
        check_range(
            "loss.label_smoothing", label_smoothing, low=0.0, high=0.5, closed=True, remedy="pass loss=dpo for none"
        )
        self.label_smoothing = label_smoothing

    def of_rewards(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """See `RewardLoss.of_rewards`."""
        flipped = bradley_terry(-chosen, -rejected)
        return (1 - self.label_smoothing) * bradley_terry(chosen, rejected) + self.label_smoothing * flipped
