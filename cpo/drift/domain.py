"""Domain: the stream goes over from one dataset into another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpo.drift.schedule import FloatArray, IntArray
from cpo.drift.shift import Selection, check_concepts
from cpo.errors import DataError
from cpo.records import Sample

FIRST, SECOND = "first", "second"


class Domain(Selection):
    """One dataset's samples in one concept, another's in the other.

    Both stand in the pool, told apart by the dataset that their provenance names. Everything may move at once
    (pictures, words, rates of results), so a detector that sees this shift is not shown to see anything in particular.

    Args:
        second: Name of the dataset that is the concept `second`; the rest of the pool is `first`.
        concepts: `first` and `second`, in the order in which the schedule visits them.

    Raises:
        ConfigError: Unknown concepts.
    """

    def __init__(self, *, second: str, concepts: Sequence[str]) -> None:
        super().__init__(concepts)
        check_concepts("domain", self.concepts, (FIRST, SECOND))
        self.second = second

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Every knob."""
        return {"second": self.second, "concepts": list(self.concepts)}

    def cell_names(self, samples: Sequence[Sample]) -> tuple[str, ...]:
        """In the order of `cells`."""
        return f"a dataset other than {self.second}", f"dataset {self.second}"

    def cells(self, samples: Sequence[Sample]) -> IntArray:
        """Whether a sample is of the second dataset.

        Raises:
            DataError: The pool holds one dataset only.
        """
        cells = self._cells(samples)
        if len(np.unique(cells)) < 2:
            names = sorted({s.provenance.dataset for s in samples})
            raise DataError(
                got=f"samples of {', '.join(names) or 'nothing'} alone",
                wanted=f"samples of {self.second} and of another dataset",
                remedy="pass shift.domain.second=NAME of a dataset that is read beside the first",
            )
        return cells

    def shares(self, cells: IntArray) -> FloatArray:
        """Share of each dataset in each concept `[len(concepts), 2]`: all or nothing."""
        return np.array([[1.0, 0.0] if concept == FIRST else [0.0, 1.0] for concept in self.concepts])

    def measure(self, samples: Sequence[Sample]) -> Mapping[str, float]:
        """Share of the second dataset; nan of nothing."""
        return {"second": float(np.mean(self._cells(samples))) if samples else float("nan")}

    def _cells(self, samples: Sequence[Sample]) -> IntArray:
        return np.array([s.provenance.dataset == self.second for s in samples], dtype=np.int64)
