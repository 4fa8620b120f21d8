"""Prevalence: a result becomes more, or less, frequent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpo.drift.reading import has_result
from cpo.drift.schedule import FloatArray, IntArray
from cpo.drift.shift import CHANGED, NATURAL, Selection, check_concepts, in_unit_interval
from cpo.records import Sample


class Prevalence(Selection):
    """A result's rate changes from the pool's to another, the samples with it and those without it being as before.

    P(result) is the pool's under `natural` and `rate` under `changed`; P(sample | result) is the pool's in both. What a
    picture shows, and what it means, stays: a label shift, virtual in so far as the picture decides the result.

    Args:
        result: Name of the result.
        rate: P(result) under `changed`, in [0, 1].
        concepts: `natural` and `changed`, in the order in which the schedule visits them.

    Raises:
        ConfigError: `rate` out of range, or unknown concepts.

    Source:
        Source I of Lu et al. 2019 (arXiv 2004.05785); label shift of Lipton et al. 2018 (arXiv 1802.03916).

    Example:
        >>> rarer = Prevalence(result="Edema", rate=0.1, concepts=["natural", "changed"])
        >>> rarer.shares(np.array([0, 0, 0, 1])).tolist()  # (without, with it): a quarter has it in the pool
        [[0.75, 0.25], [0.9, 0.1]]
    """

    def __init__(self, *, result: str, rate: float, concepts: Sequence[str]) -> None:
        super().__init__(concepts)
        check_concepts("prevalence", self.concepts, (NATURAL, CHANGED))
        self.result, self.rate = result, in_unit_interval("prevalence.rate", rate)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Every knob."""
        return {"result": self.result, "rate": self.rate, "concepts": list(self.concepts)}

    def cell_names(self, samples: Sequence[Sample]) -> tuple[str, ...]:
        """In the order of `cells`."""
        return f"no {self.result}", self.result

    def cells(self, samples: Sequence[Sample]) -> IntArray:
        """Whether a sample has the result."""
        return has_result(samples, self.result, shift="prevalence").astype(np.int64)

    def shares(self, cells: IntArray) -> FloatArray:
        """Share of each cell in each concept `[len(concepts), 2]`."""
        rates = {NATURAL: float(np.mean(cells)), CHANGED: self.rate}
        return np.array([[1 - rates[concept], rates[concept]] for concept in self.concepts])

    def measure(self, samples: Sequence[Sample]) -> Mapping[str, float]:
        """P(result) in these samples; nan of nothing."""
        return {"result": float(np.mean([self.result in s.results for s in samples])) if samples else float("nan")}
