"""Draws a world in parallel, and goes on where a killed generation stopped.

A journal in the unfinished folder names the batches that are on disk, each with a hash of its files. What the journal
does not name, or whose files have another hash, is drawn again: a half-written file is never taken for a whole one.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cpo.files import write_text

N = TypeVar("N")
T = TypeVar("T")
R = TypeVar("R")

_GROUPS_PER_BATCH = 16
_JOURNAL = "journal.jsonl"


class World(Protocol[N, T]):
    """What draws one record (a study, a scene, a clip) after the other; N is how it is named, T what is true of it."""

    @property
    def kind(self) -> str:
        """What the world is called in messages."""

    @property
    def records(self) -> str:
        """What its records are called, in the plural."""

    @property
    def workers(self) -> int:
        """Processes that draw."""

    def groups(self) -> list[list[N]]:
        """Names of all records, by group: the patient, the drive."""

    def record(self, index: int, names: N, group: int) -> T:
        """What is true of a record, without its pictures: quick."""

    def files(self, index: int, record: T, group: int) -> Mapping[str, Callable[[], bytes]]:
        """The files of a record by path: what draws each, called only if it has to be written."""


@dataclass(frozen=True, slots=True)
class Batch(Generic[N]):
    """Some groups that one process draws.

    Args:
        group: Position of the first of them.
        first: Position of the first record.
        groups: Names of their records.
        digest: Hash of the batch's files, if the journal says that they are on disk.
    """

    group: int
    first: int
    groups: tuple[tuple[N, ...], ...]
    digest: str | None = None

    @property
    def size(self) -> int:
        """Number of records."""
        return sum(map(len, self.groups))


@dataclass(frozen=True, slots=True)
class Drawn(Generic[T]):
    """A batch that is on disk; `digest` is the hash of its files."""

    records: tuple[T, ...]
    digest: str


def generate(world: World[N, T], folder: Path) -> list[T]:
    """Draws every record that the folder does not hold already, and returns the truth of all, in order.

    Args:
        world: Draws a record.
        folder: The unfinished folder of the world.
    """
    journal = folder / _JOURNAL
    known = _read(journal)
    # written anew: a kill may have torn the last line, and the next one must not be glued to it
    write_text(journal, "".join(_line(group, digest) for group, digest in known.items()))
    batches = _batches(world.groups(), known)
    there = sum(batch.size for batch in batches if batch.digest)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    records: list[T] = []
    draw: Callable[[Batch[N]], Drawn[T]] = partial(draw_batch, world, folder)
    with Progress(*columns, transient=True) as progress, journal.open("a", encoding="utf-8") as lines:
        if there:
            progress.console.print(f"{world.kind}: going on after an interruption, {there:,} {world.records} are there")
        task = progress.add_task(f"drawing {world.kind}", total=sum(batch.size for batch in batches))
        for batch, drawn in zip(batches, _map(draw, batches, world.workers), strict=True):
            if drawn.digest != batch.digest:
                lines.write(_line(batch.group, drawn.digest))
                lines.flush()
            records += drawn.records
            progress.update(task, completed=len(records))
    return records


def forget(folder: Path) -> None:
    """Removes the journal: the folder is about to be complete."""
    (folder / _JOURNAL).unlink()


def draw_batch(world: World[N, T], folder: Path, batch: Batch[N]) -> Drawn[T]:
    """Writes the files of a batch, unless they are on disk and whole."""
    records: list[T] = []
    files: dict[str, Callable[[], bytes]] = {}
    index = batch.first
    for group, members in enumerate(batch.groups, start=batch.group):
        for names in members:
            records.append(world.record(index, names, group))
            files |= world.files(index, records[-1], group)
            index += 1
    if batch.digest and batch.digest == _digest_on_disk(folder, files):
        return Drawn(tuple(records), batch.digest)
    digest = hashlib.sha256()
    for path, draw in files.items():
        content, file = draw(), folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        digest.update(content)
    return Drawn(tuple(records), digest.hexdigest())


def _digest_on_disk(folder: Path, paths: Mapping[str, object]) -> str | None:
    digest = hashlib.sha256()
    try:
        for path in paths:
            digest.update((folder / path).read_bytes())
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def _batches(groups: Sequence[Sequence[N]], known: Mapping[int, str]) -> list[Batch[N]]:
    batches: list[Batch[N]] = []
    first = 0
    for start in range(0, len(groups), _GROUPS_PER_BATCH):
        names = tuple(tuple(members) for members in groups[start : start + _GROUPS_PER_BATCH])
        batches.append(Batch(start, first, names, known.get(start)))
        first += batches[-1].size
    return batches


def _read(journal: Path) -> dict[int, str]:
    known: dict[int, str] = {}
    for line in journal.read_text(encoding="utf-8").splitlines() if journal.is_file() else ():
        try:
            row = json.loads(line)
            known[int(row["group"])] = str(row["sha256"])
        except (ValueError, KeyError, TypeError):  # torn by a kill: that batch is drawn again
            continue
    return known


def _line(group: int, digest: str) -> str:
    return json.dumps({"group": group, "sha256": digest}) + "\n"


def _map(function: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[R]:
    if workers == 1:
        yield from map(function, items)
        return
    # fresh processes: a fork of a parent whose threads compute may hang
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(items)), mp_context=context, initializer=_end_with_parent) as pool:
        yield from pool.map(function, items)


def _end_with_parent() -> None:
    """Ends this process when its parent is killed, lest it write into a folder that another job goes on with."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
