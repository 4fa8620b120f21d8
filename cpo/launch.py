"""What `train.py` and `evaluate.py` stand on: a job in its directory, from start or continued, and judged again."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import FrameType

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from cpo import config
from cpo.app import Job, console
from cpo.errors import ConfigError, CPOError
from cpo.evaluation.benchmark import begin_anew
from cpo.files import read_json
from cpo.records import Tracker
from cpo.report.terminal import eval_table
from cpo.rundir import chosen_directory, describe, finished_run
from cpo.tracking.composite import CompositeTracker
from cpo.tracking.local import LocalTracker
from cpo.training import ranks
from cpo.training.callbacks import Interrupted

CHOICES = (*(f.name for f in fields(config.TrainConfig) if f.name not in ("cache", "paths")), "experiment")
"""Groups whose choice says what a run is, in the order of the stages."""
FOR_A_RUN = ("run", "from", "benchmark", "trainer", "hydra")
"""What the command line may set when a run is judged again."""


def prepare() -> None:
    """What must be known before Hydra composes: the schemas."""
    config.register_schemas()


@contextmanager
def open_job(cfg: DictConfig) -> Iterator[Job]:
    """A job in its directory, a new one unless `run=` names one to go on with; its last line is `run: DIR`.

    Its tracker is closed whatever happens.
    """
    hydra_config = HydraConfig.get()
    overrides = [o for o in hydra_config.overrides.task if not o.startswith("run=")]
    choices = {k: v for k in CHOICES if (v := hydra_config.runtime.choices.get(k)) is not None}
    config.drop_unchosen(cfg, "benchmark", overrides)
    ranks.join(cfg.trainer.accelerator)
    directory = Path(ranks.from_first(str(chosen_directory(cfg, choices, overrides) if ranks.rank() == 0 else "")))
    first = ranks.rank() == 0
    for node in cfg.tracker.values():
        node.directory = str(directory)
    continues, cfg.run = bool(cfg.run), ""  # where a run stands is not what it is
    new = first and describe(cfg, directory, overrides, continues=continues)
    ranks.wait_for_all()
    tracker: Tracker = LocalTracker(directory=directory) if first else CompositeTracker(trackers=[])
    before = signal.signal(signal.SIGTERM, _stop)
    job: Job | None = None
    refused = False
    try:
        job = Job(cfg, directory, choices, tracker)
        yield job
    except CPOError:
        refused = True
        raise
    except (Interrupted, KeyboardInterrupt) as stopped:
        number = stopped.number if isinstance(stopped, Interrupted) else signal.SIGINT
        start = f"torchrun --nproc-per-node {ranks.world_size()}" if ranks.world_size() > 1 else "python"
        again = f"{start} train.py {shlex.join([*overrides, f'run={directory}'])}"
        if hydra_config.mode == RunMode.MULTIRUN:
            again = "the command of the sweep, as it was"
        print(f"stopped by {signal.Signals(number).name}; what was done is kept. To go on:\n  {again}", file=sys.stderr)
        sys.exit(128 + number)
    finally:
        signal.signal(signal.SIGTERM, before)
        (tracker if job is None else job.tracker).finish()
        ranks.leave()
        # what is refused before anything was spent leaves nothing behind
        if refused and new and not read_json(directory / "summary.json"):
            shutil.rmtree(directory)
    if first:
        print(f"run: {directory}", flush=True)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number)


def evaluate_again(cfg: DictConfig) -> None:
    """Judges the policy of a run directory again, on the data its config describes, and writes `eval/`.

    Benchmarks keep the knobs that the run had, but for those that the command line sets.

    Raises:
        ConfigError: The command line sets paths.
        DataError: The directory is not that of a finished run, or the model that its adapter was made for is gone.
    """
    if cfg["from"] not in ("policy", "predictions"):
        raise ConfigError(got=f"from={cfg['from']}", wanted="policy or predictions", remedy="leave it out")
    if not cfg.run:
        raise ConfigError(
            got="neither run=, nor policy.path=, nor compare=",
            wanted="a run directory, or a policy's",
            remedy="python evaluate.py run=outputs/runs/NAME",
        )
    directory = Path(cfg.run).absolute()
    summary, run_cfg = finished_run(directory)
    keys = [override.lstrip("+").partition("=")[0] for override in HydraConfig.get().overrides.task]
    if moved := [key for key in keys if key.partition(".")[0] == "paths"]:
        raise ConfigError(
            got=f"{moved[0]}= for a run that is judged again",
            wanted="the run's own folders: its data and the base of its adapter stand in the cache that it used, "
            f"{run_cfg.paths.cache}",
            remedy="leave paths out, and give the command in the folder in which the run was started",
        )
    if others := [key for key in keys if key.partition(".")[0].partition("@")[0] not in FOR_A_RUN]:
        raise ConfigError(
            got=f"{others[0]}= for a run that is judged again",
            wanted=f"knobs of {', '.join(FOR_A_RUN)} only: policy and data are the run's own",
            remedy=f"judge its policy on other data: python evaluate.py policy.path={directory}/adapter dataset=…",
        )
    cfg.benchmark = with_own_knobs(cfg.benchmark, run_cfg.benchmark, keys)
    run_cfg.benchmark, run_cfg.trainer = cfg.benchmark, cfg.trainer
    job = Job(run_cfg, directory, summary["choices"], CompositeTracker(trackers=[]))
    data = job.data()
    if job.waits:
        data = job.paired(data, Path(job.backbone.adapter_base(directory / "adapter")))
    policy = None
    if cfg["from"] == "policy":
        policy = job.load(Path(job.backbone.adapter_base(directory / "adapter")))
        job.check_base(policy)
        policy.model = job.backbone.load_adapter(policy.model, directory / "adapter")
        for name in job.benchmarks:
            begin_anew(directory / "eval" / "after" / name)
    job.summary["eval"] = {}
    job.judge("after", policy, data)
    known = summary["eval"].get("after", {})
    again = job.summary["eval"]["after"]
    kept = {concept: {k: known.get(concept, {}).get(k) for k in metrics} for concept, metrics in again.items()}
    shown = {**summary, "eval": {"after": again}, "benchmarks": job.summary["benchmarks"]}
    console.print(eval_table(shown))
    same = json.loads(json.dumps(again)) == kept
    console.print("[bold]same[/] numbers as the run's own" if same else "numbers [bold]differ[/] from the run's own")
    print(f"run: {directory}", flush=True)


def with_own_knobs(chosen: DictConfig, own: DictConfig, keys: Sequence[str]) -> DictConfig:
    """The chosen benchmarks with the knobs that a run had, but for those that the command line sets.

    Args:
        chosen: As composed for `evaluate.py`.
        own: Those of the run.
        keys: What the command line sets, as `benchmark.preference.limit`.

    Example:
        >>> of = OmegaConf.create
        >>> chosen, own = of({"a": {"limit": 8, "seed": 0}, "b": {"limit": 0}}), of({"a": {"limit": 4, "seed": 1}})
        >>> with_own_knobs(chosen, own, ["benchmark.a.limit"])
        {'a': {'limit': 8, 'seed': 1}, 'b': {'limit': 0}}
    """
    made = OmegaConf.create({name: own.get(name, node) for name, node in chosen.items()})
    for key in (key.partition(".")[2] for key in keys if key.startswith("benchmark.")):
        OmegaConf.update(made, key, OmegaConf.select(chosen, key), force_add=True)
    return made
