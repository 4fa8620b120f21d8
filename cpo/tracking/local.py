"""The run directory's own record: `metrics.jsonl`, the source of truth of which every other tracker is a view."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cpo.errors import DataError
from cpo.files import write_text

log = logging.getLogger(__name__)

RESERVED = {"stage", "step", "time", "non_finite"}


class LocalTracker:
    """Appends one JSON row per logged step to `metrics.jsonl`, and keeps `summary.json`.

    A row is `{"stage": "sft", "step": 10, "time": 12.5, "sft/loss": 1.2}`; `time` is in seconds since the run began,
    interruptions left out. JSON has no nan: such a value becomes null and stands under `non_finite` as text. Each row
    reaches the operating system at once, so that a killed run loses at most the row it was writing; what is left of
    that row is dropped when the directory is opened again.

    Args:
        directory: The run directory; made if absent.

    Raises:
        DataError: `metrics.jsonl` exists and holds something else than rows.
    """

    def __init__(self, *, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.path = self.directory / "metrics.jsonl"
        rows = self._recover()
        self._start = time.monotonic() - max((row["time"] for row in rows), default=0.0)
        self._file = self.path.open("a", encoding="utf-8")
        self.non_finite = 0

    def log(self, metrics: Mapping[str, float], *, stage: str, step: int) -> None:
        """Appends a row; see `records.Tracker`."""
        assert not RESERVED & metrics.keys(), "metric keys carry their stage as a prefix"
        values = {key: float(value) for key, value in metrics.items()}
        lost = {key: str(value) for key, value in values.items() if not math.isfinite(value)}
        row: dict[str, Any] = {"stage": stage, "step": step, "time": round(time.monotonic() - self._start, 3)}
        row |= {key: None if key in lost else value for key, value in values.items()}
        if lost:
            row["non_finite"] = lost
            self.non_finite += len(lost)
        self._file.write(json.dumps(row, allow_nan=False) + "\n")
        self._file.flush()

    def summary(self, values: Mapping[str, Any]) -> None:
        """Merges final values into `summary.json`, key by key; nan becomes null."""
        path = self.directory / "summary.json"
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        merged = _finite({**known, **values})
        write_text(path, json.dumps(merged, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    def rewind(self, *, stage: str, step: int) -> None:
        """Drops the rows of a stage beyond a step: those that an interrupted run will log again.

        Args:
            stage: Only its rows are touched.
            step: The last one to keep.
        """
        rows = self._rows()
        kept = [row for row in rows if row["stage"] != stage or row["step"] <= step]
        if len(kept) == len(rows):
            return
        self._file.close()
        write_text(self.path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in kept))
        self._file = self.path.open("a", encoding="utf-8")

    def finish(self) -> None:
        """Closes the file, and says what could not be written as a number."""
        if self.non_finite:
            log.warning("%d non-finite values in %s stand as null", self.non_finite, self.path.name)
        self._file.close()

    def _recover(self) -> list[dict[str, Any]]:
        """The rows of an earlier part of this run, without the one it was writing when it was killed."""
        if not self.path.exists():
            return []
        whole, _, torn = self.path.read_bytes().rpartition(b"\n")
        if torn:
            log.warning("the last row of %s was cut off by a kill and is dropped", self.path.name)
            write_text(self.path, whole.decode() + "\n" if whole else "")
        return self._rows()

    def _rows(self) -> list[dict[str, Any]]:
        rows = []
        for number, line in enumerate(self.path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                row = json.loads(line)
                row["stage"], row["step"], row["time"]
            except (ValueError, TypeError, KeyError) as error:
                raise DataError(
                    got=f"line {number} of {self.path}: {line[:80]!r}",
                    wanted="a row of metrics with stage, step and time",
                    remedy="move the file away, or give the run another directory",
                ) from error
            rows.append(row)
        return rows


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
