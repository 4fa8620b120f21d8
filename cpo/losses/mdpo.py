"""mDPO: preference for the right text, for the right image, and an anchor for the chosen reward."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor
from torch.nn.functional import logsigmoid

from cpo.errors import ConfigError
from cpo.losses.base import check_range
from cpo.losses.reward import RewardLoss, bradley_terry
from cpo.tensors import Logps


class MDPO(RewardLoss):
    r"""mDPO: −log σ(r − r_rejected) − log σ(r − r_image) − log σ(r − δ).

    r is the reward β·log π/π_ref of the chosen text under its image, r_rejected that of the rejected text under the
    same image, r_image that of the chosen text under a rejected image. The second term cannot be lowered by language
    alone; the third, the anchor, keeps the chosen trajectory's probability from falling. Across images the partition
    functions do not cancel, so the second term is a surrogate and not a Bradley-Terry likelihood (arXiv 2605.31312).

    Args:
        beta: Inverse temperature, > 0, in 1/nats.
        delta: δ, the reward that the chosen trajectory is to exceed, in nats.

    Raises:
        ConfigError: A knob out of its range, or pairs without a rejected image.

    Source:
        Wang et al. 2024 (arXiv 2406.11839): DPO, conditional and anchored preference optimization, with δ = 0 as in
        the released code. Which image is rejected (there a crop of it) is the pairs' business.

    Example:
        >>> import torch
        >>> one = torch.tensor([1])
        >>> zero = Logps(torch.zeros(1), torch.zeros(1, 1), one, one[:, None], image_rejected=torch.zeros(1))
        >>> loss = MDPO(beta=1.0, delta=0.0)
        >>> terms = loss.terms(Logps(torch.ones(1), torch.zeros(1, 1), one, one[:, None], image_rejected=-one), zero)
        >>> [round(terms[name][1].item(), 4) for name in ("image", "anchor")]  # −log σ(1 − (−1)), −log σ(1 − 0)
        [0.1269, 0.3133]
    """

    requires_image_rejected = True

    def __init__(self, *, beta: float, delta: float) -> None:
        super().__init__(beta=beta)
        check_range("loss.delta", delta, low=-math.inf, remedy="pass loss.delta=0")
        self.delta = delta

    def of_rewards(self, chosen: Tensor, rejected: Tensor) -> Tensor:
        """See `RewardLoss.of_rewards`."""
        return bradley_terry(chosen, rejected)

    def terms(self, policy: Logps, reference: Logps) -> Mapping[str, tuple[float, Tensor]]:
        """The image-side term and the anchor, each with weight 1.

        Raises:
            ConfigError: The pairs have no rejected image.
        """
        if policy.image_rejected is None or reference.image_rejected is None:
            raise ConfigError(
                got="loss=mdpo with pairs that have no rejected image",
                wanted="pairs whose chosen text is also scored under another image",
                remedy="pass counterfactual=thinking_and_perception pairing=text_and_image, or loss=dpo",
            )
        chosen = self.beta * (policy.chosen - reference.chosen)
        image = self.beta * (policy.image_rejected - reference.image_rejected)
        return {
            **super().terms(policy, reference),
            "image": (1.0, -logsigmoid(chosen - image)),
            "anchor": (1.0, -logsigmoid(chosen - self.delta)),
        }
