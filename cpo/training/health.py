"""Warnings while a policy is trained: what a look at the curves would tell, told when it happens."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Mapping, Sequence
from statistics import fmean, variance

logger = logging.getLogger(__name__)

PATIENCE = 5
"""Optimiser steps in a row before a gradient of zero, or pairs all ranked rightly, are spoken of."""
WINDOW = 20
"""Optimiser steps whose mean reward is compared with that of as many before."""


class Health:
    """Watches the metrics of optimiser steps and warns, once of each:

    - *no gradient*: its norm was 0 for some steps, so nothing is learned;
    - *both rewards fall*: the chosen trajectory becomes less likely than under the reference, and the margin grows
      only because the rejected one falls faster, the commonest complaint about preference losses;
    - *pairs are trivially easy*: all are ranked rightly from the very start, so there is little to learn from them.

    Args:
        stage: Named in the messages.
        patience: Steps in a row before the first and the last are spoken of, ≥ 1.
        window: Steps averaged for the second, ≥ 2.

    Example:
        >>> health = Health("train", patience=2)
        >>> [health.observe(step, {"grad_norm": 0.0}) for step in (1, 2, 3)]
        [[], ['no gradient'], []]
    """

    def __init__(self, stage: str, *, patience: int = PATIENCE, window: int = WINDOW) -> None:
        self.stage, self.patience, self.window = stage, patience, window
        self._said: set[str] = set()
        self._still = 0
        self._right: dict[str, int] = {}
        self._chosen: deque[float] = deque(maxlen=2 * window)
        self._rejected: deque[float] = deque(maxlen=2 * window)

    def observe(self, step: int, metrics: Mapping[str, float]) -> list[str]:
        """Takes the metrics of one step and logs the warnings they give rise to.

        Args:
            step: Optimiser steps made, from 1.
            metrics: `grad_norm`, `rewards/…`, `prequential/accuracy`; those missing are not watched.

        Returns:
            Names of the warnings given now.
        """
        found = {
            "no gradient": self._no_gradient(metrics),
            "both rewards fall": self._both_fall(metrics),
            "pairs are trivially easy": self._too_easy(step, metrics),
        }
        new = [name for name, detail in found.items() if detail and name not in self._said]
        for name in new:
            logger.warning("%s, step %d: %s: %s", self.stage, step, name, found[name])
        self._said.update(new)
        return new

    def _no_gradient(self, metrics: Mapping[str, float]) -> str:
        self._still = self._still + 1 if metrics.get("grad_norm") == 0 else 0
        if self._still < self.patience:
            return ""
        return (
            f"its norm was 0 for {self._still} steps. Does anything require gradients (policy.lora), has the loss a "
            "slope there (a hinge has none beyond its margin), do these pairs have any weight?"
        )

    def _both_fall(self, metrics: Mapping[str, float]) -> str:
        if "rewards/chosen" not in metrics or "rewards/rejected" not in metrics:
            return ""
        self._chosen.append(metrics["rewards/chosen"])
        self._rejected.append(metrics["rewards/rejected"])
        chosen, rejected = list(self._chosen), list(self._rejected)
        if len(chosen) < 2 * self.window or fmean(chosen[self.window :]) >= 0:
            return ""
        if not (falls(chosen) and falls(rejected)):
            return ""
        return (
            f"the mean chosen reward is {fmean(chosen[self.window :]):.3g}, the rejected "
            f"{fmean(rejected[self.window :]):.3g} nats, both below the {self.window} steps before. A likelihood term "
            "(loss=rpo, or a larger loss.nll_weight), a larger beta or a smaller learning rate holds the chosen one up."
        )

    def _too_easy(self, step: int, metrics: Mapping[str, float]) -> str:
        # rewards are all 0 before the first update, so they are looked at from the second step on
        for key, first in (("prequential/accuracy", 1), ("rewards/accuracies", 2)):
            if first <= step < first + self.patience and metrics.get(key) == 1:
                self._right[key] = self._right.get(key, 0) + 1
                if self._right[key] == self.patience:
                    return (
                        f"{key} was 1 on all pairs of the first {self.patience} steps. Harder negatives teach more: "
                        "counterfactuals that differ in one decisive attribute, not in everything."
                    )
        return ""


def falls(values: Sequence[float]) -> bool:
    """Whether the second half lies below the first by more than two standard errors of the difference.

    Example:
        >>> falls([0.0, 0.1, -1.0, -1.1]), falls([0.0, 1.0, 0.9, 0.0])
        (True, False)
    """
    half = len(values) // 2
    before, after = values[:half], values[half:]
    return fmean(before) - fmean(after) > 2 * math.sqrt((variance(before) + variance(after)) / half)
