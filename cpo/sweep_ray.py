"""Jobs of a sweep as tasks of a Ray cluster, or of one that is started on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from cpo.errors import ConfigError
from cpo.sweep import own
from cpo.sweep_jobs import SweepJob

if TYPE_CHECKING:
    from ray import ObjectRef


class RayTasks(Launcher):
    """Each job a Ray task, started where its CPUs and GPUs are free; Ray gives it as many threads as CPUs.

    A job whose worker dies (out of memory, a lost node) fails alone. A cluster's nodes need this checkout and the
    folders of `paths` at the same place.

    Args:
        address: `local` starts a cluster on this machine for the time of the sweep; `auto` joins the one that runs
            here; a host and port joins that one.
        cpus: CPUs of each job, > 0.
        gpus: GPUs of each job, ≥ 0; a fraction lets jobs share one.

    Raises:
        ConfigError: A number out of its range.
    """

    def __init__(self, *, address: str, cpus: float, gpus: float) -> None:
        if cpus <= 0 or gpus < 0:
            raise ConfigError(
                got=f"hydra.launcher.cpus={cpus}, hydra.launcher.gpus={gpus}",
                wanted="cpus > 0, gpus ≥ 0",
                remedy="see conf/hydra/launcher/ray.yaml for values that work",
            )
        self.address, self.cpus, self.gpus = address, cpus, gpus

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """See Hydra's `Launcher`."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs a batch of jobs and waits for all of them."""
        os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # what a job prints is not to be left out
        import ray

        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        ours = not ray.is_initialized()
        if ours:
            ray.init(address=self.address, include_dashboard=False, configure_logging=False)
        try:
            task = ray.remote(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=0)(run_alone)
            given = (self.hydra_context, self.config, self.task_function, Singleton.get_state())
            running = [
                task.remote(initial_job_idx + i, list(overrides), *given) for i, overrides in enumerate(job_overrides)
            ]
            numbered = enumerate(zip(running, job_overrides, strict=True), start=initial_job_idx)
            return [self._result(number, reference, overrides) for number, (reference, overrides) in numbered]
        finally:
            if ours:
                ray.shutdown()

    def _result(self, number: int, reference: ObjectRef[JobReturn], overrides: Sequence[str]) -> JobReturn:
        """What a job returned; a job whose worker died has failed, and the others go on."""
        import ray

        try:
            return ray.get(reference)
        except ray.exceptions.RayError as error:
            job = SweepJob(Path(self.config.hydra.sweep.dir), tuple(own(list(overrides))))
            job.note_failure(number, f"{type(error).__name__}: its worker died")
            return JobReturn(overrides=overrides, status=JobStatus.COMPLETED)


def run_alone(
    number: int,
    overrides: list[str],
    hydra_context: HydraContext,
    config: DictConfig,
    task_function: TaskFunction,
    singletons: dict[Any, Any],
) -> JobReturn:
    """One job in a process of its own, which knows nothing of Hydra yet."""
    setup_globals()
    Singleton.set_state(singletons)
    job = hydra_context.config_loader.load_sweep_config(config, overrides)
    with open_dict(job):
        job.hydra.job.id = job.hydra.job.num = number
    HydraConfig.instance().set_config(job)
    return run_job(
        hydra_context=hydra_context,
        config=job,
        task_function=task_function,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
