"""Studies counted in one pass: how often each pattern of diseases and attributes was seen, and tables from that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cpo.graph.statistics import Counts
from cpo.records import LabelState

_UNSURE = 2
_CODES = {LabelState.PRESENT: 1, LabelState.UNCERTAIN: _UNSURE}
"""What is denied and what is not mentioned counts as not shown, as the blank cells of a label table do."""


class Tally:
    """Counts studies by what they show. Memory grows with the number of different patterns, not with that of studies.

    Args:
        diseases: Columns that every study has.

    Example:
        >>> tally = Tally(["D"])
        >>> for shown in (True, True, False):
        ...     state = LabelState.PRESENT if shown else LabelState.ABSENT
        ...     tally.add({"D": state}, {"a": LabelState.PRESENT})
        >>> tally.studies, tally.shown("D"), tally.tables("D", "a", fixed=()).tolist()
        (3, 2, [[2, 2, 3, 3]])
    """

    def __init__(self, diseases: Sequence[str]) -> None:
        self.diseases = tuple(diseases)
        self.studies = 0
        self._patterns: Counter[tuple[tuple[int, ...], tuple[tuple[str, int], ...]]] = Counter()
        self._columns: dict[str, NDArray[np.int8]] = {}
        self._weights: Counts = np.zeros(0, dtype=np.int64)
        self._strata: dict[frozenset[str], Counts] = {}

    def add(self, diseases: Mapping[str, LabelState], attributes: Mapping[str, LabelState]) -> None:
        """Counts one study.

        Args:
            diseases: States by name; those not named are not shown.
            attributes: Likewise.
        """
        codes = tuple(_CODES.get(diseases.get(d, LabelState.ABSENT), 0) for d in self.diseases)
        shown = tuple(sorted((name, _CODES[state]) for name, state in attributes.items() if state in _CODES))
        self._patterns[codes, shown] += 1
        self.studies += 1
        self._columns.clear()

    @property
    def attributes(self) -> tuple[str, ...]:
        """Those that at least one study shows, surely or possibly, by name."""
        return tuple(sorted({name for _, shown in self._patterns for name, _ in shown}))

    def shown(self, name: str) -> int:
        """Studies that surely show a disease or an attribute."""
        self._spread()
        column = self._columns.get(name)
        return 0 if column is None else int(self._weights[column == 1].sum())

    def tables(self, one: str, other: str, *, fixed: Iterable[str]) -> Counts:
        """Tables of two findings, stratum by stratum, as `log_odds` takes them.

        Studies that are unsure of one of the two are left out; being unsure of a fixed one is a stratum of its own.

        Args:
            one: A disease or an attribute that was seen.
            other: Likewise.
            fixed: Diseases that are equal within a stratum.
        """
        self._spread()
        x, y, strata = self._columns[one], self._columns[other], self._strata_of(frozenset(fixed) - {one, other})
        sure = (x != _UNSURE) & (y != _UNSURE)
        size = int(strata.max(initial=-1)) + 1

        def counted(which: NDArray[np.bool_]) -> Counts:
            return np.bincount(strata[which], self._weights[which], minlength=size).astype(np.int64)

        first, second = sure & (x == 1), sure & (y == 1)
        return np.stack([counted(first & second), counted(first), counted(second), counted(sure)], axis=1)

    def _strata_of(self, fixed: frozenset[str]) -> Counts:
        if fixed not in self._strata:
            columns = [self._columns[name].astype(np.uint8) for name in self.diseases if name in fixed]
            keys = zip(*(column.tolist() for column in columns), strict=True) if columns else [()] * len(self._weights)
            number: dict[tuple[int, ...], int] = {}
            self._strata[fixed] = np.array([number.setdefault(key, len(number)) for key in keys], dtype=np.int64)
        return self._strata[fixed]

    def _spread(self) -> None:
        """Patterns as columns, made again after studies were added."""
        if self._columns:
            return
        self._strata = {}
        self._weights = np.fromiter(self._patterns.values(), dtype=np.int64, count=len(self._patterns))
        names = (*self.diseases, *self.attributes)
        self._columns = {name: np.zeros(len(self._patterns), dtype=np.int8) for name in names}
        for row, (codes, shown) in enumerate(self._patterns):
            for name, code in (*zip(self.diseases, codes, strict=True), *shown):
                self._columns[name][row] = code
