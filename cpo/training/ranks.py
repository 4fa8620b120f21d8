"""Several processes of one job, as `torchrun` or `srun` start them: who is first, and how they agree.

Lightning's own launcher is never used: it would run the parent's command line again, and with it a whole sweep.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch.distributed as dist

from cpo.files import build_directory

T = TypeVar("T")

PATIENCE = timedelta(hours=12)
"""How long a process waits for the first one, which generates worlds and judges alone."""


def rank() -> int:
    """Number of this process among those of the job, from 0."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Processes of the job."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def join(accelerator: str) -> None:
    """Meets the other processes of the job; nothing to do for a single one."""
    if world_size() > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if accelerator == "gpu" else "gloo", timeout=PATIENCE)


def leave() -> None:
    """Parts from the others in good order."""
    if dist.is_initialized():
        dist.destroy_process_group()


def from_first(value: T) -> T:
    """The first process's value, in every process."""
    if world_size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def wait_for_all() -> None:
    """Returns when every process has come here."""
    if world_size() > 1:
        dist.barrier()


@contextmanager
def first_ahead() -> Iterator[None]:
    """The first process does what stands inside before the others do it, who then find it done.

    What writes a model must be done by the first process: transformers writes on no other.
    """
    if rank() != 0:
        wait_for_all()
    yield
    if rank() == 0:
        wait_for_all()


def build_together(final: Path, build: Callable[[Path | None], None]) -> bool:
    """`cpo.files.build_directory` where the building itself needs all processes of the job.

    Args:
        final: Where the directory shall stand.
        build: Called in every process, with the directory to fill in the first one and None in the others.

    Returns:
        True if it was built now.
    """
    if rank() != 0:
        needed = from_first(False)
        if needed:
            build(None)
        wait_for_all()
        return needed

    def announce(directory: Path) -> None:
        from_first(True)
        build(directory)

    built = build_directory(final, announce)
    if not built:
        from_first(False)
    wait_for_all()
    return built
