"""A contact sheet: films of a written world side by side, with their labels."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from cpo.errors import DataError
from cpo.world.chest.layout import image_path, report_path
from cpo.world.chest.truth import Ids

_TILE, _COLUMNS, _CAPTION = 224, 6, 44


def contact_sheet(root: Path, n: int, out: Path) -> Path:
    """Draws the first `n` studies of a world, each above its view, site and diseases (`?` where uncertain).

    Args:
        root: Folder of a written world.
        n: Number of films, at least 1.
        out: The PNG to write.

    Raises:
        DataError: `root` is not a written world.
    """
    records = read_truth(Path(root))[:n]
    rows = -(-len(records) // _COLUMNS)
    sheet = Image.new("L", (_COLUMNS * _TILE, rows * (_TILE + _CAPTION)), 0)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=11)
    for index, record in enumerate(records):
        left, top = index % _COLUMNS * _TILE, index // _COLUMNS * (_TILE + _CAPTION)
        with Image.open(image_of(Path(root), record)) as film:
            sheet.paste(film.resize((_TILE, _TILE)), (left, top))
        pen.text((left + 3, top + _TILE + 2), _caption(record), fill=255, font=font)
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}")
    sheet.save(temporary, "PNG")
    temporary.replace(out)
    return out


def read_truth(root: Path) -> list[dict[str, Any]]:
    """The records of `truth/studies.jsonl`, in the order of the tables.

    Raises:
        DataError: `root` is not a written world.
    """
    truth = root / "truth" / "studies.jsonl"
    if not truth.is_file():
        raise DataError(
            got=f"{root}: no truth/studies.jsonl",
            wanted="the folder that ChestWorld.write returned",
            remedy="generate the world, then pass its folder",
        )
    return [json.loads(line) for line in truth.read_text(encoding="utf-8").splitlines()]


def image_of(root: Path, record: Mapping[str, Any]) -> Path:
    """The film of a record."""
    return root / image_path(_ids(record))


def report_of(root: Path, record: Mapping[str, Any]) -> str:
    """The report of a record."""
    return (root / report_path(_ids(record))).read_text(encoding="utf-8")


def _ids(record: Mapping[str, Any]) -> Ids:
    return Ids(record["subject_id"], record["study_id"], record["dicom_id"], 0, 0.0, record["split"])


def _caption(record: Mapping[str, Any]) -> str:
    names = [name + ("" if state == "present" else "?") for name, state in record["diseases"].items()] or ["No Finding"]
    nuisances = record["nuisances"]
    return textwrap.fill(f"{nuisances['view']} {nuisances['site']}: {', '.join(names)}", 40, max_lines=3)
