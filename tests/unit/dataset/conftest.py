"""A small copy of the official layout, written by hand, whose every part a test may spoil."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cpo.dataset.mimic_cxr import MimicCXR
from cpo.dataset.mimic_release import LABELS

METADATA_COLUMNS = [
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
]
REPORT = (
    "                                 FINAL REPORT\n INDICATION:  ___\n \n FINDINGS:  The heart is enlarged.\n"
    " No pneumothorax.\n \n IMPRESSION:  Cardiomegaly.\n"
)


@dataclass
class Copy:
    """Rows and files of a copy; `write` puts them on disk."""

    root: Path
    split: list[list[str]] = field(default_factory=list)
    metadata: list[list[str]] = field(default_factory=list)
    labels: list[list[str]] = field(default_factory=list)
    reports: dict[str, bytes] = field(default_factory=dict)
    images: dict[str, bytes] = field(default_factory=dict)

    def add(
        self,
        patient: int,
        study: int,
        *,
        split: str = "train",
        views: tuple[str, ...] = ("PA",),
        report: str = REPORT,
        labels: dict[str, str] | None = None,
    ) -> str:
        """One study with an image per view; `labels` of None writes no label row."""
        subject, study_id = f"{10_000_000 + patient}", f"{50_000_000 + study}"
        folder = f"files/p{subject[:2]}/p{subject}"
        self.reports[f"{folder}/s{study_id}.txt"] = report.encode()
        for i, view in enumerate(views):
            dicom = f"{study:08x}-{i:08x}-00000000-00000000-00000000"
            self.split.append([dicom, study_id, subject, split])
            row = [
                dicom,
                subject,
                study_id,
                f"CHEST ({view})",
                view,
                "64",
                "64",
                "21990101",
                "93015.5",
                "",
                "",
                "Erect",
            ]
            self.metadata.append(row)
            self.images[f"{folder}/s{study_id}/{dicom}.jpg"] = b"\xff\xd8 not really a picture \xff\xd9"
        if labels is not None:
            self.labels.append([subject, study_id, *(labels.get(name, "") for name in LABELS)])
        return study_id

    def write(self, *, merged: bool = False, version: str = "2.1.0", gzipped: bool = True) -> Path:
        """The copy on disk, in two versioned trees or merged into one folder."""
        jpg = self.root if merged else self.root / "mimic-cxr-jpg" / version
        texts = self.root if merged else self.root / "mimic-cxr" / version
        for tree, files in ((jpg, self.images), (texts, self.reports)):
            for name, content in files.items():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                (tree / name).write_bytes(content)
        write = _write_gzipped if gzipped else _write_plain
        write(jpg / "mimic-cxr-2.0.0-split.csv", [["dicom_id", "study_id", "subject_id", "split"], *self.split])
        write(jpg / "mimic-cxr-2.0.0-metadata.csv", [METADATA_COLUMNS, *self.metadata])
        for labeler in ("chexpert", "negbio"):
            header = ["subject_id", "study_id", *LABELS]
            write(jpg / f"mimic-cxr-2.0.0-{labeler}.csv", [header, *self.labels])
        return self.root

    def reader(self, **knobs: Any) -> MimicCXR:
        """A reader of the copy as it stands on disk."""
        return MimicCXR(**({"name": "mimic_cxr", "root": str(self.root), "access": "credentialed"} | knobs))

    def prove(self, **marker: Any) -> None:
        """The truth that a generated world would leave beside the copy."""
        studies = dict.fromkeys(row[1] for row in self.split)
        (self.root / "truth").mkdir(exist_ok=True)
        (self.root / "truth/world.json").write_text(json.dumps({"complete": True} | marker))
        lines = "".join(json.dumps({"study_id": study}) + "\n" for study in studies)
        (self.root / "truth/studies.jsonl").write_text(lines)


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A copy without studies."""
    return Copy(tmp_path / "data")


@pytest.fixture
def good_copy(copy: Copy) -> Copy:
    """Six studies of five patients in three splits, all of them readable; not yet written."""
    copy.add(
        1, 1, views=("LATERAL", "AP", "PA"), labels={"Cardiomegaly": "1.0", "Pneumothorax": "0.0", "Edema": "-1.0"}
    )
    copy.add(1, 2, labels={"No Finding": "1.0"})
    copy.add(2, 3, labels={"Pleural Effusion": "1.0", "Atelectasis": "1.0", "Support Devices": "1.0"})
    copy.add(3, 4, labels={})
    copy.add(4, 5, split="validate", labels={"Pneumonia": "-1.0"})
    copy.add(5, 6, split="test", labels={"No Finding": "1.0", "Support Devices": "1.0"})
    return copy


def _write_plain(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def _write_gzipped(path: Path, rows: list[list[str]]) -> None:
    with gzip.open(f"{path}.gz", "wt", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
