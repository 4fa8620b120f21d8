"""CheXpert: the training and validation tables of images, and the radiologists' test labels of studies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, get_args

from cpo.answers import ListedAnswer
from cpo.dataset.base import one_of
from cpo.dataset.intake import DamagedError, ExcludedError, Intake, Media
from cpo.dataset.labelled import PROMPT, LabelledImages, lacking
from cpo.dataset.mimic_cxr import ANSWER, NOT_SCORED, Uncertain
from cpo.dataset.mimic_release import STATES
from cpo.dataset.tables import find_table, read_table
from cpo.records import Access, LabelState, Sample

Views = Literal["frontal", "all"]
Scored = Literal["chexpert5", "all"]

LABELS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
"""The release's 14 labels in its own order, which is not MIMIC-CXR's; columns are read by name."""

CHEXPERT5 = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")
"""The five of the authors' competition, whose mean AUROC is reported."""

TABLES = {"train": "train", "valid": "validate", "groundtruth": "test"}
"""The release's tables, and our name of the split that each is."""

PARTS = {"train": "train", "valid": "valid", "groundtruth": "test"}
"""The folder of each table's images."""

METADATA = {"sex": "Sex", "age": "Age", "side": "Frontal/Lateral", "view": "AP/PA"}
"""Our keys and the release's columns."""

STUDY = re.compile(
    r"[\w .()&-]{1,80}/(?P<study>(?P<part>train|valid|test)/(?P<patient>patient\d{1,9})/study\d{1,4})", re.A
)
IMAGE = re.compile(STUDY.pattern + r"/(?P<image>view\d{1,3}_(?P<side>frontal|lateral)\.(jpg|png))", re.A)
FOLDERS = ("CheXpert-v1.0", "CheXpert-v1.0-small")


class CheXpert(LabelledImages):
    """Reads `train.csv` and `valid.csv`, a sample per image, and `groundtruth.csv`, a sample per study.

    Any of the three tables may be absent; which were read is told. The release's splits are by patient, and kept.

    Args:
        name: See `Dataset`.
        root: The folder `CheXpert-v1.0` or `CheXpert-v1.0-small`, or the one that holds it.
        access: See `Dataset`.
        prompt: The user's text, the same for every sample.
        uncertain: What a label of state uncertain counts as in `results`, `absent` or `present`.
        views: `frontal` leaves lateral images out and shows the first frontal one of a test study; `all` makes each
            image of train and valid a sample, and shows every image of a test study at once.
        scored: `chexpert5` for the competition's five, `all` for the 12 diseases.
        media: See `Dataset`.
        quarantine_limit: See `Dataset`.
        index: See `Dataset`.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Irvin et al., CheXpert, arXiv 1901.07031; test labels of rajpurkarlab/cheXpert-test-set-labels.
    """

    labels = LABELS
    diseases = tuple(label for label in LABELS if label not in NOT_SCORED)
    answers = ListedAnswer(ANSWER, LABELS)
    published: ClassVar = {"records": 224_148, "test": 500}

    def __init__(
        self,
        *,
        name: str,
        root: str,
        access: Access,
        prompt: str = PROMPT,
        uncertain: Uncertain = "absent",
        views: Views = "frontal",
        scored: Scored = "chexpert5",
        media: Media = "required",
        quarantine_limit: float = 0.01,
        index: str = "",
    ) -> None:
        one_of("uncertain", uncertain, get_args(Uncertain))
        one_of("views", views, get_args(Views))
        one_of("scored", scored, get_args(Scored))
        super().__init__(
            name=name,
            root=root,
            access=access,
            prompt=prompt,
            media=media,
            quarantine_limit=quarantine_limit,
            index=index,
            knobs={"uncertain": uncertain, "views": views, "scored": scored},
        )
        self.scored = CHEXPERT5 if scored == "chexpert5" else self.diseases
        self._views = views
        self._counted = {LabelState.PRESENT, *([LabelState.UNCERTAIN] if uncertain == "present" else [])}

    def annotations(self) -> Sequence[Path]:
        """See `Dataset.annotations`."""
        return tuple(self._tables().values())

    def read(self, intake: Intake) -> Iterator[Sample]:
        """See `Dataset.read`."""
        tables, seen = self._tables(), set[str]()
        intake.details["tables"] = [path.name for path in tables.values()]
        for table, path in tables.items():
            file = self._file_name(path)
            keys = ("Study",) if table == "groundtruth" else ("Path", *METADATA.values())
            for row, cells in read_table(path, (*keys, *LABELS), file=file, quarantine=intake.quarantine):
                with intake.record(file, row):
                    place = self._place(table, cells[0])
                    if place["record"] in seen:
                        raise DamagedError(f"{keys[0]} listed before")
                    seen.add(place["record"])
                    labels = read_states(cells[len(keys) :])
                    metadata = dict(zip(METADATA, cells[1 : len(keys)], strict=False))
                    yield self._sample(
                        record=place["record"],
                        group=place["patient"],
                        split=TABLES[table],
                        images=[intake.image(image) for image in self._images(place, metadata.get("side", ""))],
                        labels=labels,
                        metadata=metadata,
                        at=(file, row),
                        counted=self._counted,
                    )

    def _tables(self) -> dict[str, Path]:
        """The tables that are there."""
        places = [*self._bases, *(base / "test" for base in self._bases)]
        found = {table: next(filter(None, (find_table(p, table) for p in places)), None) for table in TABLES}
        if not any(found.values()):
            layout = "the folder CheXpert-v1.0 or CheXpert-v1.0-small, or the one that holds it"
            raise lacking(self.root, "no train.csv, valid.csv or groundtruth.csv", layout)
        return {table: path for table, path in found.items() if path is not None}

    @cached_property
    def _bases(self) -> list[Path]:
        return [self.root, *(self.root / folder for folder in FOLDERS)]

    @cached_property
    def _folders(self) -> dict[str, Path]:
        """Where the images of each part are."""
        return {p: next((b for b in self._bases if (b / p).is_dir()), self.root) for p in PARTS.values()}

    def _place(self, table: str, cell: str) -> dict[str, str]:
        """What a cell of the first column says: patient, study and, of the tables of images, the image."""
        named = (STUDY if table == "groundtruth" else IMAGE).fullmatch(cell)
        if named is None or named["part"] != PARTS[table]:
            raise DamagedError(f"not the path of {'a study' if table == 'groundtruth' else 'an image'} of its part")
        return {"record": cell.partition("/")[2], **named.groupdict()}

    def _images(self, place: Mapping[str, str], side: str) -> Sequence[Path]:
        """The images to show."""
        study = self._folders[place["part"]] / place["study"]
        if "image" not in place:
            shown = sorted(study.glob("view*_*.*")) or [study / "view1_frontal.jpg"]
        elif side.lower() == place["side"]:
            shown = [study / place["image"]]
        else:
            raise DamagedError("Frontal/Lateral differs from Path")
        if self._views == "frontal":
            shown = [path for path in shown if "_frontal" in path.name][:1]
        if not shown:
            raise ExcludedError("no frontal view")
        return shown


def read_states(cells: Sequence[str]) -> dict[str, LabelState]:
    """The state of each label: 1, 0, -1, or blank for not mentioned, as integers or decimals.

    Raises:
        DamagedError: Another cell.
    """
    labels = dict[str, LabelState]()
    for name, cell in zip(LABELS, cells, strict=True):
        try:
            labels[name] = STATES[float(cell)] if cell else LabelState.UNMENTIONED
        except (ValueError, KeyError):
            raise DamagedError(f"{name} is neither 1, 0, -1 nor blank") from None
    return labels
