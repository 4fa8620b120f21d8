"""The folder of a generated world: written once, complete or absent; and the ranges of its knobs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cpo.errors import ConfigError, DataError
from cpo.files import build_directory, write_json

_MARKER = "truth/world.json"


def write_once(target: Path, fingerprint: str, generate: Callable[[Path], None]) -> Path:
    """Generates a world into a folder, or returns at once when it is there.

    The folder appears only when it is complete, and parallel jobs generate it once. A killed generation leaves a hidden
    folder beside it, which the next one completes.

    Args:
        target: The folder; those above it are made if missing.
        fingerprint: Of the world, which the marker of a complete folder holds.
        generate: Fills the unfinished folder, marker last.

    Raises:
        DataError: The folder is there and is not complete, or it cannot be written.
    """
    try:
        built = build_directory(target, generate, resumable=True)
    except OSError as error:
        raise DataError(
            got=f"{target.parent}: {error}",
            wanted="a folder with room to write to",
            remedy="free space and run again, which goes on where this stopped, or pass another folder",
        ) from error
    if not built:
        _check_complete(target, fingerprint)
    return target


def write_marker(folder: Path, content: Mapping[str, Any]) -> None:
    """Writes the marker, which says that the world is complete: the last file of all."""
    write_json(folder / _MARKER, {**content, "complete": True})


def check_knob(name: str, value: object, right: bool, wanted: str) -> None:
    """Refuses a knob of a world that is out of its range.

    Raises:
        ConfigError: `right` is false.
    """
    if not right:
        raise ConfigError(got=f"{name}={value}", wanted=f"{name} {wanted}", remedy=f"pass dataset.world.{name}")


def _check_complete(target: Path, fingerprint: str) -> None:
    marker = target / _MARKER
    found = json.loads(marker.read_text(encoding="utf-8")) if marker.is_file() else {}
    if found.get("fingerprint") != fingerprint or not found.get("complete"):
        raise DataError(
            got=f"{target} without its marker {_MARKER}",
            wanted="a complete world, or no folder of that name",
            remedy=f"delete the folder and run again: rm -r {target}",
        )
