"""What a reader tells while it reads: records left out by rule, damaged records, the files a sample stands on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cpo.dataset.quarantine import Quarantine
from cpo.records import ImageRef

Media = Literal["required", "optional"]

ENDS = {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND"}
"""How a JPEG and a PNG begin, and what stands near the end of a whole one."""
TAIL = 64
"""Bytes at the end of a file in which that mark is looked for: some encoders pad behind it."""


class ExcludedError(Exception):
    """A record that the release's own rules leave out; its text is the reason."""


class DamagedError(Exception):
    """A record that belongs to the release and cannot be read; its text is the reason, without ids or content."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that a sample was read from, as it was then: what tells later that it has changed."""

    path: str
    size: int
    modified_ns: int


@dataclass
class Intake:
    """The counts of one reading.

    Args:
        root: Folder that file names are relative to.
        quarantine: Where damaged records go.
        media: `required` quarantines a record whose image or video is absent; `optional` keeps it and counts it.
        excluded: Records left out by the release's own rules, by reason.
        details: What else the doctor tells of this dataset.
        records: Annotation rows, files or reports as the release counts them; None for all that were seen.
        found: Id of every record of a generated world, for the proof that it was generated.
        absent: Media files that are not there.
    """

    root: Path
    quarantine: Quarantine
    media: Media
    excluded: Counter[str] = field(default_factory=Counter)
    details: dict[str, Any] = field(default_factory=dict)
    records: int | None = None
    found: list[str] = field(default_factory=list)
    absent: int = 0
    _sources: list[SourceFile] = field(default_factory=list)

    @contextmanager
    def record(self, file: str, row: int) -> Iterator[None]:
        """Turns what is wrong with one record into a count.

        Args:
            file: Annotation file, relative to the root.
            row: Its line or place there, from 1.
        """
        self._sources.clear()
        try:
            yield
        except ExcludedError as reason:
            self.excluded[str(reason)] += 1
        except DamagedError as reason:
            self.quarantine.add(file, row, str(reason))

    def text(self, path: Path, what: str) -> str:
        """A text file that belongs to the current record.

        Args:
            path: The file.
            what: What it is, for the reason: `report`.

        Raises:
            DamagedError: Absent, empty or not UTF-8.
        """
        try:
            content = path.read_text(encoding="utf-8-sig")
            self._note(path)
        except FileNotFoundError:
            raise DamagedError(f"{what} file missing") from None
        except (UnicodeDecodeError, OSError):
            raise DamagedError(f"{what} not UTF-8") from None
        if not content.strip():
            raise DamagedError(f"{what} empty")
        return content

    def image(self, path: Path) -> ImageRef:
        """An image (or video) of the current record, checked to be there and whole at its two ends.

        Raises:
            DamagedError: Absent though required, empty, or cut off.
        """
        self.media_file(path)
        return ImageRef(str(path))

    def media_file(self, path: Path) -> None:
        """Checks a media file of the current record; see `image`."""
        kind = "video" if path.suffix.lower() in VIDEO else "image"
        try:
            size = self._note(path)
            if not size:
                raise DamagedError(f"{kind} file empty")
            if kind == "image" and _cut_off(path, size):
                raise DamagedError("image file cut off")
        except FileNotFoundError:
            self.absent += 1
            if self.media == "required":
                raise DamagedError(f"{kind} file missing") from None
        except OSError:  # a folder of that name, no permission, a name too long
            raise DamagedError(f"{kind} file cannot be opened") from None

    def sources(self) -> tuple[SourceFile, ...]:
        """The files of the record just read."""
        return tuple(self._sources)

    def _note(self, path: Path) -> int:
        stat = path.stat()
        self._sources.append(SourceFile(str(path), stat.st_size, stat.st_mtime_ns))
        return stat.st_size


VIDEO = frozenset({".mov", ".mp4", ".avi", ".mkv"})


def _cut_off(path: Path, size: int) -> bool:
    with path.open("rb") as file:
        mark = ENDS.get(file.read(2))
        if mark is None:
            return False
        file.seek(max(0, size - TAIL))
        return mark not in file.read()
