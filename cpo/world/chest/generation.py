"""Draws the studies of a world in parallel, and goes on where a killed generation stopped.

A journal in the unfinished folder names the batches that are on disk, each with a hash of its files. What the journal
does not name, or whose files have another hash, is drawn again: a half-written file is never taken for a whole one.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cpo.files import write_text
from cpo.world.chest import layout
from cpo.world.chest.truth import Ids, Study

T = TypeVar("T")
R = TypeVar("R")

_PATIENTS_PER_BATCH = 16
_JOURNAL = "journal.jsonl"


class World(Protocol):
    """What draws one study; `ChestWorld` is one."""

    studies: int
    workers: int

    def patients(self) -> list[list[Ids]]:
        """Names and splits of all studies, by patient."""

    def study(self, index: int, ids: Ids, patient: int) -> tuple[Study, str]:
        """Truth and report of a study."""

    def film(self, index: int, study: Study, patient: int) -> bytes:
        """Its JPEG file."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some patients that one process draws.

    Args:
        patient: Position of the first of them.
        first: Position of the first study.
        patients: Names of their studies.
        digest: Hash of the batch's files, if the journal says that they are on disk.
    """

    patient: int
    first: int
    patients: tuple[tuple[Ids, ...], ...]
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A batch that is on disk; `digest` is the hash of its files."""

    studies: tuple[Study, ...]
    digest: str


def generate(world: World, folder: Path) -> list[Study]:
    """Draws every study that the folder does not hold already, and returns the truth of all, in order.

    Args:
        world: Draws a study.
        folder: The unfinished folder of the world.
    """
    journal = folder / _JOURNAL
    known = _read(journal)
    # written anew: a kill may have torn the last line, and the next one must not be glued to it
    write_text(journal, "".join(_line(patient, digest) for patient, digest in known.items()))
    batches = list(_batches(world, known))
    there = sum(_size(batch) for batch in batches if batch.digest)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    studies: list[Study] = []
    with Progress(*columns, transient=True) as progress, journal.open("a", encoding="utf-8") as lines:
        if there:
            progress.console.print(f"chest_world: going on after an interruption, {there:,} studies are there")
        task = progress.add_task("drawing chest_world", total=world.studies)
        for batch, drawn in zip(batches, _map(partial(draw_batch, world, folder), batches, world.workers), strict=True):
            if drawn.digest != batch.digest:
                lines.write(_line(batch.patient, drawn.digest))
                lines.flush()
            studies += drawn.studies
            progress.update(task, completed=len(studies))
    return studies


def forget(folder: Path) -> None:
    """Removes the journal: the folder is about to be complete."""
    (folder / _JOURNAL).unlink()


def draw_batch(world: World, folder: Path, batch: Batch) -> Drawn:
    """Writes reports and films of a batch, unless its files are on disk and whole."""
    studies, texts = [], []
    index = batch.first
    for offset, names in enumerate(batch.patients):
        for ids in names:
            study, text = world.study(index, ids, batch.patient + offset)
            studies.append(study)
            texts.append(text.encode())
            index += 1
    if batch.digest and batch.digest == _digest_on_disk(folder, studies):
        return Drawn(tuple(studies), batch.digest)
    digest = hashlib.sha256()
    owners = (batch.patient + offset for offset, names in enumerate(batch.patients) for _ in names)
    for position, (study, report, patient) in enumerate(zip(studies, texts, owners, strict=True)):
        film = world.film(batch.first + position, study, patient)
        for path, content in ((layout.report_path(study.ids), report), (layout.image_path(study.ids), film)):
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            digest.update(content)
    return Drawn(tuple(studies), digest.hexdigest())


def _digest_on_disk(folder: Path, studies: Sequence[Study]) -> str | None:
    digest = hashlib.sha256()
    try:
        for study in studies:
            for path in (layout.report_path(study.ids), layout.image_path(study.ids)):
                digest.update((folder / path).read_bytes())
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def _batches(world: World, known: dict[int, str]) -> Iterator[Batch]:
    patients = world.patients()
    first = 0
    for start in range(0, len(patients), _PATIENTS_PER_BATCH):
        names = tuple(tuple(studies) for studies in patients[start : start + _PATIENTS_PER_BATCH])
        batch = Batch(start, first, names, known.get(start))
        yield batch
        first += _size(batch)


def _size(batch: Batch) -> int:
    return sum(map(len, batch.patients))


def _read(journal: Path) -> dict[int, str]:
    known: dict[int, str] = {}
    for line in journal.read_text(encoding="utf-8").splitlines() if journal.is_file() else ():
        try:
            row = json.loads(line)
            known[int(row["patient"])] = str(row["sha256"])
        except (ValueError, KeyError, TypeError):  # torn by a kill: that batch is drawn again
            continue
    return known


def _line(patient: int, digest: str) -> str:
    return json.dumps({"patient": patient, "sha256": digest}) + "\n"


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
