"""What the two road worlds have in common: knobs, random numbers, scenes and their pictures."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph
from cpo.records import fingerprint
from cpo.world.difficulty import DIFFICULTIES, Difficulty
from cpo.world.folder import check_knob, write_marker, write_once
from cpo.world.generation import forget
from cpo.world.road.causes import draw_causes, draw_nuisances
from cpo.world.road.picture import Picture, draw_picture
from cpo.world.road.text import Description, describe
from cpo.world.road.truth import Scene

VERSION = 1
"""Raised whenever the same knobs would give other words or other pixels."""

_GRAPH = "driving"
# one stream of random numbers per purpose and index, so that nothing depends on the number of workers
_NAMES, _CAUSES, _NUISANCES, _WORDS, _DRIVE, _SCENE, _COURSE = range(7)


class GeneratedRoad(ABC):
    """A generated driving dataset whose causal graph is known.

    Args:
        knobs: Everything that decides the content, by name.
        workers: Processes that draw, at least 1; the result does not depend on it.

    Raises:
        ConfigError: A knob is out of its range.
    """

    kind: ClassVar[str]
    records: ClassVar[str]
    routinely: ClassVar[float]
    """Chance that a description denies what is commonly denied."""

    def __init__(self, knobs: Mapping[str, Any], workers: int) -> None:
        self.knobs, self.workers = dict(knobs), workers
        self.image_size: int = knobs["image_size"]
        self.seed: int = knobs["seed"]
        self.test_share: float = knobs["test_share"]
        self.validate_share: float = knobs["validate_share"]
        self.difficulty: str = knobs["difficulty"]
        check_knob("seed", self.seed, self.seed >= 0, "at least 0")
        check_knob("workers", workers, workers >= 1, "at least 1")
        for name in ("test_share", "validate_share"):
            check_knob(name, knobs[name], 0 < knobs[name] < 1, "in (0, 1)")
        both = self.test_share + self.validate_share
        check_knob("test_share + validate_share", both, both < 1, "below 1")
        for name in ("night_share", "bus_lane_share"):
            check_knob(name, knobs[name], 0 <= knobs[name] <= 1, "in [0, 1]")
        levels = ", ".join(DIFFICULTIES)
        check_knob("difficulty", self.difficulty, self.difficulty in DIFFICULTIES, f"one of {levels}")

    @cached_property
    def graph(self) -> ConceptGraph:
        """The true concept graph."""
        return ConceptGraph.load(_GRAPH)

    @cached_property
    def fingerprint(self) -> str:
        """Of the knobs and what the difficulty means, the version of the generator and the concept graph."""
        return fingerprint([self.kind, VERSION, self.knobs, asdict(self._level), self.graph.fingerprint])

    @property
    def name(self) -> str:
        """Name of the folder that `write` makes."""
        return f"{self.kind}-{self.difficulty}-{self.fingerprint}"

    def write(self, root: Path) -> Path:
        """Writes the world into a folder named by kind, difficulty and fingerprint, unless it is there.

        The folder appears only when it is complete, and parallel jobs generate it once. A killed generation leaves a
        hidden folder beside it, which the next one completes.

        Args:
            root: Folder of generated worlds; made if missing.

        Raises:
            DataError: The folder is there and is not complete, or `root` cannot be written.
        """
        return write_once(Path(root) / self.name, self.fingerprint, self._generate)

    @abstractmethod
    def _generate(self, folder: Path) -> None:
        """Fills the unfinished folder."""

    def scene(self, place: tuple[int, ...], drive: int) -> tuple[Scene, Description]:
        """What is true of a scene, and what is said of it.

        Args:
            place: Position of the scene, from 0; of a clip's segment also its position there.
            drive: Position of its drive, from 0.
        """
        level = self._level
        causes = draw_causes(
            self._rng(_CAUSES, *place), self.graph, uncertain_share=level.uncertain_share, severities=level.severities
        )
        shares = {name: float(self.knobs[name]) for name in ("night_share", "bus_lane_share")}
        nuisances = draw_nuisances(self._rng(_NUISANCES, drive), **shares)
        words = self._rng(_WORDS, *place)
        description = describe(words, self._lexicon, causes, nuisances, routinely=self.routinely)
        return Scene(causes, nuisances, description.negated), description

    def picture(
        self, scene: Scene, place: tuple[int, ...], drive: int, *, travel: float, approach: float = 1.0, grain: int = 0
    ) -> Picture:
        """The picture of a scene; `travel`, `approach` and `grain` as in `draw_picture`."""
        return draw_picture(
            self._rng(_DRIVE, drive),
            self._rng(_SCENE, *place),
            scene.causes.findings,
            scene.nuisances,
            size=self.image_size,
            noise=self._level.noise,
            nuisance=self._level.nuisance,
            travel=travel,
            approach=approach,
            grain=grain,
        )

    def _finish(self, folder: Path, truth: Iterable[Mapping[str, Any]]) -> None:
        """Writes the truth, then the marker that says that the world is complete."""
        lines = (json.dumps(row, ensure_ascii=False) for row in truth)
        (folder / "truth").mkdir(exist_ok=True)
        (folder / "truth" / "studies.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.graph.save(folder / "truth" / "concept_graph.json")
        forget(folder)
        content = {"world": self.kind, "version": VERSION, "fingerprint": self.fingerprint, "knobs": self.knobs}
        write_marker(folder, content | {"difficulty": asdict(self._level)})

    @property
    def _level(self) -> Difficulty:
        return DIFFICULTIES[self.difficulty]

    @cached_property
    def _lexicon(self) -> Lexicon:
        return Lexicon(self.graph)

    def _names_rng(self) -> np.random.Generator:
        return self._rng(_NAMES, 0)

    def _course_rng(self, place: int) -> np.random.Generator:
        return self._rng(_COURSE, place)

    def _rng(self, purpose: int, *place: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, purpose, *place]))
