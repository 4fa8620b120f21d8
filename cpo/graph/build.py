"""A concept graph from reports: who appears with whom, tested, with everything else held fixed.

Diseases come from a sample's labels or results, attributes from its text. A disease and an attribute are compared among
studies that are equal in all other diseases, so that what two diseases often do together is not taken for a relation of
one's signs with the other; two attributes among studies equal in all diseases; two diseases over all studies.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

from cpo.errors import DataError
from cpo.graph.build_counts import Tally
from cpo.graph.evidence import Evidence
from cpo.graph.extraction import Extractor
from cpo.graph.schema import ConceptGraph, Edge, Link, Relation
from cpo.graph.statistics import LogOdds, log_odds, q_values
from cpo.records import LabelState, Sample

ALPHA = 0.05
"""Largest q-value of a relation: the share of false ones that is accepted among those found."""
BAND = math.log(2)
"""Log-odds within ± this are no relation worth the name, however sure."""
EXCLUDED = 0.1
"""An exclusion: the two are seen together at most this share of how often they would be if unrelated. What is only a
little rarer is crowded out, not ruled out, as by reports that tell five findings and no more."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Two findings, what was counted, and what they are to each other.

    Args:
        one: A disease, or an attribute if both are.
        other: An attribute, or a disease if both are.
        found: The log-odds.
        q_value: Its p-value after correction for all pairs of the kind.
    """

    one: str
    other: str
    found: LogOdds
    q_value: float

    @property
    def relation(self) -> Relation | None:
        """Irrelevance when the interval lies within the band, else what is tested, else None: undecided."""
        if self.found.low >= -BAND and self.found.high <= BAND:
            return Relation.IRRELEVANCE
        if self.q_value > ALPHA:
            return None
        if self.found.estimate > 0:
            return Relation.ASSOCIATION
        excluded = self.found.informative_both <= EXCLUDED * self.found.expected_both
        return Relation.EXCLUSION if excluded else None

    def support(self, relation: Relation | None) -> int:
        """Studies that bear out a relation.

        Of an association those that show both. Of an exclusion those that show the second finding without the first,
        where they could have shown both. Of an irrelevance all that could tell.
        """
        if relation is Relation.EXCLUSION:
            return self.found.informative - self.found.informative_both
        return self.found.informative if relation is Relation.IRRELEVANCE else self.found.both

    def evidence(self, source: str) -> Evidence:
        """As the graph keeps it."""
        numbers = (self.found.estimate, self.found.low, self.found.high, self.q_value)
        known = (float(f"{n:.4g}") if math.isfinite(n) else None for n in numbers)
        return Evidence(source, self.support(self.relation), *known)


@dataclass(frozen=True)
class Built:
    """A graph built from reports, and how it came about.

    Args:
        graph: The graph: associations, exclusions and tested irrelevances, with their evidence.
        relations: Every disease with every attribute, undecided ones too.
        attribute_pairs: Every two attributes.
        disease_pairs: Every two diseases.
        studies: Counted.
        diseases_from: Where their diseases came from: `labels`, `results` or `text`.
        unread: Reports that the extractor could not read, by reason.
        ignored: Parts of readable reports that it left out, by reason.
        rare: Attributes in fewer studies than are needed to look at them.
        left_out: Diseases that no attribute tells apart from every other: the reports are too few for them.
    """

    graph: ConceptGraph
    relations: tuple[Measured, ...]
    attribute_pairs: tuple[Measured, ...]
    disease_pairs: tuple[Measured, ...]
    studies: int
    diseases_from: Mapping[str, int]
    unread: Mapping[str, int]
    ignored: Mapping[str, int]
    rare: tuple[str, ...]
    left_out: tuple[str, ...]


def build_graph(
    samples: Iterable[Sample],
    extractor: Extractor,
    frame: ConceptGraph,
    *,
    source: str,
    min_studies: int = 5,
    conditioned: bool = True,
) -> Built:
    """Builds a graph from reports, in one pass over them.

    Args:
        samples: Read once, in any order.
        extractor: Finds attributes, and diseases where a sample names none.
        frame: Its name, diseases, default, phrases, taxonomy and terms are kept; its relations are not looked at.
        source: What the evidence is from, in words: the dataset and its split.
        min_studies: Attributes in fewer studies are left out, at least 1: too little to say, too many to test.
        conditioned: Hold the other diseases fixed. False shows what they confound.

    Raises:
        DataError: No report could be read, or too few for any two diseases to be told apart.
    """
    tally, diseases_from = _count(samples, extractor, frame.diseases)
    attributes = [name for name in extractor.attributes if tally.shown(name) >= min_studies]
    diseases = [name for name in frame.diseases if tally.shown(name)]
    fixed = diseases if conditioned else ()
    relations = _measure(tally, product(diseases, attributes), fixed)
    attribute_pairs = _measure(tally, combinations(attributes, 2), fixed)
    disease_pairs = _measure(tally, combinations(diseases, 2), fixed=())
    told, left_out = _told_apart(frame.diseases, relations, tally)
    if len(told) < 2:
        raise DataError(
            got=f"{tally.studies} studies, in which {len(told)} of {len(frame.diseases)} diseases can be told apart",
            wanted="at least two diseases that attributes tell apart",
            remedy="pass more reports, or a vocabulary that knows their words",
        )
    said = f"{source}: {tally.studies:,} studies, read by {extractor.name}"
    order = (Relation.ASSOCIATION, Relation.EXCLUSION, Relation.IRRELEVANCE)
    edges = (
        Edge(m.one, m.other, relation, m.evidence(said))
        for disease, relation in product(told, order)
        for m in relations
        if m.one == disease and m.relation is relation
    )
    tied = (m for m in disease_pairs if m.relation in order[:2] and {m.one, m.other} <= set(told))
    exclusive = (m for m in attribute_pairs if m.relation is Relation.EXCLUSION)
    links = (Link(m.one, m.other, m.relation, m.evidence(said)) for m in (*tied, *exclusive) if m.relation is not None)
    names = {*told, *attributes}
    graph = ConceptGraph(
        frame.name,
        told,
        {name: extractor.attributes[name] for name in attributes},
        tuple(edges),
        frame.default,
        phrases={name: text for name, text in frame.phrases.items() if name in (*told, frame.default)},
        parents=_above(frame.parents, names),
        terms={name: terms for name, terms in frame.terms.items() if name in names},
        links=tuple(links),
    )
    return Built(
        graph,
        relations,
        attribute_pairs,
        disease_pairs,
        studies=tally.studies,
        diseases_from=diseases_from,
        unread=dict(extractor.failures),
        ignored=dict(extractor.ignored),
        rare=tuple(name for name in extractor.attributes if name not in set(attributes)),
        left_out=left_out,
    )


def _count(samples: Iterable[Sample], extractor: Extractor, diseases: Sequence[str]) -> tuple[Tally, dict[str, int]]:
    tally, diseases_from = Tally(diseases), Counter[str]()
    for sample in samples:
        reading = extractor.read(sample.factual.thinking)
        if reading is None:
            continue
        states, origin = dict(reading.diseases), "text"
        if any(name in sample.labels for name in diseases):
            states, origin = dict(sample.labels), "labels"
        elif sample.results:
            states, origin = dict.fromkeys(sample.results, LabelState.PRESENT), "results"
        tally.add(states, reading.attributes)
        diseases_from[origin] += 1
    if not tally.studies:
        raise DataError(
            got=f"no readable report; failures: {dict(extractor.failures) or 'none'}",
            wanted="reports",
            remedy="look at the dataset with cpo data check, or at the answers of the language model",
        )
    return tally, dict(diseases_from)


def _measure(tally: Tally, pairs: Iterable[tuple[str, str]], fixed: Sequence[str]) -> tuple[Measured, ...]:
    found = {(one, other): log_odds(tally.tables(one, other, fixed=fixed)) for one, other in pairs}
    corrected = q_values([odds.p_value for odds in found.values()])
    return tuple(Measured(*pair, odds, q) for (pair, odds), q in zip(found.items(), corrected, strict=True))


def _told_apart(
    diseases: Sequence[str], relations: Sequence[Measured], tally: Tally
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Diseases with an attribute that each other one has not, in their order, and those given up: the rarest first."""
    signs: dict[str, set[str]] = {disease: set() for disease in diseases}
    for m in relations:
        if m.relation is Relation.ASSOCIATION:
            signs[m.one].add(m.other)
    kept = list(diseases)
    while hidden := [one for one in kept if any(signs[one] <= signs[other] for other in kept if other != one)]:
        kept.remove(min(hidden, key=tally.shown))
    kept = [disease for disease in kept if signs[disease]]
    return tuple(kept), tuple(disease for disease in diseases if disease not in kept)


def _above(parents: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The part of a taxonomy that stands above some names."""
    above: dict[str, str] = {}
    waiting = [name for name in names if name in parents]
    while waiting:
        name = waiting.pop()
        above[name] = parents[name]
        waiting += [parents[name]] if parents[name] in parents and parents[name] not in above else []
    return {name: parent for name, parent in parents.items() if name in above}
