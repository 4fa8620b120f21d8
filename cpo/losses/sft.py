"""Supervised fine-tuning: the same module, data path and log-probs, without a rejected branch."""

from __future__ import annotations

from cpo.losses.base import Loss, nll, weighted_mean
from cpo.tensors import Logps, LossOutput, PairInfo


class SFT(Loss):
    """Negative log-likelihood of the chosen trajectory: −log π(chosen)/|chosen|, averaged over completions.

    The mean over tokens is taken per completion, not over the batch: a completion's pull then depends neither on
    its neighbours nor on how a batch is split for accumulation.

    Example:
        >>> import torch
        >>> policy = Logps(torch.tensor([-2.0, -9.0]), torch.zeros(2, 0), torch.tensor([2, 3]), torch.zeros(2, 0))
        >>> SFT()(policy, None, PairInfo(torch.ones(2), torch.zeros(2))).loss.item()  # (2/2 + 9/3) / 2
        2.0
    """

    requires_reference = False
    requires_rejected = False

    def __call__(self, policy: Logps, reference: Logps | None, info: PairInfo) -> LossOutput:
        """See `Loss.__call__`."""
        per_pair = nll(policy)
        return LossOutput(loss=weighted_mean(per_pair, info.weight), per_pair=per_pair.detach())
