"""Vocabulary: the same findings in other words."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpo.drift.sentences import edit_sentences
from cpo.drift.shift import CHANGED, NATURAL, Transformation, check_concepts
from cpo.errors import ConfigError, DataError
from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph
from cpo.records import Sample


class Vocabulary(Transformation):
    """Findings are told in the last of their wordings, and words are swapped for near-synonyms; nothing else changes.

    A sentence that the graph reads is written anew in the last wording that the graph has for the same attribute,
    state, side and severity, so that it means what it meant and stays readable. In every other sentence whole words are
    replaced by a table. What a text says, its images and its answer stay.

    Args:
        graph: A shipped concept graph by name, or the path of a JSON file.
        swaps: Near-synonyms: words that go, and those that come in their place; case is followed at the first letter.
        concepts: `natural` and `changed`, in the order in which the schedule visits them.

    Raises:
        ConfigError: Unknown concepts; an empty word to swap, or one that both goes and comes.
        DataError: The graph is not found or not a concept graph.

    Source:
        Figure 1 of arXiv 2505.13081, where "opacity" for "lung opacity" in one thinking moves the diagnosis.

    Example:
        >>> shift = Vocabulary(graph="chest", swaps={"opacity": "lung opacity"}, concepts=["natural", "changed"])
        >>> shift.rewrite("The heart is mildly enlarged. Opacity at the base, as the lung opacity before.")
        'The cardiac silhouette is mildly enlarged. Lung opacity at the base, as the lung opacity before.'
    """

    def __init__(self, *, graph: str, swaps: Mapping[str, str], concepts: Sequence[str]) -> None:
        super().__init__(concepts)
        check_concepts("vocabulary", self.concepts, (NATURAL, CHANGED))
        empty = not all(word.strip() for word in (*swaps, *swaps.values()))
        if empty or {word.lower() for word in swaps} & {word.lower() for word in swaps.values()}:
            raise ConfigError(
                got=f"shift.vocabulary.swaps={dict(swaps)}",
                wanted="words on both sides, none of which both goes and comes",
                remedy="leave the others out",
            )
        self.graph, self.swaps = graph, dict(swaps)
        self._lexicon = Lexicon(ConceptGraph.load(graph))
        # a new term is matched too, and kept, so that an old one inside it is not swapped again
        terms = sorted({*self.swaps, *self.swaps.values()}, key=len, reverse=True)
        self._terms = re.compile("|".join(rf"\b{re.escape(term)}\b" for term in terms), re.IGNORECASE)
        self._new = {old.lower(): new for old, new in self.swaps.items()}

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Every knob."""
        return {"graph": self.graph, "swaps": self.swaps, "concepts": list(self.concepts)}

    def check(self, samples: Sequence[Sample]) -> None:
        """Refuses samples none of which this vocabulary would change.

        Raises:
            DataError: Naming the graph.
        """
        if all(self.rewrite(s.factual.thinking) == s.factual.thinking for s in samples):
            raise DataError(
                got=f"{len(samples)} samples without a sentence of the graph {self.graph!r} or a word to swap",
                wanted="some whose words change",
                remedy="pass shift.vocabulary.graph=NAME of these texts' graph, or words in shift.vocabulary.swaps",
            )

    def apply(self, sample: Sample, concept: str, rng: np.random.Generator) -> Sample:
        """The sample with its thinking in new words under `changed`."""
        if concept == NATURAL:
            return sample
        factual = dataclasses.replace(sample.factual, thinking=self.rewrite(sample.factual.thinking))
        return dataclasses.replace(sample, factual=factual)

    def measure(self, samples: Sequence[Sample]) -> Mapping[str, float]:
        """Share of these samples that are in the new words altogether; nan of nothing."""
        texts = [s.factual.thinking for s in samples]
        return {"in_new_words": float(np.mean([self.rewrite(t) == t for t in texts])) if texts else float("nan")}

    def rewrite(self, text: str) -> str:
        """A text in the new words; one that is in them already stays as it is."""
        return edit_sentences(text, lambda _, sentence: self._reworded(sentence))

    def _reworded(self, sentence: str) -> str:
        mentions = self._lexicon.mentions(sentence)
        if not mentions:
            return self._terms.sub(self._swapped, sentence) if self._new else sentence
        if len(mentions) > 1:  # no wording of the graph says two things
            return sentence
        mention = mentions[0]
        last = self._lexicon.choices(mention.attribute, mention.state) - 1
        return self._lexicon.write(mention.attribute, mention.state, mention.side, mention.severity, wording=last)

    def _swapped(self, found: re.Match[str]) -> str:
        new = self._new.get(found[0].lower(), found[0])
        return new[:1].upper() + new[1:] if found[0][:1].isupper() else new
