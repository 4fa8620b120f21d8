"""The tables, lists and folders of NIH ChestX-ray14 as they stand on disk.

Layout::

    <root>/Data_Entry_2017.csv  and/or  <root>/Data_Entry_2017_v2020.csv
    <root>/train_val_list.txt  <root>/test_list.txt         names, one per line
    <root>/images_001/images/00000001_000.png … images_012  or  <root>/images/00000001_000.png
    <root>/BBox_List_2017.csv                               optional

CheXNet's test list, which CARZero uses, is also called `test_list.txt`, but has 14 labels behind each name: lists are
told apart by what is in them.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cpo.dataset.intake import DamagedError
from cpo.dataset.labelled import lacking
from cpo.dataset.quarantine import Quarantine
from cpo.dataset.tables import read_table
from cpo.errors import DataError

Entries = Literal["auto", "2017", "v2020"]
TestList = Literal["official", "chexnet"]

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
)
"""The 14 findings in the order of CheXNet's list."""

IMAGE = re.compile(r"(\d{8})_\d{3}\.png", re.ASCII)
AGE = re.compile(r"(\d{1,3})([YMD]?)", re.ASCII)
OLDEST = 120
"""Age in years beyond which it is a slip of the pen: the release has patients of 148 and 412."""

TABLES = {"v2020": "Data_Entry_2017_v2020.csv", "2017": "Data_Entry_2017.csv"}
LISTS = {"official": 1, "chexnet": 1 + len(FINDINGS)}
"""Words in a line of each list."""
BOX_NAMES = {"Infiltrate": "Infiltration"}
"""What the table of boxes calls by another name."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a list.

    Args:
        file: The list, relative to the root.
        row: Its number, from 1.
        part: `test` or `train`.
        findings: What the list itself says was found, where it does.
    """

    file: str
    row: int
    part: str
    findings: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Release:
    """Where the parts of a copy stand, found by `find`.

    Args:
        root: Folder that file names are relative to.
        entries: Table of images, patients and findings.
        tests: List of test images.
        trains: List of the other images; None for CheXNet's, where that is all the rest.
    """

    root: Path
    entries: Path
    tests: Path
    trains: Path | None

    @classmethod
    def find(cls, root: Path, entries: Entries, test_list: TestList) -> Release:
        """Looks through a folder.

        Raises:
            DataError: Without the table or a list.
        """
        layout = "Data_Entry_2017.csv (or …_v2020.csv), train_val_list.txt and test_list.txt of NIH ChestX-ray14"
        wanted = [name for version, name in TABLES.items() if entries in ("auto", version)]
        table = next((root / name for name in wanted if (root / name).is_file()), None)
        if table is None:
            raise lacking(root, f"no {' or '.join(wanted)}", layout)
        found = [*root.glob("*test_list*.txt"), *root.glob("labels/*test_list*.txt")]
        kinds = {path: _kind(path) for path in sorted(found)}
        tests = next((path for path, kind in kinds.items() if kind == test_list), None)
        if tests is None:
            other = next((f"dataset.test_list={kind}" for kind in kinds.values() if kind), "")
            but = f", but {other} is there" if other else ""
            raise lacking(root, f"no {test_list} test_list.txt{but}", layout, other)
        trains = root / "train_val_list.txt"
        if test_list == "official" and not trains.is_file():
            raise lacking(root, "no train_val_list.txt", layout)
        return cls(root, table, tests, trains if test_list == "official" else None)

    def read_lists(self, quarantine: Quarantine) -> dict[str, Line]:
        """What the lists say of each image; lines that say something else are quarantined."""
        lines = dict[str, Line]()
        for part, path in (("test", self.tests), ("train", self.trains)):
            if path is not None:
                self._read_list(part, path, lines, quarantine)
        return lines

    def _read_list(self, part: str, path: Path, lines: dict[str, Line], quarantine: Quarantine) -> None:
        file = path.relative_to(self.root).as_posix()
        for row, line in enumerate(_lines(path), start=1):
            name, *cells = line.split() or [""]
            if not name:
                continue
            if not IMAGE.fullmatch(name) or len(cells) not in (0, len(FINDINGS)) or set(cells) - {"0", "1"}:
                quarantine.add(file, row, "line is not an image name, alone or with 14 labels")
            elif name in lines:
                quarantine.add(file, row, f"image on the {lines[name].part} list before")
            else:
                found = frozenset(f for f, cell in zip(FINDINGS, cells, strict=False) if cell == "1")
                lines[name] = Line(file, row, part, found if cells else None)

    def images(self) -> dict[str, Path]:
        """Every film that is there, in one folder or in the twelve that the release comes in."""
        folders = [
            self.root / "images",
            *sorted(self.root.glob("images_*/images")),
            *sorted(self.root.glob("images_*")),
        ]
        return {path.name: path for folder in reversed(folders) for path in folder.glob("*.png")}

    def count_boxes(self, quarantine: Quarantine) -> dict[str, int]:
        """Boxes per finding under the entry table's names; nothing without the table of boxes."""
        path = self.root / "BBox_List_2017.csv"
        if not path.is_file():
            return {}
        # the header's brackets hold commas: `Bbox [x,y,w,h]` are four columns
        rows = read_table(path, ("Finding Label", "Bbox [x", "y", "w", "h]"), file=path.name, quarantine=quarantine)
        return dict(Counter(BOX_NAMES.get(cells[0], cells[0]) for _, cells in rows))


def age_in_years(cell: str) -> str:
    """An age of either version (`058Y`, `009M`, `001D`, `58`) in whole years, or nothing when it cannot be one.

    Example:
        >>> [age_in_years(cell) for cell in ("058Y", "023M", "57", "412Y", "")]
        ['58', '1', '57', '', '']
    """
    written = AGE.fullmatch(cell)
    if written is None:
        return ""
    years = int(written[1]) // {"M": 12, "D": 365}.get(written[2], 1)
    return str(years) if years <= OLDEST else ""


def findings_of(cell: str) -> list[str]:
    """The findings in a cell such as `Effusion|Mass`; none for `No Finding`.

    Raises:
        DamagedError: Blank, an unknown name, or No Finding beside a finding.
    """
    names = cell.split("|")
    if names == ["No Finding"]:
        return []
    if "No Finding" in names:
        raise DamagedError("No Finding beside a finding")
    if set(names) - set(FINDINGS):
        raise DamagedError("Finding Labels holds a name that is none of the 14")
    return names


def patient_of(image: str, patient: str) -> str:
    """The patient's number without leading zeros, the same in both versions.

    Raises:
        DamagedError: Not a number, or not the one in the image's name.
    """
    named = IMAGE.fullmatch(image)
    if named is None:
        raise DamagedError("Image Index is not eight digits, three digits and .png")
    if not (patient.isascii() and patient.isdigit() and len(patient) < 10) or int(patient) != int(named[1]):
        raise DamagedError("Patient ID differs from the one in Image Index")
    return str(int(patient))


def _kind(path: Path) -> str:
    """Which list a file is, by the words in its first line; nothing when it is none."""
    with path.open(encoding="utf-8", errors="replace") as file:
        words = next((len(line.split()) for line in file if line.strip()), 0)
    return next((kind for kind, width in LISTS.items() if width == words), "")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(
            got=f"{path.name} is not UTF-8", wanted="the list as it was released", remedy="fetch the file again"
        ) from None
