"""The samples of a copy in one SQLite file: written once, then opened at once and read a sample at a time."""

from __future__ import annotations

import json
import operator
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, overload

from cpo.dataset.intake import SourceFile
from cpo.records import Access, Edit, ImageRef, LabelState, Provenance, Released, Sample, Trajectory

MEMORY = ":memory:"
SPOT_CHECKS = 64
"""Samples whose files are compared with the index when it is opened; all of them by `cpo data check`."""


class Index:
    """Samples by split and position, with the files they were read from, and what the reading found.

    Args:
        path: The file, or `:memory:`.
        write: Make it, instead of opening it to read.
    """

    def __init__(self, path: Path | str, *, write: bool = False) -> None:
        if write:
            self._connection = sqlite3.connect(path, check_same_thread=False)
            self._connection.executescript(
                "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"
                "CREATE TABLE sample (split TEXT, place INTEGER, body TEXT, sources TEXT, PRIMARY KEY (split, place))"
                " WITHOUT ROWID; CREATE TABLE about (content TEXT);"
            )
        else:
            # immutable: no lock files beside it, so that a shared read-only folder serves too
            self._connection = sqlite3.connect(
                f"{Path(path).as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
        self._sizes: dict[str, int] = {}

    def add(self, sample: Sample, sources: Sequence[SourceFile]) -> None:
        """Appends a sample to its split."""
        place = self._sizes.get(sample.split, 0)
        self._sizes[sample.split] = place + 1
        files = json.dumps([[s.path, s.size, s.modified_ns] for s in sources])
        row = (sample.split, place, json.dumps(encode(sample), ensure_ascii=False), files)
        self._connection.execute("INSERT INTO sample VALUES (?, ?, ?, ?)", row)

    def finish(self, about: dict[str, Any]) -> None:
        """Stores what the reading found; the index is then complete."""
        content = json.dumps(about | {"sizes": self._sizes}, ensure_ascii=False)
        self._connection.execute("INSERT INTO about VALUES (?)", (content,))
        self._connection.commit()

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def about(self) -> dict[str, Any]:
        """What `finish` stored."""
        return dict(json.loads(self._connection.execute("SELECT content FROM about").fetchone()[0]))

    def samples(self, split: str, size: int) -> LazySamples:
        """The samples of a split, read when asked for."""
        return LazySamples(self._connection, split, size)

    def changed(self, sizes: dict[str, int]) -> str:
        """The first of some evenly spaced samples whose files are no longer what they were, as words; or nothing."""
        for split, size in sizes.items():
            for place in range(0, size, max(1, size * len(sizes) // SPOT_CHECKS)):
                found = self._connection.execute(
                    "SELECT sources FROM sample WHERE split = ? AND place = ?", (split, place)
                ).fetchone()
                if any(not _same(*source) for source in json.loads(found[0])):
                    return f"a file of sample {place} of {split}"
        return ""


class LazySamples(Sequence[Sample]):
    """The samples of a split in the release's order; memory holds only those in use.

    Args:
        connection: To the index.
        split: Name of the split.
        size: Samples in it.
    """

    def __init__(self, connection: sqlite3.Connection, split: str, size: int) -> None:
        self._connection, self._split, self._size = connection, split, size

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Sample, ...]: ...
    def __getitem__(self, index: int | slice) -> Sample | tuple[Sample, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(self._size)))
        place = operator.index(index)  # SQLite would take NumPy's integers for bytes
        place += self._size if place < 0 else 0
        if not 0 <= place < self._size:
            raise IndexError(f"sample {index} of {self._size}")
        query = "SELECT body FROM sample WHERE split = ? AND place = ?"
        return decode(json.loads(self._connection.execute(query, (self._split, place)).fetchone()[0]))

    def __iter__(self) -> Iterator[Sample]:
        query = "SELECT body FROM sample WHERE split = ? ORDER BY place"
        with closing(self._connection.execute(query, (self._split,))) as rows:
            for (body,) in rows:
                yield decode(json.loads(body))


def encode(sample: Sample) -> list[Any]:
    """A sample as JSON; `decode` gives an equal one back."""
    origin = sample.provenance
    return [
        sample.id,
        sample.group,
        sample.split,
        _images_as_json(sample.images),
        sample.prompt,
        [sample.factual.thinking, sample.factual.answer],
        dict(sample.labels),
        sample.results,
        dict(sample.metadata),
        [origin.dataset, origin.file, origin.row, origin.access],
        [
            [c.target, c.trajectory.thinking, c.trajectory.answer, c.images and _images_as_json(c.images)]
            for c in sample.counterfactuals
        ],
    ]


def decode(body: Sequence[Any]) -> Sample:
    """The sample that `encode` wrote."""
    id_, group, split, images, prompt, factual, labels, results, metadata, origin, released = body
    dataset, file, row, access = origin
    return Sample(
        id=id_,
        group=group,
        split=split,
        images=_images(images),
        prompt=prompt,
        factual=Trajectory(*factual),
        labels={name: LabelState(state) for name, state in labels.items()},
        results=tuple(results),
        metadata=metadata,
        provenance=Provenance(dataset, file, row, _access(access)),
        counterfactuals=tuple(
            Released(target, Trajectory(thinking, answer), None if shown is None else _images(shown))
            for target, thinking, answer, shown in released
        ),
    )


def _images_as_json(images: Sequence[ImageRef]) -> list[Any]:
    return [[i.path, i.time_s, [[e.name, e.params] for e in i.edits]] for i in images]


def _images(images: Sequence[Any]) -> tuple[ImageRef, ...]:
    return tuple(ImageRef(path, time_s, _edits(edits)) for path, time_s, edits in images)


def _edits(edits: Sequence[Any]) -> tuple[Edit, ...]:
    return tuple(Edit(name, tuple((key, value) for key, value in params)) for name, params in edits)


def _access(access: str) -> Access:
    return "open" if access == "open" else "credentialed"


def _same(path: str, size: int, modified_ns: int) -> bool:
    try:
        stat = Path(path).stat()
    except OSError:
        return False
    return (stat.st_size, stat.st_mtime_ns) == (size, modified_ns)
