"""The annotation files of DriveLM-nuScenes as they stand on disk: scenes of key frames, or conversations.

Layout (`data` may be left out)::

    <root>/data/QA_dataset_nus/v1_1_train_nus.json            v1_0_train_nus.json, v1_1_val_nus_q_only.json likewise
    <root>/data/nuscenes/samples/<camera>/<name>.jpg          six cameras

A file is a JSON object of scenes (the train format, and the test format with tags), or a list of conversations (the
format of the LLaMA baseline).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cpo.dataset.documents import mapping, parse, words
from cpo.dataset.intake import DamagedError
from cpo.errors import DataError

CAMERAS = ("CAM_FRONT", "CAM_FRONT_LEFT", "CAM_FRONT_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT")
"""In the order in which a sample shows them."""

TASKS = ("perception", "prediction", "planning", "behavior")
"""The stages of the question graph, in the order that numbers the questions of a frame."""

TAGS = {0: "accuracy", 1: "gpt", 2: "language", 3: "match"}
"""What the official evaluation measures on a question of the test format."""

FILES = ("v1_1_train_nus.json", "v1_0_train_nus.json", "train_sample.json")
"""Looked for in this order when no file is named."""

FOLDERS = ("data/QA_dataset_nus", "QA_dataset_nus", "challenge/data", ".")

IMAGE = re.compile(r"(?:.*/)?nuscenes/samples/(CAM_[A-Z_]+)/([\w+-][\w.+-]*\.jpg)", re.ASCII)
NAMED = re.compile(r"([^_]+)_([^_]+)_(\d{1,6})")
PLACEHOLDER = "<image>"


@dataclass(frozen=True, slots=True)
class Question:
    """One question and its answer, unchecked until `read_question` has made it.

    Args:
        scene: Token of the scene.
        frame: Token of the key frame.
        position: Place among all questions of the frame, from 0: what the release's ids end in.
        task: Stage of the question graph; empty where the format does not say.
        text: The question, with its `<c1,CAM_BACK,1088.3,497.5>` tags and its choices.
        answer: Empty where the release keeps it.
        tags: What the official evaluation measures on it; empty outside the test format.
        images: File below `nuscenes/samples` by camera.
    """

    scene: str
    frame: str
    position: int
    task: str
    text: str
    answer: str
    tags: tuple[int, ...]
    images: Mapping[str, str]

    @property
    def id(self) -> str:
        """As predictions are named."""
        return f"{self.scene}_{self.frame}_{self.position}"


@dataclass
class Counts:
    """What a file holds beside its questions."""

    scenes: int = 0
    key_frames: int = 0
    key_objects: int = 0
    questions: dict[str, int] = field(default_factory=dict)


def find_file(root: Path, name: str) -> Path:
    """The annotation file of that name, or the newest official one.

    Raises:
        DataError: No such file there.
    """
    wanted = (name,) if name else FILES
    found = next((p for file in wanted for folder in FOLDERS if (p := root / folder / file).is_file()), None)
    if found is None:
        why = "no such folder" if not root.is_dir() else f"no {' or '.join(wanted)} there"
        raise DataError(
            got=f"{root}: {why}",
            wanted="an annotation file of DriveLM-nuScenes, in data/QA_dataset_nus or in the folder itself",
            remedy="pass dataset.root=FOLDER, or dataset.file=NAME.json; docs/datasets.md shows the layout",
        )
    return found


def find_images(root: Path) -> Path:
    """Where the cameras' folders stand."""
    places = [root / folder / "nuscenes/samples" for folder in ("data", ".", "..")]
    return next((place for place in places if place.is_dir()), places[0])


def load(path: Path) -> Mapping[str, Any] | Sequence[Any]:
    """The document of an annotation file.

    Raises:
        DataError: It is not JSON, or neither an object nor a list, or empty.
    """
    try:
        document = parse(path.read_text(encoding="utf-8-sig"))
    except (DamagedError, UnicodeDecodeError, OSError):
        document = None
    if isinstance(document, dict | list) and document:
        return document
    raise DataError(
        got=f"{path.name} is not JSON in UTF-8, or holds no scene",
        wanted="an object of scenes, or a list of conversations",
        remedy="fetch the file again, then retry",
    )


