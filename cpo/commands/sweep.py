"""`cpo sweep status` and `cpo runs`: how far a sweep is, and what ran lately."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cpo.commands.settings import settings
from cpo.errors import DataError
from cpo.files import read_json
from cpo.report.headline import ALL, MEASURES, UNMEASURED, arms, number, shown, value_of
from cpo.sweep_jobs import State, SweepJob, read_plan

STATUS = "cpo sweep status DIR [metric=pair_accuracy] [direction=minimize]"
RUNS = "cpo runs [outputs] [n=20]"
STYLES = {State.DONE: "green", State.RUNNING: "cyan", State.FAILED: "red", State.STOPPED: "yellow", State.LEFT: "dim"}
EVERY = 2.0
"""Seconds between two looks at a sweep."""


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of a job at one look.

    Args:
        job: The job.
        state: Where it stands.
        seconds: That it has taken so far, interruptions left out; nan before its first metric.
        where: The stage and step that it logged last.
        measured: Its result, as `summary.json` has it.
    """

    job: SweepJob
    state: State
    seconds: float
    where: str
    measured: Any


def status(given: Sequence[str]) -> int:
    """Shows a sweep's jobs: in a terminal, live, for as long as one of them runs.

    Args:
        given: The sweep's directory, `metric=` and `direction=`.

    Returns:
        The exit status: 0 when all jobs are done, else 1.

    Raises:
        DataError: It is no sweep's directory.
    """
    directory, own = _place(given, {"metric": False, "direction": False}, STATUS)
    console, sweep = Console(highlight=False), directory.absolute()
    lines = look(sweep, own.get("metric", ""))
    if console.is_terminal and any(line.state is State.RUNNING for line in lines):
        quiet = 0
        with suppress(KeyboardInterrupt), Live(console=console, refresh_per_second=2, transient=True) as live:
            while quiet < 3:  # between two jobs there is a moment in which none runs
                live.update(page(sweep, lines, own, room=console.height - 14))
                time.sleep(EVERY)
                lines = look(sweep, own.get("metric", ""))
                busy = {line.state for line in lines} - {State.DONE, State.FAILED}
                quiet = 0 if State.RUNNING in busy else quiet + 1 if busy else 3
    console.print(page(sweep, lines, own))
    return int(any(line.state is not State.DONE for line in lines))


def look(sweep: Path, metric: str) -> list[Line]:
    """All jobs of a sweep, as they stand.

    Args:
        sweep: Its directory.
        metric: What is shown of each; see `measured`.

    Raises:
        DataError: It is no sweep's directory.
    """
    plan, jobs = read_plan(sweep)
    if not plan:
        raise DataError(
            got=f"{sweep}, which has no sweep.json",
            wanted="the directory of a sweep",
            remedy="pass the directory that train.py printed in its last line, `sweep: <directory>`",
        )
    metric = metric or plan.get("objective", {}).get("metric", "")
    return [_line(job, metric) for job in jobs]


def _line(job: SweepJob, metric: str) -> Line:
    directory = job.directory
    if directory is None:
        return Line(job, job.state, math.nan, "", None)
    last = _last_row(directory / "metrics.jsonl")
    where = f"{last['stage']} {last['step']}" if last else ""
    result = measured(read_json(directory / "summary.json"), metric)
    return Line(job, job.state, float(last.get("time", math.nan)), where, result)


def measured(summary: Mapping[str, Any], metric: str) -> Any:
    """A result of the tuned policy over all concepts, or None.

    Args:
        summary: Of a run.
        metric: A measure such as `pair_accuracy`, or the path of a number in `summary.json`; empty for the first
            measure of the headline that there is.

    Example:
        >>> measured({"eval": {"after": {"all": {"margin": 1.5}}}}, "margin")
        1.5
    """
    tuned = summary.get("eval", {}).get("after", {}).get(ALL, {})
    if not metric:
        return next((tuned[m.key] for m in MEASURES if m.key in tuned), None)
    if metric in tuned:
        return tuned[metric]
    node: Any = summary
    for key in metric.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


