"""Annotation: who labels changes, or how: the same picture and report, another answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from cpo.drift.shift import CHANGED, NATURAL, Transformation, check_concepts, in_unit_interval
from cpo.errors import ConfigError, DataError
from cpo.graph.schema import ConceptGraph
from cpo.records import LabelState, Sample

Uncertain = Literal["as_is", "present", "absent"]
FLIPPED = {LabelState.PRESENT: LabelState.ABSENT, LabelState.ABSENT: LabelState.PRESENT}


class Annotation(Transformation):
    """The labelling policy changes: uncertain labels are decided one way, and a share of the others is flipped.

    Under `changed` an uncertain label becomes present or absent, and each present or absent one turns into its opposite
    with probability `flipped`; unmentioned ones stay. The results follow the labels, and the answer the results; images
    and thinking stay. So P(result | picture) moves: a real drift, and for flips a detrimental one.

    Args:
        uncertain: What uncertain labels become: `present`, `absent`, or `as_is`.
        flipped: Share of the present and absent labels that turn, in [0, 1].
        results: Labels that the policy is about; none for all but the default result.
        graph: A shipped concept graph by name, or the path of a JSON file; its default result says that nothing is
            there, and is named exactly when no other is, those of `beside` apart.
        beside: Results that may stand beside the default one.
        concepts: `natural` and `changed`, in the order in which the schedule visits them.

    Raises:
        ConfigError: A knob out of its range, or a policy that changes nothing.
        DataError: The graph is not found or not a concept graph.

    Source:
        U-Ones and U-Zeros of CheXpert (Irvin et al. 2019, arXiv 1901.07031); random classification noise of Angluin
        & Laird 1988. Source II of Lu et al. 2019 (arXiv 2004.05785).
    """

    def __init__(
        self,
        *,
        uncertain: Uncertain,
        flipped: float,
        results: Sequence[str],
        graph: str,
        beside: Sequence[str],
        concepts: Sequence[str],
    ) -> None:
        super().__init__(concepts)
        check_concepts("annotation", self.concepts, (NATURAL, CHANGED))
        self.uncertain, self.flipped = uncertain, in_unit_interval("annotation.flipped", flipped)
        if uncertain not in get_args(Uncertain) or (uncertain == "as_is" and not flipped):
            raise ConfigError(
                got=f"shift.annotation.uncertain={uncertain}, flipped={flipped}",
                wanted=f"uncertain one of {', '.join(get_args(Uncertain))}, and flipped > 0 where it is as_is",
                remedy="pass shift.annotation.uncertain=present",
            )
        self.results, self.beside, self.graph = tuple(results), tuple(beside), graph
        self.healthy = ConceptGraph.load(graph).default

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Every knob."""
        return {
            "uncertain": self.uncertain,
            "flipped": self.flipped,
            "results": list(self.results),
            "graph": self.graph,
            "beside": list(self.beside),
            "concepts": list(self.concepts),
        }

    def check(self, samples: Sequence[Sample]) -> None:
        """Refuses samples whose labels do not decide their results, or that this policy would leave as they are.

        Raises:
            DataError: Saying what is missing.
        """
        states = {s.labels[name] for s in samples for name in self._names(s)}
        named = {result for s in samples for result in s.results}
        present = {n for s in samples for n in self._names(s) if s.labels[n] is LabelState.PRESENT}
        if missing := set(self.results) - {name for s in samples for name in s.labels}:
            self._refuse(f"samples without the labels {', '.join(sorted(missing))}", "labels by these names")
        if strange := present - named:
            self._refuse(f"labels that are no results: {', '.join(sorted(strange)[:10])}", "labels named like results")
        if not states & (set(FLIPPED) if self.flipped else {LabelState.UNCERTAIN}):
            wanted = "present or absent" if self.flipped else "uncertain"
            self._refuse(f"{len(samples)} samples of which no label is {wanted}", f"labels that are {wanted}")

    def apply(self, sample: Sample, concept: str, rng: np.random.Generator) -> Sample:
        """The sample as it is labelled under a concept."""
        if concept == NATURAL:
            return sample
        labels = dict(sample.labels)
        for name in self._names(sample):
            labels[name] = self._relabelled(labels[name], flip=rng.random() < self.flipped)
        return dataclasses.replace(sample, labels=labels, results=self._results(sample, labels))

    def measure(self, samples: Sequence[Sample]) -> Mapping[str, float]:
        """Share of labels that are uncertain, results per sample, share of healthy samples; nan of nothing."""
        if not samples:
            return dict.fromkeys(("uncertain", "results_per_sample", "healthy"), float("nan"))
        states = [s.labels[name] for s in samples for name in self._names(s)]
        uncertain = sum(state is LabelState.UNCERTAIN for state in states)
        return {
            "uncertain": uncertain / len(states) if states else float("nan"),
            "results_per_sample": float(np.mean([len(s.results) for s in samples])),
            "healthy": float(np.mean([self.healthy in s.results for s in samples])),
        }

    def _names(self, sample: Sample) -> list[str]:
        return [n for n in sample.labels if n != self.healthy and (not self.results or n in self.results)]

    def _relabelled(self, state: LabelState, *, flip: bool) -> LabelState:
        if state is LabelState.UNCERTAIN and self.uncertain != "as_is":
            return LabelState(self.uncertain)
        return FLIPPED.get(state, state) if flip else state

    def _results(self, sample: Sample, labels: Mapping[str, LabelState]) -> tuple[str, ...]:
        changed = {name for name, state in labels.items() if state is not sample.labels[name]}
        if not changed:
            return sample.results
        now = (set(sample.results) - changed) | {n for n in changed if labels[n] is LabelState.PRESENT}
        now.discard(self.healthy)
        if not now.difference(self.beside):
            now.add(self.healthy)
        order = list(dict.fromkeys([*labels, *sample.results, self.healthy]))  # tables and answers share their order
        return tuple(sorted(now, key=order.index))

    def _refuse(self, got: str, wanted: str) -> None:
        remedy = (
            "pass shift.annotation.flipped=0.1 or results=[NAMES], or use a dataset whose labels decide its results"
        )
        raise DataError(got=got, wanted=wanted, remedy=remedy)
