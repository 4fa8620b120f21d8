"""A spurious tie: a nuisance goes together with a result in one concept, and not in the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from cpo.drift.reading import BoolArray, has_result, has_value
from cpo.drift.schedule import FloatArray
from cpo.drift.ties import Tie
from cpo.errors import ConfigError
from cpo.records import Sample

Keep = Literal["both", "result"]


class Spurious(Tie):
    """Ties a nuisance (a metadata value that causes nothing, such as the AP view) to a result by selection.

    With p = P(value) and r = P(result) in the pool and strength s:

    - untied: P(value | result) = P(value | no result) = p;
    - tied, keeping both rates: P(result and value) = p r + s (min(p, r) − p r), so that P(value | result) grows from p
      to at most min(1, p / r), P(result | value) from r to at most min(1, r / p), and nothing else of the stream moves;
    - reversed: P(result and value) = p r − s (p r − max(0, p + r − 1)).

    Keeping the result's rate only, the tie is closer where p and r differ: tied, P(value | result) = p + s (1 − p) and
    P(value | no result) = p (1 − s), so that at s = 1 the value says the result; but P(value) becomes p + s (r − p),
    and a detector may see that instead. Reversed, the two conditional rates change places. At s = 0 all concepts are
    equal.

    Args:
        attribute: Key of the samples' metadata.
        value: Its value that is tied.
        result: Name of the result that it is tied to.
        strength: s, in [0, 1].
        keep: Rates that are the pool's in every concept: `both`, or the `result`'s only.
        concepts: Two or more of `tied`, `untied` and `reversed`, in the order in which the schedule visits them.

    Raises:
        ConfigError: `strength` out of range, unknown concepts or an unknown `keep`.

    Example:
        >>> spurious = Spurious(attribute="view", value="AP", result="Cardiomegaly", strength=0.5)
        >>> cells = np.array([0, 1, 2, 3])  # one sample of each kind: p = r = ½, and ¼ to ½ have both
        >>> spurious.shares(cells).tolist()  # (no result, with result) × (without value, with value)
        [[0.375, 0.125, 0.125, 0.375], [0.25, 0.25, 0.25, 0.25]]
    """

    name: ClassVar = "spurious"
    directions: ClassVar = {"tied": 1.0, "untied": 0.0, "reversed": -1.0}
    sides: ClassVar = ("result", "value")

    def __init__(
        self,
        *,
        attribute: str,
        value: str,
        result: str,
        strength: float,
        keep: Keep = "both",
        concepts: Sequence[str] = ("tied", "untied"),
    ) -> None:
        super().__init__(concepts, strength)
        if keep not in get_args(Keep):
            raise ConfigError(
                got=f"shift.spurious.keep={keep}",
                wanted=f"one of {', '.join(get_args(Keep))}",
                remedy="pass shift.spurious.keep=both",
            )
        self.attribute, self.value, self.result, self.keep = attribute, value, result, keep

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Every knob."""
        return {
            "attribute": self.attribute,
            "value": self.value,
            "result": self.result,
            "strength": self.strength,
            "keep": self.keep,
            "concepts": list(self.concepts),
        }

    def cell_names(self, samples: Sequence[Sample]) -> tuple[str, ...]:
        """In the order of `cells`."""
        result, value = self.result, f"{self.attribute} {self.value}"
        return (
            f"neither {result} nor {value}",
            f"{value} without {result}",
            f"{result} without {value}",
            f"{result} and {value}",
        )

    def has(self, samples: Sequence[Sample], *, check: bool) -> tuple[BoolArray, BoolArray]:
        """The result, and the value."""
        if check:
            value = has_value(samples, self.attribute, self.value, shift=self.name)
            return has_result(samples, self.result, shift=self.name), value
        result = np.array([self.result in s.results for s in samples], dtype=np.bool_)
        return result, np.array([s.metadata.get(self.attribute) == self.value for s in samples], dtype=np.bool_)

    def joint(self, first: float, second: float, tie: float) -> FloatArray:
        """Shares of the cells under a tie `[4]`; see the class for the formulas."""
        if self.keep == "both":
            return super().joint(first, second, tie)
        up, down = second + abs(tie) * (1 - second), second * (1 - abs(tie))
        without, given = (down, up) if tie >= 0 else (up, down)  # P(value | no result), P(value | result)
        return np.array([(1 - first) * (1 - without), (1 - first) * without, first * (1 - given), first * given])
