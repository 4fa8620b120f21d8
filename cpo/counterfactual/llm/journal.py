"""What a language model was asked and replied, kept line by line, so that a killed job repeats no finished request."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock

from cpo.counterfactual.llm.exchange import Failure, Reply, Request

LINES_PER_SHARD = 10_000
SHARDS = "[0-9]*.jsonl"


class Journal:
    """Append-only shards of JSON lines: one line for each reply and one for each failure.

    A line is written by one call once the reply is complete; a process appends to shards of its own only. So a line
    that a kill or a power cut tore is the last of its shard: it is counted, and its request is made again. One process
    holds a journal at a time; another that opens it waits.

    Args:
        folder: Where the shards are; made when missing.

    Attributes:
        replies: Of finished requests, by the request's key.
        failures: Failed requests by kind, those of earlier processes included.
        torn: Lines that are not whole.

    Example:
        >>> import tempfile
        >>> request = Request("tiny", "Edit.", "Clear lungs.", "text", 0.0, 64)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with Journal(Path(folder)) as journal:
        ...         journal.add(request, Reply("Hazy lungs.", "stop", "tiny"))
        ...     with Journal(Path(folder)) as journal:
        ...         journal.replies[request.key].text
        'Hazy lungs.'
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.replies: dict[str, Reply] = {}
        self.failures: Counter[str] = Counter()
        self.torn = 0
        self._lock = FileLock(folder / ".lock")
        self._shard: int | None = None
        self._room = 0

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock.acquire()
        for path in sorted(self.folder.glob(SHARDS)):
            self._read(path)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close_shard()
        self._lock.release()

    def add(self, request: Request, reply: Reply) -> None:
        """Keeps a reply: its request is finished."""
        self._append({"prompt": request.key, "model": reply.model, "finish": reply.finish, "text": reply.text})
        self.replies[request.key] = reply

    def add_failure(self, request: Request, failure: Failure) -> None:
        """Keeps that a request failed once; it is not finished."""
        self.failures[failure.value] += 1
        self._append({"prompt": request.key, "model": request.model, "failure": failure.value})

    def _read(self, path: Path) -> None:
        with path.open("rb") as shard:
            for line in shard:
                entry = _entry(line)
                if entry is None:
                    self.torn += 1
                elif "failure" in entry:
                    self.failures[entry["failure"]] += 1
                else:
                    self.replies[entry["prompt"]] = Reply(entry["text"], entry["finish"], entry["model"])

    def _append(self, entry: Mapping[str, str]) -> None:
        if self._shard is None or not self._room:
            self._close_shard()
            self._shard, self._room = self._new_shard(), LINES_PER_SHARD
        line = json.dumps(entry).encode() + b"\n"
        written = 0
        while written < len(line):  # a nearly full disk takes a part and refuses the rest
            written += os.write(self._shard, line[written:])
        self._room -= 1

    def _new_shard(self) -> int:
        number = max((int(path.stem) for path in self.folder.glob(SHARDS)), default=-1) + 1
        path = self.folder / f"{number:05d}.jsonl"
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)

    def _close_shard(self) -> None:
        if self._shard is not None:
            os.fsync(self._shard)
            os.close(self._shard)
            self._shard = None


def _entry(line: bytes) -> dict[str, Any] | None:
    """What a line says; None for one that is not whole."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    wanted = ({"prompt", "model", "failure"}, {"prompt", "model", "finish", "text"})
    return entry if isinstance(entry, dict) and set(entry) in wanted else None
