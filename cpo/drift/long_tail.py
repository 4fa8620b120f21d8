"""A long tail: frequent results grow more frequent, rare ones rarer, or all equally frequent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpo.drift.schedule import FloatArray, IntArray
from cpo.drift.shift import NATURAL, Selection, check_concepts
from cpo.errors import ConfigError, DataError
from cpo.records import Sample

TAILED, BALANCED = "tailed", "balanced"


class LongTail(Selection):
    """Shares of the results fall off exponentially from the most frequent to the rarest.

    A sample of several results counts for the rarest of them. In the pool's order of frequency the k-th of K kinds has
    a share in proportion to imbalance^(−k / (K − 1)), k = 0 … K − 1, under `tailed`; the pool's under `natural`; 1 / K
    under `balanced`. So not which results there are changes, nor what they look like, but how often each is seen.

    Args:
        imbalance: Share of the most frequent kind over that of the rarest under `tailed`, ≥ 1.
        concepts: Two or more of `natural`, `tailed` and `balanced`, in the order in which the schedule visits them.

    Raises:
        ConfigError: `imbalance` below 1, or unknown concepts.

    Source:
        The exponential profile of Cui et al. 2019 (arXiv 1901.05555). Long tails are no drift by the taxonomy of Lu et
        al. 2019: moving in and out of one is a shift of label frequencies.

    Example:
        >>> tail = LongTail(imbalance=4.0, concepts=["natural", "tailed"])
        >>> tail.shares(np.array([0, 0, 1, 1, 1, 2])).round(3).tolist()  # kind 1 is the most frequent: 1 : ½ : ¼
        [[0.333, 0.5, 0.167], [0.286, 0.571, 0.143]]
    """

    def __init__(self, *, imbalance: float, concepts: Sequence[str]) -> None:
        super().__init__(concepts)
        check_concepts("long_tail", self.concepts, (NATURAL, TAILED, BALANCED))
        if not imbalance >= 1:
            raise ConfigError(
                got=f"shift.long_tail.imbalance={imbalance}",
                wanted="1 (balanced) or more",
                remedy="pass shift.long_tail.imbalance=100",
            )
        self.imbalance = float(imbalance)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Every knob."""
        return {"imbalance": self.imbalance, "concepts": list(self.concepts)}

    def cell_names(self, samples: Sequence[Sample]) -> tuple[str, ...]:
        """In the order of `cells`."""
        return tuple(sorted(set(_rarest(samples))))

    def cells(self, samples: Sequence[Sample]) -> IntArray:
        """Place of each sample's rarest result among the kinds that occur, which are in the order of their names.

        Raises:
            DataError: A sample without a result, or fewer than two kinds.
        """
        if empty := sum(not s.results for s in samples):
            raise DataError(
                got=f"{empty} of {len(samples)} samples without a result",
                wanted="at least one result of every sample",
                remedy="use a dataset with results, or another shift",
            )
        rarest = _rarest(samples)
        kinds = sorted(set(rarest))
        if len(kinds) < 2:
            raise DataError(
                got=f"{len(samples)} samples with {', '.join(kinds)} as their rarest result",
                wanted="samples of two kinds or more",
                remedy="use more samples, or another shift",
            )
        return np.array([kinds.index(kind) for kind in rarest], dtype=np.int64)

    def shares(self, cells: IntArray) -> FloatArray:
        """Share of each kind in each concept `[len(concepts), K]`."""
        natural = np.bincount(cells) / len(cells)
        rank = np.empty(len(natural))
        rank[np.argsort(-natural, kind="stable")] = np.arange(len(natural))
        tailed = self.imbalance ** (-rank / (len(natural) - 1))
        profiles = {NATURAL: natural, TAILED: tailed / tailed.sum(), BALANCED: np.full(len(natural), 1 / len(natural))}
        return np.stack([profiles[concept] for concept in self.concepts])

    def measure(self, samples: Sequence[Sample]) -> Mapping[str, float]:
        """Share of the samples with each result; nan of nothing."""
        names = sorted({result for s in samples for result in s.results})
        return {name: float(np.mean([name in s.results for s in samples])) for name in names}


def _rarest(samples: Sequence[Sample]) -> list[str]:
    frequency = Counter(result for s in samples for result in s.results)
    return [min(s.results, key=lambda result: (frequency[result], result)) for s in samples]
