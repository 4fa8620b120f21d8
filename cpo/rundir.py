"""Run directories: a new one for each run, the same one for a run that is continued, and what a run is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from cpo import config
from cpo.errors import ConfigError, DataError
from cpo.files import read_json, write_json, write_text
from cpo.sweep_jobs import SweepJob
from cpo.tracking.environment import environment
from cpo.tracking.naming import run_name
from cpo.training.strategies import check_sweep


def chosen_directory(cfg: DictConfig, choices: Mapping[str, Any], overrides: Sequence[str]) -> Path:
    """The directory of a job: the one named by `run=`, the one of its sweep, or a new one.

    Raises:
        ConfigError: A new one cannot be made.
    """
    if cfg.run:
        return Path(cfg.run).absolute()
    name = run_name({k: str(v) for k, v in choices.items()}, seed=cfg.seed, overrides=overrides)
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        check_sweep(os.environ)
        sweep, number = Path(HydraConfig.get().sweep.dir).absolute(), HydraConfig.get().job.num
        return SweepJob(sweep, tuple(overrides)).directory or sweep / f"{number}-{name}"
    parent = Path(cfg.paths.outputs).absolute() / "runs"
    try:
        return new_directory(parent, name)
    except OSError as error:
        raise ConfigError(
            got=f"paths.outputs={cfg.paths.outputs}: {error.strerror}",
            wanted="a folder that this user may write to",
            remedy="pass paths.outputs=/somewhere/else",
        ) from error


def describe(cfg: DictConfig, directory: Path, overrides: Sequence[str], *, continues: bool) -> bool:
    """Writes what a new run is into its directory, or checks that a run to be continued is this one.

    Returns:
        Whether the run is new.

    Raises:
        ConfigError: There is no run to continue, or it has another config.
    """
    if (directory / "config.yaml").is_file():
        check_same(cfg, directory)
        return False
    if continues:
        raise ConfigError(
            got=f"run={directory}, which holds no config.yaml",
            wanted="the directory of a run that was interrupted",
            remedy="leave run= out for a new run",
        )
    write_text(directory / "overrides.yaml", OmegaConf.to_yaml(OmegaConf.create(list(overrides))))
    write_json(directory / "environment.json", environment(config.ROOT))
    write_text(directory / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True))
    return True


FREE = ("cache", "trainer", "tracker", "paths")
"""Groups that may differ when a run is continued: where it runs and how it is shown, not what it computes."""


NOT_FREE = ("paths.cache", "trainer.devices")
"""Of those what may not: the stages that a run stands on are in its cache, generated data too; and processes share each
batch, so their number decides what a step computes."""


NEW_RUN = "give the overrides of its overrides.yaml, or leave run= out for a new run"
"""What to do about a run of another config."""

NEW_JOB = "remove that directory to run the job anew, or give the sweep another one with hydra.sweep.dir=DIR"
"""The same for a job of a sweep, whose directory its overrides chose."""


def check_same(cfg: DictConfig, directory: Path) -> None:
    """Refuses to continue a run, or to take it for done, with another config.

    Raises:
        ConfigError: Naming the knobs that differ.
    """
    kept, now = OmegaConf.load(directory / "config.yaml"), OmegaConf.create(OmegaConf.to_yaml(cfg, resolve=True))
    theirs, ours = (dict(leaves(OmegaConf.to_container(c), "")) for c in (kept, now))
    free = {key for key in {*theirs, *ours} if key.split(".")[0] in FREE and key not in NOT_FREE}
    differing = [key for key in {*theirs, *ours} - free if theirs.get(key) != ours.get(key)]
    # of the first others may be interpolated, and knobs of benchmarks from others
    differing.sort(key=lambda key: (key not in NOT_FREE, key.startswith("benchmark."), key))
    if differing:
        key = differing[0]
        raise ConfigError(
            got=f"run={directory} of another config: {key}={ours.get(key)}"
            + (f", and {len(differing) - 1} more" if differing[1:] else ""),
            wanted=f"the run's own: {key}={theirs.get(key)}",
            remedy=NEW_JOB if HydraConfig.get().mode == RunMode.MULTIRUN else NEW_RUN,
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
    return read_json(directory / "summary.json"), run_cfg
