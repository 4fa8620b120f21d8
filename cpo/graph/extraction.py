"""What a report says of a graph's attributes and diseases, in free text: terms, negation and doubt.

Negation is NegEx (Chapman et al. 2001) as kept by negspacy: a cue governs the mentions before or behind it until the
sentence ends or another clause begins. Doubt is the same algorithm with other cues. No model is needed or loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from cpo.graph.extraction_phrases import GRADES, SIDES, Sense, Term, attribute_terms, disease_terms
from cpo.graph.lexicon import Mention, split_sentences
from cpo.graph.schema import Attribute, ConceptGraph
from cpo.records import LabelState

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span

DOUBT = {
    "pseudo_negations": ["no possible", "no possibility of"],
    "preceding_negations": [
        *("possible", "possibly", "probable", "probably", "questionable", "question of", "equivocal", "suspected"),
        *("may", "might", "could", "may be", "may represent", "may reflect", "could represent", "could be"),
        *("suspicious for", "suspicion of", "concerning for", "concern for", "suggestive of", "suggesting", "suggests"),
        *(
            "cannot exclude",
            "can not exclude",
            "cannot rule out",
            "not exclude",
            "difficult to exclude",
            "versus",
            "vs",
        ),
    ],
    "following_negations": [
        *("cannot be excluded", "can not be excluded", "not excluded", "cannot be ruled out", "difficult to exclude"),
        *("is possible", "are possible", "is suspected", "are suspected", "is questioned", "may be present", "versus"),
        *("is not excluded", "are not excluded", "might be present", "could be present", "vs"),
    ],
    "termination": [],
}
"""Cues of doubt in radiology reports."""
NOT_NEGATING = ("cannot exclude", "can not exclude", "cannot rule out", "cannot be excluded", "can not be excluded")
"""Phrases that hold a negation and negate nothing."""
CLAUSES = ("there is", "there are", ";", "and the")
"""What begins another clause within a sentence."""

_STRENGTH = (LabelState.ABSENT, LabelState.UNCERTAIN, LabelState.PRESENT)
_REMEMBERED = 200_000
"""Sentences whose reading is remembered: reports repeat theirs."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one report says.

    Args:
        attributes: State of each attribute mentioned.
        diseases: State of each disease mentioned.
    """

    attributes: Mapping[str, LabelState] = field(default_factory=dict)
    diseases: Mapping[str, LabelState] = field(default_factory=dict)


class Extractor(Protocol):
    """Reads reports, and knows what it looks for; a graph is built from what it finds."""

    name: str

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """Attributes it looks for, or has met so far."""
        ...

    @property
    def failures(self) -> Mapping[str, int]:
        """Reports that could not be read, by reason."""
        ...

    @property
    def ignored(self) -> Mapping[str, int]:
        """Parts of readable reports that were left out, by reason."""
        ...

    def read(self, text: str) -> Reading | None:
        """What a report says; None when it could not be read, which is counted."""
        ...


class LexiconExtractor:
    """Finds the terms of a graph in free text.

    Args:
        graph: Gives the terms: wordings, names and `terms`.

    Raises:
        DataError: One phrase would stand for two attributes or two diseases.
    """

    name = "lexicon"

    def __init__(self, graph: ConceptGraph) -> None:
        self.graph = graph
        find_attributes, find_diseases = _Finder(attribute_terms(graph)), _Finder(disease_terms(graph))
        self._attributes_in = lru_cache(_REMEMBERED)(lambda text: tuple(map(self._mention, find_attributes(text))))
        self._diseases_in = lru_cache(_REMEMBERED)(lambda text: tuple((f.name, f.state) for f in find_diseases(text)))

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """Those of the graph."""
        return self.graph.attributes

    @property
    def failures(self) -> Mapping[str, int]:
        """None: every text can be read."""
        return {}

    @property
    def ignored(self) -> Mapping[str, int]:
        """None: what no term stands for is not a finding."""
        return {}

    def mentions(self, text: str) -> tuple[Mention, ...]:
        """Attributes mentioned, in the order of the text; several in one sentence are several mentions."""
        return tuple(mention for sentence in split_sentences(text) for mention in self._attributes_in(sentence))

    def read(self, text: str) -> Reading:
        """State of every attribute and disease mentioned; of several mentions the strongest."""
        diseases = (found for sentence in split_sentences(text) for found in self._diseases_in(sentence))
        return Reading(strongest((m.attribute, m.state) for m in self.mentions(text)), strongest(diseases))

    def _mention(self, found: _Found) -> Mention:
        if found.state is LabelState.ABSENT:
            return Mention(found.name, found.state)
        attribute = self.graph.attributes[found.name]
        side = found.side if attribute.lateral else None
        return Mention(found.name, found.state, side, found.severity if attribute.graded else None)


def strongest(found: Iterable[tuple[str, LabelState]]) -> dict[str, LabelState]:
    """State by name; of several the strongest: present, uncertain, absent.

    Example:
        >>> strongest([("mass", LabelState.UNCERTAIN), ("mass", LabelState.ABSENT)])
        {'mass': <LabelState.UNCERTAIN: 'uncertain'>}
    """
    states: dict[str, LabelState] = {}
    for name, state in found:
        states[name] = max(state, states.get(name, state), key=_STRENGTH.index)
    return states


@dataclass(frozen=True, slots=True)
class _Found:
    name: str
    state: LabelState
    side: str | None
    severity: str | None


class _Finder:
    """Finds terms in one sentence, and what governs them."""

    def __init__(self, terms: Iterable[Term]) -> None:
        import spacy  # slow to import: it looks for torch
        from negspacy.negation import Negex
        from negspacy.termsets import termset
        from spacy.matcher import Matcher
        from spacy.util import filter_spans

        self._nlp, self._longest = spacy.blank("en"), filter_spans
        self._matcher = Matcher(self._nlp.vocab)
        for term in terms:
            self._matcher.add(f"{term.sense.name} {term.name}", [term.phrase], greedy="LONGEST")
        cues = termset("en_clinical").get_patterns()
        negation = {
            **cues,
            "preceding_negations": [cue for cue in cues["preceding_negations"] if cue != "versus"],
            "pseudo_negations": [*cues["pseudo_negations"], *NOT_NEGATING],
            "termination": [*cues["termination"], *CLAUSES],
        }
        doubt = {**DOUBT, "termination": negation["termination"]}
        self._rules: list[Callable[[Doc], Any]] = [
            Negex(self._nlp, extension, neg_termset=cues, extension_name=extension, span_keys=["mentions"])
            for extension, cues in (("negated", negation), ("doubted", doubt))
        ]

    def __call__(self, sentence: str) -> list[_Found]:
        doc = self._nlp.make_doc(sentence)
        for token in doc[1:]:
            token.is_sent_start = False  # it is one sentence already
        phrases = self._longest(self._matcher(doc, as_spans=True))
        # what negates the end of a phrase negates the phrase: the heart is not enlarged
        doc.spans["mentions"] = [doc[span.end - 1 : span.end] for span in phrases]
        for rule in self._rules:
            rule(doc)
        found = []
        for span, end in zip(phrases, doc.spans["mentions"], strict=True):
            sense, _, name = span.label_.partition(" ")
            state = _state(Sense[sense], negated=end._.negated, doubted=end._.doubted)
            if state is not None:
                found.append(_Found(name, state, _nearest(SIDES, span), _nearest(GRADES, span)))
        return found


def _state(sense: Sense, *, negated: bool, doubted: bool) -> LabelState | None:
    if sense is Sense.FINDING:
        return LabelState.ABSENT if negated else LabelState.UNCERTAIN if doubted else LabelState.PRESENT
    said = negated and not doubted if sense is Sense.DENIED else not (negated or doubted)
    return LabelState.ABSENT if said else None


def _nearest(words: Mapping[str, str], span: Span) -> str | None:
    """What the nearest of some words in the sentence stands for; of two as near, the one before."""
    middle = (span.start + span.end - 1) / 2
    near = [(abs(token.i - middle), words[token.lower_]) for token in span.doc if token.lower_ in words]
    return min(near, key=lambda place: place[0])[1] if near else None
