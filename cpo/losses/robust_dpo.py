"""Robust DPO: DPO whose expectation under flipped labels is the loss on the clean ones."""

from __future__ import annotations

from torch import Tensor

from cpo.losses.cdpo import CDPO
from cpo.losses.reward import bradley_terry


class RobustDPO(CDPO):
    r"""Robust DPO: [−(1−ε)·log σ(m) + ε·log σ(−m)] / (1−2ε), an unbiased estimate of DPO's loss on unflipped labels.

    m is the margin β·(log-ratio of chosen − log-ratio of rejected). Where labels are flipped with probability ε, the
    second term takes out on average what the flipped ones add; a single pair's loss may be negative. The knobs are
    those of `CDPO`, whose second term has the other sign.

    Args:
        beta: Inverse temperature, > 0, in 1/nats.
        label_smoothing: ε, share of flipped labels, in [0, 0.5); 0 is DPO.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Chowdhury, Kini and Natarajan 2024 (arXiv 2403.00409), the robust loss of its section 3.

    Example:
        >>> import torch
        >>> loss = RobustDPO(beta=1.0, label_smoothing=0.1)
        >>> loss.of_rewards(torch.tensor([1.0]), torch.tensor([[0.0]]))  # (0.9·0.3133 − 0.1·1.3133) / 0.8
        tensor([0.1883])
    """

    def of_rewards(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """See `RewardLoss.of_rewards`."""
        clean, flipped = bradley_terry(chosen, rejected), bradley_terry(-chosen, -rejected)
        return ((1 - self.label_smoothing) * clean - self.label_smoothing * flipped) / (1 - 2 * self.label_smoothing)
