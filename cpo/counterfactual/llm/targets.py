"""Which results a language model shall argue for, and which attributes its words changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cpo.counterfactual.base import may_be_true
from cpo.counterfactual.habits import Habits
from cpo.counterfactual.planning import Plan, Planner
from cpo.counterfactual.statements import Statement
from cpo.counterfactual.validity import Judge
from cpo.graph.lexicon import Mention
from cpo.graph.schema import ConceptGraph
from cpo.records import Intervention, LabelState, Sample

States = Mapping[str, LabelState]


class Targets:
    """The most confusable targets of each sample, ranked as the concept-graph method ranks them.

    Reports are read by a judge and not by the graph's wordings, so they may be in anyone's words.

    Args:
        graph: What it knows of results decides which can be confused.
        judge: Reads every report of the pool once.
        pool: Samples; a target is the likelier the commoner it is in the pool.
        wanted: Targets per sample.
    """

    def __init__(self, graph: ConceptGraph, judge: Judge, pool: Sequence[Sample], wanted: int) -> None:
        self.pool, self._graph, self._wanted = pool, graph, wanted
        self._states: dict[str, States] = {sample.id: judge(sample.factual.thinking) for sample in pool}
        self._habits = Habits.of((sample, _as_statements(self._states[sample.id])) for sample in pool)
        self._planner = Planner(graph, None)

    def plans(self, sample: Sample) -> Sequence[Plan]:
        """Plans for the targets of a sample of the pool, the most confusable first; empty where none is in reach."""
        true = tuple(d for d in self._graph.diseases if d in sample.results)
        plans = self._planner.plans(
            true=true or (self._graph.default,),
            open_=tuple(d for d in self._graph.diseases if d not in true and may_be_true(sample, d)),
            states=self._states[sample.id],
            clash=self._habits.clash,
        )
        return sorted(plans.values(), key=self._confusability, reverse=True)[: self._wanted]

    def _confusability(self, plan: Plan) -> float:
        return plan.likeness * self._habits.prevalence(plan.target)


def differing(before: States, after: States) -> tuple[Intervention, ...]:
    """The attributes of which two texts say different things, in alphabetical order.

    Example:
        >>> said = {"nodule": LabelState.PRESENT, "mass": LabelState.ABSENT}
        >>> [(i.attribute, i.after.value) for i in differing(said, {"mass": LabelState.ABSENT})]
        [('nodule', 'unmentioned')]
    """
    silent = LabelState.UNMENTIONED
    told = ((name, before.get(name, silent), after.get(name, silent)) for name in sorted({*before, *after}))
    return tuple(Intervention(name, old, new) for name, old, new in told if old is not new)


def _as_statements(states: States) -> tuple[Statement, ...]:
    """What was read, in the form in which a pool is counted; the text itself plays no part."""
    return (Statement("", "", tuple(Mention(name, state) for name, state in states.items())),)
