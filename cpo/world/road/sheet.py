"""A contact sheet: pictures of a written road world side by side, with their actions."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from cpo.errors import DataError
from cpo.world.road import bdd_x, coda_lm

_TILE, _COLUMNS, _CAPTION = 224, 6, 44


def contact_sheet(root: Path, n: int, out: Path) -> Path:
    """Draws the first `n` scenes of a world, each above its nuisances and actions (`?` where uncertain).

    Args:
        root: Folder of a written world.
        n: Number of scenes, at least 1.
        out: The PNG to write.

    Raises:
        DataError: `root` is not a written world.
    """
    records = read_truth(Path(root))[:n]
    rows = -(-len(records) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * _TILE, rows * (_TILE + _CAPTION)))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=11)
    for index, record in enumerate(records):
        left, top = index % _COLUMNS * _TILE, index // _COLUMNS * (_TILE + _CAPTION)
        with Image.open(image_of(Path(root), record)) as picture:
            sheet.paste(picture.resize((_TILE, _TILE)), (left, top))
        pen.text((left + 3, top + _TILE + 2), _caption(record), fill=(255, 255, 255), font=font)
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}")
    sheet.save(temporary, "PNG")
    temporary.replace(out)
    return out


def read_truth(root: Path) -> list[dict[str, Any]]:
    """The records of `truth/studies.jsonl`, in the order of the world.

    Raises:
        DataError: `root` is not a written world.
    """
    truth = root / "truth" / "studies.jsonl"
    if not truth.is_file():
        raise DataError(
            got=f"{root}: no truth/studies.jsonl",
            wanted="the folder that RoadWorld.write or RoadWorldVideo.write returned",
            remedy="generate the world, then pass its folder",
        )
    return [json.loads(line) for line in truth.read_text(encoding="utf-8").splitlines()]


def image_of(root: Path, record: Mapping[str, Any]) -> Path:
    """The picture of a record; of a clip's segment its still."""
    name = str(record["study_id"])
    return root / (bdd_x.still_of(name) if "start" in record else coda_lm.image_of(name))


def doubted(name: str, state: str) -> str:
    """A name, marked if it is not sure."""
    return name if state == "present" else f"{name}?"


def _caption(record: Mapping[str, Any]) -> str:
    nuisances = record["nuisances"]
    seen = [nuisances["place"], *(name.replace("_", " ") for name in ("night", "bus_lane") if nuisances[name])]
    actions = [doubted(name, state) for name, state in record["actions"].items()] or ["keep going"]
    return textwrap.fill(f"{', '.join(seen)}: {', '.join(actions)}", 40, max_lines=3)
