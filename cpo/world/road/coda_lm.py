"""The official layout of CODA-LM: names, folders, annotation files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cpo.graph.schema import ConceptGraph
from cpo.world.groups import draw_sizes, draw_splits
from cpo.world.road import words
from cpo.world.road.picture import Box
from cpo.world.road.text import Description, reason, suggestion
from cpo.world.road.truth import Scene

FOLDERS = {"train": ("Train", "val"), "validate": ("Val", "test"), "test": ("Test", "test")}
"""By split: folder of the annotations, folder of the images. The images of Train are CODA's validation images."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a scene in the official layout.

    Args:
        drive: Number of its drive.
        split: `train`, `validate` or `test`.
        stem: Of its image: a number among the images of its folder, with leading zeros.
    """

    drive: int
    split: str
    stem: str

    @property
    def id(self) -> str:
        """The id that a reader gives the sample: split folder and stem of the annotation file."""
        folder, images = FOLDERS[self.split]
        return f"{folder}/{images}_{self.stem}"

    @property
    def annotation(self) -> str:
        """Path of the annotation file."""
        return f"CODA/CODA-LM/{self.id}.json"

    @property
    def image(self) -> str:
        """Path of the image."""
        return f"CODA/{FOLDERS[self.split][1]}/images/{self.stem}.jpg"


def image_of(study_id: str) -> str:
    """Path of the image of a scene.

    Example:
        >>> image_of("Train/val_0001")
        'CODA/val/images/0001.jpg'
    """
    folder, _, stem = study_id.partition("/")[2].partition("_")
    return f"CODA/{folder}/images/{stem}.jpg"


def draw_names(rng: np.random.Generator, scenes: int, *, test_share: float, validate_share: float) -> list[list[Names]]:
    """Names and splits of all scenes, by drive: one to four scenes each, no drive in two splits.

    Args:
        rng: Random numbers.
        scenes: How many in all.
        test_share: Share of the scenes that the test split reaches (by at most three more).
        validate_share: The same for the validation split.
    """
    sizes = draw_sizes(rng, scenes)
    splits = draw_splits(rng, sizes, round(test_share * scenes), round(validate_share * scenes))
    digits = max(4, len(str(scenes)))
    numbers = {"val": 0, "test": 0}
    drives = []
    for drive, (size, split) in enumerate(zip(sizes, splits, strict=True)):
        images = FOLDERS[split][1]
        first = numbers[images] + 1
        numbers[images] += size
        drives.append([Names(drive, split, f"{number:0{digits}d}") for number in range(first, first + size)])
    return drives


def annotation(graph: ConceptGraph, scene: Scene, description: Description, boxes: Mapping[str, Box]) -> bytes:
    """The annotation file of a scene.

    Args:
        graph: Says what an attribute is a reason for.
        scene: What is true of it.
        description: What is said of it.
        boxes: Where it shows what, in pixels.
    """
    perception: dict[str, Any] = {kind: [] for kind in words.KINDS}
    regions: dict[str, Any] = {}
    for attribute, sentence in description.shown.items():
        kind, category = words.OBJECTS[attribute]
        explanation = reason(graph, attribute)
        perception[kind].append({"description": sentence, "explanation": explanation})
        if category and attribute in boxes:
            regions[str(len(regions) + 1)] = {
                "description and explanation": f"{sentence} {explanation}",
                "box": list(boxes[attribute]),
                "category_name": category,
            }
    content = {
        "general_perception": perception | {"description and explanation": description.text},
        "region_perception": regions,
        "driving_suggestion": suggestion(graph, scene.causes.taken),
    }
    return json.dumps(content, indent=4, ensure_ascii=False).encode()
