"""The machine a stage runs on, and the Lightning trainer for it."""

from __future__ import annotations

import logging
import os
import resource
import warnings
from collections.abc import Sequence

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from cpo.errors import ConfigError
from cpo.training.progress import StageProgress
from cpo.training.ranks import world_size
from cpo.training.strategies import check_sharding, check_strategy

CPU = torch.device("cpu")


class Engine:
    """Accelerator, devices, loader processes, checkpoint cadence.

    Weights keep the policy's own dtype (`policy.dtype`); Lightning's precision plugins are not used.

    Args:
        accelerator: `cpu` or `gpu`.
        devices: Devices of this machine, one process each; more than one are started by torchrun or srun.
        strategy: Lightning's strategy name.
        threads: CPU threads of this process; 0 leaves torch's default, all cores. Parallel jobs on one machine must
            share the cores: two jobs of two threads on two cores run three times slower than one after the other.
        workers: Loader processes; 0 encodes in the training process.
        checkpoint_every: Optimiser steps between checkpoints.
        progress: Show progress bars.

    Raises:
        ConfigError: No such accelerator here, or a knob out of its range.
    """

    def __init__(
        self,
        *,
        accelerator: str,
        devices: int,
        strategy: str,
        threads: int,
        workers: int,
        checkpoint_every: int,
        progress: bool,
    ) -> None:
        check_sharding(strategy)
        if accelerator not in ("cpu", "gpu") or (accelerator == "gpu" and not torch.cuda.is_available()):
            raise ConfigError(
                got=f"trainer.accelerator={accelerator}, and torch sees {torch.cuda.device_count()} GPU(s)",
                wanted="cpu, or gpu on a machine that has one",
                remedy="pass trainer=cpu",
            )
        if threads < 0 or workers < 0 or devices < 1 or checkpoint_every < 1:
            raise ConfigError(
                got=f"threads={threads}, workers={workers}, devices={devices}, checkpoint_every={checkpoint_every}",
                wanted="threads, workers ≥ 0; devices, checkpoint_every ≥ 1",
                remedy="see conf/trainer/cpu.yaml for values that work",
            )
        check_strategy(accelerator=accelerator, devices=devices, strategy=strategy, environ=os.environ)
        self.accelerator, self.devices, self.strategy = accelerator, devices, strategy
        self.threads, self.workers = threads, workers
        self.checkpoint_every, self.progress = checkpoint_every, progress
        if threads:
            torch.set_num_threads(threads)
        quiet()

    @property
    def device(self) -> torch.device:
        """Where evaluation runs outside a trainer."""
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if self.accelerator == "gpu" else CPU

    def trainer(self, *, accumulate: int, clip_norm: float, callbacks: Sequence[Callback]) -> pl.Trainer:
        """A trainer for one pass over a batch plan."""
        bar = [StageProgress()] if self.progress else []
        return pl.Trainer(
            accelerator=self.accelerator,
            devices=self.devices,
            num_nodes=world_size() // self.devices,
            strategy=self.strategy,
            max_epochs=1,
            accumulate_grad_batches=accumulate,
            gradient_clip_val=clip_norm or None,
            callbacks=[*bar, *callbacks],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=self.progress,
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
        )

    def peak_memory_mb(self) -> float:
        """Peak memory in MiB so far: of the GPU, or of this process."""
        if self.accelerator == "gpu":
            return torch.cuda.max_memory_allocated() / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def quiet() -> None:
    """Silences Lightning's start-up notices and the warnings that say what we chose on purpose."""
    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*Found .* module.* in eval mode.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*Found keys that are in the model state dict but not in the checkpoint.*",
        ".*GPU available but not used.*",
        ".*your dataloader is not resumable.*",  # its batch plan is: it starts at the checkpoint's batch
    ):
        warnings.filterwarnings("ignore", message=message, category=UserWarning)
    # peft 0.21 still reads the attribute's old name
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
    # Lightning 2.6 asks torch's pytree in a way that torch 2.13 calls old
    warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*", category=FutureWarning)


def seed_everything(seed: int) -> None:
    """Seeds torch, numpy and random of this process."""
    pl.seed_everything(seed, workers=True, verbose=False)
