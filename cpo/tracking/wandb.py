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
from cpo.files import read_json, write_json, write_text
from cpo.panels import PANELS, STEP
from cpo.privacy import allowed, withhold
from cpo.records import Access, Exhibits
from cpo.tracking.lineage import Link, lineage

log = logging.getLogger(__name__)

POSITION = "train/stream/position"
"""The axis on which the stream's concepts stand."""
Mode = Literal["auto", "online", "offline", "disabled"]


class WandbTracker:
    """One W&B run per job, resumed under the same id when the job is.

    Every stage has its own step axis (`sft/step`, `train/step`), since each counts from 0. Console output and code are
    never captured; with credentialed data neither are command line, git state nor host.

    A finished run shows the figures of its page as panels (`figures/…`), its tables (`tables/…`), the stream's concepts
    as `drift/concept` over the position, and what it is made of as artifacts: dataset → counterfactuals → sft are its
    inputs, preference (the adapter) → evaluation what it made. Offline, W&B cannot say that a run *used* an artifact:
    all are then logged as made by the run, and only their metadata (`made_from`) tells the line. Of credentialed data
    no weights are sent.

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
        artifacts: Whether the line that led to the run is kept with it, and the adapter sent.

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
        artifacts: bool = True,
    ) -> None:
        import wandb  # 0.7 s, and only here

        if not project:
            raise ConfigError(got="an empty project", wanted="a W&B project", remedy="pass tracker.wandb.project=NAME")
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._artifacts = artifacts
        self._access: Access = "open" if allowed(access, local=False, acknowledged=acknowledged) else access
        self._withheld: dict[str, int] = {}
        self._axes: set[str] = set()
        _forget_inherited_run()
        mode = _resolved(mode)
        named = self._shown({"name": name, "group": group, "job_type": job_type, "tags": list(tags)})
        self._offline = mode != "online"
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
        self._run.define_metric("drift/concept", step_metric=POSITION)
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

    def exhibit(self, exhibits: Exhibits) -> None:
        """See `records.Exhibitor`."""
        import plotly.graph_objects as go
        import wandb

        shown: dict[str, Any] = {
            f"figures/{title}": go.Figure(figure["data"], figure["layout"])
            for title, figure in exhibits.figures.items()
        }
        for name, (columns, rows) in exhibits.tables.items():
            # mixed: a column may hold a number in one row and nothing in another
            shown[f"tables/{name}"] = wandb.Table(list(columns), [list(row) for row in rows], allow_mixed_types=True)
        if shown:
            self._run.log(shown)
        for start, end, concept in exhibits.concepts:
            for position in (start, end - 1):  # both ends: a line between them is level
                self._run.log({POSITION: position, "drift/concept": concept})
        if self._artifacts:
            for link in lineage(self.directory, run_id(self.directory)):
                self._keep(link)

    def finish(self) -> None:
        """See `records.Tracker`; says how much was withheld, in the run and in the log."""
        if self._withheld:
            self._run.summary.update({f"privacy/withheld/{reason}": n for reason, n in self._withheld.items()})
            log.warning("withheld from Weights & Biases, being credentialed data: %s", self._withheld)
        self._run.finish()

    def _keep(self, link: Link) -> None:
        """An artifact for something in the run's line: an input is named, what the run made is sent."""
        import wandb

        facts = self._shown({"made_from": link.made_from, "identity": link.identity, **link.facts})
        artifact = wandb.Artifact(link.name, link.kind, metadata=facts)
        for name, path in self._sent(link, facts).items():
            # not copied: the run directory keeps it as it is
            artifact.add_file(str(path), name=name, policy="immutable", skip_cache=True)
        if link.files is None and not self._offline:
            self._run.use_artifact(artifact)
        else:
            self._run.log_artifact(artifact)

    def _sent(self, link: Link, facts: Mapping[str, Any]) -> dict[str, Path]:
        """The files of an artifact: what identifies it, and what may leave of what it consists of."""
        folder = self.directory / "wandb" / "lineage" / link.kind
        about = folder / "about.json"
        # equal identities give equal files, by which W&B knows the same thing in two runs
        write_json(about, {"kind": link.kind, **facts} if link.files else {"identity": facts["identity"]})
        files = {"about.json": about}
        if self._access == "open":
            return files | dict(link.files or {})
        if link.weights:
            self._count({"weights": len(link.files or {})})
            return files
        for name, path in (link.files or {}).items():
            write_json(folder / name, self._shown(read_json(path)))
            files[name] = folder / name
        return files

    def _shown(self, values: Mapping[str, Any]) -> dict[str, Any]:
        kept, counts = withhold(values, self._access)
        self._count(counts)
        return kept

    def _count(self, withheld: Mapping[str, int]) -> None:
        for reason, count in withheld.items():
            self._withheld[reason] = self._withheld.get(reason, 0) + count

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
