"""Both streams of CPO++: counterfactuals that change the text, and counterfactuals that change the image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any

import numpy as np

from cpo.counterfactual.base import CounterfactualMethod, Need, Proposer
from cpo.counterfactual.perception import Perception
from cpo.errors import ConfigError
from cpo.records import Access, Counterfactual, Sample


class ThinkingAndPerception(CounterfactualMethod):
    """The counterfactuals of two methods, those of the text first.

    Args:
        thinking: Makes other texts about the sample's own image.
        perception: Finds other images for the sample's own text.

    Raises:
        ConfigError: The method for the text asks for a policy as well.

    Source:
        The two streams of pairs of CPO++ (arXiv 2604.15705); `loss=cpo_plus` weighs them.
    """

    def __init__(self, *, thinking: CounterfactualMethod, perception: Perception) -> None:
        super().__init__("thinking_and_perception", thinking.targets_per_sample + perception.targets_per_sample)
        if thinking.needs is not None:
            raise ConfigError(
                got=f"counterfactual.thinking={thinking.name}, which asks for a policy as perception does",
                wanted="a method for the text that needs none",
                remedy="leave it at concept_graph",
            )
        self.thinking, self.perception = thinking, perception
        self.graph = perception.graph
        self.needs: Need | None = perception.needs

    def use(self, policy: Any, *, identity: str) -> None:
        """See `CounterfactualMethod.use`."""
        self.perception.use(policy, identity=identity)

    def refuse_unless_allowed(self, access: Access, *, acknowledged: bool) -> None:
        """See `CounterfactualMethod.refuse_unless_allowed`."""
        self.thinking.refuse_unless_allowed(access, acknowledged=acknowledged)

    def proposer(self, pool: Sequence[Sample]) -> Proposer:
        """See `CounterfactualMethod.proposer`."""
        streams = [(method.proposer(pool), method.targets_per_sample) for method in (self.thinking, self.perception)]

        def propose(sample: Sample, rng: np.random.Generator) -> Iterator[Counterfactual | StrEnum]:
            for propose_one, wanted in streams:
                found = 0
                for proposal in propose_one(sample, rng):
                    yield proposal
                    found += isinstance(proposal, Counterfactual)
                    if found == wanted:
                        break

        return propose
