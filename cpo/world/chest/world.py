"""The chest world: writes films, reports and tables in the official layout, and the truth beside them."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cpo.errors import ConfigError, DataError
from cpo.files import build_directory, write_json
from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph
from cpo.records import fingerprint
from cpo.world.chest import layout
from cpo.world.chest.causes import draw_causes, draw_nuisances
from cpo.world.chest.picture import draw_picture, encode_jpeg
from cpo.world.chest.report import write_report
from cpo.world.chest.truth import Ids, Study

T = TypeVar("T")
R = TypeVar("R")

VERSION = 1
"""Raised whenever the same knobs would give other words or other pixels."""

_GRAPH = "chest"
_PATIENTS_PER_BATCH = 16
# one stream of random numbers per purpose and index, so that nothing depends on the number of workers
_IDS, _CAUSES, _NUISANCES, _WORDS, _PATIENT, _FILM = range(6)


class ChestWorld:
    """A generated chest X-ray dataset whose causal graph is known.

    Args:
        studies: Number of studies (a film and a report each), at least 8; patients have one to four.
        image_size: Width and height of the films in pixels, in [64, 1024].
        seed: Of everything random, at least 0.
        workers: Processes that draw, at least 1; the result does not depend on it.
        test_share: Share of the studies in the test split, in (0, 1).
        validate_share: Share in the validation split, in (0, 1); both shares together below 1.
        ap_share: Share of portable (AP) films, in [0, 1].
        device_share: Share of studies with support devices, in [0, 1].
        uncertain_share: Share of diseases that are faint on the film and hedged in the report, in [0, 1].
        severities: Shares of mild, moderate and severe findings; they sum to 1.
        noise: Standard deviation of the film's grain, as a share of the grey scale, in [0, 0.2].
        jpeg_quality: Of the films, in [50, 100].

    Raises:
        ConfigError: A knob is out of its range.

    Example:
        >>> ChestWorld(studies=8, seed=1).fingerprint == ChestWorld(studies=8, seed=1, workers=1).fingerprint
        True
    """

    def __init__(
        self,
        *,
        studies: int = 4000,
        image_size: int = 224,
        seed: int = 0,
        workers: int = 2,
        test_share: float = 0.125,
        validate_share: float = 0.05,
        ap_share: float = 0.5,
        device_share: float = 0.3,
        uncertain_share: float = 0.05,
        severities: Sequence[float] = (0.2, 0.4, 0.4),
        noise: float = 0.02,
        jpeg_quality: int = 90,
    ) -> None:
        self.studies, self.image_size, self.seed, self.workers = studies, image_size, seed, workers
        self.test_share, self.validate_share = test_share, validate_share
        self.ap_share, self.device_share, self.uncertain_share = ap_share, device_share, uncertain_share
        self.severities = tuple(float(share) for share in severities)
        self.noise, self.jpeg_quality = noise, jpeg_quality
        _check("studies", studies, studies >= 8, "at least 8")
        _check("image_size", image_size, 64 <= image_size <= 1024, "in [64, 1024]")
        _check("seed", seed, seed >= 0, "at least 0")
        _check("workers", workers, workers >= 1, "at least 1")
        for name in ("test_share", "validate_share"):
            _check(name, getattr(self, name), 0 < getattr(self, name) < 1, "in (0, 1)")
        _check("test_share + validate_share", test_share + validate_share, test_share + validate_share < 1, "below 1")
        for name in ("ap_share", "device_share", "uncertain_share"):
            _check(name, getattr(self, name), 0 <= getattr(self, name) <= 1, "in [0, 1]")
        whole = len(self.severities) == 3 and min(self.severities) >= 0 and abs(sum(self.severities) - 1) < 1e-9
        _check("severities", self.severities, whole, "three shares, none below 0, that sum to 1")
        _check("noise", noise, 0 <= noise <= 0.2, "in [0, 0.2]")
        _check("jpeg_quality", jpeg_quality, 50 <= jpeg_quality <= 100, "in [50, 100]")

    @property
    def knobs(self) -> dict[str, Any]:
        """Everything that decides the content."""
        return {
            "studies": self.studies,
            "image_size": self.image_size,
            "seed": self.seed,
            "test_share": self.test_share,
            "validate_share": self.validate_share,
            "ap_share": self.ap_share,
            "device_share": self.device_share,
            "uncertain_share": self.uncertain_share,
            "severities": list(self.severities),
            "noise": self.noise,
            "jpeg_quality": self.jpeg_quality,
        }

    @cached_property
    def graph(self) -> ConceptGraph:
        """The true concept graph."""
        return ConceptGraph.load(_GRAPH)

    @cached_property
    def fingerprint(self) -> str:
        """Of the knobs, the version of the generator and the concept graph."""
        return fingerprint(["chest_world", VERSION, self.knobs, self.graph.fingerprint])

    @property
    def name(self) -> str:
        """Name of the folder that `write` makes."""
        return f"chest_world-{self.fingerprint}"

    def write(self, root: Path) -> Path:
        """Writes the world into `root/chest_world-<fingerprint>`, or returns at once when it is there.

        The folder appears only when it is complete, and parallel jobs generate it once.

        Args:
            root: Folder of generated worlds; made if missing.

        Raises:
            DataError: The folder is there and is not complete, or `root` cannot be written.
        """
        target = Path(root) / self.name
        try:
            built = build_directory(target, self._generate)
        except OSError as error:
            raise DataError(
                got=f"{root}: {error}",
                wanted="a folder with room to write to",
                remedy="free space, or pass another folder",
            ) from error
        if not built:
            self._check_complete(target)
        return target

    def _check_complete(self, target: Path) -> None:
        marker = target / "truth" / "world.json"
        found = json.loads(marker.read_text(encoding="utf-8")) if marker.is_file() else {}
        if found.get("fingerprint") != self.fingerprint or not found.get("complete"):
            raise DataError(
                got=f"{target} without its marker truth/world.json",
                wanted="a complete world, or no folder of that name",
                remedy=f"delete the folder and run again: rm -r {target}",
            )

    def _generate(self, folder: Path) -> None:
        (folder / "truth").mkdir(parents=True)
        studies = self._draw_all(folder)
        labels = [self.graph.labels(study.states) for study in studies]
        layout.write_tables(folder, studies, labels, self.image_size)
        layout.write_truth(folder, studies)
        self.graph.save(folder / "truth" / "concept_graph.json")
        content = {"world": "chest_world", "version": VERSION, "fingerprint": self.fingerprint, "knobs": self.knobs}
        write_json(folder / "truth" / "world.json", content | {"complete": True})

    def patients(self) -> list[list[Ids]]:
        """Names and splits of all studies, by patient."""
        rng = self._rng(_IDS, 0)
        return layout.draw_ids(rng, self.studies, test_share=self.test_share, validate_share=self.validate_share)

    def study(self, index: int, ids: Ids, patient: int) -> tuple[Study, str]:
        """What is true of the study at a position, and its report.

        Args:
            index: Position of the study, from 0.
            ids: Its names.
            patient: Position of its patient, from 0.
        """
        rng = self._rng(_CAUSES, index)
        causes = draw_causes(rng, self.graph, uncertain_share=self.uncertain_share, severities=self.severities)
        rng = self._rng(_NUISANCES, index)
        nuisances = draw_nuisances(rng, ap_share=self.ap_share, device_share=self.device_share)
        sex = "F" if patient % 2 else "M"
        report = write_report(self._rng(_WORDS, index), self._lexicon, causes, nuisances, sex)
        return Study(ids, sex, causes, nuisances, report.negated), report.text

    def film(self, index: int, study: Study, patient: int) -> bytes:
        """The JPEG file of the study at a position."""
        picture = draw_picture(
            self._rng(_PATIENT, patient),
            self._rng(_FILM, index),
            study.causes.findings,
            study.nuisances,
            size=self.image_size,
            noise=self.noise,
        )
        return encode_jpeg(picture, self.jpeg_quality)

    @cached_property
    def _lexicon(self) -> Lexicon:
        return Lexicon(self.graph)

    def _rng(self, purpose: int, index: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, purpose, index]))

    def _draw_all(self, folder: Path) -> list[Study]:
        batches = list(self._batches(folder))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        studies: list[Study] = []
        with Progress(*columns, transient=True) as progress:
            task = progress.add_task("drawing chest_world", total=self.studies)
            for drawn in _map(_draw_batch, batches, self.workers):
                studies += drawn
                progress.update(task, completed=len(studies))
        return studies

    def _batches(self, folder: Path) -> Iterator[tuple[ChestWorld, Path, int, int, list[list[Ids]]]]:
        patients = self.patients()
        first = 0
        for start in range(0, len(patients), _PATIENTS_PER_BATCH):
            batch = patients[start : start + _PATIENTS_PER_BATCH]
            yield self, folder, start, first, batch
            first += sum(len(studies) for studies in batch)


def _draw_batch(batch: tuple[ChestWorld, Path, int, int, list[list[Ids]]]) -> list[Study]:
    world, folder, patient, index, patients = batch
    drawn = []
    for studies in patients:
        for ids in studies:
            study, text = world.study(index, ids, patient)
            for path, content in (
                (layout.report_path(ids), text.encode()),
                (layout.image_path(ids), world.film(index, study, patient)),
            ):
                file = folder / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            drawn.append(study)
            index += 1
        patient += 1
    return drawn


def _map(function: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[R]:
    if workers == 1:
        yield from map(function, items)
        return
    # fresh processes: a fork of a parent whose threads compute may hang
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(items)), mp_context=context) as pool:
        yield from pool.map(function, items)


def _check(name: str, value: object, right: bool, wanted: str) -> None:
    if not right:
        raise ConfigError(got=f"{name}={value}", wanted=f"{name} {wanted}", remedy=f"pass dataset.world.{name}")
