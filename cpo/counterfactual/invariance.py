"""Pairs about what must not count: both thinkings are edited alike, and only one keeps the true answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Literal, get_args

import numpy as np

from cpo.counterfactual.answers import flip_result, named_results, replace_result
from cpo.counterfactual.base import CounterfactualMethod, Proposer, Rejection, may_be_true
from cpo.counterfactual.concept_graph import ConceptGraphCounterfactual
from cpo.counterfactual.interventions import swapped_phrases, with_sentences, wordings_of
from cpo.counterfactual.phrases import PhraseBook
from cpo.counterfactual.planning import Planner
from cpo.counterfactual.statements import ASSERTED, Statement, read_statements, states_of
from cpo.counterfactual.validity import format_broken
from cpo.errors import ConfigError
from cpo.graph.lexicon import SEVERITIES, SIDES, Lexicon, Mention
from cpo.graph.schema import ConceptGraph, Relation
from cpo.records import Counterfactual, Intervention, LabelState, Sample, Trajectory

Edited = Literal["phrase", "attribute"]
Contradiction = Literal["answer", "findings"]


class Unedited(StrEnum):
    """Why there is no pair, beside what holds for every method."""

    NOTHING_TO_EDIT = "nothing in the thinking that may be edited"


class Invariance(CounterfactualMethod):
    """What must not decide is edited in the thinking of both trajectories; chosen keeps the true answer, rejected not.

    Edited is either the cause side of a tie, a habitual phrase that tells another view or hour (`phrase`), or an
    attribute that decides no result and is irrelevant to all that are or may be true (`attribute`): asserted where the
    report negates or does not mention it, negated where it asserts it. Everything else stays word for word.

    The rejected side contradicts the truth in its answer alone, or, as in `concept_graph`, in the findings that decide
    it as well. In pairs that differ in the answer alone the thinking's own log-prob cancels: what is learnt is what
    follows from it.

    Args:
        graph: A shipped concept graph by name, or the path of a JSON file.
        phrases: Phrases that tell circumstances: a shipped book by the name of its graph, or a JSON file.
        edited: `phrase` or `attribute`.
        swapped: The circumstance that a swapped phrase tells otherwise.
        effect: The result whose truth the rejected answer denies: added where it is not true, taken away where it is.
            Empty for the results most alike the true ones, each in place of one, as in `concept_graph`.
        rejected: `answer` or `findings`.
        targets: Pairs per sample, ≥ 1; with an `effect` there is one.

    Raises:
        ConfigError: A knob out of its range.
        DataError: Graph or phrase book not found, or the book does not tell the circumstance.

    Source:
        Ours. Counterfactually augmented data (Kaushik et al. 2020, arXiv 1909.12434) trains on what must count;
        counterfactual invariance (Veitch et al. 2021, arXiv 2106.00545) asks that the rest does not.
    """

    def __init__(
        self,
        *,
        graph: str,
        phrases: str,
        edited: Edited,
        swapped: str,
        effect: str,
        rejected: Contradiction,
        targets: int,
    ) -> None:
        super().__init__("invariance", targets)
        if edited not in get_args(Edited) or rejected not in get_args(Contradiction):
            raise ConfigError(
                got=f"counterfactual.edited={edited}, counterfactual.rejected={rejected}",
                wanted=f"edited {' or '.join(get_args(Edited))}, rejected {' or '.join(get_args(Contradiction))}",
                remedy="pass counterfactual.edited=phrase counterfactual.rejected=answer",
            )
        self.graph = ConceptGraph.load(graph)
        if effect and effect not in self.graph.diseases:
            raise ConfigError(
                got=f"counterfactual.effect={effect!r}",
                wanted=f"one of {', '.join(self.graph.diseases)}, or nothing",
                remedy="correct the name, or pass counterfactual.effect=''",
            )
        self.lexicon, self.book = Lexicon(self.graph), PhraseBook.load(phrases)
        self.swapped = self.book.check(swapped) if edited == "phrase" else swapped
        self.edited, self.effect, self.rejected = edited, effect, rejected
        self._planner = Planner(self.graph, None)
        self._shared = tuple(a for a in self.graph.attributes if len(self.graph.diseases_of(a)) != 1)
        self._findings = ConceptGraphCounterfactual(
            graph=graph, targets=len(self.graph.diseases), choice="nearest", healthy_target=False, max_edit_ratio=0.6
        )

    def proposer(self, pool: Sequence[Sample]) -> Proposer:
        """See `CounterfactualMethod.proposer`."""
        contradict = self._findings.proposer(pool) if self.rejected == "findings" else self._other_answers

        def propose(sample: Sample, rng: np.random.Generator) -> Iterator[Counterfactual | StrEnum]:
            chosen, interventions = self._intervened(sample, rng)
            if chosen is None:
                yield Unedited.NOTHING_TO_EDIT
                return
            # the rejected side is made of the sample as it would be, had its report said the other thing
            for made in contradict(replace(sample, factual=chosen), rng):
                if not isinstance(made, Counterfactual):
                    yield made
                elif self._denies_the_effect(sample, made.trajectory):
                    changed = (*interventions, *made.interventions)
                    yield replace(made, method=self.name, interventions=changed, chosen=chosen)

        return propose

    def _intervened(
        self, sample: Sample, rng: np.random.Generator
    ) -> tuple[Trajectory | None, tuple[Intervention, ...]]:
        """The factual trajectory with its thinking edited and its answer as it was; None where nothing can be."""
        statements = read_statements(self.lexicon, sample.factual.thinking)
        interventions: tuple[Intervention, ...] = ()
        if self.edited == "attribute":
            thinking, interventions = self._with_attribute(sample, statements, rng)
        else:
            told = swapped_phrases(statements, self.book, self.swapped, rng)
            thinking = with_sentences(statements, told) if told else ""
        chosen = Trajectory(thinking, sample.factual.answer)
        return (None, ()) if format_broken(chosen) else (chosen, interventions)

    def _with_attribute(
        self, sample: Sample, statements: tuple[Statement, ...], rng: np.random.Generator
    ) -> tuple[str, tuple[Intervention, ...]]:
        """The thinking that says the opposite of one irrelevant attribute, told at the end where it told nothing."""
        states = states_of(statements)
        held = [d for d in self.graph.diseases if d == self.effect or may_be_true(sample, d)]
        free = [a for a in self._shared if all(self.graph.relation(d, a) is Relation.IRRELEVANCE for d in held)]
        if not free or not statements:
            return "", ()
        # what the report speaks of comes first: its sentence is edited in its place
        spoken = [a for a in free if a in states and self._places(statements, a)]
        attribute = _one_of(spoken or [a for a in free if a not in states] or [""], rng)
        if not attribute:
            return "", ()
        before = states.get(attribute, LabelState.UNMENTIONED)
        mention = self._opposite(attribute, before, rng)
        sentence = _one_of(wordings_of(self.lexicon, mention), rng)
        places = self._places(statements, attribute)
        thinking = with_sentences(statements, dict.fromkeys(places, sentence))
        text = thinking if places else f"{thinking} {sentence}"
        return text, (Intervention(attribute, before, mention.state),)

    def _opposite(self, attribute: str, before: LabelState, rng: np.random.Generator) -> Mention:
        if before in ASSERTED:
            return Mention(attribute, LabelState.ABSENT)
        known = self.graph.attributes[attribute]
        side = _one_of(SIDES, rng) if known.lateral else None
        return Mention(attribute, LabelState.PRESENT, side, _one_of(SEVERITIES, rng) if known.graded else None)

    def _places(self, statements: Sequence[Statement], attribute: str) -> list[int]:
        """Sentences about the attribute alone."""
        return [p for p, s in enumerate(statements) if [m.attribute for m in s.mentions] == [attribute]]

    def _other_answers(self, sample: Sample, rng: np.random.Generator) -> Iterator[Counterfactual | StrEnum]:
        """The sample's trajectory with a false answer behind it."""
        if self.effect not in sample.results and may_be_true(sample, self.effect):
            yield Rejection.ALREADY_TRUE
            return
        answers = {self.effect: self._flipped(sample)} if self.effect else self._replaced(sample)
        if not answers:
            yield Rejection.NOT_REACHABLE
        for target, answer in answers.items():
            if answer is None:
                yield Rejection.ANSWER_NOT_NAMED
            else:
                yield Counterfactual(sample.id, self.name, target, replace(sample.factual, answer=answer))

    def _flipped(self, sample: Sample) -> str | None:
        """The answer that denies the effect's truth."""
        return flip_result(
            sample.factual.answer,
            sample.results,
            self.effect,
            tuple(sample.labels),
            diseases=self.graph.diseases,
            default=self.graph.default,
            phrases=self.graph.phrases,
        )

    def _replaced(self, sample: Sample) -> dict[str, str | None]:
        """By target, the most alike first, the answer in which it takes the place of a true result."""
        true = tuple(d for d in self.graph.diseases if d in sample.results)
        open_ = tuple(d for d in self.graph.diseases if d not in true and may_be_true(sample, d))
        states = states_of(read_statements(self.lexicon, sample.factual.thinking))
        plans = self._planner.plans(
            true=true or (self.graph.default,), open_=open_, states=states, clash=lambda one, other: False
        )
        said, order, phrases = sample.factual.answer, tuple(sample.labels), self.graph.phrases
        return {
            target: replace_result(said, sample.results, plans[target].replaced, target, order, phrases)
            for target in sorted(plans, key=lambda target: -plans[target].likeness)
        }

    def _denies_the_effect(self, sample: Sample, rejected: Trajectory) -> bool:
        """Whether the rejected answer says the opposite of the effect's truth, where there is an effect."""
        if not self.effect:
            return True
        named = named_results(rejected.answer, {*self.graph.diseases, *sample.labels}, self.graph.phrases)
        return (self.effect in named) != (self.effect in sample.results)


def _one_of(options: Sequence[str], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
