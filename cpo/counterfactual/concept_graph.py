"""Counterfactuals by the concept graph: no model, the fewest sentences, everything else word for word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, get_args

import numpy as np

from cpo.counterfactual.answers import replace_result
from cpo.counterfactual.base import CounterfactualMethod, Proposer, Rejection, may_be_true
from cpo.counterfactual.habits import Habits
from cpo.counterfactual.planning import Plan, Planner
from cpo.counterfactual.rewriting import Rewriter
from cpo.counterfactual.statements import Statement, read_statements, states_of
from cpo.counterfactual.validity import Validity, lexicon_judge
from cpo.errors import ConfigError
from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph
from cpo.records import Counterfactual, Sample, Trajectory

Choice = Literal["nearest", "drawn"]


class ConceptGraphCounterfactual(CounterfactualMethod):
    """One true disease of a sample replaced by a confusable one, in the findings and in the answer.

    What decides the replaced disease goes, something that decides the target comes, and nothing else changes:
    `Planner` says what the graph licenses, `Rewriter` edits the sentences, `Validity` reads the result. Where several
    diseases are true the others stay; where none is, the target takes the place of the graph's default result.

    Args:
        graph: A shipped concept graph by name, or the path of a JSON file.
        targets: Counterfactuals per sample, each for another target, ≥ 1.
        choice: `nearest` takes the most confusable targets; `drawn` draws them in proportion to how confusable they
            are, so that no disease is argued against much more often than it is true.
        healthy_target: Whether the graph's default result may be a target, for samples with one disease and none in
            doubt.
        max_edit_ratio: Largest ratio of edited words of the thinking, in (0, 1].

    Raises:
        ConfigError: A knob out of its range.
        DataError: The graph is not found or not a concept graph.

    Source:
        Concept graph and counterfactual trajectories of arXiv 2505.13081, which lets a language model rewrite the
        report. Here sentences are edited by rule: the paper asks that only licensed attributes change, and a rule can
        promise it.
    """

    def __init__(
        self, *, graph: str, targets: int, choice: Choice, healthy_target: bool, max_edit_ratio: float
    ) -> None:
        super().__init__("concept_graph", targets)
        if choice not in get_args(Choice):
            raise ConfigError(
                got=f"counterfactual.choice={choice}",
                wanted=f"one of {', '.join(get_args(Choice))}",
                remedy="pass counterfactual.choice=nearest",
            )
        self.graph = ConceptGraph.load(graph)
        self.lexicon = Lexicon(self.graph)
        self.choice = choice
        self._planner = Planner(self.graph, self.graph.default if healthy_target else None)
        self._validity = Validity(graph=self.graph, judge=lexicon_judge(self.lexicon), max_edit_ratio=max_edit_ratio)

    def proposer(self, pool: Sequence[Sample]) -> Proposer:
        """See `CounterfactualMethod.proposer`."""
        habits = Habits.of((sample, read_statements(self.lexicon, sample.factual.thinking)) for sample in pool)

        def propose(sample: Sample, rng: np.random.Generator) -> Iterator[Counterfactual | Rejection]:
            statements = read_statements(self.lexicon, sample.factual.thinking)
            plans = self._plans(sample, statements, habits) if statements else {}
            if not plans:
                yield Rejection.NOT_REACHABLE
            for target in self._ranked(plans, habits, rng):
                yield self._attempt(sample, statements, plans[target], habits, rng)

        return propose

    def _plans(self, sample: Sample, statements: tuple[Statement, ...], habits: Habits) -> dict[str, Plan]:
        """A plan for every target that an edit can reach."""
        true = tuple(d for d in self.graph.diseases if d in sample.results)
        open_ = tuple(d for d in self.graph.diseases if d not in true and may_be_true(sample, d))
        states = states_of(statements)
        return self._planner.plans(true=true or (self.graph.default,), open_=open_, states=states, clash=habits.clash)

    def _ranked(self, plans: Mapping[str, Plan], habits: Habits, rng: np.random.Generator) -> list[str]:
        """Targets in the order in which they are tried: by confusability, or drawn in proportion to it."""
        weights = {target: plan.likeness * habits.prevalence(target) for target, plan in plans.items()}
        if self.choice == "nearest":
            return sorted(weights, key=lambda target: -weights[target])
        # the order of exponential clocks with these rates is a draw without replacement
        clocks = {target: rng.exponential() / weight for target, weight in weights.items()}
        return sorted(clocks, key=lambda target: clocks[target])

    def _attempt(
        self,
        sample: Sample,
        statements: tuple[Statement, ...],
        plan: Plan,
        habits: Habits,
        rng: np.random.Generator,
    ) -> Counterfactual | Rejection:
        """The counterfactual of one plan, or why it is none."""
        order = tuple(sample.labels)
        phrases, said = self.graph.phrases, sample.factual.answer
        answer = replace_result(said, sample.results, plan.replaced, plan.target, order, phrases)
        if answer is None:
            return Rejection.ANSWER_NOT_NAMED
        rewritten = Rewriter(self.lexicon, habits, plan, statements, rng).run()
        if rewritten is None:
            return Rejection.NOT_REACHABLE
        thinking, interventions = rewritten
        trajectory = Trajectory(thinking, answer)
        made = Counterfactual(sample.id, self.name, plan.target, trajectory, interventions)
        return self._validity.rejection(sample, made) or made
