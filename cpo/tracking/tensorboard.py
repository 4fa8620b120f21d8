"""TensorBoard as a view of the run: event files that `tensorboard --logdir outputs` reads, on this machine."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpo.errors import ConfigError
from cpo.privacy import allowed, withhold
from cpo.records import Access

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

log = logging.getLogger(__name__)


class TensorBoardTracker:
    """Event files in `tensorboard/<stage>` of the run directory: one series of steps per stage, as each counts from 0.

    A stage that is continued writes another event file, which tells TensorBoard from which step on the older ones are
    void: it then shows what `metrics.jsonl` holds. Values are single precision, as the format has it.

    Event files are often copied to a shared server, so of credentialed data they hold only numbers and plain names.

    Args:
        directory: The run directory.
        config: The resolved configuration; shown as text.
        access: Of the data that the run reads.
        acknowledged: The user takes responsibility for credentialed data (`privacy=acknowledged`).

    Raises:
        ConfigError: The package tensorboard is not installed.
    """

    def __init__(
        self,
        *,
        directory: str | Path,
        config: Mapping[str, Any] | None = None,
        access: Access = "credentialed",
        acknowledged: bool = False,
    ) -> None:
        try:
            import tensorboard  # noqa: F401
        except ImportError as error:
            raise ConfigError(
                got="tracker=tensorboard, without the package of that name",
                wanted="the extra `tensorboard`",
                remedy="pip install 'cpo[tensorboard]', or leave this tracker out",
            ) from error
        self.directory = Path(directory) / "tensorboard"
        self._access: Access = "open" if allowed(access, local=False, acknowledged=acknowledged) else access
        self._withheld = 0
        self._writers: dict[str, SummaryWriter] = {}
        if config:
            self._text("run", "config", config)

    def log(self, metrics: Mapping[str, float], *, stage: str, step: int) -> None:
        """See `records.Tracker`."""
        writer = self._writer(stage)
        for key, value in self._shown(metrics).items():
            writer.add_scalar(key, float(value), step)
        writer.flush()  # a killed run loses nothing that `metrics.jsonl` has

    def rewind(self, *, stage: str, step: int) -> None:
        """See `records.Tracker`; what is void stays in the older files, and TensorBoard does not show it."""
        if stage in self._writers:
            self._writers.pop(stage).close()
        if any(self._folder(stage).glob("events.out.tfevents.*")):
            self._writer(stage, void_from=step + 1)

    def summary(self, values: Mapping[str, Any]) -> None:
        """See `records.Tracker`; shown as text, the last one given."""
        self._text("run", "summary", values)

    def finish(self) -> None:
        """See `records.Tracker`."""
        if self._withheld:
            log.warning("withheld from TensorBoard, being credentialed data: %d values", self._withheld)
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _text(self, stage: str, tag: str, content: Mapping[str, Any]) -> None:
        text = json.dumps(self._shown(content), indent=1, ensure_ascii=False, default=str)
        writer = self._writer(stage)
        writer.add_text(tag, "".join(f"    {line}\n" for line in text.splitlines()))  # Markdown: a block of code
        writer.flush()

    def _writer(self, stage: str, void_from: int | None = None) -> SummaryWriter:
        if stage not in self._writers:
            from torch.utils.tensorboard import SummaryWriter

            suffix = f".{len(list(self._folder(stage).glob('*')))}"  # two files of one second must not be one
            self._writers[stage] = SummaryWriter(self._folder(stage), purge_step=void_from, filename_suffix=suffix)
        return self._writers[stage]

    def _folder(self, stage: str) -> Path:
        return self.directory / stage

    def _shown(self, values: Mapping[str, Any]) -> dict[str, Any]:
        kept, counts = withhold(values, self._access)
        self._withheld += sum(counts.values())
        return kept
