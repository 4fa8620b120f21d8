"""Missing evidence: findings are dropped from the text, and the answer stays."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from cpo.drift.sentences import count_sentences, edit_sentences
from cpo.drift.shift import CHANGED, NATURAL, Transformation, check_concepts, in_unit_interval
from cpo.errors import ConfigError, DataError
from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph
from cpo.records import LabelState, Sample

Which = Literal["asserted", "any"]


class MissingEvidence(Transformation):
    """Each finding of a text is left out with some probability: the answer is no longer argued for.

    The sentences that stay are word for word those of the dataset; at least one stays.

    Args:
        graph: A shipped concept graph by name, or the path of a JSON file; it says which sentences assert a finding.
        sentences: `asserted`: sentences by which the graph reads a finding as present or possible; `any`: all of them,
            for texts that the graph does not read.
        share: Probability with which such a sentence is dropped under `changed`, in [0, 1].
        concepts: `natural` and `changed`, in the order in which the schedule visits them.

    Raises:
        ConfigError: A knob out of its range.
        DataError: The graph is not found or not a concept graph.

    Example:
        >>> shift = MissingEvidence(graph="chest", sentences="asserted", share=1.0, concepts=["natural", "changed"])
        >>> shift.shortened("The heart is mildly enlarged. No mass. There may be a step in the left clavicle.",
        ...                 np.random.default_rng(0))
        'No mass.'
    """

    def __init__(self, *, graph: str, sentences: Which, share: float, concepts: Sequence[str]) -> None:
        super().__init__(concepts)
        check_concepts("missing_evidence", self.concepts, (NATURAL, CHANGED))
        if sentences not in get_args(Which):
            raise ConfigError(
                got=f"shift.missing_evidence.sentences={sentences}",
                wanted=f"one of {', '.join(get_args(Which))}",
                remedy="pass shift.missing_evidence.sentences=asserted",
            )
        self.graph, self.sentences = graph, sentences
        self.share = in_unit_interval("missing_evidence.share", share)
        self._lexicon = Lexicon(ConceptGraph.load(graph))

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Every knob."""
        return {
            "graph": self.graph,
            "sentences": self.sentences,
            "share": self.share,
            "concepts": list(self.concepts),
        }

    def check(self, samples: Sequence[Sample]) -> None:
        """Refuses samples without a sentence that could be dropped.

        Raises:
            DataError: Naming the graph.
        """
        if not any(self._droppable(s.factual.thinking) for s in samples):
            raise DataError(
                got=f"{len(samples)} samples without a sentence by which the graph {self.graph!r} reads a finding",
                wanted="some with one",
                remedy="pass shift.missing_evidence.sentences=any, or the graph of these texts",
            )

    def apply(self, sample: Sample, concept: str, rng: np.random.Generator) -> Sample:
        """The sample with a shorter thinking under `changed`."""
        if concept == NATURAL:
            return sample
        factual = dataclasses.replace(sample.factual, thinking=self.shortened(sample.factual.thinking, rng))
        return dataclasses.replace(sample, factual=factual)

    def measure(self, samples: Sequence[Sample]) -> Mapping[str, float]:
        """Sentences in all and those that could be dropped, on average over these samples; nan of nothing."""
        texts = [s.factual.thinking for s in samples]
        if not texts:
            return {"sentences": float("nan"), "findings": float("nan")}
        return {
            "sentences": float(np.mean([count_sentences(t) for t in texts])),
            "findings": float(np.mean([len(self._droppable(t)) for t in texts])),
        }

    def shortened(self, text: str, rng: np.random.Generator) -> str:
        """A text without the findings that the generator drops."""
        dropped = {place for place in self._droppable(text) if rng.random() < self.share}
        if dropped and len(dropped) == count_sentences(text):
            dropped.remove(min(dropped))  # what is left to say something is the first
        return edit_sentences(text, lambda place, sentence: None if place in dropped else sentence)

    def _droppable(self, text: str) -> list[int]:
        found: list[int] = []

        def look(place: int, sentence: str) -> str:
            asserted = any(m.state is not LabelState.ABSENT for m in self._lexicon.mentions(sentence))
            if sentence and (asserted or self.sentences == "any"):
                found.append(place)
            return sentence

        edit_sentences(text, look)
        return found
