"""One large JSON array, read an element at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cpo.errors import DataError

SPACE = re.compile(r"[ \t\r\n]*")


def array_elements(path: Path, file: str) -> Iterator[tuple[int, Any]]:
    """The elements of the array in a JSON file, with their places from 1; one at a time is in memory as objects.

    Args:
        path: The file, UTF-8, with or without a byte-order mark.
        file: What errors call it.

    Raises:
        DataError: Unreadable, no array, or not JSON from some element on: where the next one begins after a fault
            would be a guess, so the elements before it are no dataset either.
    """
    text = _text(path, file)
    decoder, place = json.JSONDecoder(), 0
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        raise _unreadable(file, "not a JSON array")
    at = _skip(text, at + 1)
    while text[at : at + 1] != "]" or place:
        place += 1
        try:
            element, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            raise _unreadable(file, f"not JSON from its element {place} on") from None
        yield place, element
        at = _skip(text, at)
        mark, at = text[at : at + 1], _skip(text, at + 1)
        if mark == "]":
            break
        if mark != ",":
            raise _unreadable(file, f"not JSON after its element {place}")
    else:
        at = _skip(text, at + 1)
    if at != len(text):
        raise _unreadable(file, "followed by something after its end")


def _text(path: Path, file: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise _unreadable(file, "not UTF-8") from None
    except OSError:
        raise _unreadable(file, "not readable") from None


def _skip(text: str, at: int) -> int:
    found = SPACE.match(text, at)
    return found.end() if found else at


def _unreadable(file: str, what: str) -> DataError:
    return DataError(
        got=f"{file} is {what}", wanted="one JSON array of records", remedy="fetch the file again, then retry"
    )
