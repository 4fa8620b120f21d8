"""The ablation without thinking: the answers of the concept-graph method alone, on both sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import StrEnum

import numpy as np

from cpo.counterfactual.base import CounterfactualMethod, Proposer
from cpo.counterfactual.concept_graph import Choice, ConceptGraphCounterfactual
from cpo.records import Counterfactual, Sample, Trajectory


class LabelOnly(CounterfactualMethod):
    """The counterfactuals of `concept_graph` with the thinking left out, on the chosen side too.

    Samples and targets are those of `counterfactual=concept_graph` with the same knobs, so that a comparison of the two
    changes one thing: whether the pair shows findings.

    Args:
        graph: As in `concept_graph`, and so are the others.
        targets: Counterfactuals per sample, ≥ 1.
        choice: `nearest` or `drawn`.
        healthy_target: Whether the graph's default result may be a target.
        max_edit_ratio: Largest ratio of edited words of the thinking that is left out, in (0, 1].

    Raises:
        ConfigError: A knob out of its range.
        DataError: The graph is not found or not a concept graph.

    Source:
        The ablation "CPO without CoT" of arXiv 2505.13081 (Table 5).
    """

    def __init__(
        self, *, graph: str, targets: int, choice: Choice, healthy_target: bool, max_edit_ratio: float
    ) -> None:
        super().__init__("label_only", targets)
        self._whole = ConceptGraphCounterfactual(
            graph=graph, targets=targets, choice=choice, healthy_target=healthy_target, max_edit_ratio=max_edit_ratio
        )
        self.graph = self._whole.graph

    def proposer(self, pool: Sequence[Sample]) -> Proposer:
        """See `CounterfactualMethod.proposer`."""
        propose_whole = self._whole.proposer(pool)

        def propose(sample: Sample, rng: np.random.Generator) -> Iterator[Counterfactual | StrEnum]:
            for proposal in propose_whole(sample, rng):
                if isinstance(proposal, Counterfactual):
                    proposal = replace(
                        proposal,
                        method=self.name,
                        trajectory=Trajectory("", proposal.trajectory.answer),
                        chosen=Trajectory("", sample.factual.answer),
                        interventions=(),
                    )
                yield proposal

        return propose
