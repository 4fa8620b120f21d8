"""A search over knobs by Optuna: each trial is a few seeds of one job, judged on the validation split."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from cpo.errors import ConfigError
from cpo.files import read_json, write_json
from cpo.sweep import console, own, share_cores, this_command
from cpo.sweep_jobs import SweepJob, write_plan

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

STUDY = "study.db"
"""The search's memory in its directory, an SQLite file of Optuna's."""


class Search(Sweeper):
    """Optuna's tree-structured Parzen estimator over the knobs that have a range; the others stay as they are given.

    A trial runs one job per seed and is told the mean of a metric of their `summary.json`. Its memory is an SQLite file
    in the sweep's directory: the same command goes on where it stopped, and tries again what failed.

    Args:
        params: Knob → range, as Hydra writes it: `interval(0.01, 1)`, `tag(log, interval(1e-5, 1e-3))`, `range(1, 5)`,
            `choice(a, b)`. The command line may give others.
        metric: Path of a number in `summary.json`.
        direction: `maximize` or `minimize`.
        n_trials: Complete trials to reach, ≥ 1; more of them go on with the same search.
        batch: Trials that are launched together, ≥ 1: what a parallel launcher shares among its workers.
        seeds: Runs per trial, ≥ 1, of consecutive seeds from `seed=` on.
        startup: Random trials before the estimator is asked, ≥ 1.
        sampler_seed: Of the choice of trials.

    Raises:
        ConfigError: A knob out of its range.
    """

    def __init__(
        self,
        *,
        params: dict[str, str],
        metric: str,
        direction: str,
        n_trials: int,
        batch: int,
        seeds: int,
        startup: int,
        sampler_seed: int,
    ) -> None:
        if direction not in ("maximize", "minimize") or min(n_trials, batch, seeds, startup) < 1:
            raise ConfigError(
                got=f"direction={direction}, n_trials={n_trials}, batch={batch}, seeds={seeds}, startup={startup}",
                wanted="direction maximize or minimize, the others ≥ 1",
                remedy="see conf/hydra/sweeper/optuna.yaml; knobs are given as hydra.sweeper.n_trials=20",
            )
        self.params, self.metric, self.direction = params, metric, direction
        self.n_trials, self.batch, self.seeds = n_trials, batch, seeds
        self.startup, self.sampler_seed = startup, sampler_seed

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """See Hydra's `Sweeper`."""
        self.hydra_context, self.config = hydra_context, config
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Runs trials until there are enough.

        Raises:
            ConfigError: Nothing to search, a search on the test split, or one that another process runs already.
        """
        assert self.hydra_context is not None
        assert self.config is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*(f"{k}={v}" for k, v in self.params.items()), *arguments])
        space, fixed = split(overrides)
        directory = Path(self.config.hydra.sweep.dir)
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(directory / ".search.lock")
        try:
            lock.acquire(timeout=1)
        except Timeout:
            raise ConfigError(
                got=f"a search in {directory}, which another process runs",
                wanted="one process for each search",
                remedy=f"watch it: cpo sweep status {directory}; more at once: hydra.sweeper.batch=N and a launcher",
            ) from None
        try:
            self._search(directory, space, fixed)
        finally:
            lock.release()

    def _search(self, directory: Path, space: dict[str, BaseDistribution], fixed: dict[str, str]) -> None:
        assert self.config is not None
        study = self._study(directory)
        missing = self.n_trials - len(_complete(study))
        console.print(
            f"[bold]search[/]     {self.direction} {self.metric} over {', '.join(space)}: "
            f"{self.n_trials} trials of {self.seeds} seeds, {self.n_trials - missing} of them done before"
            + share_cores(self.config.hydra.launcher, min(self.batch, missing) * self.seeds, os.environ)
        )
        console.print(f"           watch it from another terminal: cpo sweep status {shlex.quote(str(directory))}")
        for trials in self._batches(study, space, missing):
            jobs = {number: self._jobs(directory, fixed, params) for number, params in trials.items()}
            self._keep_plan(directory, study, fixed, space)
            batch = [list(job.overrides) for trial in jobs.values() for job in trial]
            self.validate_batch_is_legal(batch)
            self.launcher.launch(batch, initial_job_idx=min(jobs) * self.seeds)
            for number, trial in jobs.items():
                self._tell(study, number, trials[number], trial)
        self._keep_plan(directory, study, fixed, space)
        self._announce(directory, study, fixed)

    def _study(self, directory: Path) -> Study:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = f"sqlite:///{directory / STUDY}"
        direction = optuna.study.StudyDirection[self.direction.upper()]
        study = optuna.create_study(storage=storage, study_name="search", direction=direction, load_if_exists=True)
        # a sampler that went on from the same seed would propose again what it proposed first
        seed = self.sampler_seed + len(study.trials)
        study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=self.startup)
        return study

    def _batches(
        self, study: Study, space: dict[str, BaseDistribution], missing: int
    ) -> Iterator[dict[int, dict[str, Any]]]:
        """Numbers and parameters of trials: those that a kill interrupted, those that failed, then new ones."""
        from optuna.trial import TrialState

        begun = {t.number: dict(t.params) for t in study.get_trials(states=(TrialState.RUNNING,))}
        for number in [number for number, params in begun.items() if params.keys() != space.keys()]:
            study.tell(number, state=TrialState.FAIL)  # killed before it had its parameters
            del begun[number]
        waiting = study.get_trials(states=(TrialState.WAITING,))
        known = [trial.params for trial in _complete(study)] + list(begun.values())
        known += [trial.system_attrs.get("fixed_params", {}) for trial in waiting]
        for trial in study.get_trials(states=(TrialState.FAIL,)):
            if trial.params.keys() == space.keys() and trial.params not in known:
                study.enqueue_trial(trial.params)
                known.append(trial.params)
        while missing > 0:
            batch = dict(list(begun.items())[: min(self.batch, missing)])
            for number in batch:
                del begun[number]
            while len(batch) < min(self.batch, missing):
                asked = study.ask(space)
                batch[asked.number] = dict(asked.params)
            missing -= len(batch)
            yield batch

    def _jobs(self, directory: Path, fixed: Mapping[str, str], params: Mapping[str, Any]) -> list[SweepJob]:
        """One job per seed."""
        first = int(fixed.get("seed", "0"))
        chosen = {**fixed, **{key: text(value) for key, value in params.items()}}
        return [
            SweepJob(directory, tuple(f"{k}={v}" for k, v in {**chosen, "seed": str(first + i)}.items()))
            for i in range(self.seeds)
        ]

    def _tell(self, study: Study, number: int, params: Mapping[str, Any], jobs: Sequence[SweepJob]) -> None:
        from optuna.trial import TrialState

        values = [self._value(job) for job in jobs]
        named = " ".join(f"{key}={text(value)}" for key, value in params.items())
        if all(math.isfinite(value) for value in values):
            study.tell(number, fmean(values))
            seeds = f" (mean of {', '.join(f'{value:.4f}' for value in values)})" if len(values) > 1 else ""
            console.print(f"[bold]trial {number}[/]    {fmean(values):.4f}{seeds}: {named}")
        else:
            study.tell(number, state=TrialState.FAIL)
            console.print(f"[bold]trial {number}[/]    no value: {named}")

    def _value(self, job: SweepJob) -> float:
        """The metric of a job; nan if it is not done, or the metric is not a number there.

        Raises:
            ConfigError: A run is complete and has no such metric.
        """
        if not job.done or job.directory is None:
            return math.nan
        return metric_of(read_json(job.directory / "summary.json"), self.metric)

    def _keep_plan(
        self, directory: Path, study: Study, fixed: Mapping[str, str], space: Mapping[str, BaseDistribution]
    ) -> None:
        jobs = [
            job
            for t in study.trials
            if t.params.keys() == space.keys()
            for job in self._jobs(directory, fixed, t.params)
        ]
        unique = list({job.key: job for job in jobs}.values())
        total = max(self.n_trials * self.seeds, len(unique))
        objective = {"metric": self.metric, "direction": self.direction}
        assert self.config is not None
        launcher = str(self.config.hydra.launcher._target_)
        more = {"command": this_command(), "launcher": launcher, "objective": objective}
        write_plan(directory, unique, total=total, axes=[*space, "seed"], **more)

    def _announce(self, directory: Path, study: Study, fixed: Mapping[str, str]) -> None:
        """Says which trial was best, and the command that judges its knobs on the test split."""
        if not _complete(study):
            console.print("no trial was completed")
            return
        best = study.best_trial
        rest = {k: v for k, v in fixed.items() if k not in ("held_out", "seed", "sweep")}
        chosen = [f"{k}={text(v)}" for k, v in {**rest, **best.params}.items()]
        command = f"python train.py {shlex.join([*chosen, 'held_out=test'])}"
        found = {"trial": best.number, "value": best.value, "params": best.params, "command": command}
        write_json(directory / "best.json", {"metric": self.metric, **found})
        console.print(f"[bold]best[/]       trial {best.number}: {best.value:.4f}; to judge it on the test split:")
        console.print(f"  {command}")


def split(overrides: Sequence[Override]) -> tuple[dict[str, BaseDistribution], dict[str, str]]:
    """Knobs with a range, as Optuna's distributions, and those that stay fixed; the search is judged on `validate`.

    Args:
        overrides: Of the sweeper's config and the command line; later ones win.

    Raises:
        ConfigError: Nothing to search, seeds among the ranges, or another split than `validate`.
    """
    last = {override.get_key_element(): override for override in overrides}
    space = {key: distribution(override) for key, override in last.items() if override.is_sweep_override()}
    fixed = [f"{k}={o.get_value_element_as_str()}" for k, o in last.items() if not o.is_sweep_override()]
    known = dict(item.partition("=")[::2] for item in own(fixed))
    if not space or "seed" in space:
        raise ConfigError(
            got="seed among the knobs to search" if space else "no knob with a range",
            wanted="ranges of knobs other than seed, over which a trial is averaged",
            remedy="'loss.beta=tag(log, interval(0.01, 1))' hydra.sweeper.seeds=3, or sweep=beta_x_lr",
        )
    if known.setdefault("held_out", "validate") != "validate":
        raise ConfigError(
            got=f"a search with held_out={known['held_out']}",
            wanted="held_out=validate: what chooses knobs must not be what judges them",
            remedy="leave held_out= out; the search ends with the command that judges its best trial on the test split",
        )
    return space, known


def distribution(override: Override) -> BaseDistribution:
    """A range of Hydra's grammar as a distribution of Optuna's."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value = override.value()
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        log = "log" in value.tags
        if isinstance(value.start, int) and isinstance(value.end, int):
            return IntDistribution(value.start, value.end, log=log)
        return FloatDistribution(float(value.start), float(value.end), log=log)
    if isinstance(value, RangeSweep) and not value.shuffle:
        steps = list(value.range())
        if all(isinstance(step, int) for step in steps):
            return IntDistribution(steps[0], steps[-1], step=int(value.step))
    return CategoricalDistribution(list(override.sweep_string_iterator()))


def metric_of(summary: Mapping[str, Any], path: str) -> float:
    """A number of `summary.json`; nan where it is null.

    Args:
        summary: Of a complete run.
        path: Keys joined by dots.

    Raises:
        ConfigError: There is no such number.

    Example:
        >>> metric_of({"eval": {"after": {"all": {"margin": {"value": 1.5}}}}}, "eval.after.all.margin.value")
        1.5
    """
    node: Any = summary
    for key in path.split("."):
        if not isinstance(node, Mapping) or key not in node:
            there = ", ".join(map(str, node)) if isinstance(node, Mapping) else repr(node)
            raise ConfigError(
                got=f"metric={path}, and there is no {key} among: {there}",
                wanted="the path of a number in summary.json",
                remedy="hydra.sweeper.metric=eval.after.all.pair_accuracy.value, say",
            )
        node = node[key]
    return math.nan if node is None else float(node)


def text(value: Any) -> str:
    """A parameter as an override has it: no more digits than a person would read.

    Example:
        >>> text(0.000123456), text("dpo")
        ('0.0001235', 'dpo')
    """
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _complete(study: Study) -> list[Any]:
    from optuna.trial import TrialState

    return study.get_trials(states=(TrialState.COMPLETE,))
