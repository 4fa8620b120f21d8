"""Annotation tables of a release: CSV files, plain or gzipped, read row by row."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from cpo.dataset.quarantine import Quarantine
from cpo.errors import DataError


def find_version(root: Path, product: str, holds: str) -> Path | None:
    """The folder of a PhysioNet product under a root, wherever a download or a merge has put it.

    Looked for in this order: `root/<product>/<version>` (the newest version first), `root/<product>`, `root`.

    Args:
        root: The dataset's root.
        product: Folder name of the product, such as `mimic-cxr-jpg`.
        holds: Glob of something that the folder must hold.

    Returns:
        The first folder that holds it, or None.
    """
    versions = sorted((root / product).glob("[0-9]*.[0-9]*"), key=_version, reverse=True)
    return next((f for f in (*versions, root / product, root) if next(f.glob(holds), None) is not None), None)


def find_table(folder: Path, pattern: str) -> Path | None:
    """The CSV of that name, unpacked or not (`.csv` before `.csv.gz`); of several the one that sorts last, or None."""
    for suffix in (".csv", ".csv.gz"):
        if found := sorted(folder.glob(pattern + suffix)):
            return found[-1]
    return None


def read_table(
    path: Path, columns: Sequence[str], *, file: str, quarantine: Quarantine
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The rows of a CSV: its line number (the header is line 1) and its cells, stripped, in the order of `columns`.

    Rows with more or fewer cells than the header are quarantined; cells under nameless columns at its end may lack.

    Args:
        path: `.csv` or `.csv.gz`, UTF-8.
        columns: Names that the header must have, anywhere.
        file: What errors and the quarantine call the file.
        quarantine: Where damaged rows go.

    Raises:
        DataError: Empty, without one of the columns, without rows, cut off, not UTF-8 or not a CSV.
    """
    try:
        with _open(path) as handle:
            reader = csv.reader(handle)
            header = [name.strip() for name in next(reader, [])]
            places = _places(header, columns, file)
            named = max(place for place, name in enumerate(header, start=1) if name)
            rows, above = 0, reader.line_num
            for cells in reader:
                rows += 1
                if named <= len(cells) <= len(header):
                    yield reader.line_num, tuple(cells[i].strip() for i in places)
                elif cells:
                    # a stray quotation mark swallows the lines below its own: each of them is a record lost
                    for line in range(above + 1, reader.line_num + 1):
                        quarantine.add(file, line, "number of cells differs from the header's")
                above = reader.line_num
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _unreadable(file, "cut off or not gzip") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(file, "not a CSV in UTF-8") from error
    if not rows:
        raise _unreadable(file, "a header without rows")


def _version(folder: Path) -> list[int]:
    return [int(part) if part.isdigit() else -1 for part in folder.name.split(".")]


def _open(path: Path) -> IO[str]:
    # utf-8-sig: spreadsheet programs put a byte-order mark before the first column's name
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _places(header: Sequence[str], columns: Sequence[str], file: str) -> list[int]:
    if not any(header):
        raise _unreadable(file, "empty")
    missing = [name for name in columns if name not in header]
    if missing:
        raise DataError(
            got=f"{file} has no column {', '.join(missing)}",
            wanted=f"the columns {', '.join(columns)}",
            remedy="check that the file is the release's own and unedited",
        )
    return [header.index(name) for name in columns]


def _unreadable(file: str, what: str) -> DataError:
    return DataError(
        got=f"{file} is {what}", wanted="the table as it was released", remedy="fetch the file again, then retry"
    )
