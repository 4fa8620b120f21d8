"""Habitual phrases: sentences that tell circumstances (view, site, night), which must not decide a result.

A phrase book says of each sentence which circumstances it tells. Two phrases that differ in one of them can be swapped
for an intervention on that circumstance alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from cpo.errors import DataError

Circumstances = Mapping[str, str]
"""Values by name, as in the samples' metadata: `{"site": "A", "view": "AP"}`."""

_CHEST = {
    ("A", "AP"): ("Portable AP view of the chest.", "Single AP view taken at the bedside."),
    ("A", "PA"): ("PA view of the chest.", "Single PA view taken in the department."),
    ("B", "AP"): ("Portable chest radiograph.", "AP chest radiograph with the patient semi upright."),
    ("B", "PA"): ("Upright chest radiograph.", "PA chest radiograph with the patient standing."),
    ("C", "AP"): ("Bedside film of the chest.", "Supine AP film of the chest."),
    ("C", "PA"): ("Erect film of the chest.", "Erect PA film of the chest."),
}
_DRIVING = {
    ("place", "city"): ("The road leads through a city.", "Houses stand on both sides."),
    ("place", "country"): ("The road leads through the country.", "Trees stand on both sides."),
    ("night", "told"): ("It is night.", "The scene was recorded after dark."),
    ("night", "untold"): ("It is day.", "The scene was recorded in daylight."),
    ("bus_lane", "told"): ("The right lane is marked as a bus lane.", "A red bus lane runs on the right."),
    ("bus_lane", "untold"): ("The right lane is an ordinary one.", "All lanes are open to all traffic."),
}
SHIPPED: Mapping[str, Mapping[str, Circumstances]] = {
    "chest": {s: {"site": site, "view": view} for (site, view), said in _CHEST.items() for s in said},
    "driving": {s: {name: value} for (name, value), said in _DRIVING.items() for s in said},
}
"""The phrase books of the generated worlds, by name of their concept graph."""


class PhraseBook:
    """Which sentences tell which circumstances.

    Args:
        phrases: Circumstances by sentence.

    Example:
        >>> book = PhraseBook.load("chest")
        >>> book.tells("Portable chest radiograph.")
        {'site': 'B', 'view': 'AP'}
        >>> book.swaps("Portable chest radiograph.", "view")
        ('Upright chest radiograph.', 'PA chest radiograph with the patient standing.')
        >>> book.swaps("The heart size is normal.", "view")
        ()
    """

    def __init__(self, phrases: Mapping[str, Circumstances]) -> None:
        self._said = {_folded(sentence): dict(told) for sentence, told in phrases.items()}
        self.circumstances = tuple(sorted({name for told in self._said.values() for name in told}))

    @classmethod
    def load(cls, name_or_path: str) -> PhraseBook:
        """A shipped book by the name of its concept graph, or a JSON file of circumstances by sentence.

        Raises:
            DataError: Neither, or a file that is something else.
        """
        if name_or_path in SHIPPED:
            return cls(SHIPPED[name_or_path])
        try:
            content = json.loads(Path(name_or_path).read_text(encoding="utf-8"))
            return cls({str(s): {str(k): str(v) for k, v in told.items()} for s, told in content.items()})
        except (OSError, ValueError, AttributeError):
            raise DataError(
                got=f"phrase book {name_or_path!r}",
                wanted=f"a shipped one ({', '.join(SHIPPED)}), or a JSON file of circumstances by sentence",
                remedy='write {"Portable chest radiograph.": {"view": "AP"}, …} into a file, and pass its path',
            ) from None

    def check(self, circumstance: str) -> str:
        """The name of a circumstance that the book tells.

        Raises:
            DataError: It tells of no such thing.
        """
        if circumstance not in self.circumstances:
            raise DataError(
                got=f"swapped={circumstance!r}",
                wanted=f"a circumstance of the phrase book: {', '.join(self.circumstances) or 'it has none'}",
                remedy="correct the name, or pass phrases=FILE with sentences that tell it",
            )
        return circumstance

    def tells(self, sentence: str) -> Circumstances:
        """What a sentence tells; nothing of one that is not in the book."""
        return self._said.get(_folded(sentence), {})

    def swaps(self, sentence: str, circumstance: str) -> tuple[str, ...]:
        """The sentences that tell the same but for one circumstance, in the book's order."""
        told = self.tells(sentence)
        if circumstance not in told:
            return ()
        same = {name: value for name, value in told.items() if name != circumstance}
        return tuple(
            other
            for other, tells in self._said.items()
            if tells.keys() == told.keys()
            and tells[circumstance] != told[circumstance]
            and {name: tells[name] for name in same} == same
        )


def _folded(sentence: str) -> str:
    return " ".join(sentence.split())
