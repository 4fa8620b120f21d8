"""PadChest: films with the labels of their reports, given by physicians or by a network; one sample per film."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from cpo.answers import ListedAnswer
from cpo.dataset.base import one_of
from cpo.dataset.index import Index
from cpo.dataset.intake import DamagedError, ExcludedError, Intake, Media
from cpo.dataset.labelled import PROMPT, LabelledImages, check_shares, lacking, listed, safe_name, split_of
from cpo.dataset.mimic_cxr import ANSWER, NO_FINDING
from cpo.dataset.quarantine import Quarantine
from cpo.dataset.tables import find_table, read_table
from cpo.errors import ConfigError, DataError
from cpo.records import Access, Sample

Subset = Literal["physician", "all"]
Classes = Literal["all", "rare"]

TABLE = "PADCHEST_chest_x_ray_images_labels_160K_*"
NORMAL = "normal"
SIZES = {"physician": 39_053, "all": 160_868}
"""Films of each part, as CARZero and the release count them."""
LABELERS = ("Physician", "RNN_model")
BLANK = ("", "None", "nan", "NaN")
"""Cells that say nothing: the release writes missing values as words too."""

METADATA = {
    "view": "Projection",
    "sex": "PatientSex_DICOM",
    "born": "PatientBirth",
    "study_date": "StudyDate_DICOM",
    "cuis": "labelCUIS",
    "places": "Localizations",
}
"""Our keys and the release's columns."""
LISTS = ("cuis", "places")
UNREAD = "unread"
"""Stands for a list of codes or places that is none; counted."""
COLUMNS = ("ImageID", "PatientID", "ImageDir", "MethodLabel", "Labels", *METADATA.values())

BY_CLASSES = ("answers", "labels", "diseases", "scored")
"""Attributes that depend on which classes there are."""

DIGITS = re.compile(r"\d{1,3}", re.ASCII)
ESCAPE = re.compile(r"\\(['\"\\]|[nrt]|xa0)")
STRING = re.compile(rf"""'(?:[^'\\\n]|{ESCAPE.pattern})*'|"(?:[^"\\\n]|{ESCAPE.pattern})*\"""")
LIST = re.compile(rf"(?:[\[\],\s]|{STRING.pattern})*")


