"""Losses over implied rewards: what every loss with a reference has in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor
from torch.nn.functional import logsigmoid

from cpo.losses.base import Loss, check_range, nll, weighted_mean
from cpo.tensors import Logps, LossOutput, PairInfo


class RewardLoss(Loss):
    """A loss of the rewards r = β·log π/π_ref that the policy implies, one per branch.

    A subclass says what a pair's rewards cost (`of_rewards`); where its method asks for it, also how a reward is
    measured (`rewards`), what is added to it (`terms`) and how much a pair counts (`pair_weight`).

    Args:
        beta: β, inverse temperature of the implied KL constraint, > 0, in 1/nats.

    Raises:
        ConfigError: β out of its range.
    """

    requires_reference = True
    requires_rejected = True
    nll_weight: float = 0.0
    """Weight of the chosen trajectory's NLL; 0 unless a subclass has the knob."""

    def __init__(self, *, beta: float) -> None:
        check_range("loss.beta", beta, low=0.0, remedy="pass loss.beta=0.1, the value of the released scripts")
        self.beta = beta

    @abstractmethod
    def of_rewards(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """What the rewards of each pair cost, [B].

        Args:
            chosen: [B], in nats.
            rejected: [B, K], in nats.
        """

    def rewards(self, policy: Logps, reference: Logps) -> tuple[Tensor, Tensor]:
        """Rewards of the chosen [B] and rejected [B, K] branches, in nats: β times the log-ratio."""
        return self.beta * (policy.chosen - reference.chosen), self.beta * (policy.rejected - reference.rejected)

    def terms(self, policy: Logps, reference: Logps) -> Mapping[str, tuple[float, Tensor]]:
        """Further summands: name → (weight, cost of each pair [B]). The NLL is logged even where it weighs nothing."""
        return {"nll": (self.nll_weight, nll(policy))}

    def pair_weight(self, info: PairInfo) -> Tensor:
        """How much each pair counts, [B]."""
        return info.weight

    def __call__(self, policy: Logps, reference: Logps | None, info: PairInfo) -> LossOutput:
        """See `Loss.__call__`."""
        assert reference is not None, "the training step gives a reference to losses that require one"
        chosen, rejected = self.rewards(policy, reference)
        preference = self.of_rewards(chosen, rejected)
        parts, per_pair = {"preference": preference.detach().mean()}, preference
        for name, (weight, cost) in self.terms(policy, reference).items():
            parts[name] = cost.detach().mean()
            if weight:
                per_pair = per_pair + weight * cost
        return LossOutput(
            loss=weighted_mean(per_pair, self.pair_weight(info)),
            per_pair=per_pair.detach(),
            chosen_rewards=chosen.detach(),
            rejected_rewards=rejected.detach(),
            parts=parts,
        )


def bradley_terry(chosen: Tensor, rejected: Tensor) -> Tensor:
    """−log σ(r_chosen − r_rejected), [B]: the mean over the K pairs that share a chosen trajectory.

    Args:
        chosen: Rewards [B].
        rejected: Rewards [B, K].

    Example:
        >>> import torch
        >>> bradley_terry(torch.tensor([1.0]), torch.tensor([[1.0, 1.0]])).tolist()  # ln 2
        [0.6931471824645996]
    """
    return -logsigmoid(chosen[:, None] - rejected).mean(dim=1)
