"""Sliding-window DPO: pairs older than the window do not count."""

from __future__ import annotations

from torch import Tensor

from cpo.errors import ConfigError
from cpo.losses.aged import AgedDPO


class SWDPO(AgedDPO):
    r"""SW-DPO: DPO on the pairs of the last W time steps, 1[T − t ≤ W]; t ∈ {0, …, T−1}.

    Args:
        beta: Inverse temperature, > 0, in 1/nats.
        window: W, in time steps, 1 ≤ W ≤ T; T is DPO on all pairs.
        time_steps: T, ≥ 1: into how many equal parts the stream is cut.
        normalise: Divide the weights by their mean over the time steps, W/T.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        The baseline of Son et al. 2025 (arXiv 2407.18676).

    Example:
        >>> import torch
        >>> loss = SWDPO(beta=0.1, window=2, time_steps=4, normalise=True)
        >>> loss.weight_of(torch.tensor([3, 2, 1, 0])).tolist()  # from the first time step to the last
        [0.0, 0.0, 1.0, 1.0]
    """

    def __init__(self, *, beta: float, window: int, time_steps: int, normalise: bool) -> None:
        super().__init__(beta=beta, time_steps=time_steps, normalise=normalise)
        if not 1 <= window <= time_steps:
            raise ConfigError(
                got=f"loss.window={window} of loss.time_steps={time_steps}",
                wanted="1 ≤ window ≤ time_steps",
                remedy=f"pass loss.window={max(1, time_steps // 2)}",
            )
        self.window = window

    def weight_of(self, age: Tensor) -> Tensor:
        """1 within the window, 0 before it, [B]."""
        return (age < self.window).double()
