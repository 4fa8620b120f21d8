"""The table of image pairs of MS-CXR-T: where it stands, and what a row says.

Layout (version 1.0.0), beside or inside a copy of MIMIC-CXR-JPG::

    <root>/ms-cxr-t/<version>/MS_CXR_T_temporal_image_classification_v1.0.0.csv
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cpo.dataset.intake import DamagedError
from cpo.dataset.mimic_release import PLACE
from cpo.dataset.quarantine import Quarantine
from cpo.dataset.tables import find_table, find_version, read_table
from cpo.errors import DataError

TABLE = "MS_CXR_T_temporal_image_classification*"

FINDINGS = {
    "consolidation": "Consolidation",
    "edema": "Edema",
    "pleural_effusion": "Pleural Effusion",
    "pneumonia": "Pneumonia",
    "pneumothorax": "Pneumothorax",
}
"""The release's columns and MIMIC-CXR's names of the five findings."""

PROGRESSIONS = ("improving", "stable", "worsening")
QUALITIES = ("one_expert", "multiple_experts", "disagreement")

IDS = ("dicom_id", "study_id", "subject_id", "previous_dicom_id", "previous_study_id")
COLUMNS = (*IDS, *(f"{finding}_{what}" for finding in FINDINGS for what in ("progression", "label_quality")))


@dataclass(frozen=True, slots=True)
class Shot:
    """One image, as MIMIC-CXR-JPG's folders name it."""

    subject: str
    study: str
    dicom: str


@dataclass(frozen=True, slots=True)
class ImagePair:
    """One row: two images of a patient, and what became of the findings between them.

    Args:
        previous: The earlier image.
        current: The later one.
        progressions: For each annotated finding one of `PROGRESSIONS`, by MIMIC-CXR's name.
        qualities: For each of them one of `QUALITIES`, or empty.
    """

    previous: Shot
    current: Shot
    progressions: dict[str, str]
    qualities: dict[str, str]


def find_ms_cxr_t(root: Path) -> Path:
    """The table, given itself or a folder that it stands in.

    Raises:
        DataError: It is not there.
    """
    folder = find_version(root, "ms-cxr-t", f"{TABLE}.csv*") if root.is_dir() else None
    table = root if root.is_file() else folder and find_table(folder, TABLE)
    if table is None:
        raise DataError(
            got=f"{root}: no {TABLE}.csv there or in ms-cxr-t/<version>/",
            wanted="the table of image pairs of MS-CXR-T 1.0.0, or the folder with it",
            remedy="correct dataset.root (or dataset.exclude_subjects_of), or finish the download; docs/datasets.md "
            "shows the layout",
        )
    return table


def read_subjects(table: Path) -> frozenset[str]:
    """Every patient of the table, damaged rows included."""
    rows = read_table(table, ("subject_id",), file=table.name, quarantine=Quarantine(table.name, 1))
    return frozenset(subject for _, (subject,) in rows if subject)


def read_rows(table: Path, *, file: str, quarantine: Quarantine) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells, by column, of every row."""
    for row, cells in read_table(table, COLUMNS, file=file, quarantine=quarantine):
        yield row, dict(zip(COLUMNS, cells, strict=True))


def image_pair(cells: dict[str, str]) -> ImagePair:
    """The pair of images of a row.

    Raises:
        DamagedError: An image is not the path of one, contradicts the ids beside it, or a cell holds another value.
    """
    current = _shot(cells["dicom_id"], "dicom_id")
    previous = _shot(cells["previous_dicom_id"], "previous_dicom_id")
    named = (cells["subject_id"], cells["study_id"], cells["previous_study_id"])
    if named != (current.subject, current.study, previous.study) or current.subject != previous.subject:
        raise DamagedError("images of other studies than the row names")
    progressions, qualities = dict[str, str](), dict[str, str]()
    for column, finding in FINDINGS.items():
        progression = _one_of(cells, f"{column}_progression", PROGRESSIONS)
        quality = _one_of(cells, f"{column}_label_quality", QUALITIES)
        if progression:
            progressions[finding], qualities[finding] = progression, quality
    return ImagePair(previous, current, progressions, qualities)


def _shot(place: str, column: str) -> Shot:
    found = PLACE.fullmatch(place)
    if found is None:
        raise DamagedError(f"{column} is not pNN/pNNNNNNNN/sNNNNNNNN/<image>")
    return Shot(found[2], found[3], found[4])


def _one_of(cells: dict[str, str], column: str, values: tuple[str, ...]) -> str:
    if cells[column] and cells[column] not in values:
        raise DamagedError(f"{column} is none of {', '.join(values)}")
    return cells[column]
