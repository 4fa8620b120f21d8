"""The official layout of MIMIC-CXR and MIMIC-CXR-JPG: names, folders, tables. docs/datasets.md gives the columns."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from cpo.records import LabelState
from cpo.world.chest.truth import Ids, Study
from cpo.world.chest.words import PROCEDURES
from cpo.world.groups import draw_sizes, draw_splits

REPORTS = "mimic-cxr/2.1.0/files"
IMAGES = "mimic-cxr-jpg/2.1.0/files"
TABLES = "mimic-cxr-jpg/2.1.0"
LABELS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    "No Finding",
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
)
_METADATA = (
    "dicom_id",
    "subject_id",
    "study_id",
    "PerformedProcedureStepDescription",
    "ViewPosition",
    "Rows",
    "Columns",
    "StudyDate",
    "StudyTime",
    "ProcedureCodeSequence_CodeMeaning",
    "ViewCodeSequence_CodeMeaning",
    "PatientOrientationCodeSequence_CodeMeaning",
)
_VIEW_NAMES = {"AP": "antero-posterior", "PA": "postero-anterior"}
_CELLS = {LabelState.PRESENT: "1.0", LabelState.ABSENT: "0.0", LabelState.UNCERTAIN: "-1.0", LabelState.UNMENTIONED: ""}


def draw_ids(rng: np.random.Generator, studies: int, *, test_share: float, validate_share: float) -> list[list[Ids]]:
    """Names and splits of all studies, grouped by patient: one to four studies each, no patient in two splits.

    Args:
        rng: Random numbers.
        studies: How many in all.
        test_share: Share of the studies that the test split reaches (by at most three more).
        validate_share: The same for the validation split.
    """
    sizes = draw_sizes(rng, studies)
    subjects = np.sort(rng.choice(10_000_000, size=len(sizes), replace=False)) + 10_000_000
    names = iter(rng.choice(10_000_000, size=studies, replace=False) + 50_000_000)
    splits = draw_splits(rng, sizes, round(test_share * studies), round(validate_share * studies))
    patients = []
    for subject, size, split in zip(subjects, sizes, splits, strict=True):
        year = int(rng.integers(2110, 2200))
        days = np.sort(rng.choice(12 * 28, size=size, replace=False))
        patients.append([_ids(rng, int(subject), int(next(names)), year, int(day), split) for day in days])
    return patients


def _ids(rng: np.random.Generator, subject: int, study: int, year: int, day: int, split: str) -> Ids:
    digits = rng.bytes(20).hex()
    dicom = "-".join(digits[start : start + 8] for start in range(0, 40, 8))
    hour, minute, second = int(rng.integers(24)), int(rng.integers(60)), int(rng.integers(60))
    time = hour * 10000 + minute * 100 + second + int(rng.integers(1000)) / 1000
    return Ids(subject, study, dicom, year * 10000 + (1 + day // 28) * 100 + 1 + day % 28, round(time, 3), split)


def report_path(ids: Ids) -> str:
    """Where a report lies: beside the folder of its study."""
    return f"{REPORTS}/p{ids.subject // 1_000_000}/p{ids.subject}/s{ids.study}.txt"


def image_path(ids: Ids) -> str:
    """Where a picture lies."""
    return f"{IMAGES}/p{ids.subject // 1_000_000}/p{ids.subject}/s{ids.study}/{ids.dicom}.jpg"


def label_cells(study: Study, labels: dict[str, LabelState]) -> list[str]:
    """One row of the label table, as a labeler would read the report.

    Args:
        study: Gives the devices.
        labels: States of the diseases that the findings say (`ConceptGraph.labels`).
    """
    ill = any(state in (LabelState.PRESENT, LabelState.UNCERTAIN) for state in labels.values())
    states = labels | {
        "No Finding": LabelState.UNMENTIONED if ill else LabelState.PRESENT,
        "Support Devices": LabelState.PRESENT if study.nuisances.devices else LabelState.UNMENTIONED,
    }
    return [_CELLS[states[label]] for label in LABELS]


def metadata_cells(study: Study, size: int) -> list[object]:
    """One row of the metadata table."""
    ids, view = study.ids, study.nuisances.view
    procedure = PROCEDURES[study.nuisances.site, view]
    names = [ids.dicom, ids.subject, ids.study, procedure, view, size, size, ids.date, ids.time]
    return [*names, procedure, _VIEW_NAMES[view], "Erect" if view == "PA" else ""]


def write_tables(root: Path, studies: Sequence[Study], labels: Sequence[dict[str, LabelState]], size: int) -> None:
    """Writes the split, metadata and label tables; both labelers read these plain reports alike."""
    folder = root / TABLES
    splits = ([s.ids.dicom, s.ids.study, s.ids.subject, s.ids.split] for s in studies)
    _write_table(folder / "mimic-cxr-2.0.0-split.csv.gz", ("dicom_id", "study_id", "subject_id", "split"), splits)
    metadata = (metadata_cells(s, size) for s in studies)
    _write_table(folder / "mimic-cxr-2.0.0-metadata.csv.gz", _METADATA, metadata)
    cells = [[s.ids.subject, s.ids.study, *label_cells(s, said)] for s, said in zip(studies, labels, strict=True)]
    for labeler in ("chexpert", "negbio"):
        _write_table(folder / f"mimic-cxr-2.0.0-{labeler}.csv.gz", ("subject_id", "study_id", *LABELS), cells)


def _write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    # no name and no time in the header: equal worlds have equal bytes
    with path.open("wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
        packed.write(text.getvalue().encode())


def write_truth(root: Path, studies: Sequence[Study]) -> None:
    """Writes `truth/studies.jsonl`, one line per study in the order of the tables."""
    lines = (json.dumps(study.record(), ensure_ascii=False) for study in studies)
    (root / "truth" / "studies.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
