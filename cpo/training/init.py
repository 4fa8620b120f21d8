"""Where the policy and its reference start: the pretrained model, or one tuned by SFT first."""

from __future__ import annotations

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cpo.errors import ConfigError
from cpo.files import write_json
from cpo.losses.sft import SFT
from cpo.policy.backbone import Backbone
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.reference import AdapterOff
from cpo.records import Sample, Tracker, fingerprint
from cpo.sequence.collator import as_pairs
from cpo.sequence.layouts import Padded
from cpo.tracking.composite import CompositeTracker
from cpo.tracking.local import LocalTracker
from cpo.training.engine import Engine, seed_everything
from cpo.training.optim import AdamWCosine
from cpo.training.ranks import build_together, rank
from cpo.training.stages import Stage, StageReport, run_stage


@dataclass(frozen=True)
class Start:
    """What an init may use.

    Args:
        backbone: The policy's config.
        base: Its model directory.
        samples: Training samples set aside for this stage, in stream order.
        engine: The machine.
        tracker: Gets the stage's metrics.
        cache: Where trained stages are kept for other runs.
        seed: Of the run.
        identity: Fingerprints that, with the recipe, decide the result.
    """

    backbone: Backbone
    base: Path
    samples: Sequence[Sample]
    engine: Engine
    tracker: Tracker
    cache: Path
    seed: int
    identity: Mapping[str, Any]


class Init(ABC):
    """Gives the model directory that the preference stage starts from and refers to."""

    share: float
    """Share of the training patients that this stage trains on; the rest are the preference stage's."""

    @abstractmethod
    def prepare(self, start: Start) -> tuple[Path, StageReport]:
        """The model directory, and what was done to get it."""


class Pretrained(Init):
    """The backbone as it is."""

    share = 0.0

    def prepare(self, start: Start) -> tuple[Path, StageReport]:
        """See `Init.prepare`."""
        return start.base, StageReport(steps=0, seconds=0.0)


class SupervisedFineTuning(Init):
    """The backbone after SFT on factual trajectories, trained once for all runs that ask for the same.

    Small policies are trained whole, large ones by LoRA that is then merged: either way the result is an ordinary
    model directory, on which a fresh adapter starts with every margin at 0.

    Args:
        share: Share of the training patients that SFT sees, in (0, 1]; the preference stage gets the others, so that
            its stream is new to the policy. At 1 both see all, as in the papers.
        optim: Its recipe.

    Raises:
        ConfigError: `share` out of its range.
    """

    def __init__(self, *, share: float, optim: AdamWCosine) -> None:
        if not 0 < share <= 1:
            raise ConfigError(
                got=f"init.share={share}",
                wanted="0 < init.share ≤ 1",
                remedy="pass init.share=0.6, or 1.0 for the papers' way",
            )
        self.share, self.recipe = share, optim

    def prepare(self, start: Start) -> tuple[Path, StageReport]:
        """See `Init.prepare`."""
        key = fingerprint([dict(start.identity), vars(self.recipe), start.seed, start.base.name, 1])
        final, work = start.cache / "sft" / key, start.cache / "sft" / f".{key}.work"
        built = build_together(final, lambda directory: self._train(directory, work, start))
        if rank() == 0:
            shutil.rmtree(work, ignore_errors=True)
        report = StageReport(**json.loads((final / "stage.json").read_text()))
        if not built:
            _replay(final / "metrics.jsonl", start.tracker)
        return final, replace(report, cached=not built)

    def _train(self, directory: Path | None, work: Path, start: Start) -> None:
        """Trains in `work`, which outlives a kill; the first process writes the result into `directory`."""
        backbone = start.backbone
        model = backbone.load_model(start.base)
        seed_everything(start.seed)
        if not backbone.train_all_in_sft:
            model = backbone.sft_lora.attach(model)
        policy = LoadedPolicy(model, backbone.load_encoder(start.base), Padded(), backbone.max_length, start.base)
        own = LocalTracker(directory=work) if directory else CompositeTracker(trackers=[])
        reference = AdapterOff(cache="none")  # SFT reads none
        stage = Stage("sft", SFT(), reference, self.recipe, start.engine, start.seed, shuffle=True, checkpoints=work)
        if directory:
            _replay(work / "metrics.jsonl", start.tracker)  # of a run that was killed, maybe another one
        try:
            report = run_stage(stage, policy, as_pairs(start.samples), CompositeTracker(trackers=[own, start.tracker]))
        finally:
            own.finish()
        if not backbone.train_all_in_sft:
            policy.model = model.merge_and_unload()
        if directory is None:
            return
        policy.save(directory)
        shutil.copy(work / "metrics.jsonl", directory)
        write_json(directory / "stage.json", report.as_dict())


def _replay(path: Path, tracker: Tracker) -> None:
    """Logs what a stage had logged, so that a run which reuses it or goes on with it shows its whole curve."""
    tracker.rewind(stage="sft", step=0)
    for line in path.read_text().splitlines():
        row = json.loads(line)
        tracker.log({k: v for k, v in row.items() if "/" in k and v is not None}, stage="sft", step=row["step"])
