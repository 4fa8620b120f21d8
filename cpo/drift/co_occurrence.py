"""Co-occurrence: two results go together in one concept, and not in the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from cpo.drift.reading import BoolArray, has_result
from cpo.drift.ties import Tie
from cpo.errors import ConfigError
from cpo.records import Sample


class CoOccurrence(Tie):
    """A pair of results (diseases, driving actions) that starts or stops going together, each as frequent as before.

    With p and q the pool's rates of the two and strength s, P(both) is p q where they are `independent`; `together` it
    is p q + s (min(p, q) − p q), and `apart` p q − s (p q − max(0, p + q − 1)).

    Args:
        first: Name of a result.
        second: Name of another.
        strength: s, in [0, 1].
        concepts: Two or more of `together`, `independent` and `apart`, in the order in which the schedule visits them.

    Raises:
        ConfigError: `strength` out of range, unknown concepts, or one result twice.

    Example:
        >>> pair = CoOccurrence(first="Edema", second="Pneumonia", strength=1.0, concepts=["together", "apart"])
        >>> cells = np.array([0, 1, 2, 3])  # one sample of each kind
        >>> pair.shares(cells).tolist()  # neither, Pneumonia alone, Edema alone, both
        [[0.5, 0.0, 0.0, 0.5], [0.0, 0.5, 0.5, 0.0]]
    """

    name: ClassVar = "co_occurrence"
    directions: ClassVar = {"together": 1.0, "independent": 0.0, "apart": -1.0}
    sides: ClassVar = ("first", "second")

    def __init__(self, *, first: str, second: str, strength: float, concepts: Sequence[str]) -> None:
        super().__init__(concepts, strength)
        if first == second:
            raise ConfigError(
                got=f"shift.co_occurrence.first=second={first}",
                wanted="two different results",
                remedy="pass shift.co_occurrence.second=NAME",
            )
        self.first, self.second = first, second

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Every knob."""
        return {
            "first": self.first,
            "second": self.second,
            "strength": self.strength,
            "concepts": list(self.concepts),
        }

    def cell_names(self, samples: Sequence[Sample]) -> tuple[str, ...]:
        """In the order of `cells`."""
        one, other = self.first, self.second
        return f"neither {one} nor {other}", f"{other} without {one}", f"{one} without {other}", f"{one} and {other}"

    def has(self, samples: Sequence[Sample], *, check: bool) -> tuple[BoolArray, BoolArray]:
        """The first result, and the second."""
        if check:
            first = has_result(samples, self.first, shift=self.name)
            return first, has_result(samples, self.second, shift=self.name)
        has = np.array([[r in s.results for r in (self.first, self.second)] for s in samples], dtype=np.bool_)
        return has[:, 0], has[:, 1]
