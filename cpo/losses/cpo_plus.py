"""CPO++: counterfactual thinking and counterfactual perception, each with its weight."""

from __future__ import annotations

import torch
from torch import Tensor

from cpo.errors import ConfigError
from cpo.losses.base import check_range
from cpo.losses.dpo import DPO
from cpo.tensors import PairInfo


class CPOPlus(DPO):
    r"""CPO++: w(source) · [−log σ(m) + α·NLL(chosen)], m the margin of DPO, source thinking or perception.

    A *thinking* pair rejects another text under the same image, a *perception* pair the same text under another
    image. The weights are divided by their mean over all pairs of the stream, so that they shift attention between
    the sources and leave the learning rate its meaning; with one source only, this is `loss=dpo`. Across images the
    partition functions of the two sides do not cancel, so for perception pairs the objective is a surrogate and not
    a Bradley-Terry likelihood (arXiv 2605.31312).

    Args:
        beta: Inverse temperature, > 0, in 1/nats.
        nll_weight: α of the NLL of the chosen trajectory, ≥ 0; 0 for none.
        thinking_weight: Weight of pairs that differ in text, ≥ 0.
        perception_weight: Weight of pairs that differ in image, ≥ 0; only the ratio of the two counts.

    Raises:
        ConfigError: A knob out of its range, or no pair of the stream has any weight.

    Source:
        Yang et al. 2026 (arXiv 2604.15705): two streams of pairs with weights of mean 1, Bradley-Terry against the
        SFT reference, α = 0.1 in the released run. The paper gives no weights; equal ones are our default.

    Example:
        >>> import torch
        >>> loss = CPOPlus(beta=0.1, nll_weight=0.0, thinking_weight=1.0, perception_weight=3.0)
        >>> info = PairInfo(torch.ones(2), torch.zeros(2), source=torch.tensor([0, 1]), perception_share=0.5)
        >>> loss.pair_weight(info).tolist()  # 1/2 and 3/2: their mean is 1
        [0.5, 1.5]
    """

    def __init__(self, *, beta: float, nll_weight: float, thinking_weight: float, perception_weight: float) -> None:
        super().__init__(beta=beta, nll_weight=nll_weight)
        for name, weight in (("thinking_weight", thinking_weight), ("perception_weight", perception_weight)):
            check_range(f"loss.{name}", weight, low=0.0, closed=True, remedy=f"pass loss.{name}=1")
        self.thinking_weight, self.perception_weight = thinking_weight, perception_weight

    def pair_weight(self, info: PairInfo) -> Tensor:
        """The pair's own weight times that of its source, [B].

        Raises:
            ConfigError: No pair of the stream has any weight.
        """
        share = info.perception_share
        mean = (1 - share) * self.thinking_weight + share * self.perception_weight
        if mean == 0:
            raise ConfigError(
                got=f"loss.thinking_weight={self.thinking_weight}, loss.perception_weight={self.perception_weight}, "
                f"and {share:.0%} perception pairs in the stream",
                wanted="a positive weight for at least one source that the stream has",
                remedy="pass loss.thinking_weight=1, or a counterfactual that makes perception pairs",
            )
        source = torch.zeros_like(info.weight) if info.source is None else info.source
        weight = torch.where(source == 1, self.perception_weight / mean, self.thinking_weight / mean)
        return info.weight * weight.to(info.weight)
