"""Damaged records: set aside, counted, and an error when they are too many."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from cpo.errors import ConfigError, DataError
from cpo.records import Quarantined

EXAMPLES = 3
"""Rows named for each reason: enough to look at, short enough to read."""

ABSENT = frozenset({"image file missing", "video file missing"})
"""Reasons that `media=optional` takes for none."""


class Quarantine:
    """The damaged records of one reading, and the share of them beyond which a copy is refused.

    Errors quote files, row numbers and reasons, and trackers may quote errors: no argument may hold an id, a text or
    the name of a patient's file.

    Args:
        dataset: Name of the dataset, for the error.
        limit: Largest tolerated share of damaged records, in [0, 1].

    Raises:
        ConfigError: `limit` outside [0, 1].

    Example:
        >>> quarantine = Quarantine("mine", limit=0.5)
        >>> quarantine.add("labels.csv", 7, "more cells than columns")
        >>> quarantine.check(kept=1)  # 1 of 2 is tolerated
        >>> [q.row for q in quarantine.records]
        ['7']
    """

    def __init__(self, dataset: str, limit: float) -> None:
        if not 0 <= limit <= 1:
            raise ConfigError(
                got=f"quarantine_limit={limit}",
                wanted="a share of the records in [0, 1]",
                remedy="pass dataset.quarantine_limit=0.01",
            )
        self._dataset, self._limit = dataset, limit
        self._records: list[Quarantined] = []

    @property
    def records(self) -> tuple[Quarantined, ...]:
        """What was set aside, in the order of reading."""
        return tuple(self._records)

    def add(self, file: str, row: int, reason: str) -> None:
        """Sets one record aside.

        Args:
            file: Annotation file, relative to the dataset's root.
            row: Its line there, counted from 1, the header included.
            reason: What is wrong with it; the same words for the same fault.
        """
        self._records.append(Quarantined(file, str(row), reason))

    def check(self, kept: int) -> None:
        """Refuses a copy of which too much is damaged.

        Args:
            kept: Records that became samples; what the release's own rules leave out counts on neither side.

        Raises:
            DataError: More than `limit` of kept and damaged records are damaged.
        """
        damaged, total = len(self._records), len(self._records) + kept
        if damaged <= self._limit * total:
            return
        name = self._dataset.partition("-")[0]  # a generated world's name ends in its difficulty
        absent = any(record.reason in ABSENT for record in self._records)
        raise DataError(
            got=f"{damaged} of {total} records of {self._dataset} are damaged: {self._summary()}",
            wanted=f"at most {self._limit:.1%} damaged (quarantine_limit={self._limit})",
            remedy=f"see them all: cpo data check dataset={name} dataset.root=…; fetch the files named above again, "
            f"{'look at the annotations alone with dataset.media=optional, ' * absent}"
            "or accept the loss with a larger dataset.quarantine_limit",
        )

    def _summary(self) -> str:
        """Each reason with its number and rows of the first file that it is found in: some releases have thousands."""
        places: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for record in self._records:
            places[record.reason][record.file].append(record.row)
        return "; ".join(_told(reason, files) for reason, files in places.items())


def _told(reason: str, files: Mapping[str, Sequence[str]]) -> str:
    file, rows = next(iter(files.items()))
    more = f", and {len(files) - 1:,} other file{'s' * (len(files) > 2)}" if len(files) > 1 else ""
    total = sum(map(len, files.values()))
    return f"{reason} ({total}, {file} row {', '.join(rows[:EXAMPLES])}{', …' * (len(rows) > EXAMPLES)}{more})"
