"""What every loss is: a callable from log-probs to `LossOutput`, with flags that say what it reads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from cpo.errors import ConfigError
from cpo.tensors import Logps, LossOutput, PairInfo


class Loss(ABC):
    """A loss over preference pairs (or, without rejected branches, over completions).

    A new loss is one file with a subclass and one YAML that names it.
    """

    requires_reference: ClassVar[bool]
    """Whether `reference` must be given."""
    requires_rejected: ClassVar[bool]
    """Whether rejected branches are read; without, the collator leaves them out of the forward pass."""

    @abstractmethod
    def __call__(self, policy: Logps, reference: Logps | None, info: PairInfo) -> LossOutput:
        """The loss of a batch.

        Args:
            policy: Log-probs under the policy, with gradients.
            reference: Log-probs under the frozen reference; None unless `requires_reference`.
            info: Weights and stream times of the pairs.
        """

    def initial_value(self, policy: Logps) -> float | None:
        """The loss where policy ≡ reference, if it is known beforehand (ln 2 for DPO).

        Args:
            policy: Log-probs at that point, for losses whose value depends on them.
        """
        return None


def weighted_mean(per_pair: Tensor, weight: Tensor) -> Tensor:
    """Σ wᵢ lᵢ / B: dividing by the number of pairs, not by Σ w, keeps a pair's pull independent of its batch.

    Args:
        per_pair: [B].
        weight: [B].
    """
    return (per_pair * weight).mean()


def check_range(name: str, value: float, *, low: float, high: float = float("inf"), remedy: str) -> None:
    """Raises unless low < value < high.

    Raises:
        ConfigError: The value is outside, or not a number.
    """
    if not low < value < high:
        raise ConfigError(got=f"{name}={value}", wanted=f"{low} < {name} < {high}", remedy=remedy)
