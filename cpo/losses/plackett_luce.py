"""Plackett-Luce DPO: a whole ranking of trajectories."""

from __future__ import annotations

import torch
from torch import Tensor

from cpo.losses.reward import RewardLoss


class PlackettLuce(RewardLoss):
    r"""Plackett-Luce DPO: −Σᵢ [rᵢ − log Σ_{j≥i} exp(rⱼ)] along the ranking; r = β·log π/π_ref.

    The ranking is the chosen trajectory, then the rejected ones in the order in which the pair holds them: the
    counterfactual nearest to the factual trajectory first. So a rejected trajectory may be pulled up against one
    ranked below it. Where that order means nothing, `loss=softmax_dpo` ranks only the first. With K = 1 it is DPO.

    Args:
        beta: Inverse temperature, > 0, in 1/nats.

    Raises:
        ConfigError: β out of its range.

    Source:
        Rafailov et al. 2023 (arXiv 2305.18290), appendix A.3, eq. 20; the multi-negative objective of Autonomous
        Preference Optimization (arXiv 2510.04142).

    Example:
        >>> import torch
        >>> loss = PlackettLuce(beta=1.0)
        >>> loss.of_rewards(torch.tensor([1.0]), torch.tensor([[0.0, -1.0]]))
        ... # log(e + 1 + 1/e) − 1 = 0.4076 for the first place, log(1 + 1/e) = 0.3133 for the second
        tensor([0.7209])
    """

    is_margin_only = True

    def of_rewards(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """See `RewardLoss.of_rewards`."""
        # only differences count, so the chosen reward may be taken as 0: large common offsets then cost no digits
        ranked = torch.cat([torch.zeros_like(chosen)[:, None], rejected - chosen[:, None]], dim=1)
        at_or_below = ranked.flip(1).logcumsumexp(dim=1).flip(1)
        return (at_or_below - ranked).sum(dim=1)
