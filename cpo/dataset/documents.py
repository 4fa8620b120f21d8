"""JSON annotations of a release: parsed and looked into, what is wrong with one said as a reason."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cpo.dataset.intake import DamagedError


def parse(text: str, what: str = "annotation") -> Any:
    """A JSON document.

    Args:
        text: The document.
        what: What it is, for the reason.

    Raises:
        DamagedError: It is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise DamagedError(f"{what} not JSON") from None


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """A JSON object.

    Raises:
        DamagedError: It is none.
    """
    if not isinstance(value, dict):
        raise DamagedError(f"{what} is no JSON object")
    return value


def words(value: Any, what: str) -> str:
    """A text without the white space around it, blank ones included.

    Raises:
        DamagedError: It is no text, or one with half of a surrogate pair, which no file could hold.
    """
    if not isinstance(value, str):
        raise DamagedError(f"{what} is no text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise DamagedError(f"{what} not Unicode") from None
    return value.strip()


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a JSONL file that hold something, with their numbers from 1."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip(b"\xef\xbb\xbf \t\r\n"):
                yield number, line


def parse_line(line: bytes) -> Mapping[str, Any]:
    """A line of a JSONL file.

    Raises:
        DamagedError: It is not UTF-8, not JSON or no object.
    """
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DamagedError("line not UTF-8") from None
    return mapping(parse(text, "line"), "line")
