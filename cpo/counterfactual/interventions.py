"""Interventions on a thinking: one thing in it is said otherwise, everything else stays word for word.

The concept graph says which of them may move a result. A *licensed* move turns what decides a result into its negation,
or the negation into an assertion. An *unlicensed* one says something else that must not count: an attribute that is
irrelevant to the true results, another wording of the same, or a circumstance (view, site, night).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import TypeVar

import numpy as np

from cpo.counterfactual.base import may_be_true, sample_generator
from cpo.counterfactual.phrases import PhraseBook
from cpo.counterfactual.statements import ASSERTED, Statement, read_statements, states_of
from cpo.graph.lexicon import SEVERITIES, SIDES, Lexicon, Mention
from cpo.graph.schema import ConceptGraph, Relation
from cpo.records import Intervention, LabelState, Sample

T = TypeVar("T")


class Kind(StrEnum):
    """What is done to the thinking; the first two are licensed."""

    DENIED = "denied"
    """Everything that decides a true result is negated: it should lose."""
    ASSERTED = "asserted"
    """What decides a result that is not true is asserted where it was negated: it should gain."""
    IRRELEVANT = "irrelevant"
    """A negated attribute that is irrelevant to the true results is asserted: they should keep their odds."""
    PARAPHRASE = "paraphrase"
    """One mention is told in another wording of the graph."""
    PHRASE = "phrase"
    """A habitual phrase tells another circumstance."""


LICENSED = (Kind.DENIED, Kind.ASSERTED)
UNLICENSED = (Kind.IRRELEVANT, Kind.PARAPHRASE, Kind.PHRASE)


@dataclass(frozen=True, slots=True)
class Move:
    """One intervention on the thinking of a sample.

    Args:
        kind: What is done.
        thinking: The edited thinking.
        edits: The sentences that went and those in their places.
        interventions: Attributes that are said otherwise; none under a paraphrase or a phrase.
        result: The result that it is licensed to move; empty for an unlicensed move.
        unmoved: Results whose odds among each other it must leave as they are; all of them where it is empty and the
            move is unlicensed.
    """

    kind: Kind
    thinking: str
    edits: tuple[tuple[str, str], ...]
    interventions: tuple[Intervention, ...] = ()
    result: str = ""
    unmoved: tuple[str, ...] = ()


class Moves:
    """Proposes at most one move of each kind for a sample.

    Args:
        graph: Says what decides and what is irrelevant.
        book: Phrases that can be swapped.
        swapped: The circumstance that a swapped phrase tells otherwise.
        results: Every result that an answer may name.

    Example:
        A denied attribute that decides one result is irrelevant to another.

        >>> graph = ConceptGraph.load("chest")
        >>> moves = Moves(graph, PhraseBook.load("chest"), swapped="view", results=graph.diseases)
        >>> moves.unmoved("nodule")[:3], "Lung Lesion" in moves.unmoved("nodule")
        (('Atelectasis', 'Cardiomegaly', 'Consolidation'), False)
    """

    def __init__(self, graph: ConceptGraph, book: PhraseBook, *, swapped: str, results: Sequence[str]) -> None:
        self.graph, self.book, self.swapped, self.results = graph, book, swapped, tuple(results)
        self.lexicon = Lexicon(graph)
        pairs = combinations(graph.diseases, 2)
        self._exclusive = {frozenset(p) for p in pairs if graph.disease_relation(*p) is Relation.EXCLUSION}
        self._unmoved = {attribute: self._left_alone(attribute) for attribute in graph.attributes}
        self._makers: Mapping[Kind, Callable[[Sample, _Reading, np.random.Generator], Move | None]] = {
            Kind.DENIED: self._denied,
            Kind.ASSERTED: self._asserted,
            Kind.IRRELEVANT: self._irrelevant,
            Kind.PARAPHRASE: self._paraphrased,
            Kind.PHRASE: self._swapped,
        }

    def of(self, sample: Sample, *, seed: int) -> tuple[Move, ...]:
        """The moves that the sample's thinking admits, each drawn evenly, by a generator of the sample's own."""
        reading = _Reading(read_statements(self.lexicon, sample.factual.thinking))
        if not reading.statements:
            return ()
        rng = sample_generator(sample.id, seed)
        made = (make(sample, reading, rng) for make in self._makers.values())
        return tuple(move for move in made if move is not None)

    def unmoved(self, attribute: str) -> tuple[str, ...]:
        """Results that an attribute is irrelevant to, and that nothing it is associated with excludes.

        The graph's default result is not among them: anything that is asserted speaks against it.
        """
        return self._unmoved[attribute]

    def _left_alone(self, attribute: str) -> tuple[str, ...]:
        owners = self.graph.diseases_of(attribute)
        bears_on = {d for d in self.graph.diseases if self.graph.relation(d, attribute) is not Relation.IRRELEVANCE}
        bears_on |= {d for d in self.graph.diseases for owner in owners if frozenset((d, owner)) in self._exclusive}
        return tuple(r for r in self.results if r not in bears_on and r != self.graph.default)

    def _denied(self, sample: Sample, reading: _Reading, rng: np.random.Generator) -> Move | None:
        """All that decides one true result, negated."""
        deciding = {d: self._told(reading, self.graph.hallmarks(d)) for d in self._true(sample)}
        open_to = [d for d, places in deciding.items() if places and self._can_be_denied(reading, places)]
        if not open_to:
            return None
        result = _one_of(open_to, rng)
        said = {place: Mention(reading.topic(place), LabelState.ABSENT) for place in deciding[result]}
        return self._move(Kind.DENIED, reading, said, rng, result=result)

    def _asserted(self, sample: Sample, reading: _Reading, rng: np.random.Generator) -> Move | None:
        """A negated attribute that decides a result, asserted; nothing true may exclude the result or the attribute."""
        true = self._true(sample)
        places = {
            place: owner
            for place, owner in self._denied_hallmarks(reading).items()
            if owner in self.results
            and not may_be_true(sample, owner)
            and not any(frozenset((owner, d)) in self._exclusive for d in true)
            and all(self.graph.relation(d, reading.topic(place)) is not Relation.EXCLUSION for d in true)
        }
        if not places:
            return None
        place = _one_of(list(places), rng)
        said = {place: self._assertion(reading.topic(place), rng)}
        return self._move(Kind.ASSERTED, reading, said, rng, result=places[place])

    def _irrelevant(self, sample: Sample, reading: _Reading, rng: np.random.Generator) -> Move | None:
        """A negated attribute that is irrelevant to every result that is or may be true, asserted."""
        true = self._true(sample)
        held = {*true, *(d for d in self.graph.diseases if may_be_true(sample, d))}
        places = [
            place
            for place in reading.places(LabelState.ABSENT)
            if true and held <= set(self.unmoved(reading.topic(place)))
        ]
        if not places:
            return None
        place = _one_of(places, rng)
        said = {place: self._assertion(reading.topic(place), rng)}
        return self._move(Kind.IRRELEVANT, reading, said, rng, unmoved=self.unmoved(reading.topic(place)))

    def _paraphrased(self, sample: Sample, reading: _Reading, rng: np.random.Generator) -> Move | None:
        """One mention in another wording."""
        others = {place: self._other_wordings(reading.statements[place]) for place in reading.single}
        places = [place for place, wordings in others.items() if wordings]
        if not places:
            return None
        place = _one_of(places, rng)
        return self._edited(Kind.PARAPHRASE, reading, {place: _one_of(others[place], rng)})

    def _swapped(self, sample: Sample, reading: _Reading, rng: np.random.Generator) -> Move | None:
        """A phrase that tells another value of the circumstance."""
        edits = swapped_phrases(reading.statements, self.book, self.swapped, rng)
        return self._edited(Kind.PHRASE, reading, edits) if edits else None

    def _true(self, sample: Sample) -> tuple[str, ...]:
        return tuple(d for d in self.graph.diseases if d in sample.results)

    def _told(self, reading: _Reading, attributes: Sequence[str]) -> list[int]:
        """Where one of the attributes is asserted or hedged, in the order of the text."""
        return sorted(p for state in ASSERTED for p in reading.places(state) if reading.topic(p) in attributes)

    def _can_be_denied(self, reading: _Reading, places: Sequence[int]) -> bool:
        return all(self.lexicon.choices(reading.topic(place), LabelState.ABSENT) for place in places)

    def _denied_hallmarks(self, reading: _Reading) -> dict[int, str]:
        """Negations of what decides a result, and that result."""
        owners = {place: self.graph.diseases_of(reading.topic(place)) for place in reading.places(LabelState.ABSENT)}
        return {place: found[0] for place, found in owners.items() if len(found) == 1}

    def _assertion(self, attribute: str, rng: np.random.Generator) -> Mention:
        known = self.graph.attributes[attribute]
        side = _one_of(SIDES, rng) if known.lateral else None
        return Mention(attribute, LabelState.PRESENT, side, _one_of(SEVERITIES, rng) if known.graded else None)

    def _other_wordings(self, statement: Statement) -> list[str]:
        mention, own = statement.mentions[0], " ".join(statement.text.split()).lower()
        return [told for told in wordings_of(self.lexicon, mention) if told.lower() != own]

    def _move(
        self,
        kind: Kind,
        reading: _Reading,
        said: Mapping[int, Mention],
        rng: np.random.Generator,
        *,
        result: str = "",
        unmoved: tuple[str, ...] = (),
    ) -> Move:
        """The move that says these mentions in these places."""
        told = {place: _one_of(wordings_of(self.lexicon, mention), rng) for place, mention in said.items()}
        before = states_of(reading.statements)
        interventions = tuple(
            Intervention(m.attribute, before[m.attribute], m.state)
            for m in sorted({m.attribute: m for m in said.values()}.values(), key=lambda m: m.attribute)
        )
        return self._edited(kind, reading, told, interventions, result, unmoved)

    def _edited(
        self,
        kind: Kind,
        reading: _Reading,
        told: Mapping[int, str],
        interventions: tuple[Intervention, ...] = (),
        result: str = "",
        unmoved: tuple[str, ...] = (),
    ) -> Move:
        edits = tuple((reading.statements[place].text, sentence) for place, sentence in sorted(told.items()))
        return Move(kind, with_sentences(reading.statements, told), edits, interventions, result, unmoved)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The statements of a thinking; places that say one thing of one attribute can be edited singly."""

    statements: tuple[Statement, ...]

    @property
    def single(self) -> list[int]:
        """Places of sentences that mention exactly one attribute."""
        return [place for place, statement in enumerate(self.statements) if len(statement.mentions) == 1]

    def places(self, state: LabelState) -> list[int]:
        """Those that put it into a state, where the text nowhere else says otherwise."""
        states = states_of(self.statements)
        told = [(p, self.statements[p].mentions[0]) for p in self.single]
        return [place for place, m in told if m.state is state and states[m.attribute] is state]

    def topic(self, place: int) -> str:
        """The attribute there."""
        return self.statements[place].mentions[0].attribute


