"""Non-stationary DPO: older pairs count exponentially less."""

from __future__ import annotations

from torch import Tensor

from cpo.losses.aged import AgedDPO
from cpo.losses.base import check_range


class NSDPO(AgedDPO):
    r"""NS-DPO: γ^(T−t−1) · DPO, t ∈ {0, …, T−1} the time step of the pair and T their number.

    Args:
        beta: Inverse temperature, > 0, in 1/nats.
        discount: γ, in (0, 1); the paper's theory has 1 − (B_T/T)^(3/4), B_T the total drift.
        time_steps: T, ≥ 1: into how many equal parts the stream is cut.
        normalise: Divide the weights by their mean over the time steps, (1 − γ^T)/(T(1 − γ)).

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Son et al. 2025 (arXiv 2407.18676), the discounted negative log-likelihood of its dynamic Bradley-Terry model;
        the division by the mean weight is optional in the released code.

    Example:
        >>> import torch
        >>> loss = NSDPO(beta=0.1, discount=0.5, time_steps=3, normalise=False)
        >>> loss.weight_of(torch.tensor([2, 1, 0])).tolist()  # from the first time step to the last
        [0.25, 0.5, 1.0]
    """

    def __init__(self, *, beta: float, discount: float, time_steps: int, normalise: bool) -> None:
        super().__init__(beta=beta, time_steps=time_steps, normalise=normalise)
        check_range("loss.discount", discount, low=0.0, high=1.0, remedy="pass loss.discount=0.95; no discount is dpo")
        self.discount = discount

    def weight_of(self, age: Tensor) -> Tensor:
        """γ^age, [B]."""
        return self.discount ** age.double()
