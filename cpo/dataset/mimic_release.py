"""The tables and folders of MIMIC-CXR and MIMIC-CXR-JPG as they stand on disk.

Layout (versions 2.0.0 and 2.1.0; tables plain or gzipped)::

    <root>/mimic-cxr/<version>/files/p10/p10000032/s50414267.txt
    <root>/mimic-cxr-jpg/<version>/files/p10/p10000032/s50414267/<dicom_id>.jpg
    <root>/mimic-cxr-jpg/<version>/mimic-cxr-2.0.0-{split,metadata,chexpert,negbio}.csv.gz

The version folders may be left out, and both trees may be merged in one folder. The flat tree that the papers'
scripts read is found too, with the tables at its root::

    <root>/mimic-cxr-00{0..6}/images/<dicom_id>.jpg
    <root>/reports/p10/p10000032/s50414267.txt
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from cpo.dataset.quarantine import Quarantine
from cpo.dataset.tables import find_table, find_version, read_table
from cpo.errors import DataError
from cpo.records import LabelState

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
"""The release's 14 labels in its own, alphabetical order."""

SPLITS = ("train", "validate", "test")

METADATA = {
    "view": "ViewPosition",
    "procedure": "PerformedProcedureStepDescription",
    "orientation": "PatientOrientationCodeSequence_CodeMeaning",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
}
"""Our keys and the release's columns. Dates are shifted for each patient: their order tells time only within one."""

STATES = {1.0: LabelState.PRESENT, 0.0: LabelState.ABSENT, -1.0: LabelState.UNCERTAIN}

SUBJECT, STUDY, DICOM = re.compile(r"1\d{7}"), re.compile(r"5\d{7}"), re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}")


PLACE = re.compile(r"p(1\d)/p(\1\d{6})/s(5\d{7})/([0-9a-f]{8}(?:-[0-9a-f]{8}){4})")
"""An image as other releases name it: its path in `files`, without the extension."""


@dataclass(slots=True)
class Study:
    """The rows of one study in the split table.

    Args:
        subject: Patient, eight digits.
        id: Study, eight digits.
        split: `train`, `validate` or `test`.
        row: Line of its first image.
        dicoms: Its images, in the table's order.
    """

    subject: str
    id: str
    split: str
    row: int
    dicoms: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Images:
    """Where the images of a copy stand.

    Args:
        files: Folder of the `pNN` folders.
        shards: Folders of the flat tree instead, each with some of the images; empty for the official one.
    """

    files: Path
    shards: tuple[Path, ...] = ()

    @classmethod
    def find(cls, root: Path) -> Images | None:
        """Looks for either tree under a root; None where there is none."""
        official = find_version(root, "mimic-cxr-jpg", "files/p[0-9][0-9]")
        # the flat tree first: beside it a folder `files` holds the reports alone
        shards = tuple(sorted(root.glob("mimic-cxr-00[0-6]/images")))
        return cls((official or root) / "files", shards) if shards or official else None

    def path(self, subject: str, study: str, dicom: str) -> Path:
        """Where an image stands, or would stand."""
        if not self.shards:
            return self.files / f"p{subject[:2]}" / f"p{subject}" / f"s{study}" / f"{dicom}.jpg"
        places = [shard / f"{dicom}.jpg" for shard in self.shards]
        return next((place for place in places if place.is_file()), places[0])


