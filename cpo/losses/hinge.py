"""Hinge loss on the margin, as in sequence likelihood calibration."""

from __future__ import annotations

from torch import Tensor

from cpo.losses.reward import RewardLoss


class Hinge(RewardLoss):
    r"""Hinge: max(0, 1 − m), m = β·(log-ratio of chosen − log-ratio of rejected).

    A pair whose margin has reached 1 has no gradient any more. With K > 1 the mean over the K pairs.

    Args:
        beta: Inverse temperature, > 0, in 1/nats: the margin of 1 asks for a log-ratio difference of 1/β.

    Raises:
        ConfigError: β out of its range.

    Source:
        Zhao et al. 2023 (SLiC-HF, arXiv 2305.10425), with the log-ratio to the reference in place of the
        log-probability as in Liu et al. 2023 (RSO, arXiv 2309.06657).

    Example:
        >>> import torch
        >>> Hinge(beta=1.0).of_rewards(torch.tensor([0.25, 3.0]), torch.tensor([[0.0], [0.0]])).tolist()
        [0.75, 0.0]
    """

    is_margin_only = True

    def of_rewards(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """See `RewardLoss.of_rewards`."""
        return (1 - (chosen[:, None] - rejected)).relu().mean(dim=1)
