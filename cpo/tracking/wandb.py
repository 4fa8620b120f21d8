"""Weights & Biases as a view of the run: online when logged in, otherwise an offline run that `wandb sync` can send.

An offline run is made to be synchronised, so that both modes are the same to privacy: of credentialed data only
numbers, plain names and hashes are written.
"""

from __future__ import annotations

import logging
import netrc
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from cpo.errors import ConfigError
from cpo.files import write_text
from cpo.panels import PANELS, STEP
from cpo.privacy import allowed, withhold
from cpo.records import Access

log = logging.getLogger(__name__)

Mode = Literal["auto", "online", "offline", "disabled"]


class WandbTracker:
    """One W&B run per job, resumed under the same id when the job is.

    Every stage has its own step axis (`sft/step`, `train/step`), since each counts from 0. Console output and code are
    never captured; with credentialed data neither are command line, git state nor host.

    Args:
        project: W&B project.
        entity: User or team; empty for the default of the login.
        mode: `auto` follows `WANDB_MODE`, and without it is `online` if an API key is set and `offline` if not.
        directory: The run directory: holds `wandb_run_id` and W&B's own files.
        group: What the run belongs to: its sweep or experiment.
        job_type: `train` or `evaluate`.
        tags: Shown beside the name.
        name: Of the run.
        config: The resolved configuration.
        access: Of the data that the run reads.
        acknowledged: The user takes responsibility for credentialed data (`privacy=acknowledged`).

    Raises:
        ConfigError: An unknown mode or an empty project.
    """

    def __init__(
        self,
        *,
        project: str,
        directory: str | Path,
        entity: str = "",
        mode: Mode = "auto",
        group: str = "",
        job_type: str = "train",
        tags: Sequence[str] = (),
        name: str = "",
        config: Mapping[str, Any] | None = None,
        access: Access = "credentialed",
        acknowledged: bool = False,
    ) -> None:
        import wandb  # 0.7 s, and only here

        if not project:
            raise ConfigError(got="an empty project", wanted="a W&B project", remedy="pass tracker.wandb.project=NAME")
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._access: Access = "open" if allowed(access, local=False, acknowledged=acknowledged) else access
        self._withheld: dict[str, int] = {}
        self._axes: set[str] = set()
        _forget_inherited_run()
        mode = _resolved(mode)
        named = self._shown({"name": name, "group": group, "job_type": job_type, "tags": list(tags)})
        self._run = wandb.init(
            project=project,
            entity=entity or None,
            mode=mode,
            dir=self.directory,
            id=run_id(self.directory),
            # offline runs of one id are joined when they are synchronised; asking for it there only warns
            resume="allow" if mode == "online" else None,
            reinit="create_new",
            config=self._shown(config or {}),
            settings=wandb.Settings(**_settings(mode, self._access)),
            **{key: value or None for key, value in named.items()},
        )
        for panel in PANELS:
            if panel.x != STEP:
                for key in panel.keys:
                    self._run.define_metric(key, step_metric=panel.x)

    def log(self, metrics: Mapping[str, float], *, stage: str, step: int) -> None:
        """See `records.Tracker`."""
        self._define_axes(stage, metrics)
        values = {key: float(value) for key, value in metrics.items()}
        self._run.log({f"{stage}/step": step, **self._shown(values)})

    def rewind(self, *, stage: str, step: int) -> None:
        """See `records.Tracker`; a W&B run cannot forget, so the rows of an interrupted stretch stand there twice."""

    def summary(self, values: Mapping[str, Any]) -> None:
        """See `records.Tracker`; nested values become one entry each, `eval/after/all/accuracy/value`."""
        self._run.summary.update(_flat(self._shown(values)))

    def finish(self) -> None:
        """See `records.Tracker`; says how much was withheld, in the run and in the log."""
        if self._withheld:
            self._run.summary.update({f"privacy/withheld/{reason}": n for reason, n in self._withheld.items()})
            log.warning("withheld from Weights & Biases, being credentialed data: %s", self._withheld)
        self._run.finish()

    def _shown(self, values: Mapping[str, Any]) -> dict[str, Any]:
        kept, counts = withhold(values, self._access)
        for reason, count in counts.items():
            self._withheld[reason] = self._withheld.get(reason, 0) + count
        return kept

    def _define_axes(self, stage: str, metrics: Mapping[str, float]) -> None:
        """Ties each new family of metrics to the steps of the stage that first logs it."""
        for family in {key.partition("/")[0] for key in metrics} - self._axes:
            self._axes.add(family)
            self._run.define_metric(f"{family}/*", step_metric=f"{stage}/step")


def run_id(directory: Path) -> str:
    """The W&B id of a run directory: made on first use, the same ever after."""
    path = directory / "wandb_run_id"
    if not path.exists():
        write_text(path, secrets.token_hex(4) + "\n")
    return path.read_text(encoding="utf-8").strip()


def _forget_inherited_run() -> None:
    """A launcher's or an agent's run id in the environment would make all jobs of a sweep one run."""
    for name in [n for n in os.environ if n == "WANDB_RUN_ID" or n.startswith("WANDB_SWEEP")]:
        log.info("ignoring %s: each job has its own run", name)
        del os.environ[name]


def _resolved(mode: Mode) -> Literal["online", "offline", "disabled"]:
    if mode == "auto":
        mode = os.environ.get("WANDB_MODE") or ("online" if _logged_in() else "offline")  # type: ignore[assignment]
    if mode not in ("online", "offline", "disabled"):
        raise ConfigError(
            got=f"mode={mode!r}",
            wanted="auto, online, offline or disabled",
            remedy="pass tracker.wandb.mode=offline, or unset WANDB_MODE",
        )
    return mode


def _logged_in() -> bool:
    """Whether there is a key; which one is W&B's business."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _settings(mode: str, access: Access) -> dict[str, Any]:
    """What W&B must not collect by itself."""
    always = {"console": "off", "disable_code": True, "silent": mode != "online"}
    if access == "open":
        return always
    return always | {"disable_git": True, "x_disable_meta": True, "x_save_requirements": False, "host": "withheld"}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}/") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
