"""Whether a counterfactual is one: the target shown, the factual result gone, exclusions, format and size kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set

from cpo.counterfactual.answers import named_results
from cpo.counterfactual.base import Rejection, may_be_true
from cpo.counterfactual.edits import edited_words
from cpo.counterfactual.statements import ASSERTED, strongest
from cpo.errors import ConfigError
from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph, Relation
from cpo.records import Counterfactual, LabelState, Sample, Trajectory

Judge = Callable[[str], Mapping[str, LabelState]]
"""Reads a thinking: the state of every attribute it mentions."""

PRESENT = frozenset({LabelState.PRESENT})
_MARKUP = re.compile(r"<\|[^|>]*\|>|</?think>|<image>|<video>|\{\w*\}")


def lexicon_judge(lexicon: Lexicon) -> Judge:
    """The judge that reads by the graph's own wordings."""

    def judge(thinking: str) -> Mapping[str, LabelState]:
        return strongest(m for s in lexicon.split_sentences(thinking) for m in lexicon.mentions(s))

    return judge


def format_broken(trajectory: Trajectory) -> bool:
    """Whether a trajectory could not stand between a chat template's marks.

    True for empty thinking or answer, and for think tags, image or vision tokens, or unfilled placeholders in either.

    Example:
        >>> format_broken(Trajectory("Clear lungs.", "No Finding.")), format_broken(Trajectory("</think>", "Edema."))
        (False, True)
    """
    texts = (trajectory.thinking, trajectory.answer)
    return any(not text.strip() or has_markup(text) for text in texts)


def has_markup(text: str) -> bool:
    """Whether a text has think tags, image or vision tokens, or unfilled placeholders in it."""
    return _MARKUP.search(text) is not None


class Validity:
    """Checks a counterfactual against its sample, by a judge that reads the text.

    Args:
        graph: Says which attributes decide, and which exclude each other.
        judge: Reads attributes from a thinking; better another one than the generator's own.
        max_edit_ratio: Largest ratio of edited words of the thinking, in (0, 1].

    Raises:
        ConfigError: `max_edit_ratio` out of its range.
    """

    def __init__(self, *, graph: ConceptGraph, judge: Judge, max_edit_ratio: float) -> None:
        if not 0 < max_edit_ratio <= 1:
            raise ConfigError(
                got=f"counterfactual.max_edit_ratio={max_edit_ratio}",
                wanted="0 < max_edit_ratio ≤ 1 (edited words / words)",
                remedy="pass counterfactual.max_edit_ratio=1 to accept any edit",
            )
        self.graph, self.judge, self.max_edit_ratio = graph, judge, max_edit_ratio
        self._excluded = {d: frozenset(graph.attributes_of(d, Relation.EXCLUSION)) for d in graph.diseases}

    def rejection(self, sample: Sample, counterfactual: Counterfactual) -> Rejection | None:
        """The first reason to reject, or None.

        Which results the counterfactual keeps is read from its answer. A target that is not a disease of the graph
        (a healthy result) is shown when no disease is.

        Args:
            sample: What the counterfactual was made from.
            counterfactual: Its thinking is judged, its answer is read.
        """
        before, after = sample.factual, counterfactual.trajectory
        if may_be_true(sample, counterfactual.target):
            return Rejection.ALREADY_TRUE
        if format_broken(after):
            return Rejection.FORMAT_BROKEN
        if after == before:
            return Rejection.EQUAL_TO_CHOSEN
        return self._contradiction(sample, counterfactual) or (
            Rejection.EDITED_TOO_MUCH
            if edited_words(before.thinking, after.thinking).ratio > self.max_edit_ratio
            else None
        )

    def _contradiction(self, sample: Sample, counterfactual: Counterfactual) -> Rejection | None:
        """Where thinking and answer disagree."""
        diseases, target = set(self.graph.diseases), counterfactual.target
        names, answer = {*diseases, *sample.results, target}, counterfactual.trajectory.answer
        claimed = named_results(answer, names, self.graph.phrases)
        if target not in claimed or claimed >= set(sample.results):
            return Rejection.ANSWER_NOT_NAMED
        before, after = self.judge(sample.factual.thinking), self.judge(counterfactual.trajectory.thinking)
        shown_before, shown = self._diseases(before, PRESENT), self._diseases(after, PRESENT)
        argued_before, argued = self._diseases(before, ASSERTED), self._diseases(after, ASSERTED)
        factual = diseases.intersection(sample.results)
        checks = {
            Rejection.TARGET_NOT_SHOWN: target not in shown if target in diseases else bool(argued),
            Rejection.FACTUAL_NOT_GONE: argued & (factual - claimed),
            Rejection.KEPT_RESULT_LOST: (factual & claimed & shown_before) - shown,
            Rejection.OTHER_RESULT_SHOWN: argued - argued_before - {target},
            Rejection.EXCLUSION_BROKEN: self._broken(after, claimed) - self._broken(before, factual),
        }
        return next((reason for reason, broken in checks.items() if broken), None)

    def _diseases(self, attributes: Mapping[str, LabelState], states: Set[LabelState]) -> set[str]:
        """Diseases that the attributes put into one of the states."""
        return {d for d, state in self.graph.labels(attributes).items() if state in states}

    def _broken(self, attributes: Mapping[str, LabelState], results: Set[str]) -> set[tuple[str, str]]:
        """Attributes shown although one of the results excludes them."""
        present = {a for a, state in attributes.items() if state is LabelState.PRESENT}
        return {(d, a) for d in results if d in self._excluded for a in self._excluded[d] & present}
