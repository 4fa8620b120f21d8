"""The official layout of BDD-X: the wide table, the split files, the names of clips."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cpo.graph.schema import ConceptGraph
from cpo.world.groups import draw_splits
from cpo.world.road.text import Description, narration
from cpo.world.road.truth import Scene

TABLE = "BDD-X-Annotations_v1.csv"
SLOTS = 15
COLUMNS = (
    "Input.Video",
    *(f"Answer.{k}{cell}" for k in range(1, SLOTS + 1) for cell in ("start", "end", "action", "justification")),
)
SPLIT_FILES = {"train": "train.txt", "validate": "val.txt", "test": "test.txt"}
# the reserved domain cannot be reached: a clip is found by its stem
_ADDRESS = "https://road-world.invalid/train/{stem}.mov"


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a clip in the official layout.

    Args:
        number: From 1: its row among those with video, first start and first justification, which all have.
        stem: Eight and eight hexadecimal digits.
        split: `train`, `validate` or `test`.
    """

    number: int
    stem: str
    split: str

    @property
    def id(self) -> str:
        """The line of the clip in its split file."""
        return f"{self.number}_{self.stem}"

    @property
    def video(self) -> str:
        """Path of the clip."""
        return f"videos/{self.stem}.mp4"


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a clip with one scene: from one whole second to another."""

    start: int
    end: int
    scene: Scene
    description: Description


@dataclass(frozen=True, slots=True)
class Clip:
    """What is true of a clip, segment by segment."""

    names: Names
    segments: tuple[Segment, ...]

    @property
    def seconds(self) -> int:
        """Its duration."""
        return self.segments[-1].end

    def still(self, slot: int) -> str:
        """Path of the picture that stands for a segment, counted from 1, beside the truth."""
        return still_of(f"{self.names.id}#{slot}")

    def rows(self) -> list[dict[str, Any]]:
        """One line of `truth/studies.jsonl` per segment."""
        names = self.names
        return [
            s.scene.record(f"{names.id}#{slot}", names.number - 1, names.split) | {"start": s.start, "end": s.end}
            for slot, s in enumerate(self.segments, start=1)
        ]


def still_of(study_id: str) -> str:
    """Path of the picture that stands for a segment.

    Example:
        >>> still_of("3_06d501fd-a9ffc960#2")
        'truth/stills/06d501fd-a9ffc960_2.jpg'
    """
    stem, _, slot = study_id.partition("_")[2].partition("#")
    return f"truth/stills/{stem}_{slot}.jpg"


def draw_names(rng: np.random.Generator, clips: int, *, test_share: float, validate_share: float) -> list[list[Names]]:
    """Names and splits of all clips; each is a drive of its own.

    Args:
        rng: Random numbers.
        clips: How many in all.
        test_share: Share of the clips in the test split.
        validate_share: Share in the validation split.
    """
    splits = draw_splits(rng, [1] * clips, round(test_share * clips), round(validate_share * clips))
    # an odd step visits every number once: no first half occurs twice
    salt = int(rng.integers(2**32))
    stems = [f"{(salt + 2654435761 * index) % 2**32:08x}-{rng.bytes(4).hex()}" for index in range(clips)]
    return [[Names(index + 1, stem, split)] for index, (stem, split) in enumerate(zip(stems, splits, strict=True))]


def write_table(root: Path, clips: Sequence[Clip], graph: ConceptGraph) -> None:
    """Writes the table and the three split files: CRLF and no line end after the last row, as in the release."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for clip in clips:
        cells: list[object] = [_ADDRESS.format(stem=clip.names.stem)]
        for segment in clip.segments:
            action = narration(graph, segment.scene.causes.taken)
            cells += [segment.start, segment.end, action, segment.description.text]
        writer.writerow(cells + [""] * (len(COLUMNS) - len(cells)))
    (root / TABLE).write_bytes(text.getvalue().removesuffix("\r\n").encode())
    for split, file in SPLIT_FILES.items():
        lines = (f"{clip.names.id}\n" for clip in clips if clip.names.split == split)
        (root / file).write_text("".join(lines), encoding="utf-8")


def read_table(root: Path) -> dict[str, tuple[str, str]]:
    """Action and justification of every segment, by its study id."""
    texts = {}
    with (root / TABLE).open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=1):
            stem = row["Input.Video"].rpartition("/")[2].removesuffix(".mov")
            for slot in range(1, SLOTS + 1):
                texts[f"{number}_{stem}#{slot}"] = row[f"Answer.{slot}action"], row[f"Answer.{slot}justification"]
    return texts
