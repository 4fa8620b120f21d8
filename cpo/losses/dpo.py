"""Direct preference optimization; on counterfactual pairs, the objective of Counterfactual Preference Optimization."""

from __future__ import annotations

from torch import Tensor

from cpo.losses.base import check_range
from cpo.losses.reward import RewardLoss, bradley_terry


class DPO(RewardLoss):
    r"""DPO: −log σ(β[(log π/π_ref)(chosen) − (log π/π_ref)(rejected)]), optionally with an NLL term on the chosen.

    With K > 1 the mean over the K pairs that share a chosen trajectory. `loss=rpo` is this class with the NLL weight
    of the paper that gave the sum a name of its own.

    Args:
        beta: Inverse temperature of the implied KL constraint, > 0, in 1/nats.
        nll_weight: α of the term −α·log π(chosen)/|chosen|, ≥ 0; it holds the chosen trajectory's probability up,
            which DPO alone lets fall.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Rafailov et al. 2023 (arXiv 2305.18290), eq. 7; the CPO papers use the same arithmetic on counterfactual
        pairs (arXiv 2505.13081, eq. 8). NLL term: Pang et al. 2024 (arXiv 2404.19733) with α = 1, CPO++ with α = 0.1.

    Example:
        >>> import torch
        >>> from cpo.tensors import Logps, PairInfo
        >>> length = torch.tensor([2])
        >>> reference = Logps(torch.tensor([-3.0]), torch.tensor([[-4.0]]), length, length[:, None])
        >>> policy = Logps(torch.tensor([-2.0]), torch.tensor([[-5.0]]), length, length[:, None])
        >>> info = PairInfo(torch.ones(1), torch.zeros(1))
        >>> output = DPO(beta=0.5, nll_weight=0.0)(policy, reference, info)
        >>> round(output.loss.item(), 4)  # the margin is 0.5·(1 − (−1)) = 1, and −log σ(1) = 0.3133
        0.3133
        >>> output.margins.tolist()
        [[1.0]]
    """

    def __init__(self, *, beta: float, nll_weight: float) -> None:
        super().__init__(beta=beta)
        check_range("loss.nll_weight", nll_weight, low=0.0, closed=True, remedy="pass loss.nll_weight=0 for none")
        self.nll_weight = nll_weight
        self.is_margin_only = nll_weight == 0

    def of_rewards(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """See `RewardLoss.of_rewards`."""
        return bradley_terry(chosen, rejected)
