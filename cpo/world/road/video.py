"""The road world of clips: writes BDD-X's official layout with real videos, and the truth beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cpo.world.folder import check_knob
from cpo.world.generation import generate
from cpo.world.road import bdd_x
from cpo.world.road.base import GeneratedRoad
from cpo.world.road.bdd_x import Clip, Names, Segment
from cpo.world.road.clip import encode_mp4

_SECONDS = (8, 12)
_SEGMENTS = (0.35, 0.4, 0.25)
_SHORTEST = 2  # seconds of a segment
_SPEED = 6.0  # metres per second
_FAR, _NEAR = 1.5, 0.95  # factor on the distance of what a segment shows, when it begins and when it ends
_QUALITY = 90  # of the stills beside the truth


class RoadWorldVideo(GeneratedRoad):
    """A generated driving dataset of clips in the layout of BDD-X, whose causal graph is known.

    Args:
        clips: Number of clips, at least 8; each is a drive of 8 to 12 seconds with one to three segments.
        image_size: Width and height of the frames in pixels, even, in [64, 512].
        fps: Frames per second, in [1, 10].
        seed: Of everything random, at least 0.
        workers: Processes that draw, at least 1; the result does not depend on it.
        test_share: Share of the clips in the test split, in (0, 1).
        validate_share: Share in the validation split, in (0, 1); both shares together below 1.
        night_share: Share of clips at night, in [0, 1].
        bus_lane_share: Share of clips beside a bus lane, in [0, 1].
        difficulty: `easy`, `default` or `hard`: severities, doubt, grain and nuisances by name.
        crf: Constant rate factor of the videos, in [0, 40]: the lower, the better and the larger.

    Raises:
        ConfigError: A knob is out of its range.

    Example:
        >>> RoadWorldVideo(clips=8, fps=2).name.rpartition("-")[0]
        'road_world_video-default'
    """

    kind, records = "road_world_video", "clips"
    routinely = 0.25

    def __init__(
        self,
        *,
        clips: int = 1000,
        image_size: int = 192,
        fps: int = 2,
        seed: int = 0,
        workers: int = 2,
        test_share: float = 0.125,
        validate_share: float = 0.05,
        night_share: float = 0.25,
        bus_lane_share: float = 0.2,
        difficulty: str = "default",
        crf: int = 26,
    ) -> None:
        knobs = {
            "clips": clips,
            "image_size": image_size,
            "fps": fps,
            "seed": seed,
            "test_share": test_share,
            "validate_share": validate_share,
            "night_share": night_share,
            "bus_lane_share": bus_lane_share,
            "difficulty": difficulty,
            "crf": crf,
        }
        super().__init__(knobs, workers)
        self.clips, self.fps, self.crf = clips, fps, crf
        check_knob("clips", clips, clips >= 8, "at least 8")
        even = image_size % 2 == 0 and 64 <= image_size <= 512
        check_knob("image_size", image_size, even, "even and in [64, 512]")
        check_knob("fps", fps, 1 <= fps <= 10, "in [1, 10]")
        check_knob("crf", crf, 0 <= crf <= 40, "in [0, 40]")

    def groups(self) -> list[list[Names]]:
        """Names and splits of all clips; each is a drive of its own."""
        shares = {"test_share": self.test_share, "validate_share": self.validate_share}
        return bdd_x.draw_names(self._names_rng(), self.clips, **shares)

    def record(self, index: int, names: Names, group: int) -> Clip:
        """What is true of the clip at a position, and what is said of it.

        Args:
            index: Position of the clip, from 0.
            names: Its names.
            group: Position of its drive: the same.
        """
        bounds = _bounds(self._course_rng(index))
        segments = (
            Segment(start, end, *self.scene((index, slot), group)) for slot, (start, end) in enumerate(pairwise(bounds))
        )
        return Clip(names, tuple(segments))

    def files(self, index: int, record: Clip, group: int) -> dict[str, Callable[[], bytes]]:
        """The video of a clip, and beside the truth a still of each segment, by path."""
        stills = {
            record.still(slot + 1): partial(self._still, index, slot, segment)
            for slot, segment in enumerate(record.segments)
        }
        frames = partial(self._frames, index, record)
        return {
            record.names.video: lambda: encode_mp4(frames(), fps=self.fps, size=self.image_size, crf=self.crf)
        } | stills

    def _frames(self, index: int, clip: Clip) -> Iterator[NDArray[np.uint8]]:
        travel = 0.0
        for slot, segment in enumerate(clip.segments):
            taken = segment.scene.causes.taken
            count = (segment.end - segment.start) * self.fps
            for frame in range(count):
                passed = frame / count
                picture = self.picture(
                    segment.scene,
                    (index, slot),
                    index,
                    travel=travel,
                    approach=_FAR + (_NEAR - _FAR) * passed,
                    grain=frame,
                )
                yield picture.pixels
                travel += _SPEED / self.fps * _pace(taken, passed)

    def _still(self, index: int, slot: int, segment: Segment) -> bytes:
        return self.picture(segment.scene, (index, slot), index, travel=0.0, approach=1.0).jpeg(_QUALITY)

    def _generate(self, folder: Path) -> None:
        clips = generate(self, folder)
        bdd_x.write_table(folder, clips, self.graph)
        self._finish(folder, (row for clip in clips for row in clip.rows()))


def _bounds(rng: np.random.Generator) -> list[int]:
    """Whole seconds at which the segments of a clip begin, and at which the last one ends."""
    seconds = int(rng.integers(_SECONDS[0], _SECONDS[1] + 1))
    segments = 1 + int(rng.choice(len(_SEGMENTS), p=_SEGMENTS))
    spare = np.sort(rng.integers(seconds - segments * _SHORTEST + 1, size=segments - 1))
    return [0, *(int(cut) + _SHORTEST * (place + 1) for place, cut in enumerate(spare)), seconds]


def _pace(taken: tuple[str, ...], passed: float) -> float:
    """How fast the car is at a time of a segment, as a share of its usual speed."""
    if "stop" in taken or "give way" in taken:
        return max(0.0, 1 - 1.3 * passed)
    if "slow down" in taken or "keep distance" in taken:
        return 1 - 0.5 * passed
    return 1 + 0.6 * passed if "speed up" in taken else 1.0
