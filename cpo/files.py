"""Files that are whole or absent: atomic writes, and directories built once under a lock."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock


def write_text(path: Path, text: str) -> None:
    """Writes a file so that a reader sees the old content or the new one, never a part of it."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file so that a reader sees the old content or the new one, never a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner may read
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Any) -> None:
    """Writes indented JSON atomically; keys keep their order."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, or an empty one if there is no file."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def replace_file(new: Path, path: Path) -> None:
    """Gives a complete file the name of another, which is kept until the new content is on the disk."""
    flush(new)
    new.replace(path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Waits until a file's content, or the names in a folder, would outlive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def build_directory(final: Path, build: Callable[[Path], None], *, resumable: bool = False) -> bool:
    """Makes a directory once, however many processes ask for it at the same time.

    `build` fills a temporary directory beside `final`, which is renamed when it is complete: a directory that exists
    is whole. Others wait on a lock file.

    Args:
        final: Where the directory shall stand.
        build: Called with the temporary directory, only if `final` is absent.
        resumable: Hand `build` what a killed process left of it, which it then has to verify; else it starts empty.

    Returns:
        True if it was built now, False if it stood already.
    """
    if final.is_dir():
        return False
    final.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(final.with_name(f".{final.name}.lock")):
        if final.is_dir():
            return False
        temporary = final.with_name(f".{final.name}.building")
        if not resumable:
            shutil.rmtree(temporary, ignore_errors=True)  # what a killed process left behind
        temporary.mkdir(exist_ok=True)
        build(temporary)
        os.sync()  # one call, however many files there are: one fsync each would take minutes for a large world
        temporary.rename(final)
        flush(final.parent)
    return True