class PadChest(LabelledImages):
    """Reads the table of 160,868 films; by default its physicians' part, as CARZero does.

    The classes are the labels that occur in the part that is read, `normal` excepted, in alphabetical order. The
    release has no splits: patients are divided by a hash, and by default all of them test.

    Args:
        name: See `Dataset`.
        root: Folder with the table and the folders 0 to 54 of films.
        access: See `Dataset`.
        prompt: The user's text, the same for every sample.
        subset: `physician` for the films labelled by physicians, `all` for the network's too.
        classes: Which classes are scored, `all`, or `rare` for those with at most `rare_limit` positives.
        rare_limit: See `classes`, at least 1; PadChest20 has 10.
        train_share: Expected share of the patients for training, in [0, 1].
        validate_share: Expected share of the patients for validation, in [0, 1].
        media: See `Dataset`.
        quarantine_limit: See `Dataset`.
        index: See `Dataset`.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Bustos et al., PadChest, arXiv 1901.07441; part and rare classes as in CARZero, arXiv 2402.17417.
    """

    published: ClassVar = {"records": 160_868}

    def __init__(
        self,
        *,
        name: str,
        root: str,
        access: Access,
        prompt: str = PROMPT,
        subset: Subset = "physician",
        classes: Classes = "all",
        rare_limit: int = 10,
        train_share: float = 0.0,
        validate_share: float = 0.0,
        media: Media = "required",
        quarantine_limit: float = 0.01,
        index: str = "",
    ) -> None:
        one_of("subset", subset, get_args(Subset))
        one_of("classes", classes, get_args(Classes))
        if rare_limit < 1:
            raise ConfigError(got=f"rare_limit={rare_limit}", wanted="at least 1", remedy="pass dataset.rare_limit=10")
        self._shares = {"train": train_share, "validate": validate_share}
        check_shares(self._shares)
        super().__init__(
            name=name,
            root=root,
            access=access,
            prompt=prompt,
            media=media,
            quarantine_limit=quarantine_limit,
            index=index,
            knobs={"subset": subset, "classes": classes, "rare_limit": rare_limit, **self._shares},
        )
        self._subset, self._classes, self._rare_limit = subset, classes, rare_limit

    def __getattr__(self, name: str) -> Any:
        # of the classes nothing is known before the table has been looked through, now or when it was indexed
        if name not in BY_CLASSES:
            raise AttributeError(name)
        self._set_classes(self.quality().details["positives"])
        return self.__dict__[name]

    def annotations(self) -> Sequence[Path]:
        """See `Dataset.annotations`."""
        table = find_table(self.root, TABLE)
        if table is None:
            layout = "the table of PadChest and its folders 0 to 54 of films"
            raise lacking(self.root, f"no {TABLE}.csv(.gz)", layout)
        return (table,)

    def read(self, intake: Intake) -> Iterator[Sample]:
        """See `Dataset.read`."""
        (table,), seen, counts = self.annotations(), set[str](), Counter[str](empty_label_lists=0, lists_unread=0)
        for row, (image, patient, folder, labeler, cell, *cells) in self._rows(intake.quarantine):
            with intake.record(table.name, row):
                found = labels_of(labeler, cell, self._subset)
                if image in seen:
                    raise DamagedError("image listed before")
                seen.add(image)
                if not patient or not DIGITS.fullmatch(folder):
                    raise DamagedError("without a PatientID, or with an ImageDir that is not a number")
                counts["empty_label_lists"] += not found
                metadata = describe(cells)
                counts["lists_unread"] += list(metadata.values()).count(UNREAD)
                yield self._sample(
                    record=image,
                    group=patient,
                    split=split_of(patient, self._shares, "test"),
                    images=[intake.image(self._image(folder, safe_name(image, "ImageID")))],
                    labels=listed(
                        [self._spelt[n.lower()] for n in found if n != NORMAL], self.labels, normal=NORMAL in found
                    ),
                    metadata={"labelled_by": labeler, **metadata},
                    at=(table.name, row),
                )
        published = {"samples": SIZES[self._subset]}
        intake.details |= {"positives": self._positives, "scored": list(self.scored), "published": published, **counts}

    def _build(self, index: Index) -> None:
        # classes are whatever occurs: all rows are looked at before the first sample can say what it lacks
        self._set_classes(self._count())
        if self._classes == "rare" and not self.scored:
            raise DataError(
                got=f"no class with at most {self._rare_limit} positives in the part that is read",
                wanted="classes=rare of the release's whole physicians' part",
                remedy="finish the download, or pass dataset.classes=all",
            )
        super()._build(index)

    def _set_classes(self, positives: Mapping[str, int]) -> None:
        limit = self._rare_limit if self._classes == "rare" else max(positives.values(), default=0)
        self.labels = self.diseases = tuple(positives)
        self.scored = tuple(name for name, count in positives.items() if count <= limit)
        self.answers = ListedAnswer(ANSWER, (*self.diseases, NO_FINDING))
        self._positives, self._spelt = dict(positives), {name.lower(): name for name in positives}

    def _count(self) -> dict[str, int]:
        """Positives of each class, in alphabetical order; spellings that differ in case are one class."""
        spelt, positives, seen = dict[str, str](), Counter[str](), set[str]()
        for _, (image, _, _, labeler, cell, *_) in self._rows(Quarantine(self.name, limit=1)):
            try:
                found = labels_of(labeler, cell, self._subset)
            except (ExcludedError, DamagedError):
                continue  # judged when samples are made
            if image not in seen:
                seen.add(image)
                positives.update({spelt.setdefault(name.lower(), name) for name in found if name != NORMAL})
        return dict(sorted(positives.items()))

    def _rows(self, quarantine: Quarantine) -> Iterator[tuple[int, tuple[str, ...]]]:
        (table,) = self.annotations()
        return read_table(table, COLUMNS, file=table.name, quarantine=quarantine)

    def _image(self, folder: str, name: str) -> Path:
        places = [self.root / folder / name, self.root / "images" / folder / name, self.root / "images" / name]
        return next((place for place in places if place.is_file()), places[0])


def labels_of(labeler: str, cell: str, subset: Subset) -> list[str]:
    """The distinct labels of a row, `normal` among them, stripped and without blank ones.

    Raises:
        ExcludedError: Not in the part that is read, or never labelled.
        DamagedError: An unknown labeler, or a cell that is not a list.
    """
    if cell in BLANK:
        raise ExcludedError("no list of labels")
    if labeler not in LABELERS:
        raise DamagedError(f"MethodLabel is neither {' nor '.join(LABELERS)}")
    if subset == "physician" and labeler != LABELERS[0]:
        raise ExcludedError(f"labelled by {labeler}")
    names = strings(cell)
    if names is None:
        raise DamagedError("Labels is not a list")
    return list(dict.fromkeys(NORMAL if name.lower() == NORMAL else name for name in names))


@lru_cache(maxsize=4096)
def strings(cell: str) -> tuple[str, ...] | None:
    """The strings of a list in a cell, nested or flat, written by Python or by NumPy; None when it is no list.

    NumPy writes no commas, and Python would read its strings as one.

    Example:
        >>> strings("['C0024117' 'C0231819']"), strings("[['pneumonia'], [' goiter', '']]"), strings("goiter")
        (('C0024117', 'C0231819'), ('pneumonia', 'goiter'), None)
    """
    if not cell.startswith("[") or not cell.endswith("]") or not LIST.fullmatch(cell):
        return None
    quoted = (match[0][1:-1] for match in STRING.finditer(cell))
    found = (ESCAPE.sub(lambda m: m[1] if m[1] in "'\"\\" else " ", text) for text in quoted)
    return tuple(" ".join(name.split()) for name in found if name.strip())


def describe(cells: Sequence[str]) -> dict[str, str]:
    """What else a row says of its film, under our own keys; missing values are blank."""
    said = dict(zip(METADATA, ("" if cell in BLANK else cell for cell in cells), strict=True))
    for key in LISTS:
        found = strings(said[key]) if said[key] else ()
        said[key] = UNREAD if found is None else "; ".join(found)
    return said | {"born": said["born"].removesuffix(".0")}
