"""Samples that are alike in what their reports say: an index over attribute states, searched block by block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cpo.records import LabelState

Floats = NDArray[np.float32]

WEIGHT = {LabelState.PRESENT: 1.0, LabelState.UNCERTAIN: 0.5}
"""How much of an attribute a report shows; absent and unmentioned look alike in a picture."""
BLOCK = 256
"""Samples whose distances to all others are held at once."""
FIRST = 256
"""Neighbours that are put in order at first; eight times as many whenever that was not enough."""
TIE = 1e-3
"""Width of the draw among equal distances, far below the smallest difference of two distances, 1/4."""


class Neighbours:
    """Ranks the samples of a pool by how many attributes their reports differ in.

    The distance of two samples is Σ |weight − weight|² over attributes, by one matrix product for a block of samples.

    Args:
        states: For each sample the state of every attribute that its report mentions.

    Example:
        >>> P = LabelState.PRESENT
        >>> found = Neighbours([{"haze": P}, {"haze": P, "lines": P}, {}, {"edge": P}])
        >>> found.distances(0).tolist()
        [0.0, 1.0, 1.0, 2.0]
    """

    def __init__(self, states: Sequence[Mapping[str, LabelState]]) -> None:
        columns = {name: n for n, name in enumerate(sorted({name for said in states for name in said}))}
        self._shown: Floats = np.zeros((len(states), len(columns)), dtype=np.float32)
        for row, said in enumerate(states):
            for name, state in said.items():
                self._shown[row, columns[name]] = WEIGHT.get(state, 0.0)
        self._square: Floats = np.square(self._shown).sum(axis=1)
        self._block, self._held = -1, np.empty((0, 0), dtype=np.float32)

    def distances(self, index: int) -> Floats:
        """Of one sample to every sample of the pool, itself included, [n]."""
        block, row = divmod(index, BLOCK)
        if block != self._block:
            some = slice(block * BLOCK, (block + 1) * BLOCK)
            products = self._shown[some] @ self._shown.T
            self._block, self._held = block, self._square[some, None] + self._square - 2 * products
        distances: Floats = self._held[row]
        return distances

    def ranked(self, index: int, rng: np.random.Generator) -> Iterator[int]:
        """All samples of the pool, the nearest first; among equally distant ones the order is drawn."""
        keys = self.distances(index) + TIE * rng.random(len(self._shown))
        done, count = 0, FIRST
        while done < len(keys):
            count = min(count, len(keys))
            nearest = np.argpartition(keys, count - 1)[:count]
            yield from nearest[np.argsort(keys[nearest])][done:].tolist()
            done, count = count, 8 * count
