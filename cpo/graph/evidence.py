"""What a relation of the concept graph rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cpo.errors import DataError

_NUMBERS = ("log_odds", "low", "high", "q_value")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a relation: a source in words, and numbers where it was measured.

    Args:
        source: A reference, or the reports counted and how they were read.
        support: Studies that bear it out. Of an association those that show both findings; of an exclusion those that
            show the attribute without the disease, where they could have shown both.
        log_odds: Of the two findings, others held fixed, in nats.
        low: Lower end of its 95 % interval; None when unbounded.
        high: Upper end; None when unbounded.
        q_value: Of no relation, after correction for all pairs tested.
    """

    source: str
    support: int | None = None
    log_odds: float | None = None
    low: float | None = None
    high: float | None = None
    q_value: float | None = None

    def as_json(self) -> dict[str, Any]:
        """What is known of it, for a file.

        Example:
            >>> Evidence("4,000 reports", support=57, log_odds=2.1).as_json()
            {'source': '4,000 reports', 'support': 57, 'log_odds': 2.1}
        """
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, content: object, of: str) -> Evidence:
        """Reads evidence back.

        Args:
            content: From a file.
            of: What it is evidence of, for the error.

        Raises:
            DataError: It has no source, an unknown key or a value of another type.
        """
        entry = content if isinstance(content, Mapping) else {}
        strange = set(entry) - {"source", "support", *_NUMBERS}
        numbers = all(_is_number(entry[name]) for name in _NUMBERS if name in entry)
        counted = isinstance(entry.get("support", 0), int) and not isinstance(entry.get("support"), bool)
        if strange or not numbers or not counted or not isinstance(entry.get("source"), str):
            raise DataError(
                got=f"evidence of {of}: {content}",
                wanted=f"an object with `source`, and if measured `support` and the numbers {', '.join(_NUMBERS)}",
                remedy="correct it in the graph's file, or build the graph again",
            )
        return cls(**entry)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
