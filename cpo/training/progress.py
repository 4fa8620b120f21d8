"""What a person sees of a stage while it trains."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.callbacks.progress.rich_progress import RichProgressBarTheme
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

NAMES = {"sft": "SFT", "control": "control", "train": "preference"}
"""Of stages, as the run's other lines say them."""


class StageProgress(RichProgressBar):
    """One line per stage: its name, a bar, batches, time to go, pairs per second, loss, margin and accuracy."""

    def __init__(self) -> None:
        super().__init__(leave=True, theme=RichProgressBarTheme(metrics="", metrics_format=".3f"))

    def configure_columns(self, trainer: pl.Trainer) -> list[Any]:
        """See Lightning's `RichProgressBar`."""
        stage = str(getattr(trainer.lightning_module, "stage", ""))
        per_batch = int(trainer.datamodule.plan.batch_size) if trainer.datamodule is not None else 1  # type: ignore[attr-defined]
        return [
            TextColumn(f"[bold]{NAMES.get(stage, stage):10}[/]"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            PairsPerSecond(per_batch),
        ]

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """The module's own, without Lightning's version number."""
        return {key: value for key, value in super().get_metrics(trainer, pl_module).items() if key != "v_num"}


class PairsPerSecond(ProgressColumn):
    """How fast a stage goes.

    Args:
        per_batch: Pairs (or samples) of a batch, of all processes together.
    """

    def __init__(self, per_batch: int) -> None:
        super().__init__()
        self.per_batch = per_batch

    def render(self, task: Task) -> Text:
        """See Rich's `ProgressColumn`."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed * self.per_batch:,.1f} pairs/s" if speed else "", style="progress.data.speed")
