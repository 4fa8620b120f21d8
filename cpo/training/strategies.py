"""Which strategies a policy can be tuned with, and why the others are refused before anything is spent."""

from __future__ import annotations

from collections.abc import Mapping

from cpo.errors import ConfigError

SHARDING = ("fsdp", "deepspeed")
"""Families of strategies that spread the weights or the optimiser's state over devices."""

_WHOLE = (
    "auto or ddp, which keep the policy whole on every device: a checkpoint is one file of the trainable weights, and "
    "the policy is judged outside the trainer"
)


def check_sharding(strategy: str) -> None:
    """Refuses a strategy that shards, on any machine.

    Log-probs are computed below the module that such a strategy wraps (the LM head sees scored tokens alone, the vision
    tower distinct images), so its hooks would not gather the weights; and its checkpoints are of shards.

    Raises:
        ConfigError: Saying what is missing, and what does the same work.
    """
    if strategy.startswith(SHARDING):
        package = ", the package deepspeed" if strategy.startswith("deepspeed") else ""
        raise ConfigError(
            got=f"trainer.strategy={strategy}, which shards: besides two or more GPUs{package} it would need "
            "checkpoints of the adapter alone, gathered from all shards, and a judgement inside the trainer; both are "
            "missing",
            wanted=_WHOLE,
            remedy="pass trainer=ddp: of a LoRA policy only the adapter has gradients and optimiser state, so that "
            "little is left to shard; a 7B policy in bfloat16 takes 17 GB of each device",
        )


def check_strategy(*, accelerator: str, devices: int, strategy: str, environ: Mapping[str, str]) -> None:
    """Refuses a strategy that does not fit the devices, or the way in which the processes were started.

    Ranks come from torchrun. Lightning's own launcher is never used: its children run the parent's command
    again, each in a run directory of its own, and in a sweep each would start the whole sweep.

    Args:
        accelerator: `cpu` or `gpu`.
        devices: Processes on this machine, one per device.
        strategy: Lightning's strategy name.
        environ: Of this process: where torchrun says how many ranks there are.

    Raises:
        ConfigError: A strategy that shards, several devices without `ddp`, or ranks that are not as many as devices.

    Example:
        >>> check_strategy(accelerator="cpu", devices=2, strategy="ddp", environ={"LOCAL_WORLD_SIZE": "2"})
    """
    check_sharding(strategy)
    if strategy not in ("auto", "ddp"):
        raise ConfigError(got=f"trainer.strategy={strategy}", wanted=_WHOLE, remedy="pass trainer.strategy=auto")
    ranks = local_ranks(environ)
    if strategy == "auto" and max(devices, ranks or 1) > 1:
        raise ConfigError(
            got=f"trainer.strategy=auto for {max(devices, ranks or 1)} processes",
            wanted="trainer.strategy=ddp, or one process on one device",
            remedy=f"pass trainer=ddp trainer.accelerator={accelerator} trainer.devices={max(devices, ranks or 1)}",
        )
    if strategy == "ddp" and ranks != devices:
        started = "not by torchrun" if ranks is None else f"as {ranks} processes on this machine"
        raise ConfigError(
            got=f"trainer.devices={devices}, and this run was started {started}",
            wanted="one process per device, started by torchrun (under srun: srun torchrun …)",
            remedy=f"torchrun --nproc-per-node {devices} train.py trainer=ddp trainer.devices={devices} …",
        )


def check_sweep(environ: Mapping[str, str]) -> None:
    """Refuses a sweep on several ranks: every rank would start the whole sweep.

    Raises:
        ConfigError: This process is one of several ranks.
    """
    ranks = int(environ.get("WORLD_SIZE", "1"))
    if ranks > 1:
        raise ConfigError(
            got=f"a sweep (-m) started as {ranks} ranks",
            wanted="a sweep in one process, or one job on several ranks",
            remedy="leave out -m and start each job by torchrun, or leave out torchrun",
        )


def local_ranks(environ: Mapping[str, str]) -> int | None:
    """Ranks on this machine as torchrun says; None without it.

    Example:
        >>> local_ranks({"LOCAL_WORLD_SIZE": "4"})
        4
    """
    return int(environ["LOCAL_WORLD_SIZE"]) if "LOCAL_WORLD_SIZE" in environ else None
