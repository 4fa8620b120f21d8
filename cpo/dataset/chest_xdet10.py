"""ChestX-Det10: films with boxes around ten findings drawn by radiologists; one sample per film."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from cpo.answers import ListedAnswer
from cpo.dataset.intake import DamagedError, Intake, Media
from cpo.dataset.json_array import array_elements
from cpo.dataset.labelled import PROMPT, LabelledImages, check_shares, lacking, safe_name, split_of
from cpo.dataset.mimic_cxr import ANSWER, NO_FINDING
from cpo.records import Access, LabelState, Sample

CLASSES = (
    "Atelectasis",
    "Calcification",
    "Consolidation",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Fracture",
    "Mass",
    "Nodule",
    "Pneumothorax",
)
PARTS = ("train", "test")
SIDE = 1024
"""Width and height of the films, in pixels."""


class ChestXDet10(LabelledImages):
    """Reads `train.json` and `test.json`: a class is present when it has a box, and absent otherwise.

    The release names no patients, so that a film is its own group, and no part for validation, which is taken from
    train. A label that is there once per box counts once.

    Args:
        name: See `Dataset`.
        root: Folder with `train.json`, `test.json` and the folders of films.
        access: See `Dataset`.
        prompt: The user's text, the same for every sample.
        validate_share: Expected share of the train part that validates, by a hash of the file name, in [0, 1].
        media: See `Dataset`.
        quarantine_limit: See `Dataset`.
        index: See `Dataset`.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Liu et al., ChestX-Det10, arXiv 2006.10550.
    """

    labels = scored = diseases = CLASSES
    answers = ListedAnswer(ANSWER, (*CLASSES, NO_FINDING))
    published: ClassVar = {"records": 3_543, "test": 542}

    def __init__(
        self,
        *,
        name: str,
        root: str,
        access: Access,
        prompt: str = PROMPT,
        validate_share: float = 0.1,
        media: Media = "required",
        quarantine_limit: float = 0.01,
        index: str = "",
    ) -> None:
        self._shares = {"validate": validate_share}
        check_shares(self._shares)
        super().__init__(
            name=name,
            root=root,
            access=access,
            prompt=prompt,
            media=media,
            quarantine_limit=quarantine_limit,
            index=index,
            knobs=self._shares,
        )

    def annotations(self) -> Sequence[Path]:
        """See `Dataset.annotations`."""
        files = [self.root / f"{part}.json" for part in PARTS]
        if not all(file.is_file() for file in files):
            raise lacking(self.root, "no train.json and test.json", "the annotations and films of ChestX-Det10")
        return files

    def read(self, intake: Intake) -> Iterator[Sample]:
        """See `Dataset.read`."""
        seen, boxes = set[str](), 0
        for part, file in zip(PARTS, self.annotations(), strict=True):
            for row, record in array_elements(file, file.name):
                with intake.record(file.name, row):
                    film = _film(record, seen)
                    found = boxes_of(record)
                    boxes += sum(map(len, found.values()))
                    split = split_of(film, self._shares, "train") if part == "train" else "test"
                    yield self._sample(
                        record=film,
                        group=film,
                        split=split,
                        images=[intake.image(self._image(part, film))],
                        labels={c: LabelState.PRESENT if c in found else LabelState.ABSENT for c in CLASSES},
                        metadata={"boxes": json.dumps(found)},
                        at=(file.name, row),
                    )
        intake.details |= {"boxes": boxes, "group": "film: the release names no patients"}

    def _image(self, part: str, film: str) -> Path:
        places = [self.root / folder / film for folder in (f"{part}_data", part, "images")]
        return next((place for place in places if place.is_file()), places[0])


def boxes_of(record: Mapping[str, Any]) -> dict[str, list[list[int]]]:
    """The boxes of a record by class, each `[x1, y1, x2, y2]` in pixels of the film.

    Raises:
        DamagedError: Labels and boxes that do not belong together, an unknown class, or a box that is none.
    """
    names, boxes = record.get("syms"), record.get("boxes")
    if not isinstance(names, list) or not isinstance(boxes, list) or len(names) != len(boxes):
        raise DamagedError("not one box for each label")
    if any(not isinstance(name, str) or name not in CLASSES for name in names):
        raise DamagedError("a label is none of the ten classes")
    if not all(map(_is_box, boxes)):
        raise DamagedError("a box is not four integers x1 < x2, y1 < y2 on the film")
    return {c: [box for name, box in zip(names, boxes, strict=True) if name == c] for c in CLASSES if c in names}


def _film(record: Any, seen: set[str]) -> str:
    if not isinstance(record, dict) or not isinstance(record.get("file_name"), str):
        raise DamagedError("not a record with a file_name")
    film = safe_name(record["file_name"], "file_name")
    if film in seen:
        raise DamagedError("image listed before")
    seen.add(film)
    return film


def _is_box(box: Any) -> bool:
    if not isinstance(box, list) or len(box) != 4 or any(type(edge) is not int for edge in box):
        return False
    x1, y1, x2, y2 = box
    return bool(0 <= x1 < x2 <= SIDE and 0 <= y1 < y2 <= SIDE)
