"""A spurious tie: a nuisance goes together with a result in one concept, and not in the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpo.drift.schedule import FloatArray, IntArray
from cpo.drift.shift import Selection
from cpo.errors import ConfigError, DataError
from cpo.records import Sample

TIED, UNTIED = "tied", "untied"


class Spurious(Selection):
    """Ties a nuisance (a metadata value that causes nothing, such as the AP view) to a result by selection.

    With p = P(value) and r = P(result) in the pool and strength s:

    - tied: P(value | result) = p + s (1 − p) and P(value | no result) = p (1 − s);
    - untied: P(value | result) = P(value | no result) = p.

    P(result) = r in both; P(value) is p untied and p + s (r − p) tied. At s = 0 the concepts are equal; at s = 1 the
    value says the result.

    Args:
        attribute: Key of the samples' metadata.
        value: Its value that is tied.
        result: Name of the result that it is tied to.
        strength: s, in [0, 1].
        concepts: `tied` and `untied`, in the order in which the schedule visits them.

    Raises:
        ConfigError: `strength` out of range, or unknown concepts.

    Example:
        >>> spurious = Spurious(attribute="view", value="AP", result="Cardiomegaly", strength=0.5)
        >>> cells = np.array([0, 1, 2, 3])  # one sample of each kind: p = r = ½
        >>> spurious.shares(cells).tolist()  # (no result, with result) × (without value, with value)
        [[0.375, 0.125, 0.125, 0.375], [0.25, 0.25, 0.25, 0.25]]
    """

    def __init__(
        self,
        *,
        attribute: str,
        value: str,
        result: str,
        strength: float,
        concepts: Sequence[str] = (TIED, UNTIED),
    ) -> None:
        super().__init__(concepts)
        if not 0 <= strength <= 1:
            raise ConfigError(
                got=f"shift.spurious.strength={strength}",
                wanted="0 (independent) to 1 (the value says the result)",
                remedy="pass shift.spurious.strength=0.8",
            )
        if unknown := set(self.concepts) - {TIED, UNTIED}:
            raise ConfigError(
                got=f"shift.spurious.concepts={list(concepts)}, with {sorted(unknown)}",
                wanted=f"{TIED}, {UNTIED} or both, in the order in which the stream visits them",
                remedy=f"pass 'shift.spurious.concepts=[{TIED},{UNTIED}]'",
            )
        self.attribute, self.value, self.result, self.strength = attribute, value, result, float(strength)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Every knob."""
        return {
            "attribute": self.attribute,
            "value": self.value,
            "result": self.result,
            "strength": self.strength,
            "concepts": list(self.concepts),
        }

    @property
    def cell_names(self) -> tuple[str, ...]:
        """In the order of `cells`."""
        result, value = self.result, f"{self.attribute} {self.value}"
        return (
            f"neither {result} nor {value}",
            f"{value} without {result}",
            f"{result} without {value}",
            f"{result} and {value}",
        )

    def cells(self, samples: Sequence[Sample]) -> IntArray:
        """2 · (has the result) + (has the value).

        Raises:
            DataError: A sample without this metadata key; a value or result that none or all samples have.
        """
        lacking = sum(self.attribute not in s.metadata for s in samples)
        if lacking:
            keys = sorted(set[str]().union(*(s.metadata for s in samples)) - {self.attribute})
            raise DataError(
                got=f"{lacking} of {len(samples)} samples have no metadata {self.attribute!r}",
                wanted=f"a key that every sample has; there are {', '.join(keys) or 'none'}",
                remedy="pass shift.spurious.attribute=KEY, or use another dataset",
            )
        cells = self._cells(samples)
        self._varies(f"result {self.result!r}", cells >= 2, {r for s in samples for r in s.results})
        is_open = all(s.provenance.access == "open" for s in samples)
        # metadata of credentialed records stays out of messages
        values = {s.metadata[self.attribute] for s in samples} if is_open else set[str]()
        self._varies(f"{self.attribute} {self.value!r}", cells % 2 == 1, values)
        return cells

    def shares(self, cells: IntArray) -> FloatArray:
        """Share of each cell in each concept `[len(concepts), 4]`; see the class for the formula."""
        p, r = float(np.mean(cells % 2 == 1)), float(np.mean(cells >= 2))
        value_rates = {TIED: (p * (1 - self.strength), p + self.strength * (1 - p)), UNTIED: (p, p)}
        rows = []
        for concept in self.concepts:
            without, given = value_rates[concept]  # P(value | no result), P(value | result)
            rows.append([(1 - r) * (1 - without), (1 - r) * without, r * (1 - given), r * given])
        return np.array(rows)

    def measure(self, samples: Sequence[Sample]) -> Mapping[str, float]:
        """P(result), P(value), P(value | result) and P(value | no result) in these samples; nan of nothing."""
        counts = np.bincount(self._cells(samples), minlength=4).reshape(2, 2)

        def rate(part: np.int64, whole: np.int64) -> float:
            return float(part / whole) if whole else float("nan")

        return {
            "result": rate(counts[1].sum(), counts.sum()),
            "value": rate(counts[:, 1].sum(), counts.sum()),
            "value_given_result": rate(counts[1, 1], counts[1].sum()),
            "value_given_no_result": rate(counts[0, 1], counts[0].sum()),
        }

    def _cells(self, samples: Sequence[Sample]) -> IntArray:
        return np.array(
            [2 * (self.result in s.results) + (s.metadata[self.attribute] == self.value) for s in samples],
            dtype=np.int64,
        )

    def _varies(self, what: str, has: np.ndarray, known: set[str]) -> None:
        if has.any() and not has.all():
            return
        raise DataError(
            got=f"{'every one' if has.any() else 'none'} of {len(has)} samples has {what}",
            wanted="samples with and without it" + (f"; there are {', '.join(sorted(known)[:20])}" if known else ""),
            remedy="pass another shift.spurious.result or value, or use more samples",
        )
