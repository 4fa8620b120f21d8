"""DPO whose pairs count by their age in the stream: what discounting and sliding windows have in common."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from cpo.errors import ConfigError
from cpo.losses.reward import RewardLoss, bradley_terry
from cpo.tensors import PairInfo


class AgedDPO(RewardLoss):
    """DPO with a weight by age.

    The stream is cut into T equal time steps; a pair of the last one has age 0, one of the first age T − 1.

    Args:
        beta: Inverse temperature, > 0, in 1/nats.
        time_steps: T, ≥ 1.
        normalise: Divide the weights by their mean over the T time steps, so that the learning rate keeps its
            meaning; False takes them as the paper has them.

    Raises:
        ConfigError: A knob out of its range.
    """

    is_margin_only = True
    reads_time = True

    def __init__(self, *, beta: float, time_steps: int, normalise: bool) -> None:
        super().__init__(beta=beta)
        if time_steps < 1:
            raise ConfigError(
                got=f"loss.time_steps={time_steps}", wanted="time_steps ≥ 1", remedy="pass loss.time_steps=100"
            )
        self.time_steps, self.normalise = time_steps, normalise

    @abstractmethod
    def weight_of(self, age: Tensor) -> Tensor:
        """Weight of pairs by their age in time steps, int64 [B] in [0, T) → [B]."""

    def pair_weight(self, info: PairInfo) -> Tensor:
        """The pair's own weight times that of its age, [B].

        Raises:
            ConfigError: The length of the stream is not known.
        """
        weight = self.weight_of(age(info, self.time_steps)).to(info.weight)
        if self.normalise:
            weight = weight / self.weight_of(torch.arange(self.time_steps)).double().mean().item()
        return info.weight * weight

    def of_rewards(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """See `RewardLoss.of_rewards`."""
        return bradley_terry(chosen, rejected)


def age(info: PairInfo, time_steps: int) -> Tensor:
    """Age of each pair, int64 [B] in [0, time_steps): time steps that the stream goes on after it.

    Raises:
        ConfigError: The length of the stream is not known.

    Example:
        >>> info = PairInfo(torch.ones(3), torch.tensor([0, 5, 9]), length=10)
        >>> age(info, time_steps=5).tolist()  # time steps 0, 2 and 4 of 5
        [4, 2, 0]
    """
    if info.length < 1:
        raise ConfigError(
            got="pairs of a stream whose length is not known",
            wanted="PairInfo.length, the number of samples in the stream",
            remedy="train through run_stage, or build the PairInfo with batch.info(stream_info(pairs))",
        )
    return time_steps - 1 - (info.time.long() * time_steps).div(info.length, rounding_mode="floor")
