"""Jobs of a sweep: found again by their overrides, each run by one process at a time and done once."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cpo.files import read_json, write_json
from cpo.records import fingerprint
from cpo.tracking.naming import LETTERS

PATIENCE = 5.0
"""Seconds that a job waits for its lock: who only looks whether it runs holds it for a moment."""


class State(StrEnum):
    """Where a job stands."""

    DONE = "done"
    RUNNING = "running"
    FAILED = "failed"
    STOPPED = "stopped"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class SweepJob:
    """One job of a sweep, whatever its number and whoever runs it.

    Args:
        sweep: The sweep's directory.
        overrides: What the job sets, those of Hydra itself left out.
    """

    sweep: Path
    overrides: tuple[str, ...]

    @property
    def key(self) -> str:
        """Eight letters that the same overrides give in any order; the directory's name ends in them."""
        return job_key(self.overrides)

    @property
    def directory(self) -> Path | None:
        """Its run directory, if it ever began."""
        return next(iter(sorted(self.sweep.glob(f"*-{self.key}"))), None)

    @property
    def label(self) -> str:
        """What sets it apart from the other jobs of its sweep."""
        axes = read_json(self.sweep / "sweep.json").get("axes") or []
        return " ".join(o for o in self.overrides if o.partition("=")[0] in axes) or " ".join(self.overrides)

    @property
    def lock_file(self) -> Path:
        """Held by the process that runs the job."""
        return self.sweep / f".{self.key}.lock"

    @property
    def failure_file(self) -> Path:
        """There if it failed when it ran last."""
        return self.sweep / "failed" / f"{self.key}.json"

    @property
    def done(self) -> bool:
        """Whether its run is complete, and nothing has been found wrong with it since."""
        if (directory := self.directory) is None:
            return False
        summary, failure = directory / "summary.json", self.failure_file
        if not read_json(summary).get("finished", False):
            return False
        return not failure.is_file() or failure.stat().st_mtime_ns <= summary.stat().st_mtime_ns

    @property
    def state(self) -> State:
        """Where it stands now."""
        if self.done:
            return State.DONE
        if held(self.lock_file):
            return State.RUNNING
        if self.failure_file.is_file():
            return State.FAILED
        return State.LEFT if self.directory is None else State.STOPPED

    @contextmanager
    def turn(self) -> Iterator[State]:
        """`left` if it is this process's to run, which then holds its lock; `done` or `running` if it is not."""
        self.sweep.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.lock_file)
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout:
            state = State.RUNNING
        else:
            state = State.DONE if self.done else State.LEFT
        try:
            if state is State.LEFT:
                self.failure_file.unlink(missing_ok=True)
            yield state
        finally:
            lock.release()

    def command(self, script: str = "train") -> str:
        """Runs it alone: the sweep is left out, and what is done of it is kept."""
        alone = [o for o in self.overrides if not o.startswith("sweep=")]
        directory = self.directory
        if directory is not None and (directory / "config.yaml").is_file():
            alone.append(f"run={directory}")
        return f"python {script}.py {shlex.join(alone)}"

    def note_failure(self, number: int, error: str, script: str = "train") -> None:
        """Keeps why it failed, for the end of the sweep and for who looks later.

        Args:
            number: Of the job in this command.
            error: In a few lines.
            script: That runs it.
        """
        told = {"job": number, "overrides": list(self.overrides), "error": error, "command": self.command(script)}
        write_json(self.failure_file, told)


def job_key(overrides: Sequence[str]) -> str:
    """Eight letters for a set of overrides, the same that end a run's name.

    Example:
        >>> job_key(["drift=sudden", "loss=dpo"]) == job_key(["loss=dpo", "drift=sudden"])
        True
    """
    return fingerprint(sorted(overrides))[:8].translate(LETTERS)


def held(lock_file: Path) -> bool:
    """Whether a living process holds a lock."""
    if not lock_file.is_file():
        return False
    try:
        with FileLock(lock_file, timeout=0):
            return False
    except Timeout:
        return True


def failures(jobs: Sequence[SweepJob]) -> list[dict[str, Any]]:
    """What is known of jobs that failed and were not done since: `job`, `error`, and a `command` to run it again."""
    return [read_json(job.failure_file) for job in jobs if job.state is State.FAILED]


def write_plan(sweep: Path, jobs: Sequence[SweepJob], *, total: int, axes: Sequence[str], **more: Any) -> None:
    """Keeps what a sweep consists of, as its last command said.

    Args:
        sweep: Its directory.
        jobs: As far as they are known.
        total: As many as there will be.
        axes: Keys that differ from job to job.
        **more: What else is to be known of it, such as its command and what a search looks for.
    """
    content = {"total": total, "axes": list(axes), **more, "jobs": [list(job.overrides) for job in jobs]}
    write_json(sweep / "sweep.json", content)


def read_plan(sweep: Path) -> tuple[dict[str, Any], list[SweepJob]]:
    """What `write_plan` kept, and its jobs; both empty for a directory without one."""
    plan = read_json(sweep / "sweep.json")
    return plan, [SweepJob(sweep, tuple(overrides)) for overrides in plan.get("jobs", [])]
