"""The concept graph: results (diseases, driving actions), attributes, and three relations between them.

A *hallmark* is an attribute associated with one disease only: it decides. Attributes associated with several diseases
support each of them and decide none. What a set of attributes says of the diseases follows from that alone (`labels`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import permutations
from pathlib import Path

from cpo.errors import DataError
from cpo.graph.document import attributes_in, check_parents, diseases_json, edges_in, links_in
from cpo.graph.parts import Attribute, Category, Edge, Link, Relation
from cpo.graph.storage import read_document, write_document
from cpo.records import LabelState, fingerprint

__all__ = ["Attribute", "Category", "ConceptGraph", "Edge", "Link", "Relation"]


@dataclass(frozen=True)
class ConceptGraph:
    """Diseases, attributes and their relations, checked when made.

    Args:
        name: Name of the graph.
        diseases: The results that it argues for (of a road: what the ego car does), in the order of answers.
        attributes: By name, in the order of the file.
        edges: Associations and exclusions, and what was found to be irrelevant; everything else is irrelevant too.
        default: The result when none of the diseases is shown.
        phrases: How an answer tells each result, the default included, where its name alone is no sentence.
        parents: Taxonomy: the parent of a disease, of an attribute, or of another parent.
        terms: Further names of diseases and attributes in free text, by name.
        links: Relations between two diseases or between two attributes, where they are known by themselves.

    Raises:
        DataError: An edge with an unknown end, two relations between one pair, two diseases that no attribute tells
            apart, a default that is a disease, phrases for some of the results only, or a circular taxonomy.

    Example:
        >>> graph = ConceptGraph.load("chest")
        >>> graph.relation("Atelectasis", "volume loss").value, graph.relation("Atelectasis", "hyperinflation").value
        ('association', 'exclusion')
        >>> graph.disease_relation("Atelectasis", "Consolidation").value
        'exclusion'
        >>> graph.decisive("Consolidation", against="Pneumonia")
        ('dense lobar opacity',)
    """

    name: str
    diseases: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    edges: tuple[Edge, ...]
    default: str
    phrases: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)
    terms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    _relations: dict[tuple[str, str], Relation] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for edge in self.edges:
            self._add(edge)
        check_parents(self.parents)
        self._check_names()
        for one, other in permutations(self.diseases, 2):
            if not self.decisive(one, against=other):
                raise DataError(
                    got=f"every attribute of {one!r} is one of {other!r} too",
                    wanted="every disease told apart from every other by at least one attribute",
                    remedy=f"associate {one!r} with an attribute that {other!r} has not",
                )
        results = {*self.diseases, self.default}
        if self.default in self.diseases or (self.phrases and set(self.phrases) != results):
            raise DataError(
                got=f"default {self.default!r}, phrases for {', '.join(self.phrases) or 'nothing'}",
                wanted="a default that is none of the diseases, and a phrase for every result or for none",
                remedy="correct `default` or `phrases` in the graph's file",
            )

    def _add(self, edge: Edge) -> None:
        key = (edge.disease, edge.attribute)
        if edge.disease not in self.diseases or edge.attribute not in self.attributes:
            raise DataError(
                got=f"an edge between {edge.disease!r} and {edge.attribute!r}",
                wanted="both ends declared in the graph",
                remedy="declare the disease and the attribute, or correct the spelling of the edge",
            )
        if key in self._relations:
            raise DataError(
                got=f"{edge.attribute!r} related to {edge.disease!r} twice: {self._relations[key]}, {edge.relation}",
                wanted="at most one relation between a disease and an attribute",
                remedy="keep the association or the exclusion, not both",
            )
        self._relations[key] = edge.relation

    def _check_names(self) -> None:
        diseases, attributes = set(self.diseases), set(self.attributes)
        paired = (link.ends <= diseases or link.ends <= attributes for link in self.links)
        loose = [link for link, fits in zip(self.links, paired, strict=True) if len(link.ends) < 2 or not fits]
        strange = set(self.terms) - diseases - attributes
        twice = len({link.ends for link in self.links}) < len(self.links)
        both = diseases & attributes
        if loose or strange or twice or both:
            raise DataError(
                got=f"links {[sorted(link.ends) for link in loose]}{' and some twice' * twice}, "
                f"terms for {sorted(strange)}, diseases that are attributes: {sorted(both)}",
                wanted="one link between two diseases or two attributes, terms for what the graph has, one kind a name",
                remedy="correct `links`, `terms` or the names in the graph's file",
            )

    @classmethod
    def load(cls, name_or_path: str | Path) -> ConceptGraph:
        """Reads a shipped graph by name (`chest`), or a JSON file by path.

        Raises:
            DataError: Not found, not JSON, or not a concept graph.
        """
        document = read_document(name_or_path)
        return cls(
            document["name"],
            tuple(document["diseases"]),
            attributes_in(document),
            edges_in(document),
            document["default"],
            phrases=document.get("phrases", {}),
            parents=document.get("parents", {}),
            terms={name: tuple(terms) for name, terms in document.get("terms", {}).items()},
            links=links_in(document),
        )

    def save(self, path: str | Path) -> Path:
        """Writes the graph as JSON, atomically; `load` reads back an equal one."""
        return write_document(self._document(), Path(path))

    def _document(self) -> dict[str, object]:
        optional = {
            "phrases": dict(self.phrases),
            "parents": dict(self.parents),
            "terms": {name: list(terms) for name, terms in self.terms.items()},
            "links": [link.as_json() for link in self.links],
        }
        head = {"name": self.name, "default": self.default}
        body = {
            "diseases": diseases_json(self.diseases, self.edges),
            "attributes": {a.name: a.as_json() for a in self.attributes.values()},
        }
        return head | {key: value for key, value in optional.items() if value} | body

    @cached_property
    def fingerprint(self) -> str:
        """Of the whole content, wordings and order included."""
        document = self._document()
        return fingerprint([list(self.diseases), list(self.attributes), document])

    def relation(self, disease: str, attribute: str) -> Relation:
        """The relation between a disease and an attribute; irrelevance unless the graph says otherwise.

        Raises:
            DataError: Either is not in the graph.
        """
        self._check(disease, self.diseases, "disease")
        self._check(attribute, self.attributes, "attribute")
        return self._relations.get((disease, attribute), Relation.IRRELEVANCE)

    def attributes_of(self, disease: str, relation: Relation = Relation.ASSOCIATION) -> tuple[str, ...]:
        """Attributes in the given relation to a disease, in the graph's order."""
        return tuple(a for a in self.attributes if self.relation(disease, a) is relation)

    def diseases_of(self, attribute: str, relation: Relation = Relation.ASSOCIATION) -> tuple[str, ...]:
        """Diseases in the given relation to an attribute, in the graph's order."""
        return tuple(d for d in self.diseases if self.relation(d, attribute) is relation)

    def decisive(self, disease: str, *, against: str) -> tuple[str, ...]:
        """Attributes associated with `disease` and not with `against`."""
        theirs = self.attributes_of(against)
        return tuple(a for a in self.attributes_of(disease) if a not in theirs)

    def hallmarks(self, disease: str) -> tuple[str, ...]:
        """Attributes associated with this disease and with no other: each alone decides for it."""
        return self._hallmarks[disease]

    def disease_relation(self, one: str, other: str) -> Relation:
        """The relation between two diseases.

        What their link says, if they have one. Else exclusion when a hallmark of one is excluded by the other; else
        association when they share an attribute; else irrelevance.
        """
        if (linked := self._links.get(frozenset((one, other)))) is not None:
            return linked
        pairs = ((one, other), (other, one))
        if any(self.relation(a, h) is Relation.EXCLUSION for a, b in pairs for h in self.hallmarks(b)):
            return Relation.EXCLUSION
        shared = set(self.attributes_of(one)) & set(self.attributes_of(other))
        return Relation.ASSOCIATION if shared else Relation.IRRELEVANCE

    def attribute_relation(self, one: str, other: str) -> Relation:
        """The relation between two attributes: what their link says, else irrelevance."""
        return self._links.get(frozenset((one, other)), Relation.IRRELEVANCE)

    def labels(self, states: Mapping[str, LabelState]) -> dict[str, LabelState]:
        """What the states of attributes say of every disease.

        A disease is present when one of its hallmarks is; else uncertain when one is; else absent when one is negated;
        else unmentioned. Shared attributes decide nothing.

        Args:
            states: State of each mentioned attribute, by name.

        Example:
            >>> graph = ConceptGraph.load("chest")
            >>> said = {"nodule": LabelState.ABSENT, "mass": LabelState.UNCERTAIN, "tortuous aorta": LabelState.PRESENT}
            >>> {d: s.value for d, s in graph.labels(said).items() if s is not LabelState.UNMENTIONED}
            {'Lung Lesion': 'uncertain'}
        """
        order = (LabelState.PRESENT, LabelState.UNCERTAIN, LabelState.ABSENT)
        said = {d: {states.get(h) for h in self.hallmarks(d)} for d in self.diseases}
        return {d: next((s for s in order if s in found), LabelState.UNMENTIONED) for d, found in said.items()}

    @cached_property
    def _links(self) -> dict[frozenset[str], Relation]:
        return {link.ends: link.relation for link in self.links}

    @cached_property
    def _hallmarks(self) -> dict[str, tuple[str, ...]]:
        sole = {a: self.diseases_of(a) for a in self.attributes}
        return {d: tuple(a for a, owners in sole.items() if owners == (d,)) for d in self.diseases}

    def _check(self, name: str, known: Iterable[str], kind: str) -> None:
        if name not in known:
            raise DataError(
                got=f"{kind} {name!r}",
                wanted=f"one of the graph {self.name!r}: {', '.join(known)}",
                remedy="correct the spelling, or load the graph that has it",
            )
