"""Simple preference optimization: per-token log-probabilities as rewards, without a reference."""

from __future__ import annotations

from cpo.losses.base import Loss, check_range, nll, weighted_mean
from cpo.losses.reward import bradley_terry
from cpo.tensors import Logps, LossOutput, PairInfo


class SimPO(Loss):
    r"""SimPO: −log σ(β·log π(chosen)/|chosen| − β·log π(rejected)/|rejected| − γ).

    With K > 1 the mean over the K pairs that share a chosen trajectory.

    Args:
        beta: Scale of the rewards, > 0, in 1/nats per token; larger than DPO's, since rewards are means over tokens.
        target_margin: γ, the margin that a pair must exceed before its pull falls below one half, ≥ 0, in nats.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Meng, Xia and Chen 2024 (arXiv 2405.14734), eq. 6.

    Example:
        >>> import torch
        >>> policy = Logps(torch.tensor([-2.0]), torch.tensor([[-6.0]]), torch.tensor([2]), torch.tensor([[3]]))
        >>> output = SimPO(beta=2.0, target_margin=1.0)(policy, None, PairInfo(torch.ones(1), torch.zeros(1)))
        >>> round(output.loss.item(), 4)  # rewards 2·(−1) and 2·(−2): −log σ(2 − 1)
        0.3133
    """

    requires_reference = False
    requires_rejected = True
    is_margin_only = True

    def __init__(self, *, beta: float, target_margin: float) -> None:
        check_range("loss.beta", beta, low=0.0, remedy="pass loss.beta=2.0, the paper's")
        check_range(
            "loss.target_margin", target_margin, low=0.0, closed=True, remedy="pass loss.target_margin=1.0, or 0"
        )
        self.beta, self.target_margin = beta, target_margin

    def __call__(self, policy: Logps, reference: Logps | None, info: PairInfo) -> LossOutput:
        """See `Loss.__call__`."""
        chosen = self.beta * policy.chosen / policy.chosen_length
        rejected = self.beta * policy.rejected / policy.rejected_length
        per_pair = bradley_terry(chosen - self.target_margin, rejected)
        return LossOutput(
            loss=weighted_mean(per_pair, info.weight),
            per_pair=per_pair.detach(),
            chosen_rewards=chosen.detach(),
            rejected_rewards=rejected.detach(),
            parts={"nll": nll(policy).detach().mean()},
        )
