"""The chest world: writes films, reports and tables in the official layout, and the truth beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph
from cpo.records import fingerprint
from cpo.world.chest import layout
from cpo.world.chest.causes import draw_causes, draw_nuisances
from cpo.world.chest.picture import draw_picture, encode_jpeg
from cpo.world.chest.report import write_report
from cpo.world.chest.truth import Ids, Study
from cpo.world.difficulty import DIFFICULTIES, Difficulty
from cpo.world.folder import check_knob, write_marker, write_once
from cpo.world.generation import forget, generate

VERSION = 3
"""Raised whenever the same knobs would give other words or other pixels."""

_GRAPH = "chest"
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
        difficulty: `easy`, `default` or `hard`: severities, doubt, grain and nuisances by name (see `difficulty`).
        jpeg_quality: Of the films, in [50, 100].

    Raises:
        ConfigError: A knob is out of its range.

    Example:
        >>> ChestWorld(studies=8, seed=1).fingerprint == ChestWorld(studies=8, seed=1, workers=1).fingerprint
        True
    """

    kind, records = "chest_world", "studies"

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
        difficulty: str = "default",
        jpeg_quality: int = 90,
    ) -> None:
        self.studies, self.image_size, self.seed, self.workers = studies, image_size, seed, workers
        self.test_share, self.validate_share = test_share, validate_share
        self.ap_share, self.device_share = ap_share, device_share
        self.difficulty, self.jpeg_quality = difficulty, jpeg_quality
        check_knob("studies", studies, studies >= 8, "at least 8")
        check_knob("image_size", image_size, 64 <= image_size <= 1024, "in [64, 1024]")
        check_knob("seed", seed, seed >= 0, "at least 0")
        check_knob("workers", workers, workers >= 1, "at least 1")
        for name in ("test_share", "validate_share"):
            check_knob(name, getattr(self, name), 0 < getattr(self, name) < 1, "in (0, 1)")
        both = test_share + validate_share
        check_knob("test_share + validate_share", both, both < 1, "below 1")
        for name in ("ap_share", "device_share"):
            check_knob(name, getattr(self, name), 0 <= getattr(self, name) <= 1, "in [0, 1]")
        check_knob("difficulty", difficulty, difficulty in DIFFICULTIES, f"one of {', '.join(DIFFICULTIES)}")
        check_knob("jpeg_quality", jpeg_quality, 50 <= jpeg_quality <= 100, "in [50, 100]")

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
            "difficulty": self.difficulty,
            "jpeg_quality": self.jpeg_quality,
        }

    @cached_property
    def graph(self) -> ConceptGraph:
        """The true concept graph."""
        return ConceptGraph.load(_GRAPH)

    @cached_property
    def fingerprint(self) -> str:
        """Of the knobs and what the difficulty means, the version of the generator and the concept graph."""
        return fingerprint(["chest_world", VERSION, self.knobs, asdict(self._level), self.graph.fingerprint])

    @property
    def name(self) -> str:
        """Name of the folder that `write` makes.

        Example:
            >>> ChestWorld(difficulty="easy").name.rpartition("-")[0]
            'chest_world-easy'
        """
        return f"chest_world-{self.difficulty}-{self.fingerprint}"

    @property
    def _level(self) -> Difficulty:
        return DIFFICULTIES[self.difficulty]

    def write(self, root: Path) -> Path:
        """Writes the world into `root/chest_world-<difficulty>-<fingerprint>`, or returns at once when it is there.

        The folder appears only when it is complete, and parallel jobs generate it once. A killed generation leaves a
        hidden folder beside it, which the next one completes.

        Args:
            root: Folder of generated worlds; made if missing.

        Raises:
            DataError: The folder is there and is not complete, or `root` cannot be written.
        """
        return write_once(Path(root) / self.name, self.fingerprint, self._generate)

    def _generate(self, folder: Path) -> None:
        (folder / "truth").mkdir(exist_ok=True)
        studies = [study for study, _ in generate(self, folder)]
        labels = [self.graph.labels(study.states) for study in studies]
        layout.write_tables(folder, studies, labels, self.image_size)
        layout.write_truth(folder, studies)
        self.graph.save(folder / "truth" / "concept_graph.json")
        forget(folder)
        content = {"world": "chest_world", "version": VERSION, "fingerprint": self.fingerprint, "knobs": self.knobs}
        content |= {"difficulty": asdict(self._level)}
        write_marker(folder, content)

    def groups(self) -> list[list[Ids]]:
        """Names and splits of all studies, by patient."""
        rng = self._rng(_IDS, 0)
        return layout.draw_ids(rng, self.studies, test_share=self.test_share, validate_share=self.validate_share)

    def record(self, index: int, names: Ids, group: int) -> tuple[Study, str]:
        """What is true of the study at a position, and its report.

        Args:
            index: Position of the study, from 0.
            names: Its names.
            group: Position of its patient, from 0.
        """
        rng = self._rng(_CAUSES, index)
        level = self._level
        causes = draw_causes(rng, self.graph, uncertain_share=level.uncertain_share, severities=level.severities)
        rng = self._rng(_NUISANCES, index)
        nuisances = draw_nuisances(rng, ap_share=self.ap_share, device_share=self.device_share)
        sex = "F" if group % 2 else "M"
        report = write_report(self._rng(_WORDS, index), self._lexicon, causes, nuisances, sex)
        return Study(names, sex, causes, nuisances, report.negated), report.text

    def files(self, index: int, record: tuple[Study, str], group: int) -> dict[str, Callable[[], bytes]]:
        """Report and film of a study, by path."""
        study, report = record
        return {
            layout.report_path(study.ids): report.encode,
            layout.image_path(study.ids): partial(self.film, index, study, group),
        }

    def film(self, index: int, study: Study, patient: int) -> bytes:
        """The JPEG file of the study at a position."""
        picture = draw_picture(
            self._rng(_PATIENT, patient),
            self._rng(_FILM, index),
            study.causes.findings,
            study.nuisances,
            size=self.image_size,
            noise=self._level.noise,
            nuisance=self._level.nuisance,
        )
        return encode_jpeg(picture, self.jpeg_quality)

    @cached_property
    def _lexicon(self) -> Lexicon:
        return Lexicon(self.graph)

    def _rng(self, purpose: int, index: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, purpose, index]))
