"""What happens beside training: checkpoints, and stopping in good order when asked to."""

from __future__ import annotations

import math
import signal
from pathlib import Path
from statistics import fmean
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from cpo.files import replace_file


class Interrupted(Exception):
    """Training was asked to stop, and what it had done is saved.

    Args:
        number: The signal: SIGINT (Ctrl-C) or SIGTERM (a scheduler that wants its node back).
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


class LogSteps(Callback):
    """Has the module log each optimiser step as soon as it is made, before a checkpoint says that it is."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Lightning would call the module's own hook after all callbacks, `SaveLast` among them."""
        pl_module.log_step(batch_idx)


class StopWhenFlat(Callback):
    """Stops a stage whose training loss no longer falls; it has no held-out part that could be looked at.

    The loss is averaged over windows of so many optimiser steps, one behind the other, and training stops at the end of
    the first window that is not below every earlier one. What it knows stands in the checkpoint, so that a resumed
    training stops where it would have stopped.

    Args:
        window: Optimiser steps, ≥ 1.

    Example:
        >>> flat = StopWhenFlat(2)
        >>> [flat.observe(loss) for loss in (0.7, 0.6, 0.5, 0.4, 0.45, 0.45)]
        [False, False, False, False, False, True]
    """

    def __init__(self, window: int) -> None:
        self.window, self.stopped = window, False
        self._best, self._losses = math.inf, list[float]()

    def observe(self, loss: float) -> bool:
        """Takes the loss of one optimiser step; whether to stop."""
        self._losses.append(loss)
        if len(self._losses) == self.window:
            mean = fmean(self._losses)
            self._losses.clear()
            self.stopped = mean >= self._best
            self._best = min(mean, self._best)
        return self.stopped

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A training that was over when it was killed is over."""
        trainer.should_stop = trainer.should_stop or self.stopped

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        """Looks at the loss of a step that has just been made."""
        if pl_module.means and self.observe(pl_module.means["loss"]):
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """See Lightning's `Callback`."""
        return {"best": self._best, "losses": list(self._losses), "stopped": self.stopped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See Lightning's `Callback`."""
        self._best, self._losses, self.stopped = state_dict["best"], state_dict["losses"], state_dict["stopped"]


class SaveLast(Callback):
    """Keeps one checkpoint, `last.ckpt`, replaced atomically at optimiser steps.

    Args:
        directory: Where it stands.
        every: Optimiser steps between checkpoints; there is always one after the last step.
    """

    def __init__(self, directory: Path, every: int) -> None:
        self.path, self.every = directory / "last.ckpt", every
        self._saved = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Knows of the step that a resumed training starts from, which is saved already."""
        self._saved = trainer.global_step

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Saves when a step has just been made whose turn it is; never between the batches of one step."""
        step = trainer.global_step
        # a stop is saved here and not at the end of training, where Lightning has ticked the epoch off as complete
        if step != self._saved and (step % self.every == 0 or trainer.should_stop):
            self.save(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Saves the last step."""
        if trainer.global_step != self._saved:
            self.save(trainer)

    def save(self, trainer: pl.Trainer) -> None:
        """Writes beside, then renames: a kill leaves the old checkpoint or the new one."""
        beside = self.path.with_suffix(".writing")
        trainer.save_checkpoint(beside)
        if trainer.is_global_zero:
            replace_file(beside, self.path)
        self._saved = trainer.global_step


class StopOnSignal(Callback):
    """On SIGINT or SIGTERM lets the current optimiser step finish and then stops; a second signal stops at once.

    Args:
        accumulate: Batches per optimiser step.
    """

    def __init__(self, accumulate: int) -> None:
        self.accumulate, self.number = accumulate, 0
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Takes over both signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stops between two optimiser steps, where a checkpoint is whole."""
        if (batch_idx + 1) % self.accumulate:
            return
        # processes must agree, or one waits for a step that another does not make
        if trainer.strategy.reduce_boolean_decision(bool(self.number), all=False):
            self.number = self.number or signal.SIGTERM
            trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Gives the signals back."""
        self._restore()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Gives the signals back."""
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._restore()  # so that the next one is not waited for

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()
