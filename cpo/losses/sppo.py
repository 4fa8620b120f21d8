"""Self-play preference optimization, on given pairs with hard win probabilities."""

from __future__ import annotations

from torch import Tensor

from cpo.losses.reward import RewardLoss


class SPPO(RewardLoss):
    r"""SPPO with hard labels: (a_chosen − 1/(2β))² + (a_rejected + 1/(2β))², a the log-ratio to the reference, in nats.

    Each trajectory has its own target, so the chosen log-prob is pulled up and not only away from the rejected one.
    With K > 1 the mean over the rejected.

    Args:
        beta: > 0; 1/β is the paper's η, and 1/(2β) the target of a log-ratio in nats.

    Raises:
        ConfigError: β out of its range.

    Source:
        Wu et al. 2024 (arXiv 2405.00675), eq. 4.7 with a win probability of 1 for the chosen and 0 for the rejected
        trajectory. The paper iterates on the policy's own samples; the pairs here are given.

    Example:
        >>> import torch
        >>> loss = SPPO(beta=0.5)  # the target is 1 nat
        >>> loss.of_rewards(torch.tensor([1.0]), torch.tensor([[0.0]])).tolist()  # a = 2 and 0: (2 − 1)² + (0 + 1)²
        [2.0]
    """

    def of_rewards(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """See `RewardLoss.of_rewards`."""
        target = 1 / (2 * self.beta)
        return (chosen / self.beta - target).square() + (rejected / self.beta + target).square().mean(dim=1)
