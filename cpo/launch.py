"""What `train.py` and `evaluate.py` stand on: run directories, Hydra's modes, errors without a traceback."""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from cpo import config
from cpo.app import Job, console, read_json
from cpo.errors import ConfigError, CPOError, DataError
from cpo.files import write_json, write_text
from cpo.report.terminal import eval_table
from cpo.tracking.composite import CompositeTracker
from cpo.tracking.environment import environment
from cpo.tracking.local import LocalTracker
from cpo.tracking.naming import run_name
from cpo.training.callbacks import Interrupted

CHOICES = (*(f.name for f in fields(config.TrainConfig) if f.name != "paths"), "experiment")
"""Groups whose choice says what a run is, in the order of the stages."""


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
    if cfg.run:
        directory = Path(cfg.run).absolute()
    elif hydra_config.mode == RunMode.MULTIRUN:
        directory = Path(hydra_config.runtime.output_dir)
    else:
        name = run_name({k: str(v) for k, v in choices.items()}, seed=cfg.seed, overrides=overrides)
        directory = new_directory(Path(cfg.paths.outputs).absolute() / "runs", name)
    for node in cfg.tracker.values():
        node.directory = str(directory)
    cfg.run = ""  # where a run stands is not what it is
    continued = (directory / "config.yaml").is_file()
    if continued:
        check_same(cfg, directory)
    elif hydra_config.overrides.task != overrides:
        raise ConfigError(
            got=f"run={directory}, which holds no config.yaml",
            wanted="the directory of a run that was interrupted",
            remedy="leave run= out for a new run",
        )
    else:
        write_text(directory / "overrides.yaml", OmegaConf.to_yaml(OmegaConf.create(overrides)))
        write_json(directory / "environment.json", environment(config.ROOT))
        write_text(directory / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True))
    job = Job(cfg, directory, choices, LocalTracker(directory=directory))
    try:
        yield job
    except Interrupted as stopped:
        again = " ".join(["python train.py", *overrides, f"run={directory}"])
        print(f"{stopped}; what was done is saved. To go on:\n  {again}", file=sys.stderr)
        sys.exit(128 + stopped.number)
    finally:
        job.tracker.finish()
    print(f"run: {directory}", flush=True)


FREE = ("trainer", "tracker", "paths")
"""Groups that may differ when a run is continued: where it runs and how it is shown, not what it computes."""


def check_same(cfg: DictConfig, directory: Path) -> None:
    """Refuses to continue a run with another config.

    Raises:
        ConfigError: Naming the knobs that differ.
    """
    kept, now = OmegaConf.load(directory / "config.yaml"), OmegaConf.create(OmegaConf.to_yaml(cfg, resolve=True))
    theirs, ours = (dict(leaves(OmegaConf.to_container(c), "")) for c in (kept, now))
    differing = sorted(
        key for key in {*theirs, *ours} if theirs.get(key) != ours.get(key) and key.split(".")[0] not in FREE
    )
    if differing:
        key = differing[0]
        raise ConfigError(
            got=f"run={directory} of another config: {key}={ours.get(key)}"
            + (f", and {len(differing) - 1} more" if differing[1:] else ""),
            wanted=f"the run's own: {key}={theirs.get(key)}",
            remedy="give the overrides of its overrides.yaml, or leave run= out for a new run",
        )


def leaves(node: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """The scalar (and list) values of nested mappings, by dotted path.

    Example:
        >>> dict(leaves({"a": {"b": 1}, "c": [2]}, ""))
        {'a.b': 1, 'c': [2]}
    """
    if not isinstance(node, dict):
        yield prefix.rstrip("."), node
        return
    for key, value in node.items():
        yield from leaves(value, f"{prefix}{key}.")


def new_directory(parent: Path, name: str) -> Path:
    """A directory that did not exist: the time in front, and a number behind if two jobs start in the same second."""
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
    for attempt in range(1000):
        directory = parent / (f"{stamp}-{name}" + (f"-{attempt}" if attempt else ""))
        try:
            directory.mkdir(parents=True)
        except FileExistsError:
            continue
        return directory
    raise AssertionError("a thousand jobs in one second")


def evaluate_again(cfg: DictConfig) -> None:
    """Judges the policy of a run directory again, on the data its config describes, and writes `eval/`.

    Benchmarks keep the knobs that the run had, unless the command line sets one.

    Raises:
        DataError: The directory is not that of a finished run, or the model that its adapter was made for is gone.
    """
    directory = Path(cfg.run).absolute()
    summary, run_cfg = finished_run(directory)
    overridden = any(override.startswith("benchmark.") for override in HydraConfig.get().overrides.task)
    for name in cfg.benchmark:
        if name in run_cfg.benchmark and not overridden:
            cfg.benchmark[name] = run_cfg.benchmark[name]
    run_cfg.benchmark, run_cfg.trainer = cfg.benchmark, cfg.trainer
    job = Job(run_cfg, directory, summary["choices"], CompositeTracker(trackers=[]))
    data = job.data()
    policy = job.load(Path(job.backbone.adapter_base(directory / "adapter")))
    policy.model = job.backbone.load_adapter(policy.model, directory / "adapter")
    job.summary["eval"] = {}
    job.judge("after", policy, data)
    known = summary["eval"].get("after", {})
    again = job.summary["eval"]["after"]
    kept = {concept: {k: known.get(concept, {}).get(k) for k in metrics} for concept, metrics in again.items()}
    console.print(eval_table({**summary, "eval": {"after": again}}))
    same = json.loads(json.dumps(again)) == kept
    console.print("[bold]same[/] numbers as the run's own" if same else "numbers [bold]differ[/] from the run's own")
    print(f"run: {directory}", flush=True)


def finished_run(directory: Path) -> tuple[dict[str, Any], DictConfig]:
    """Summary and config of a run directory.

    Raises:
        DataError: It is not one, or the run has not finished.
    """
    for needed in ("config.yaml", "summary.json", "adapter/adapter_config.json"):
        if not (directory / needed).is_file() or not read_json(directory / "summary.json").get("finished", False):
            raise DataError(
                got=f"{directory} without {needed}",
                wanted="the directory of a finished run",
                remedy="pass run=DIR as train.py printed it in its last line",
            )
    run_cfg = OmegaConf.load(directory / "config.yaml")
    assert isinstance(run_cfg, DictConfig)
    return json.loads((directory / "summary.json").read_text()), run_cfg


def speaks_plainly(task: Callable[[DictConfig], None]) -> Callable[[DictConfig], None]:
    """Prints a user's mistake as got / wanted / remedy and exits with 2, where Hydra would print a traceback."""

    @functools.wraps(task)
    def wrapped(cfg: DictConfig) -> None:
        try:
            task(cfg)
        except CPOError as error:
            print(error, file=sys.stderr)
            sys.exit(2)

    return wrapped


class AnnounceSweep(Callback):
    """Prints `sweep: DIR` as the last line of a multirun."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """See Hydra's `Callback`."""
        print(f"sweep: {Path(config.hydra.sweep.dir).absolute()}", flush=True)
