"""What every loss is: a callable from log-probs to `LossOutput`, with flags that say what it reads."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from cpo.errors import ConfigError
from cpo.tensors import Logps, LossOutput, PairInfo


class Loss(ABC):
    """A loss over preference pairs (or, without rejected branches, over completions).

    A new loss is one file with a subclass and one YAML that names it. It holds no state: the same numbers give the
    same loss, whatever batch came before.
    """

    requires_reference: bool
    """Whether `reference` must be given."""
    requires_rejected: bool
    """Whether rejected branches are read; without, the collator leaves them out of the forward pass."""
    requires_image_rejected: bool = False
    """Whether the log-probs of the chosen trajectory under a rejected image are read."""
    is_margin_only: bool = False
    """Whether only differences of rewards count: the same amount added to the rewards of all branches of a pair
    changes nothing, so nothing in the loss keeps the chosen log-prob from falling with the rejected one."""
    reads_time: bool = False
    """Whether a pair's place in the stream counts."""

    @abstractmethod
    def __call__(self, policy: Logps, reference: Logps | None, info: PairInfo) -> LossOutput:
        """The loss of a batch.

        Args:
            policy: Log-probs under the policy, with gradients.
            reference: Log-probs under the frozen reference; None unless `requires_reference`.
            info: Weights, sources and stream times of the pairs.
        """

    def initial_value(self, policy: Logps, info: PairInfo) -> float:
        """The loss where policy ≡ reference: what it must be before the first step (ln 2 for DPO).

        Args:
            policy: Log-probs at that point, for losses whose value depends on them.
            info: Of the same pairs.
        """
        policy = policy.detach()
        return self(policy, policy if self.requires_reference else None, info).loss.item()


def weighted_mean(per_pair: Tensor, weight: Tensor) -> Tensor:
    """Σ wᵢ lᵢ / B: dividing by the number of pairs, not by Σ w, keeps a pair's pull independent of its batch.

    Args:
        per_pair: [B].
        weight: [B].
    """
    return (per_pair * weight).mean()


def nll(policy: Logps) -> Tensor:
    """Negative log-likelihood of the chosen completions per token, [B], in nats: what SFT minimises."""
    return -policy.chosen / policy.chosen_length


def check_range(
    name: str, value: float, *, low: float, high: float = float("inf"), closed: bool = False, remedy: str
) -> None:
    """Raises unless low < value < high, or with `closed` low ≤ value < high.

    Raises:
        ConfigError: The value is outside, or not a number.
    """
    if not (low < value < high or (closed and value == low)):
        bound = "≤" if closed else "<"
        raise ConfigError(got=f"{name}={value}", wanted=f"{low} {bound} {name} < {high}", remedy=remedy)
