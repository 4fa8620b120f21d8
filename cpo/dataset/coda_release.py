"""The folders and annotation files of CODA-LM as they stand on disk.

Layout (the `CODA` folder may be left out)::

    <root>/CODA/CODA-LM/{Train,Val,Test,Mini}/<image folder>_<stem>.json    one per image; CODA-LM-chinese likewise
    <root>/CODA/CODA-LM/<Split>/vqa_anno/<task>.jsonl                       the same as questions and answers
    <root>/CODA/{val,test}/images/<stem>.jpg                                CODA2022: val for Train, test for the others
    <root>/CODA/{val,test}/images_w_boxes/<stem>_object_<key>.jpg           written by the release's own script
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from cpo.dataset.documents import mapping, parse, words
from cpo.dataset.intake import DamagedError
from cpo.errors import DataError

Task = Literal["driving_suggestion", "general_perception", "region_perception"]
Language = Literal["english", "chinese"]
TASKS: tuple[Task, ...] = get_args(Task)

TEXTS = {"english": "CODA-LM", "chinese": "CODA-LM-chinese"}
IMAGES = {"Train": "val", "Val": "test", "Test": "test", "Mini": "test"}
"""The image folder of each split; Mini's 50 files are among those of Val."""
PUBLISHED = {"Train": 4_884, "Val": 4_384, "Test": 500, "Mini": 50}
"""Annotation files of each split."""

CATEGORIES = (
    "vehicles",
    "vulnerable_road_users",
    "traffic signs",
    "traffic lights",
    "traffic cones",
    "barriers",
    "other objects",
)
"""Keys of the seven lists of the general perception, spelt as the release does; a few files lack some."""

SUPER_CLASSES: Mapping[str, tuple[str, ...]] = {
    "vehicle": (
        *("car", "truck", "tram", "tricycle", "bus", "trailer", "construction_vehicle", "recreational_vehicle"),
    ),
    "vru": ("pedestrian", "cyclist", "bicycle", "moped", "motorcycle", "stroller", "wheelchair", "cart"),
    "traffic_sign": ("warning_sign", "traffic_sign"),
    "traffic_light": ("traffic_light",),
    "traffic_cone": ("traffic_cone",),
    "barrier": ("barrier", "bollard"),
}
"""Groups in which the release's evaluation pairs regions; every other category is `miscellaneous`."""

PROMPTS: Mapping[Language, Mapping[Task, str]] = {
    "english": {
        "driving_suggestion": "Describe what matters in this traffic scene and why, then say what the car should do.",
        "general_perception": "Describe what matters in this traffic scene, and explain how it bears on the car.",
        "region_perception": "Describe the object in the red rectangle, and explain how it bears on the car.",
    },
    "chinese": {
        "driving_suggestion": "请描述交通场景中的重要因素及其原因, 然后给出自车的驾驶建议。",
        "general_perception": "请描述交通场景中的重要因素, 并解释它们如何影响自车。",
        "region_perception": "请描述红框中的物体, 并解释它如何影响自车。",
    },
}
"""Our own words; the release's questions stand in its jsonl files."""

EXPLAINED = "description and explanation"
NAME = re.compile(r"(val|test)_(\w+)", re.ASCII)
HAN = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True, slots=True)
class Scene:
    """One annotation file.

    Args:
        description: The general perception in one text.
        suggestion: What the ego car should do.
        objects: Objects listed in each of the seven categories that the file has.
        regions: By their key, unchecked: `read_region` looks into one.
    """

    description: str
    suggestion: str
    objects: Mapping[str, int]
    regions: Mapping[str, Any]

    @property
    def has_gaps(self) -> bool:
        """Whether the regions' keys are not 1, 2, 3, …"""
        return sorted(self.regions) != sorted(str(n + 1) for n in range(len(self.regions)))


@dataclass(frozen=True, slots=True)
class Region:
    """One object of a scene.

    Args:
        description: What it is and why it matters.
        box: Left, top, width and height in pixels.
        category: The release's name; misspelt ones are kept.
    """

    description: str
    box: tuple[float, float, float, float]
    category: str

    @property
    def super_class(self) -> str:
        """The group in which the release's evaluation looks for it."""
        return next((name for name, members in SUPER_CLASSES.items() if self.category in members), "miscellaneous")


def find_texts(root: Path, language: Language) -> Path:
    """The folder with the splits' annotations.

    Raises:
        DataError: No copy of this release there.
    """
    folder = TEXTS[language]
    for place in (root / folder, root / "CODA" / folder):
        if any((place / split).is_dir() for split in IMAGES):
            return place
    why = "no such folder" if not root.is_dir() else f"no {folder}/{{Train,Val,Test,Mini}} there"
    raise DataError(
        got=f"{root}: {why}",
        wanted=f"{folder}/<split>/*.json of CODA-LM, beside CODA2022's val/images and test/images",
        remedy="pass dataset.root=FOLDER, or finish the download; docs/datasets.md shows the layout",
    )


def image_of(texts: Path, split: str, stem: str) -> Path:
    """Where the image of an annotation file stands.

    Args:
        texts: What `find_texts` found.
        split: The release's name of the split.
        stem: Of the annotation file.

    Raises:
        DamagedError: The name is not made of an image folder and an image, or the folder is another split's.
    """
    named = NAME.fullmatch(stem)
    if named is None:
        raise DamagedError("file name is not <image folder>_<image>.json")
    if named[1] != IMAGES[split]:
        raise DamagedError(f"image folder is not {IMAGES[split]}, which {split} has")
    return texts.parent / named[1] / "images" / f"{named[2]}.jpg"


def read_scene(text: str) -> Scene:
    """An annotation file.

    Raises:
        DamagedError: It is not what the format says.
    """
    document = mapping(parse(text), "annotation")
    if absent := [key for key in TASKS if key not in document]:
        raise DamagedError(f"no {absent[0]}")
    general = mapping(document["general_perception"], "general_perception")
    return Scene(
        description=words(general.get(EXPLAINED), "general_perception"),
        suggestion=words(document["driving_suggestion"], "driving_suggestion"),
        objects={key: len(general[key]) for key in CATEGORIES if isinstance(general.get(key), list)},
        regions=mapping(document["region_perception"], "region_perception"),
    )


def read_region(key: str, content: Any) -> Region:
    """One region of a scene.

    Raises:
        DamagedError: It is not what the format says.
    """
    if not (key.isascii() and key.isdigit()):
        raise DamagedError("key of a region is no number")
    region = mapping(content, "region")
    box = region.get("box")
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        raise DamagedError("region without a box of four numbers")
    x, y, width, height = map(float, box)
    if min(x, y) < 0 or min(width, height) <= 0:
        raise DamagedError("box of a region outside its image or empty")
    return Region(
        description=words(region.get(EXPLAINED), "region"),
        box=(x, y, width, height),
        category=words(region.get("category_name"), "category_name"),
    )


def check_language(text: str, language: Language) -> None:
    """Refuses a text in the other of the two languages; a blank one is in both.

    Raises:
        DamagedError: It is not in this one.
    """
    chinese = 4 * len(HAN.findall(text)) > len(text)
    if text and chinese != (language == "chinese"):
        raise DamagedError(f"text is not {language.capitalize()}")


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e6  # false of what is not finite, too
