"""Odds ratio preference optimization: fine-tuning and preference in one, without a reference."""

from __future__ import annotations

import torch
from torch import Tensor

from cpo.losses.base import Loss, check_range, nll, weighted_mean
from cpo.losses.reward import bradley_terry
from cpo.tensors import Logps, LossOutput, PairInfo


class ORPO(Loss):
    r"""ORPO: NLL(chosen) − λ·log σ(log odds(chosen) − log odds(rejected)), odds = p/(1 − p), log p the mean per token.

    The rewards it logs are λ times the mean log-probabilities; they order trajectories as the odds do. With K > 1 the
    mean over the K pairs that share a chosen trajectory.

    Args:
        beta: λ, weight of the odds-ratio term, > 0.

    Raises:
        ConfigError: λ out of its range.

    Source:
        Hong, Lee and Thorne 2024 (arXiv 2403.07691), eq. 6 and 7. The NLL is of the completion alone, averaged per
        completion as in `loss=sft`; TRL's also counts the prompt's tokens.

    Example:
        >>> import math, torch
        >>> half, fifth = math.log(1 / 2), math.log(1 / 5)  # odds 1 and 1/4
        >>> policy = Logps(torch.tensor([half]), torch.tensor([[fifth]]), torch.tensor([1]), torch.tensor([[1]]))
        >>> output = ORPO(beta=1.0)(policy, None, PairInfo(torch.ones(1), torch.zeros(1)))
        >>> round(output.loss.item(), 4)  # ln 2 − log σ(ln 4) = 0.6931 + ln(5/4)
        0.9163
    """

    requires_reference = False
    requires_rejected = True

    def __init__(self, *, beta: float) -> None:
        check_range("loss.beta", beta, low=0.0, remedy="pass loss.beta=0.1, the paper's")
        self.beta = beta

    def __call__(self, policy: Logps, reference: Logps | None, info: PairInfo) -> LossOutput:
        """See `Loss.__call__`."""
        chosen = policy.chosen / policy.chosen_length
        rejected = policy.rejected / policy.rejected_length
        likelihood, odds = nll(policy), bradley_terry(log_odds(chosen), log_odds(rejected))
        per_pair = likelihood + self.beta * odds
        return LossOutput(
            loss=weighted_mean(per_pair, info.weight),
            per_pair=per_pair.detach(),
            chosen_rewards=self.beta * chosen.detach(),
            rejected_rewards=self.beta * rejected.detach(),
            parts={"nll": likelihood.detach().mean(), "odds_ratio": odds.detach().mean()},
        )


def log_odds(log_p: Tensor) -> Tensor:
    """log(p / (1 − p)), any shape.

    A probability that rounds to 1 has the odds of the largest number below 1: infinite odds would have no gradient.

    Example:
        >>> log_odds(torch.tensor([0.8]).log())  # ln 4
        tensor([1.3863])
    """
    log_p = log_p.clamp(max=-torch.finfo(log_p.dtype).eps)
    return log_p - torch.log(-torch.expm1(log_p))