def raw_questions(document: Mapping[str, Any] | Sequence[Any], counts: Counts) -> Iterator[Any]:
    """Every question as the file has it, in the file's order: what `read_question` looks into.

    What is no scene, frame or list of questions comes as the `DamagedError` to raise.
    """
    if not isinstance(document, Mapping):
        yield from document
        return
    for scene, content in document.items():
        frames = content.get("key_frames") if isinstance(content, dict) else None
        counts.scenes += 1
        if not isinstance(frames, dict):
            yield DamagedError("scene without key_frames")
            continue
        for frame, about in frames.items():
            counts.key_frames += 1
            yield from _of_frame(scene, frame, about, counts)


def _of_frame(scene: str, frame: str, about: Any, counts: Counts) -> Iterator[Any]:
    asked = about.get("QA") if isinstance(about, dict) else None
    if not isinstance(asked, dict) or not all(isinstance(asked.get(task, []), list) for task in TASKS):
        yield DamagedError("key frame without lists of questions")
        return
    objects = about.get("key_object_infos")
    counts.key_objects += len(objects) if isinstance(objects, dict) else 0
    numbered = enumerate((task, item) for task in TASKS for item in asked.get(task, []))
    for position, (task, item) in numbered:
        yield {"scene": scene, "frame": frame, "position": position, "task": task, "item": item, "about": about}


def read_question(raw: Any) -> Question:
    """One question of `raw_questions`.

    Raises:
        DamagedError: It is not what the format says.
    """
    if isinstance(raw, DamagedError):
        raise raw
    found = mapping(raw, "record")
    return _of_conversation(found) if "conversations" in found else _of_graph(found)


def _of_graph(raw: Mapping[str, Any]) -> Question:
    if "item" not in raw:
        raise DamagedError("record without conversations")
    item, paths = mapping(raw["item"], "question"), mapping(raw["about"].get("image_paths"), "image_paths")
    tags = item.get("tag", [])
    if not isinstance(tags, list) or not all(isinstance(tag, int) and tag in TAGS for tag in tags):
        raise DamagedError("tag is no list of 0 to 3")
    return Question(
        scene=words(raw["scene"], "scene token"),
        frame=words(raw["frame"], "frame token"),
        position=raw["position"],
        task=raw["task"],
        text=_asked(item.get("Q")),
        answer=words(item.get("A") or "", "answer"),
        tags=tuple(map(int, tags)),
        images=_images(paths.values()),
    )


def _of_conversation(raw: Mapping[str, Any]) -> Question:
    named = NAMED.fullmatch(words(raw.get("id"), "id"))
    if named is None:
        raise DamagedError("id is not <scene>_<frame>_<number>")
    turns, shown = raw["conversations"], raw.get("image")
    said = [mapping(turn, "turn") for turn in turns] if isinstance(turns, list) else []
    if [turn.get("from") for turn in said] not in (["human"], ["human", "gpt"]):
        raise DamagedError("conversation is not one question and one answer")
    if not isinstance(shown, list):
        raise DamagedError("image is no list of paths")
    return Question(
        scene=named[1],
        frame=named[2],
        position=int(named[3]),
        task="",
        text=_asked(said[0].get("value")),
        answer=words(said[1].get("value"), "answer") if len(said) > 1 else "",
        tags=(),
        images=_images(shown),
    )


def _asked(text: Any) -> str:
    question = words(text, "question").removeprefix(PLACEHOLDER).strip()
    if not question:
        raise DamagedError("blank question")
    if PLACEHOLDER in question:
        raise DamagedError("question with an image placeholder inside")
    return question


def _images(paths: Any) -> dict[str, str]:
    found = dict[str, str]()
    for path in paths:
        named = IMAGE.fullmatch(words(path, "image path"))
        if named is None:
            raise DamagedError("image path is not …/nuscenes/samples/<camera>/<name>.jpg")
        found[named[1]] = f"{named[1]}/{named[2]}"
    if absent := [camera for camera in CAMERAS if camera not in found]:
        raise DamagedError(f"no image of {absent[0]}")
    return found
