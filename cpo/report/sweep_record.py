"""A sweep as its page reads it: what varied, what each job scored, what failed. Statistics are handed in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cpo.errors import DataError
from cpo.files import read_json
from cpo.report.headline import ALL, MEASURES, value_of

SEED = "seed"
NOT_AN_AXIS = ("hydra", "paths", "run", "tracker", "trainer")
"""Overrides that say where and how a job ran, not what it was."""


@dataclass(frozen=True, slots=True)
class SweepRun:
    """One job of a sweep that wrote a summary.

    Args:
        directory: Its run directory.
        overrides: What the command line set, by key.
        summary: `summary.json`.
    """

    directory: Path
    overrides: Mapping[str, str]
    summary: Mapping[str, Any]

    @property
    def seed(self) -> int:
        """Of the run."""
        return int(self.summary.get("seed", 0))

    @property
    def finished(self) -> bool:
        """Whether it was trained and judged to the end."""
        return bool(self.summary.get("finished")) and "after" in (self.summary.get("eval") or {})

    @property
    def results(self) -> Mapping[str, Any]:
        """Measures of the tuned policy over all concepts."""
        found: Mapping[str, Any] = self.summary["eval"]["after"].get(ALL, {})
        return found

    def value(self, key: str) -> str:
        """What an axis was in this job: as set, or as chosen by default."""
        if key == SEED:
            return str(self.seed)
        return self.overrides.get(key) or str(self.summary.get("choices", {}).get(key, "default"))


@dataclass(frozen=True, slots=True)
class Test:
    """A paired difference to the baseline of the same row.

    Args:
        difference: Setting − baseline.
        low: Lower end of its interval.
        high: Upper end.
        p_value: Adjusted for all tests of the measure.
        items: Held-out items that both were judged on.
    """

    difference: float
    low: float
    high: float
    p_value: float
    items: int


@dataclass(frozen=True, slots=True)
class Score:
    """A measure of one setting.

    Args:
        value: Over seeds; of the one run where there is one.
        low: Lower end of its interval; nan without one.
        high: Upper end.
        by_seed: One value per run.
        test: Against the baseline; None for the baseline itself, and where the two share no items.
    """

    value: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    test: Test | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """Runs of a sweep that differ in their seed alone.

    Args:
        values: Axis → value, in the order of the sweep's axes.
        runs: By ascending seed.
        scores: By measure.
    """

    values: Mapping[str, str]
    runs: Sequence[SweepRun]
    scores: Mapping[str, Score] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its values, readable."""
        return " · ".join(self.values.values()) or "the one setting"

    def mean(self, *path: str) -> float:
        """Mean over its runs of a number in their summaries, nan where no run has it."""
        found = [number for run in self.runs if (number := _number(run.summary, path)) is not None]
        return sum(found) / len(found) if found else math.nan


@dataclass(frozen=True, slots=True)
class SweepRecord:
    """A sweep.

    Args:
        directory: Of the sweep.
        axes: What varied, seed left out, each with its values in order of appearance.
        settings: One per combination of axes.
        unfinished: Names of jobs that began and did not end.
        failures: Of jobs: `job`, `error`, `command`.
        planned: Jobs that the sweep consists of, if it says so.
        baseline: Axis and value that the tests compare with; None where nothing is compared.
    """

    directory: Path
    axes: Mapping[str, tuple[str, ...]]
    settings: tuple[Setting, ...]
    unfinished: tuple[str, ...] = ()
    failures: tuple[Mapping[str, Any], ...] = ()
    planned: int | None = None
    baseline: tuple[str, str] | None = None

    @property
    def runs(self) -> list[SweepRun]:
        """All finished runs."""
        return [run for setting in self.settings for run in setting.runs]

    @property
    def column(self) -> str | None:
        """The axis whose values head the columns of a matrix: the loss, or the last one."""
        return "loss" if "loss" in self.axes else next(reversed(list(self.axes)), None)

    @property
    def measures(self) -> list[tuple[str, str]]:
        """Key and label of what the runs were scored by, the headline's first."""
        known = {measure.key: measure.label for measure in MEASURES if not measure.sub}
        found = dict.fromkeys(
            key
            for run in self.runs
            for key, measured in run.results.items()
            if isinstance(measured, Mapping) and value_of(measured) is not None and not key.startswith("shuffled_")
        )
        ordered = [*(key for key in known if key in found), *(key for key in found if key not in known)]
        return [(key, known.get(key, key.replace("_", " "))) for key in ordered]


def is_sweep(directory: Path) -> bool:
    """Whether a directory holds run directories, or the plan of a sweep."""
    return (directory / "sweep.json").is_file() or any(directory.glob("*/summary.json"))


def read_sweep(directory: Path) -> SweepRecord:
    """Reads a sweep's directory; of each run only its summary and overrides.

    Raises:
        DataError: No job has finished.
    """
    plan = read_json(directory / "sweep.json")
    order = {frozenset(overrides): place for place, overrides in enumerate(plan.get("jobs", []))}
    runs = [_read_run(path.parent) for path in sorted(directory.glob("*/summary.json"))]
    runs.sort(key=lambda run: order.get(frozenset(f"{k}={v}" for k, v in run.overrides.items()), len(order)))
    finished = [run for run in runs if run.finished]
    if not finished:
        raise DataError(
            got=f"{directory}, in which no job has finished",
            wanted="the directory of a sweep, with at least one finished run",
            remedy="pass the directory that train.py printed in its last line, `sweep: <directory>`",
        )
    axes = varied(finished)
    groups: dict[tuple[str, ...], list[SweepRun]] = {}
    for run in finished:
        groups.setdefault(tuple(run.value(axis) for axis in axes), []).append(run)
    settings = [
        Setting(dict(zip(axes, values, strict=True)), sorted(same, key=lambda run: run.seed))
        for values, same in groups.items()
    ]
    failures = [read_json(path) for path in sorted((directory / "failed").glob("*.json"))]
    return SweepRecord(
        directory.resolve(),
        axes,
        tuple(settings),
        tuple(run.directory.name for run in runs if not run.finished),
        tuple(failures),
        plan.get("total"),
    )


def varied(runs: Sequence[SweepRun]) -> dict[str, tuple[str, ...]]:
    """Axes that the runs differ in, seed left out, with their values in order of appearance.

    Example:
        >>> runs = [SweepRun(Path(loss), {"loss": loss, "drift": "sudden"}, {}) for loss in ("dpo", "ipo")]
        >>> varied(runs)
        {'loss': ('dpo', 'ipo')}
    """
    keys = dict.fromkeys(key for run in runs for key in run.overrides if key.partition(".")[0] not in NOT_AN_AXIS)
    values = {key: tuple(dict.fromkeys(run.value(key) for run in runs)) for key in keys if key != SEED}
    return {key: _ordered(some) for key, some in values.items() if len(some) > 1}


def _ordered(values: tuple[str, ...]) -> tuple[str, ...]:
    """Numbers by size, words as they came."""
    try:
        return tuple(sorted(values, key=float))
    except ValueError:
        return values


def _read_run(directory: Path) -> SweepRun:
    path = directory / "overrides.yaml"
    lines: Iterable[Any] = (yaml.safe_load(path.read_text(encoding="utf-8")) or ()) if path.is_file() else ()
    overrides = dict(str(line).lstrip("+~").partition("=")[::2] for line in lines)
    return SweepRun(directory, overrides, read_json(directory / "summary.json"))


def _number(summary: Mapping[str, Any], path: Sequence[str]) -> float | None:
    found: Any = summary
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return None if found is None else float(found)
