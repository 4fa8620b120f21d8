"""Log-probs on disk, one array of tokens per completion, found by what was scored."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from cpo.errors import DataError
from cpo.files import write_bytes
from cpo.records import fingerprint

Row = NDArray[np.floating]


class LogpStore:
    """Shards of rows in a directory that belongs to one set of weights; each shard is whole or absent.

    Args:
        directory: Made if need be. Jobs share it: what one has written, the others read.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.rows: dict[str, Row] = {}
        """Token log-probs, in nats, by `EncodedPrompt.key`."""
        self._read: set[str] = set()
        directory.mkdir(parents=True, exist_ok=True)

    def lock(self) -> FileLock:
        """Held by the one job that computes missing rows, while the others wait for them."""
        return FileLock(self.directory / ".lock")

    def refresh(self) -> None:
        """Reads the shards that were written since.

        Raises:
            DataError: One is damaged.
        """
        for path in sorted(self.directory.glob("*.npz")):
            if path.name in self._read:
                continue
            try:
                with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as shard:
                    ends = np.cumsum(shard["lengths"])[:-1]
                    self.rows.update(zip(shard["keys"].tolist(), np.split(shard["values"], ends), strict=True))
            except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
                raise DataError(
                    got=f"{path}: {error}",
                    wanted="a shard of cached reference log-probs",
                    remedy=f"rm -r {path.parent}; its rows are computed again",
                ) from error
            self._read.add(path.name)

    def add(self, rows: Mapping[str, Row]) -> None:
        """Writes rows as one shard."""
        if not rows:
            return
        name = f"{fingerprint(sorted(rows))}.npz"
        file = io.BytesIO()
        np.savez(
            file,
            keys=np.array(list(rows)),
            lengths=np.array([len(row) for row in rows.values()]),
            values=np.concatenate(list(rows.values())),
        )
        write_bytes(self.directory / name, file.getvalue())
        self._read.add(name)
        self.rows.update(rows)

    def complete(self, name: str) -> bool:
        """Whether a list of pairs was found complete before, so that it need not be encoded to be looked up."""
        return (self.directory / f"{name}.complete").is_file()

    def mark_complete(self, name: str) -> None:
        """Notes that every row of a list of pairs is here."""
        write_bytes(self.directory / f"{name}.complete", b"")
