"""Direct preference optimization; on counterfactual pairs, the objective of Counterfactual Preference Optimization."""

from __future__ import annotations

import math

from torch.nn.functional import logsigmoid

from cpo.losses.base import Loss, check_range, weighted_mean
from cpo.tensors import Logps, LossOutput, PairInfo


class DPO(Loss):
    r"""DPO: −log σ(β[(log π/π_ref)(chosen) − (log π/π_ref)(rejected)]), optionally with an NLL term on the chosen.

    With K > 1 the mean over the K pairs that share a chosen trajectory.

    Args:
        beta: Inverse temperature of the implied KL constraint, > 0, in 1/nats.
        nll_weight: α of the term −α·log π(chosen)/|chosen|, ≥ 0; it holds the chosen trajectory's probability up,
            which DPO alone lets fall.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Rafailov et al. 2023 (arXiv 2305.18290), eq. 7; the CPO papers use the same arithmetic on counterfactual
        pairs (arXiv 2505.13081, eq. 8). NLL term: Pang et al. 2024 (arXiv 2404.19733), CPO++ with α = 0.1.

    Example:
        >>> import torch
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

    requires_reference = True
    requires_rejected = True

    def __init__(self, *, beta: float, nll_weight: float) -> None:
        check_range("loss.beta", beta, low=0.0, remedy="pass loss.beta=0.1, the value of the released scripts")
        check_range("loss.nll_weight", nll_weight, low=-1e-12, remedy="pass loss.nll_weight=0 for none")
        self.beta, self.nll_weight = beta, nll_weight

    def __call__(self, policy: Logps, reference: Logps | None, info: PairInfo) -> LossOutput:
        """See `Loss.__call__`."""
        assert reference is not None, "the training step gives a reference to losses that require one"
        chosen_logratios = policy.chosen - reference.chosen
        rejected_logratios = policy.rejected - reference.rejected
        preference = -logsigmoid(self.beta * (chosen_logratios[:, None] - rejected_logratios)).mean(dim=1)
        nll = -policy.chosen / policy.chosen_length
        per_pair = preference + self.nll_weight * nll if self.nll_weight else preference
        return LossOutput(
            loss=weighted_mean(per_pair, info.weight),
            per_pair=per_pair.detach(),
            chosen_rewards=self.beta * chosen_logratios.detach(),
            rejected_rewards=self.beta * rejected_logratios.detach(),
            parts={"preference": preference.detach().mean(), "nll": nll.detach().mean()},
        )

    def initial_value(self, policy: Logps) -> float:
        """ln 2 at policy ≡ reference, plus the NLL term."""
        return math.log(2) + self.nll_weight * (-policy.chosen / policy.chosen_length).mean().item()