@dataclass(frozen=True, slots=True)
class Release:
    """Where the parts of a copy stand, found by `find`.

    Args:
        root: Folder that file names are relative to.
        split: Table of images, studies, patients and splits.
        metadata: Table of acquisition parameters, one row per image.
        labels: Table of labels, one row per study.
        images: Its images.
        reports: Folder of the `pNN` folders with reports.
    """

    root: Path
    split: Path
    metadata: Path
    labels: Path
    images: Images
    reports: Path

    @classmethod
    def find(cls, root: Path, labels: str, *, texts: bool = True) -> Release:
        """Looks through the official layouts and the papers' own.

        Args:
            root: Folder with `mimic-cxr` and `mimic-cxr-jpg`, or with the contents of both.
            labels: `chexpert` or `negbio`.
            texts: Whether the reports must be there.

        Raises:
            DataError: No such folder, an empty one, or one without the parts of this release.
        """
        check_folder(root)
        jpg = find_version(root, "mimic-cxr-jpg", "mimic-cxr-*-split.csv*")
        if jpg is None:
            raise _lacking(root, "no mimic-cxr-*-split.csv(.gz): not a copy of MIMIC-CXR-JPG, or only a part of one")
        tables = {kind: find_table(jpg, f"mimic-cxr-*-{kind}") for kind in ("split", "metadata", labels)}
        if absent := [kind for kind, path in tables.items() if path is None]:
            raise _lacking(jpg, f"no mimic-cxr-*-{absent[0]}.csv(.gz)")
        reports = _find_reports(root)
        if reports is None and texts:
            raise _lacking(root, "no reports (files/pNN/pNNNNNNNN/sNNNNNNNN.txt of mimic-cxr-reports.zip)")
        split, metadata, labelled = (path for path in tables.values() if path is not None)
        images = Images.find(root) or Images(jpg / "files")
        return cls(root, split, metadata, labelled, images, reports or root / "files")

    def name(self, path: Path) -> str:
        """A path relative to the root, as errors and records give it."""
        return path.relative_to(self.root).as_posix()

    def image(self, study: Study, dicom: str) -> Path:
        """Where an image stands."""
        return self.images.path(study.subject, study.id, dicom)

    def report(self, study: Study) -> Path:
        """Where a report stands: beside the study's folder of images, not inside."""
        return self.reports / f"p{study.subject[:2]}" / f"p{study.subject}" / f"s{study.id}.txt"

    def read_studies(self, quarantine: Quarantine) -> list[Study]:
        """Every study of the split table, in the order of its first image; damaged rows are quarantined."""
        file, studies, seen = self.name(self.split), dict[str, Study](), set[str]()
        columns = ("dicom_id", "study_id", "subject_id", "split")
        for row, (dicom, study, subject, split) in read_table(self.split, columns, file=file, quarantine=quarantine):
            known = studies.get(study)
            fault = _fault(dicom, study, subject, split) or (
                "image listed before"
                if dicom in seen
                else "study listed before for another patient"
                if known is not None and known.subject != subject
                else ""
            )
            if fault:
                quarantine.add(file, row, fault)
                continue
            seen.add(dicom)
            studies.setdefault(study, Study(subject, study, split, row)).dicoms.append(dicom)
        return list(studies.values())

    def read_metadata(self, quarantine: Quarantine) -> dict[str, dict[str, str]]:
        """What the release says of each image, by `dicom_id`, under our own keys."""
        file, metadata = self.name(self.metadata), dict[str, dict[str, str]]()
        rows = read_table(self.metadata, ("dicom_id", *METADATA.values()), file=file, quarantine=quarantine)
        for row, (dicom, *cells) in rows:
            if dicom in metadata:
                quarantine.add(file, row, "image described before")
            else:
                metadata[dicom] = dict(zip(METADATA, cells, strict=True))
        return metadata

    def read_labels(self, quarantine: Quarantine) -> dict[str, dict[str, LabelState]]:
        """The state of each of the 14 labels, by study; a row with other cells is quarantined, and leaves none."""
        file, labels = self.name(self.labels), dict[str, dict[str, LabelState]]()
        rows = read_table(self.labels, ("study_id", *LABELS), file=file, quarantine=quarantine)
        for row, (study, *cells) in rows:
            states = [_state(cell) for cell in cells]
            if study in labels:
                quarantine.add(file, row, "study labelled before")
            elif None in states:
                quarantine.add(file, row, f"{LABELS[states.index(None)]} is neither 1, 0, -1 nor blank")
                labels[study] = {}
            else:
                labels[study] = {name: state for name, state in zip(LABELS, states, strict=True) if state is not None}
        return labels


def check_folder(root: Path) -> None:
    """Refuses a root that is not there or empty.

    Raises:
        DataError: It is.
    """
    if not root.is_dir():
        raise _lacking(root, "no such folder")
    if next(root.iterdir(), None) is None:
        raise _lacking(root, "an empty folder")


def _find_reports(root: Path) -> Path | None:
    official = find_version(root, "mimic-cxr", "files/p[0-9][0-9]/p*/*.txt")
    if official is not None:
        return official / "files"
    return root / "reports" if next(root.glob("reports/p[0-9][0-9]/p*/*.txt"), None) is not None else None


def _state(cell: str) -> LabelState | None:
    if not cell:
        return LabelState.UNMENTIONED
    try:
        return STATES.get(float(cell))
    except ValueError:
        return None


def _fault(dicom: str, study: str, subject: str, split: str) -> str:
    if not SUBJECT.fullmatch(subject):
        return "subject_id is not eight digits from 1…"
    if not STUDY.fullmatch(study):
        return "study_id is not eight digits from 5…"
    if not DICOM.fullmatch(dicom):
        return "dicom_id is not five groups of eight hex digits"
    return "" if split in SPLITS else f"split is none of {', '.join(SPLITS)}"


def _lacking(folder: Path, what: str) -> DataError:
    return DataError(
        got=f"{folder}: {what}",
        wanted="a folder with mimic-cxr/<version>/ and mimic-cxr-jpg/<version>/, or with the contents of both",
        remedy="pass dataset.root=FOLDER, or finish the download; docs/datasets.md shows the layout",
    )
