"""The two packagings of Open-i (Indiana University) chest radiographs, read into the same reports.

Layouts::

    <root>/ecgen-radiology/<n>.xml  or  <root>/NLMCXR_reports.tgz              one file per report, from the library
    <root>/indiana_reports.csv  <root>/indiana_projections.csv                 one row per report, one per image
    films in <root>, <root>/images, <root>/images/images_normalized, <root>/images_normalized or <root>/NLMCXR_png,
    named CXR97_IM-2460-1001.png, 97_IM-2460-1001.png or 97_IM-2460-1001.dcm.png
"""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from cpo.dataset.intake import DamagedError
from cpo.dataset.labelled import lacking
from cpo.dataset.quarantine import Quarantine
from cpo.dataset.tables import find_table, read_table
from cpo.errors import DataError

Packaging = Literal["auto", "xml", "kaggle"]

FOLDER, ARCHIVE = "ecgen-radiology", "NLMCXR_reports.tgz"
REPORTS = ("uid", "MeSH", "findings", "impression")
LAYOUT = "a packaging of Open-i: the library's XML files, or Kaggle's tables"
PROJECTIONS = ("uid", "filename", "projection")
IMAGES = ("images/images_normalized", "images_normalized", "NLMCXR_png", "images", ".")

VIEWS = ("Frontal", "Lateral")

UID = re.compile(r"CXR(\d{1,6})", re.ASCII)
IMAGE = re.compile(r"(?:CXR)?(\d{1,6})_(?:\1_)?(IM-[\w-]{1,60})", re.ASCII)
SUFFIXES = (".dcm.png", ".png", ".jpg")


@dataclass(slots=True)
class Report:
    """A report and its images.

    Args:
        uid: Its number.
        file: Annotation file it stands in, relative to the root.
        row: Its place there.
        findings: Its section of that name; empty in many.
        impression: Likewise.
        major: Terms that indexers gave it, each with its qualifiers (`Thickening/pleura/apex`), or `normal`.
        automatic: Terms that a program gave it; the Kaggle packaging has none.
        images: Its images.
    """

    uid: str
    file: str
    row: int
    findings: str
    impression: str
    major: tuple[str, ...]
    automatic: tuple[str, ...]
    images: list[Image] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a report.

    Args:
        id: Its name in every packaging and download, such as `97_IM-2460-1001`.
        row: Its place in the annotation file.
        view: `Frontal` or `Lateral`, or what the caption says.
    """

    id: str
    row: int
    view: str


def find_packaging(root: Path, packaging: Packaging) -> tuple[Literal["xml", "kaggle"], Sequence[Path]]:
    """Which packaging is read, and its annotation files.

    Raises:
        DataError: Neither is there, or not the one asked for.
    """
    if packaging != "kaggle":
        if found := sorted((root / FOLDER).glob("*.xml"), key=lambda path: (len(path.name), path.name)):
            return "xml", found
        if (root / ARCHIVE).is_file():
            return "xml", (root / ARCHIVE,)
    tables = [find_table(root, name) for name in ("indiana_reports", "indiana_projections")]
    if packaging != "xml" and all(tables):
        return "kaggle", [table for table in tables if table is not None]
    wanted = {"xml": f"{FOLDER}/*.xml or {ARCHIVE}", "kaggle": "indiana_reports.csv and indiana_projections.csv"}
    asked = wanted.values() if packaging == "auto" else (wanted[packaging],)
    raise lacking(root, f"no {', nor '.join(asked)}", LAYOUT)


def read_documents(root: Path, files: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """The XML files of a copy, unpacked or in their archive, with their names."""
    for path in files:
        if path.suffix == ".xml":
            yield path.relative_to(root).as_posix(), path.read_bytes()
            continue
        try:
            with tarfile.open(path) as archive:
                for member in archive:
                    wanted = member.isfile() and member.name.endswith(".xml")
                    content = archive.extractfile(member) if wanted else None
                    if content is not None:
                        yield f"{path.name}/{Path(member.name).name}", content.read()
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise DataError(
                got=f"{path.name} is cut off or no archive", wanted="the archive as released", remedy="fetch it again"
            ) from error


def parse_report(content: bytes, file: str) -> Report:
    """The report in an XML file.

    Raises:
        DamagedError: Not XML, or without a number.
    """
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError):
        raise DamagedError("report not XML") from None
    uid = root.find("uId")
    named = UID.fullmatch(uid.get("id", "")) if uid is not None else None
    if named is None:
        raise DamagedError("report without a uId of CXR and a number")
    sections = {node.get("Label", ""): _text(node) for node in root.iter("AbstractText")}
    images = [
        Image(normal_name(node.get("id", "")), row, _text(node.find("caption")))
        for row, node in enumerate(root.iter("parentImage"), start=1)
    ]
    return Report(
        uid=named[1],
        file=file,
        row=1,
        findings=sections.get("FINDINGS", ""),
        impression=sections.get("IMPRESSION", ""),
        major=tuple(filter(None, map(_text, root.findall("MeSH/major")))),
        automatic=tuple(filter(None, map(_text, root.findall("MeSH/automatic")))),
        images=images,
    )


def read_tables(files: Sequence[Path], quarantine: Quarantine) -> list[Report]:
    """The reports of the Kaggle packaging with their images; what does not fit together is quarantined."""
    reports, projections = files
    found = dict[str, Report]()
    for row, (uid, mesh, findings, impression) in read_table(
        reports, REPORTS, file=reports.name, quarantine=quarantine
    ):
        if uid in found or not uid.isascii() or not uid.isdigit():
            quarantine.add(reports.name, row, "uid listed before, or not a number")
        else:
            terms = tuple(filter(None, (term.strip() for term in mesh.split(";"))))
            found[uid] = Report(uid, reports.name, row, findings, impression, terms, ())
    for row, (uid, name, view) in read_table(projections, PROJECTIONS, file=projections.name, quarantine=quarantine):
        if uid not in found:
            quarantine.add(projections.name, row, "image without a report row")
        elif view not in VIEWS:
            quarantine.add(projections.name, row, f"projection is none of {', '.join(VIEWS)}")
        else:
            found[uid].images.append(Image(normal_name(name), row, view))
    return list(found.values())


def find_images(root: Path) -> dict[str, Path]:
    """Every film that is there, by its normal name."""
    folders = (root / folder for folder in IMAGES)
    files = (path for folder in reversed(list(folders)) for path in sorted(folder.glob("*.[pj][np]g")))
    return {name: path for path in files if (name := normal_name(path.name))}


def normal_name(name: str) -> str:
    """An image's name without what differs between downloads; empty when it is none.

    Example:
        >>> [normal_name(n) for n in ("CXR1_1_IM-0001-3001", "1_IM-0001-3001.dcm.png", "CXR97_IM-2460-1001.png", "x")]
        ['1_IM-0001-3001', '1_IM-0001-3001', '97_IM-2460-1001', '']
    """
    bare = next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)
    named = IMAGE.fullmatch(bare)
    return f"{named[1]}_{named[2]}" if named else ""


def _text(node: ElementTree.Element | None) -> str:
    return "" if node is None else " ".join("".join(node.itertext()).split())
