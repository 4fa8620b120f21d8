"""What may leave this machine. Credentialed data stays home: only numbers, plain names and keyed hashes go out.

The rule is PhysioNet's: its data use agreements forbid sharing credentialed data, and what derives from it, with third
parties, online services included (physionet.org, "Responsible use of MIMIC data with online services", 2025-09-24).
A tracker that can be synchronised, an exported configuration and a request to a hosted model are such sharing.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cpo.errors import PrivacyError
from cpo.records import Access

RULE = "credentialed data stays on this machine (PhysioNet's agreement forbids sharing it, derivatives included)"

_NAME = re.compile(r"[A-Za-z_][\w.+=-]{0,79}|\d{1,5}|")
"""A plain name: a config choice, a class path, a short number as text. Free text and paths are none."""
_KEY = re.compile(rf"(?:{_NAME.pattern})(?: [\w-]+){{0,3}}")
"""A key may have up to four words: label names have, and keys come from code and labels, not from reports."""
_ID = re.compile(r"\d{6,}|[0-9a-f]{8}[-_][0-9a-f]{8}", re.IGNORECASE)
"""Looks like a subject, study or image id."""
_HASH = re.compile(r"(?=.*[a-f])[0-9a-f]{16}")
"""A fingerprint or a row hash of ours."""
_ID_NUMBERS = range(10_000_000, 100_000_000)
"""MIMIC's subjects and studies are numbers of eight digits."""


def allowed(access: Access, *, local: bool, acknowledged: bool) -> bool:
    """Whether text, images and ids of data may go to a destination.

    Args:
        access: Of the data.
        local: The destination is on this machine and is not made to be synchronised.
        acknowledged: The user took responsibility (`privacy=acknowledged`).

    Example:
        >>> allowed("credentialed", local=False, acknowledged=False)
        False
    """
    return access == "open" or local or acknowledged


def require_allowed(access: Access, *, what: str, destination: str, local: bool, acknowledged: bool) -> None:
    """Refuses to send what may not leave.

    Args:
        access: Of the data.
        what: What would be sent, in words, without any of its content.
        destination: Where to.
        local: See `allowed`.
        acknowledged: See `allowed`.

    Raises:
        PrivacyError: It may not leave.
    """
    if not allowed(access, local=local, acknowledged=acknowledged):
        raise PrivacyError(
            got=f"{what} of credentialed data on its way to {destination}",
            wanted=RULE,
            remedy="use a destination on this machine, or pass privacy=acknowledged if your agreement covers this one",
        )


def withhold(values: Mapping[str, Any], access: Access) -> tuple[dict[str, Any], dict[str, int]]:
    """A configuration or summary with what may not leave replaced, and how much that was.

    Numbers, truth values and plain names stay. Of credentialed data everything else becomes `<withheld: reason>`: a
    `path`, what looks like a record's `id` (six digits in a row), free `text`, an `object` that is none of JSON's; a
    `key` is held to the same measure, part by part between slashes.

    Args:
        values: Nested mappings and sequences.
        access: `open` lets everything through.

    Returns:
        The filtered copy, and the number of values withheld by reason.

    Example:
        >>> withhold({"lr": 2e-5, "loss": "dpo", "root": "/data/p10000032"}, "credentialed")
        ({'lr': 2e-05, 'loss': 'dpo', 'root': '<withheld: path>'}, {'path': 1})
    """
    counts: Counter[str] = Counter()
    kept = values if access == "open" else _filtered(values, counts)
    return dict(kept), dict(counts)


def row_hash(row: str, *, key: bytes) -> str:
    """16 hex digits that stand for a record outside this machine: the same row, the same hash, under one key.

    Keyed, because ids are short numbers: anyone could hash them all and look a plain hash up.

    Example:
        >>> row_hash("s50414267", key=b"local") == row_hash("s50414267", key=b"local")
        True
        >>> row_hash("s50414267", key=b"local") == row_hash("s50414267", key=b"other")
        False
    """
    return hmac.new(key, row.encode(), hashlib.sha256).hexdigest()[:16]


def local_key(path: Path) -> bytes:
    """The secret of `row_hash`, made on first use and readable by its owner alone; it never leaves this machine."""
    if not path.exists():
        descriptor, temporary = tempfile.mkstemp(dir=path.parent)  # mode 0600
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
        with contextlib.suppress(FileExistsError):  # another job was first: its key counts
            os.link(temporary, path)
        os.unlink(temporary)
    return path.read_bytes()


def _filtered(value: Any, counts: Counter[str]) -> Any:
    if isinstance(value, Mapping):
        return {_shown_key(key, counts): _filtered(item, counts) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_filtered(item, counts) for item in value]
    reason = _reason(value)
    return value if reason is None else _withheld(reason, counts)


def _withheld(reason: str, counts: Counter[str]) -> str:
    counts[reason] += 1
    return f"<withheld: {reason}>"


def _shown_key(key: Any, counts: Counter[str]) -> str:
    if all(_is_key(part) for part in str(key).split("/")):
        return str(key)
    return f"{_withheld('key', counts)} {counts['key']}"  # numbered, since two withheld keys must not become one


def _is_key(part: str) -> bool:
    return _KEY.fullmatch(part) is not None and _ID.search(part) is None


def _reason(value: Any) -> str | None:
    """Why a leaf may not leave; None when it may."""
    if value is None or isinstance(value, bool | float):
        return None
    if isinstance(value, int):
        return "id" if value in _ID_NUMBERS else None
    if not isinstance(value, str):
        return "path" if isinstance(value, os.PathLike) else "object"
    if "/" in value or "\\" in value:
        return "path"
    if _HASH.fullmatch(value):
        return None
    if _ID.search(value):
        return "id"
    return None if _NAME.fullmatch(value) else "text"
