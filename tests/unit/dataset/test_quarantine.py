"""What the refusal of a damaged copy says."""

from __future__ import annotations

import pytest

from cpo.dataset.quarantine import Quarantine
from cpo.errors import DataError


def refusal(*records: tuple[str, int, str]) -> DataError:
    quarantine = Quarantine("mine", limit=0.01)
    for file, row, reason in records:
        quarantine.add(file, row, reason)
    with pytest.raises(DataError) as caught:
        quarantine.check(kept=10)
    return caught.value


def test_thousands_of_damaged_files_are_told_in_one_line() -> None:
    told = refusal(*((f"Train/val_{n:04}.json", 1, "blank reference") for n in range(4884))).got
    assert told == (
        "4884 of 4894 records of mine are damaged: "
        "blank reference (4884, Train/val_0000.json row 1, and 4,883 other files)"
    )


def test_the_first_rows_of_each_reason_are_named() -> None:
    told = refusal(
        *(("a.csv", row, "too long") for row in range(2, 7)), ("b.csv", 3, "too long"), ("b.csv", 9, "X")
    ).got
    assert told.endswith("too long (6, a.csv row 2, 3, 4, …, and 1 other file); X (1, b.csv row 9)")


@pytest.mark.parametrize(("reason", "named"), [("video file missing", True), ("video file empty", False)])
def test_absent_media_lead_to_the_knob_that_does_without_them(reason: str, named: bool) -> None:
    assert ("dataset.media=optional" in refusal(("a.csv", 2, reason)).remedy) is named
