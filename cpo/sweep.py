"""A sweep as a whole: a directory that the same command finds again, cores shared among workers, failures listed."""

from __future__ import annotations

import os
import re
import shlex
import sys
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict, read_write
from rich.console import Console

from cpo.errors import CPOError
from cpo.evaluation.sweep_report import report_sweep
from cpo.sweep_jobs import State, SweepJob, failures, job_key, read_plan, write_plan

console = Console(highlight=False, soft_wrap=True)

NOT_WHAT_IT_IS = ("n_trials", "batch", "max_batch_size")
"""Knobs of sweepers that say how far or how fast, not what: a search that goes on for longer is the same search."""


class SweepDirectory(Callback):
    """Names a sweep's directory by what is swept, and tells at the end which of its jobs failed; then its status is 2.

    The same command finds the same directory, so it runs what is missing or failed there and nothing else. Another one
    is `hydra.sweep.dir=DIR`; a wider grid with the directory of a narrower one runs only the new jobs.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Fixes the directory for every job, whatever process it will run in."""
        hydra = config.hydra
        given = any(str(override).startswith("hydra.sweep.dir=") for override in hydra.overrides.hydra)
        sweep = Path(hydra.sweep.dir).absolute()
        overrides = _parsed([*_params(hydra), *map(str, hydra.overrides.task)])
        if not given:
            sweep /= sweep_name(hydra, overrides)
        with read_write(config), open_dict(config):
            hydra.sweep.dir = str(sweep)
            hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(str(sweep))}")
        if hydra.sweeper._target_.endswith(".BasicSweeper") and all(map(_is_listed, overrides)):
            self._announce(hydra, sweep, overrides)

    def _announce(self, hydra: DictConfig, sweep: Path, overrides: list[Override]) -> None:
        """Keeps what the jobs of a grid are, and says how many there are."""
        jobs, axes = grid(sweep, overrides), [o.get_key_element() for o in overrides if o.is_sweep_override()]
        write_plan(
            sweep, jobs, total=len(jobs), axes=axes, command=this_command(), launcher=str(hydra.launcher._target_)
        )
        done = sum(job.done for job in jobs)
        before = f", {done} of them done before" if done else ""
        share = share_cores(hydra.launcher, len(jobs) - done, os.environ)
        console.print(f"[bold]sweep[/]      {len(jobs)} jobs{before}{share}")
        if len(jobs) > done:
            console.print(f"           watch it from another terminal: cpo sweep status {shlex.quote(str(sweep))}")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Lists what failed; the last line of the output is `sweep: DIR`."""
        sweep = Path(config.hydra.sweep.dir).absolute()
        _, jobs = read_plan(sweep)
        failed = failures(jobs)
        for job in failed:
            print(f"job {job['job']} failed:\n{job['error']}\nto run it again:\n  {job['command']}", file=sys.stderr)
        if elsewhere := sum(job.state is State.RUNNING for job in jobs):
            print(f"{elsewhere} of its jobs are being run by another process")
        sys.stderr.flush()
        if any(job.done for job in jobs):
            _write_page(sweep)
        print(f"sweep: {sweep}", flush=True)
        if failed:
            print(f"{len(failed)} of its jobs failed; the same command runs them again", file=sys.stderr)
            sys.exit(2)


def _write_page(sweep: Path) -> None:
    """The sweep's page; Hydra would hide an error of it, and with it which jobs failed."""
    try:
        console.print(f"[bold]page[/]       {report_sweep(sweep)}")
    except CPOError as error:
        print(f"the sweep's page was not written:\n{error}", file=sys.stderr)
    except Exception:
        print(f"the sweep's page was not written:\n{traceback.format_exc()}", file=sys.stderr)


def sweep_name(hydra: DictConfig, overrides: list[Override]) -> str:
    """What a person wants to read, and eight letters of what is swept: grid, fixed overrides, sweeper and its knobs.

    Args:
        hydra: Hydra's part of the config.
        overrides: Of the grid and of the command line.
    """
    chosen = hydra.runtime.choices.get("sweep")
    swept = [str(override.key_or_group) for override in overrides if override.is_sweep_override()]
    words = [str(chosen)] if chosen else list(dict.fromkeys(key.rpartition(".")[2] for key in swept))
    knobs = [f"{name}: {value}" for name, value in hydra.sweeper.items() if name not in NOT_WHAT_IT_IS]
    identity = [*(str(override.input_line) for override in overrides), *knobs]
    readable = "_x_".join(re.sub(r"\W+", "_", word) for word in words) or "sweep"
    return f"{readable}-{job_key(identity)}"


def grid(sweep: Path, overrides: list[Override]) -> list[SweepJob]:
    """Jobs of a grid, in the order in which Hydra numbers them."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    (batch,) = BasicSweeper.split_arguments(overrides, None)
    return [SweepJob(sweep, tuple(own(job))) for job in batch]


def own(overrides: list[str]) -> list[str]:
    """Overrides of a job without those of Hydra itself, as the job will know them."""
    return [o for o in overrides if not o.lstrip("+~").startswith(("hydra.", "hydra/"))]


def quoted(value: str) -> str:
    r"""A value as Hydra's grammar takes any text.

    Example:
        >>> print(quoted("it's"))
        'it\'s'
    """
    return "'" + re.sub(r"(\\*)'", r"\1\1\'", value) + "'"


def share_cores(launcher: DictConfig, jobs: int, environ: MutableMapping[str, str]) -> str:
    """Divides this machine's cores among jobs that a launcher starts side by side, before any of them imports torch.

    Two jobs of two threads each on two cores run three times slower than one after the other. A number of threads
    that the user set stays.

    Args:
        launcher: Its config.
        jobs: To be run.
        environ: Of this process, which workers inherit.

    Returns:
        What was done, for the terminal.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    kind = str(launcher._target_).rpartition(".")[2]
    if kind == "JoblibLauncher":
        workers = min(cores if launcher.n_jobs == -1 else int(launcher.n_jobs), jobs)
    elif kind == "LocalLauncher":
        workers = jobs
    else:
        return ""
    if workers < 2:
        return ""
    threads = environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // workers)))
    return f"; {workers} at a time on {cores} cores, threads of each: {threads}"


def this_command() -> str:
    """The command line of this process."""
    return f"python {shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])}"


def _params(hydra: DictConfig) -> list[str]:
    """What the sweeper's config sweeps, as overrides."""
    return [f"{key}={value}" for key, value in (hydra.sweeper.get("params") or {}).items()]


def _is_listed(override: Override) -> bool:
    """Whether an override has values that a grid can go through; an interval has none."""
    return not override.is_sweep_override() or bool(override.is_discrete_sweep())


def _parsed(overrides: list[str]) -> list[Override]:
    loader = GlobalHydra.instance().config_loader()
    return OverridesParser.create(config_loader=loader).parse_overrides(overrides)