def page(sweep: Path, lines: Sequence[Line], own: Mapping[str, str], room: int | None = None) -> Group:
    """What is shown of a sweep: counts, time to go, jobs, the best so far, what failed.

    Args:
        sweep: Its directory.
        lines: Its jobs.
        own: `metric` and `direction`, where they were given.
        room: Jobs that a terminal has lines for; None for all.
    """
    plan, _ = read_plan(sweep)
    metric = own.get("metric") or plan.get("objective", {}).get("metric") or _first_measure(lines)
    direction = own.get("direction") or plan.get("objective", {}).get("direction", "maximize")
    parts: list[Any] = [Text(sweep.name, style="bold"), _counts(lines, int(plan["total"])), Text()]
    some = most_telling(lines, room)
    parts.append(_table(some, metric))
    if len(some) < len(lines):
        parts.append(Text(f"and {len(lines) - len(some)} more; all of them at the end, or without a terminal", "dim"))
    if means := by_setting(lines):
        label = (min if direction == "minimize" else max)(means, key=lambda name: fmean(means[name]))
        seeds = f" (mean of {len(means[label])} seeds)" if len(means[label]) > 1 else ""
        parts += [Text(), Text.assemble(("best so far  ", "bold"), f"{number(fmean(means[label]))}{seeds}  {label}")]
    for line in lines:
        if line.state is State.FAILED:
            note = read_json(line.job.failure_file)
            said = str(note.get("error", "")).strip().splitlines() or [""]
            parts += [Text(), Text.assemble((f"failed  {line.job.label}", "red"), f"\n{said[0]}")]
            parts.append(Text(f"again:  {note.get('command', '')}", style="dim"))
    if not any(line.state is State.RUNNING for line in lines) and any(line.state is not State.DONE for line in lines):
        parts += [Text(), Text(f"No process runs it. To go on:  {plan.get('command', '')}")]
    return Group(*parts)


def most_telling(lines: Sequence[Line], room: int | None) -> Sequence[Line]:
    """As many lines as there is room for, in their order: what runs or failed goes before what is done or left."""
    if room is None or len(lines) <= room:
        return lines
    rank = [State.RUNNING, State.FAILED, State.STOPPED, State.DONE, State.LEFT]
    chosen = sorted(range(len(lines)), key=lambda i: rank.index(lines[i].state))[: max(room, 1)]
    return [lines[i] for i in sorted(chosen)]


def by_setting(lines: Sequence[Line]) -> dict[str, list[float]]:
    """Results of done jobs, those that differ in their seed alone together."""
    found: dict[str, list[float]] = {}
    for line in lines:
        value = value_of(line.measured) if line.state is State.DONE else None
        if value is not None:
            setting = " ".join(word for word in line.job.label.split(" ") if not word.startswith("seed="))
            found.setdefault(setting or line.job.label, []).append(value)
    return found


def _first_measure(lines: Sequence[Line]) -> str:
    for line in lines:
        if line.measured is not None and line.job.directory is not None:
            tuned = read_json(line.job.directory / "summary.json")["eval"]["after"][ALL]
            return next(m.key for m in MEASURES if m.key in tuned)
    return "result"


def _counts(lines: Sequence[Line], total: int) -> Text:
    counts = Counter(line.state for line in lines)
    counts[State.LEFT] += total - len(lines)  # a search learns of its jobs as it goes
    told = [(f"{counts[state]} {state}", STYLES[state]) for state in State if counts[state]]
    text = Text("   ").join(Text(*part) for part in told)
    seconds = seconds_to_go(lines, counts[State.LEFT])
    return text if math.isnan(seconds) else text.append(f"   about {duration(seconds)} to go", style="bold")


def seconds_to_go(lines: Sequence[Line], left: int) -> float:
    """From what done jobs took, spread over those that run side by side; nan before the first is done, or if none runs.

    Args:
        lines: The jobs.
        left: Of those, and of those not known yet, the ones that have not begun.
    """
    done = [line.seconds for line in lines if line.state is State.DONE and not math.isnan(line.seconds)]
    running = [line.seconds for line in lines if line.state is State.RUNNING]
    if not done or not running:
        return math.nan
    each = fmean(done)
    rest = sum(max(0.0, each - (0.0 if math.isnan(spent) else spent)) for spent in running)
    return (left * each + rest) / len(running)


