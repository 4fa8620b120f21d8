"""A run directory as pages read it: what is there, and what is not."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cpo.errors import DataError
from cpo.panels import STEP


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The files of one run.

    Args:
        directory: Where they lie; its name is the run's name.
        summary: `summary.json`.
        metrics: Rows of `metrics.jsonl`.
        pairs: Rows of `pairs_sample.jsonl`: a few preference pairs.
        drift: `drift.json`: the truth about the stream.
        quality: `data_quality.json`.
        environment: `environment.json`.
        overrides: `overrides.yaml`: what was said on the command line.
        config: `config.yaml`, resolved, as text.
        absent: Names of the files that are not there.
        torn: Rows of metrics cut off in the middle, as a running or killed job leaves one.
    """

    directory: Path
    summary: Mapping[str, Any] = field(default_factory=dict)
    metrics: Sequence[Mapping[str, Any]] = ()
    pairs: Sequence[Mapping[str, Any]] = ()
    drift: Mapping[str, Any] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    overrides: Sequence[str] = ()
    config: str = ""
    absent: Sequence[str] = ()
    torn: int = 0

    @property
    def choices(self) -> dict[str, str]:
        """Which config of each group the run used."""
        return {group: str(choice) for group, choice in self.summary.get("choices", {}).items()}

    @property
    def access(self) -> str:
        """`open` or `credentialed`; empty when the configuration does not say."""
        dataset = (yaml.safe_load(self.config) or {}).get("dataset") if self.config else None
        return str(dataset.get("access", "")) if isinstance(dataset, dict) else ""

    @property
    def keys(self) -> list[str]:
        """Every metric there is."""
        return sorted({key for row in self.metrics for key in row if "/" in key})

    def series(self, key: str, x: str = STEP) -> tuple[list[float], list[float]]:
        """A metric over its steps, or over another metric of the same rows; nan where it was not finite.

        Rows without the other metric are left out.
        """
        rows = [row for row in self.metrics if key in row and row.get(x) is not None]
        return [row[x] for row in rows], [math.nan if row[key] is None else row[key] for row in rows]


def read_run(directory: Path) -> RunRecord:
    """Reads what a run directory holds.

    Raises:
        DataError: It is not a run directory, or one of its files is damaged.
    """
    if not (directory / "summary.json").exists() and not (directory / "metrics.jsonl").exists():
        raise DataError(
            got=f"{directory}, which has neither summary.json nor metrics.jsonl",
            wanted="a run directory",
            remedy="pass the directory that the training script printed last, after `run:`",
        )
    absent: list[str] = []
    metrics, torn = _rows(directory / "metrics.jsonl", absent)
    pairs, _ = _rows(directory / "pairs_sample.jsonl", absent)
    return RunRecord(
        directory=directory.resolve(),
        summary=_parsed(directory / "summary.json", json.loads, absent) or {},
        metrics=metrics,
        pairs=pairs,
        drift=_parsed(directory / "drift.json", json.loads, absent) or {},
        quality=_parsed(directory / "data_quality.json", json.loads, absent) or {},
        environment=_parsed(directory / "environment.json", json.loads, absent) or {},
        overrides=_parsed(directory / "overrides.yaml", yaml.safe_load, absent) or (),
        config=_parsed(directory / "config.yaml", str, absent) or "",
        absent=absent,
        torn=torn,
    )


def _parsed(path: Path, parse: Callable[[str], Any], absent: list[str]) -> Any:
    if not path.exists():
        absent.append(path.name)
        return None
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError) as error:
        raise _damaged(path, str(error)) from error


def _rows(path: Path, absent: list[str]) -> tuple[list[dict[str, Any]], int]:
    """The rows of a JSONL file, and whether its last one is cut off."""
    lines = (_parsed(path, str, absent) or "").split("\n")
    rows = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise _damaged(path, f"line {number}: {error}") from error
    return rows, int(bool(lines[-1]))


def _damaged(path: Path, why: str) -> DataError:
    return DataError(
        got=f"{path}: {why}",
        wanted="the file as the run wrote it",
        remedy="restore it, or continue the run to rewrite it",
    )