def with_sentences(statements: Sequence[Statement], told: Mapping[int, str]) -> str:
    """The text of statements with other sentences in some places.

    Args:
        statements: Of a thinking.
        told: Sentences by place.
    """
    return "".join(s.gap + told.get(place, s.text) for place, s in enumerate(statements))


def wordings_of(lexicon: Lexicon, mention: Mention) -> list[str]:
    """Every sentence that says exactly what a mention says."""
    choices = range(lexicon.choices(mention.attribute, mention.state))
    return [lexicon.write(mention.attribute, mention.state, mention.side, mention.severity, n) for n in choices]


def swapped_phrases(
    statements: Sequence[Statement], book: PhraseBook, circumstance: str, rng: np.random.Generator
) -> dict[int, str]:
    """Another phrase for every sentence that tells a circumstance, all with the same other value of it, by place."""
    found = {place: book.swaps(" ".join(s.text.split()), circumstance) for place, s in enumerate(statements)}
    values = sorted({book.tells(other)[circumstance] for others in found.values() for other in others})
    if not values:
        return {}
    value = _one_of(values, rng)
    fitting = {p: [o for o in others if book.tells(o)[circumstance] == value] for p, others in found.items()}
    return {place: _one_of(others, rng) for place, others in fitting.items() if others}


def _one_of(options: Sequence[T], rng: np.random.Generator) -> T:
    return options[int(rng.integers(len(options)))]
