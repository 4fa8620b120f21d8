"""The table and split files of BDD-X as they stand on disk.

Layout (the `BDD-X-Dataset` folder may be left out)::

    <root>/BDD-X-Dataset/BDD-X-Annotations_v1.csv    a video per row, then 15 times start, end, action, justification
    <root>/BDD-X-Dataset/{train,val,test}.txt        `<n>_<stem>` per line
    <root>/<videos>/<stem>.mov                       or .mp4
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cpo.dataset.intake import DamagedError, ExcludedError
from cpo.dataset.quarantine import Quarantine
from cpo.dataset.tables import read_table
from cpo.errors import DataError

TABLE = "BDD-X-Annotations_v1.csv"
LISTS = {"train": "train.txt", "validate": "val.txt", "test": "test.txt"}
SLOTS = 15
CELLS = ("start", "end", "action", "justification")
COLUMNS = ("Input.Video", *(f"Answer.{slot}{cell}" for slot in range(1, SLOTS + 1) for cell in CELLS))

CLIP_SECONDS = 40
"""Length of the videos; some annotated segments end later."""

VIDEO = re.compile(r"(?:(?:.*/)?([\w-]+)/)?([0-9a-f]{8}-[0-9a-f]{8})\.(?:mov|mp4)", re.ASCII)
LISTED = re.compile(r"[1-9]\d*_[0-9a-f]{8}-[0-9a-f]{8}", re.ASCII)
SECONDS = re.compile(r"-?\d{1,6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Row:
    """A row that the release numbers: one video, annotated once.

    Args:
        line: Of the table; the header is line 1.
        number: The release's number n.
        stem: Name of the video.
        source: Folder of the video's address, `samples-1k` or `train`; 1,000 videos stand there once each.
        slots: The four cells of each of the 15 slots.
    """

    line: int
    number: int
    stem: str
    source: str
    slots: tuple[tuple[str, str, str, str], ...]

    @property
    def id(self) -> str:
        """As the split files spell it."""
        return f"{self.number}_{self.stem}"

    @property
    def complete(self) -> int:
        """Slots with all four cells, whatever is in them: what the release counts as segments."""
        return sum(map(all, self.slots))


@dataclass(frozen=True, slots=True)
class Segment:
    """What the car does in a part of a video, and why. Times are whole seconds."""

    start: int
    end: int
    action: str
    justification: str

    def times(self, frames: int) -> tuple[float, ...]:
        """Times of so many frames, evenly within the segment and the video; one for a segment of a moment.

        Example:
            >>> Segment(0, 8, "stops", "red light").times(2), Segment(30, 222, "stops", "red light").times(2)
            ((2.0, 6.0), (32.5, 37.5))
        """
        length = max(0, min(self.end, CLIP_SECONDS) - self.start)
        return tuple(dict.fromkeys(self.start + length * (2 * i + 1) / (2 * frames) for i in range(frames)))


def find_table(root: Path) -> Path:
    """The table of annotations, with at least one split file beside it.

    Raises:
        DataError: No copy of this release there.
    """
    for folder in (root, root / "BDD-X-Dataset"):
        if (folder / TABLE).is_file():
            if any((folder / name).is_file() for name in LISTS.values()):
                return folder / TABLE
            raise _lacking(folder, f"none of {', '.join(LISTS.values())}")
    raise _lacking(root, "no such folder" if not root.is_dir() else f"no {TABLE}")


def read_rows(table: Path, file: str, quarantine: Quarantine) -> Iterator[tuple[int, Row | str]]:
    """Every row with its line; of a row that the release does not number, why.

    The release's n counts the rows that have a video, a first start and a first justification.

    Args:
        table: The CSV.
        file: What errors and the quarantine call it.
        quarantine: Where damaged rows go.

    Raises:
        DataError: The table cannot be read.
    """
    number = 0
    for line, (video, *cells) in read_table(table, COLUMNS, file=file, quarantine=quarantine):
        slots = [tuple(cells[i : i + 4]) for i in range(0, 4 * SLOTS, 4)]
        if not video and not any(cells):
            yield line, "blank row"
        elif not (video and slots[0][0] and slots[0][3]):
            yield line, "row without a video, a first start or a first justification"
        else:
            number += 1
            named = VIDEO.fullmatch(video)
            if named is None:
                quarantine.add(file, line, "video is not …/<8 hex digits>-<8 hex digits>.mov")
            else:
                yield line, Row(line, number, named[2], named[1] or "", tuple(slots))  # type: ignore[arg-type]


def read_lists(folder: Path, name: str, quarantine: Quarantine) -> dict[str, dict[str, int]]:
    """For each split the ids that its file lists, with their lines.

    Args:
        folder: Where the files stand; one that is not there lists nothing.
        name: What the quarantine calls the folder, ending in a slash, or nothing.
        quarantine: Where damaged lines go.

    Raises:
        DataError: A file that is not UTF-8.
    """
    lists: dict[str, dict[str, int]] = {}
    for split, file in LISTS.items():
        listed = lists.setdefault(split, {})
        for line, text in enumerate(_lines(folder / file), start=1):
            item = text.strip()
            if item and not LISTED.fullmatch(item):
                quarantine.add(name + file, line, "line is not <n>_<video>")
            elif any(item in others for others in lists.values()):
                quarantine.add(name + file, line, "row listed before")
            elif item:
                listed[item] = line
    return lists


def read_segment(cells: Sequence[str]) -> Segment | None:
    """A slot of a row; None of one that is empty.

    Raises:
        ExcludedError: One of its four cells is.
        DamagedError: Its times are none, or do not fit into the video.
    """
    said = dict(zip(CELLS, cells, strict=True))
    if not any(said.values()):
        return None
    if crossed := [name for name, cell in said.items() if cell == "X"]:
        raise ExcludedError(f"slot with X for {' and '.join(crossed)}")
    if absent := [name for name, cell in said.items() if not cell]:
        raise ExcludedError(f"slot without {' and '.join(absent)}")
    if not (SECONDS.fullmatch(said["start"]) and SECONDS.fullmatch(said["end"])):
        raise DamagedError("time of a segment is no whole number of seconds")
    segment = Segment(int(said["start"]), int(said["end"]), said["action"], said["justification"])
    if segment.end < segment.start:
        raise DamagedError("segment ends before it starts")
    if not 0 <= segment.start <= CLIP_SECONDS:
        raise DamagedError(f"segment starts outside the {CLIP_SECONDS} s of a video")
    return segment


def split_of(lists: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """The split of each listed id."""
    return {item: split for split, listed in lists.items() for item in listed}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        return []
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(
            got=f"{path.name} is not UTF-8", wanted="the list as it was released", remedy="fetch the file again"
        ) from error


def _lacking(folder: Path, what: str) -> DataError:
    return DataError(
        got=f"{folder}: {what}",
        wanted=f"{TABLE} and {', '.join(LISTS.values())} of BDD-X, in the folder or in its BDD-X-Dataset",
        remedy="pass dataset.root=FOLDER, or finish the download; docs/datasets.md shows the layout",
    )
