"""Identity preference optimization: the margin is regressed onto a finite target instead of pushed without end."""

from __future__ import annotations

from torch import Tensor

from cpo.losses.reward import RewardLoss
from cpo.tensors import Logps


class IPO(RewardLoss):
    r"""IPO: (Δ̄ − 1/(2β))², Δ̄ the difference of the per-token mean log-ratios of chosen and rejected.

    The rewards it logs are β times those means, so that margins are those the loss sees. With K > 1 the mean over the
    K pairs.

    Args:
        beta: τ of the paper, > 0: the larger, the nearer to the reference; the target of Δ̄ is 1/(2β) nats per token.

    Raises:
        ConfigError: β out of its range.

    Source:
        Azar et al. 2023 (arXiv 2310.12036), eq. 17. Means instead of sums over tokens, which the paper leaves open,
        are what its authors confirmed to TRL's; sums would tie the target to a completion's length.

    Example:
        >>> import torch
        >>> length = torch.tensor([2])
        >>> reference = Logps(torch.tensor([-3.0]), torch.tensor([[-4.0]]), length, length[:, None])
        >>> policy = Logps(torch.tensor([-2.0]), torch.tensor([[-5.0]]), length, length[:, None])
        >>> loss = IPO(beta=0.25)
        >>> loss.of_rewards(*loss.rewards(policy, reference)).item()  # Δ̄ = 1/2 − (−1/2) = 1, the target is 2
        1.0
    """

    is_margin_only = True

    def rewards(self, policy: Logps, reference: Logps) -> tuple[Tensor, Tensor]:
        """β times the log-ratio per token: chosen [B], rejected [B, K]."""
        chosen, rejected = super().rewards(policy, reference)
        return chosen / policy.chosen_length, rejected / policy.rejected_length

    def of_rewards(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """See `RewardLoss.of_rewards`."""
        return ((chosen[:, None] - rejected) / self.beta - 1 / (2 * self.beta)).square().mean(dim=1)
