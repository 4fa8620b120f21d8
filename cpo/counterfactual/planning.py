"""What the concept graph licenses: which targets an edit can reach, and which attributes it may touch for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from cpo.counterfactual.statements import ASSERTED
from cpo.graph.schema import ConceptGraph, Relation
from cpo.records import LabelState

Clash = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an edit is licensed to change.

    Args:
        target: The result to argue for.
        replaced: The true result that it takes the place of.
        gone: Asserted attributes that must not stay.
        decisive: Attributes that decide the target: one of them has to be asserted, and none may be negated. Empty for
            a healthy target.
        allowed: Attributes that may be asserted: those of the target that nothing kept excludes.
        likeness: How alike the two results are in the graph, > 0.
    """

    target: str
    replaced: str
    gone: frozenset[str]
    decisive: frozenset[str]
    allowed: frozenset[str]
    likeness: float


class Planner:
    """Plans edits from one result to another.

    Args:
        graph: The concept graph.
        healthy: The healthy result, where it may be a target; else None.
    """

    def __init__(self, graph: ConceptGraph, healthy: str | None) -> None:
        self.graph, self.healthy = graph, healthy
        self._associated = {d: frozenset(graph.attributes_of(d)) for d in graph.diseases}
        self._excluded = {d: frozenset(graph.attributes_of(d, Relation.EXCLUSION)) for d in graph.diseases}
        self._hallmarks = {d: frozenset(graph.hallmarks(d)) for d in graph.diseases}
        pairs = [(a, b) for a in graph.diseases for b in graph.diseases]
        self._exclusive = {(a, b) for a, b in pairs if graph.disease_relation(a, b) is Relation.EXCLUSION}
        self._likeness = {(a, b): self._alike(a, b) for a, b in pairs}

    def plans(
        self, *, true: tuple[str, ...], open_: tuple[str, ...], states: Mapping[str, LabelState], clash: Clash
    ) -> dict[str, Plan]:
        """For every target that can be reached, the plan that replaces the true result most like it.

        A target is out of reach when the report asserts or hedges it already, when it and a disease that stays exclude
        each other, when it excludes what such a disease explains, when all that decides it clashes with what stays, and
        when the text does not show the disease to be replaced.

        Args:
            true: True diseases, or the healthy result alone.
            open_: Diseases that the report leaves open; they are kept.
            states: What the report says of attributes.
            clash: Whether two attributes do not go together.
        """
        asserted = frozenset(a for a, state in states.items() if state in ASSERTED)
        plans: dict[str, Plan] = {}
        for target in self.graph.diseases:
            if target in true or target in open_ or self._hallmarks[target] & asserted:
                continue
            made = (self._plan(d, target, (*(k for k in true if k != d), *open_), asserted, clash) for d in true)
            found = [plan for plan in made if plan is not None]
            if found:
                plans[target] = max(found, key=lambda plan: plan.likeness)
        if self.healthy and len(true) == 1 and not open_ and self._hallmarks.get(true[0], frozenset()) & asserted:
            gone = self._associated[true[0]] & asserted
            plans[self.healthy] = Plan(self.healthy, true[0], gone, frozenset(), frozenset(), 1.0)
        return plans

    def _plan(
        self, replaced: str, target: str, kept: tuple[str, ...], asserted: frozenset[str], clash: Clash
    ) -> Plan | None:
        """The plan for one pair of results, or None when it is out of reach."""
        if replaced in self._hallmarks and not self._hallmarks[replaced] & asserted:
            return None
        kept = tuple(k for k in kept if k in self._associated)
        if any((target, k) in self._exclusive for k in kept):
            return None
        explained = self._union(self._associated, kept)
        contradicting = self._excluded[target] & asserted
        if contradicting & explained:
            return None
        unexplained = self._associated.get(replaced, frozenset()) - explained - self._associated[target]
        gone = (unexplained & asserted) | contradicting
        stays = asserted - gone
        if all(any(clash(hallmark, other) for other in stays) for hallmark in self._hallmarks[target]):
            return None
        return Plan(
            target=target,
            replaced=replaced,
            gone=gone,
            decisive=self._hallmarks[target],
            allowed=self._associated[target] - self._union(self._excluded, kept),
            likeness=self._likeness.get((replaced, target), 1.0),
        )

    def _alike(self, a: str, b: str) -> float:
        """(1 + attributes shared) / (1 + attributes of either that the other excludes)."""
        shared = self._associated[a] & self._associated[b]
        excluded = (self._associated[a] & self._excluded[b]) | (self._excluded[a] & self._associated[b])
        return (1 + len(shared)) / (1 + len(excluded))

    @staticmethod
    def _union(table: Mapping[str, frozenset[str]], diseases: Iterable[str]) -> frozenset[str]:
        return frozenset[str]().union(*(table[d] for d in diseases))