def _table(lines: Sequence[Line], metric: str) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("job", overflow="fold")
    table.add_column("state", no_wrap=True)
    name = metric.removeprefix(f"eval.after.{ALL}.").removesuffix(".value").replace("_", " ")
    table.add_column(name, justify="right")
    table.add_column("took", justify="right", no_wrap=True)
    for line in lines:
        value, detail = shown(line.measured)
        result = "" if value == UNMEASURED else Text.assemble(value, (f" {detail}" if detail else "", "dim"))
        state = Text(str(line.state), style=STYLES[line.state])
        if line.state in (State.RUNNING, State.STOPPED) and line.where:
            state.append(f", {line.where}", style="dim")
        table.add_row(line.job.label, state, result, duration(line.seconds))
    return table


def runs(given: Sequence[str]) -> None:
    """Shows the latest runs with their headline, those of sweeps included.

    Args:
        given: The folder of outputs, `outputs` if left out, and `n=`, the number of runs.

    Raises:
        DataError: There is no run.
    """
    folder, own = _place(given, {"n": False}, RUNS, default="outputs")
    wanted = own.get("n", "20")
    if not wanted.isdigit() or int(wanted) < 1:
        raise DataError(got=f"n={wanted}", wanted="a number of runs, ≥ 1", remedy=RUNS)
    found = [*folder.glob("runs/*/config.yaml"), *folder.glob("sweeps/*/*/config.yaml")]
    if not found:
        raise DataError(got=f"no run in {folder}", wanted="a folder of outputs", remedy=RUNS)
    latest = sorted(found, key=lambda file: file.stat().st_mtime, reverse=True)
    console = Console(highlight=False, soft_wrap=True)
    for file in latest[: int(wanted)]:
        began = time.strftime("%d %b %H:%M", time.localtime(file.stat().st_mtime))
        summary = read_json(file.parent / "summary.json")
        state = Text("done  ", style="green") if summary.get("finished") else Text("open  ", style="yellow")
        console.print(Text.assemble((f"{began}  ", "dim"), state, str(file.parent)))
        if told := headline(summary):
            console.print(Text.assemble(" " * 20, told))
    if len(latest) > int(wanted):
        console.print(f"{len(latest) - int(wanted)} older ones: cpo runs {folder} n={len(latest)}", style="dim")


def headline(summary: Mapping[str, Any]) -> Text:
    """The first measure that a run has, arm by arm over all concepts.

    Example:
        >>> judged = {"before": {"all": {"margin": 1.0}}, "after": {"all": {"margin": 2.5}}}
        >>> print(headline({"eval": judged}))
        margin, nats: SFT 1.000 → tuned 2.500
    """
    evaluation = summary.get("eval", {})
    found = {arm: evaluation[arm].get(ALL, {}) for arm in arms({}) if arm in evaluation}
    for measure in MEASURES:
        values = {arm: value_of(result[measure.key]) for arm, result in found.items() if measure.key in result}
        if values:
            names = {"before": "SFT", "control": "control", "after": "tuned"}
            told = " → ".join(f"{names[arm]} {number(value)}" for arm, value in values.items())
            return Text(f"{measure.label.lower()}: ".replace("sft", "SFT") + told)
    return Text()


def duration(seconds: float) -> str:
    """A time as a person says it; empty for nan.

    Example:
        >>> duration(42.4), duration(150), duration(9000)
        ('42 s', '2.5 min', '2.5 h')
    """
    if math.isnan(seconds):
        return ""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _place(
    given: Sequence[str], known: Mapping[str, bool], usage: str, default: str = ""
) -> tuple[Path, dict[str, str]]:
    """The one folder that a command is about, and its `key=value`."""
    places = [item for item in given if "=" not in item] or ([default] if default else [])
    if len(places) != 1:
        raise DataError(got=" ".join(given) or "no arguments", wanted="one folder", remedy=usage)
    return Path(places[0]), settings([item for item in given if "=" in item], known, usage)


def _last_row(file: Path) -> dict[str, Any]:
    """The last whole row of `metrics.jsonl`, or nothing."""
    if not file.is_file():
        return {}
    with file.open("rb") as handle:
        handle.seek(max(0, file.stat().st_size - 65536))
        rows = handle.read().decode(errors="ignore").split("\n")
    for row in reversed(rows[:-1]):
        try:
            return dict(json.loads(row))
        except ValueError:
            continue
    return {}
