"""The road world of still pictures: writes CODA-LM's official layout, and the truth beside it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from cpo.world.folder import check_knob
from cpo.world.generation import generate
from cpo.world.road import coda_lm
from cpo.world.road.base import GeneratedRoad
from cpo.world.road.coda_lm import Names
from cpo.world.road.picture import Picture
from cpo.world.road.text import Description
from cpo.world.road.truth import Scene

Told = tuple[Names, Scene, Description]


class RoadWorld(GeneratedRoad):
    """A generated driving dataset in the layout of CODA-LM, whose causal graph is known.

    Args:
        scenes: Number of scenes (a picture and an annotation file each), at least 8; drives have one to four.
        image_size: Width and height of the pictures in pixels, in [64, 512].
        seed: Of everything random, at least 0.
        workers: Processes that draw, at least 1; the result does not depend on it.
        test_share: Share of the scenes in the test split, in (0, 1).
        validate_share: Share in the validation split, in (0, 1); both shares together below 1.
        night_share: Share of drives at night, in [0, 1].
        bus_lane_share: Share of drives beside a bus lane, in [0, 1].
        difficulty: `easy`, `default` or `hard`: severities, doubt, grain and nuisances by name.
        jpeg_quality: Of the pictures, in [50, 100].

    Raises:
        ConfigError: A knob is out of its range.

    Example:
        >>> RoadWorld(scenes=8, seed=1).fingerprint == RoadWorld(scenes=8, seed=1, workers=1).fingerprint
        True
    """

    kind, records = "road_world", "scenes"
    routinely = 0.6

    def __init__(
        self,
        *,
        scenes: int = 4000,
        image_size: int = 224,
        seed: int = 0,
        workers: int = 2,
        test_share: float = 0.125,
        validate_share: float = 0.05,
        night_share: float = 0.25,
        bus_lane_share: float = 0.2,
        difficulty: str = "default",
        jpeg_quality: int = 90,
    ) -> None:
        knobs = {
            "scenes": scenes,
            "image_size": image_size,
            "seed": seed,
            "test_share": test_share,
            "validate_share": validate_share,
            "night_share": night_share,
            "bus_lane_share": bus_lane_share,
            "difficulty": difficulty,
            "jpeg_quality": jpeg_quality,
        }
        super().__init__(knobs, workers)
        self.scenes, self.jpeg_quality = scenes, jpeg_quality
        check_knob("scenes", scenes, scenes >= 8, "at least 8")
        check_knob("image_size", image_size, 64 <= image_size <= 512, "in [64, 512]")
        check_knob("jpeg_quality", jpeg_quality, 50 <= jpeg_quality <= 100, "in [50, 100]")

    def groups(self) -> list[list[Names]]:
        """Names and splits of all scenes, by drive."""
        shares = {"test_share": self.test_share, "validate_share": self.validate_share}
        return coda_lm.draw_names(self._names_rng(), self.scenes, **shares)

    def record(self, index: int, names: Names, group: int) -> Told:
        """What is true of the scene at a position, and what is said of it.

        Args:
            index: Position of the scene, from 0.
            names: Its names.
            group: Position of its drive, from 0.
        """
        return names, *self.scene((index,), group)

    def files(self, index: int, record: Told, group: int) -> dict[str, Callable[[], bytes]]:
        """Picture and annotation of a scene, by path."""
        names, scene, description = record

        @cache
        def drawn() -> Picture:
            travel = float(self._course_rng(index).uniform(0, 500))
            return self.picture(scene, (index,), group, travel=travel)

        return {
            names.image: lambda: drawn().jpeg(self.jpeg_quality),
            names.annotation: lambda: coda_lm.annotation(self.graph, scene, description, drawn().boxes),
        }

    def _generate(self, folder: Path) -> None:
        for texts, images in coda_lm.FOLDERS.values():
            (folder / "CODA" / "CODA-LM" / texts).mkdir(parents=True, exist_ok=True)
            (folder / "CODA" / images / "images").mkdir(parents=True, exist_ok=True)
        told = generate(self, folder)
        self._finish(folder, (scene.record(names.id, names.drive, names.split) for names, scene, _ in told))
