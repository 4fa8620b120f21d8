"""The composition root: configs become objects, and the objects a run; `cpo.launch` is what the scripts call."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback
from rich.console import Console

from cpo import config
from cpo.data import Data, DataPlan
from cpo.errors import ConfigError, DataError
from cpo.evaluation.benchmark import Benchmark, Scores, Session, flat_values, merged, unfinished
from cpo.evaluation.results import held_out_fingerprint, write_result
from cpo.files import read_json, write_json, write_text
from cpo.losses.sft import SFT
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.logps import unwrap
from cpo.policy.weights import weights_fingerprint
from cpo.records import PreferencePair, Tracker
from cpo.report.exhibits import exhibits
from cpo.report.model_card import write_model_card
from cpo.report.record import read_run
from cpo.report.run import run_page
from cpo.report.terminal import eval_table
from cpo.sequence.collator import as_pairs
from cpo.sequence.pair_file import evenly, pair_row
from cpo.tracking.composite import CompositeTracker, show
from cpo.tracking.naming import READABLE
from cpo.training.engine import seed_everything
from cpo.training.init import Start
from cpo.training.lengths import check_action, check_lengths, short_samples, within
from cpo.training.monitor import DriftMonitor, WatchStream
from cpo.training.preflight import check_pairing, check_pairs, estimate
from cpo.training.probe import ProbeConcepts
from cpo.training.ranks import first_ahead, rank, world_size
from cpo.training.replay import Replay
from cpo.training.stages import Stage, StageReport, run_stage

console = Console(highlight=False, soft_wrap=True, quiet=rank() != 0)

PAIRS_KEPT = 64
"""Pairs of a run that it leaves as `pairs_sample.jsonl`, evenly over its stream."""


class Job:
    """One run: its config as objects, its directory, its tracker.

    Args:
        cfg: The composed root config of `train.py`, or the one that a run directory keeps.
        directory: The run directory.
        choices: Which leaf each group chose.
        tracker: Gets every metric; others may be added once the data is known.
    """

    def __init__(self, cfg: DictConfig, directory: Path, choices: Mapping[str, Any], tracker: Tracker) -> None:
        if cfg.privacy not in ("strict", "acknowledged"):
            raise ConfigError(
                got=f"privacy={cfg.privacy}", wanted="strict or acknowledged", remedy="leave it at privacy=strict"
            )
        check_action(cfg.max_length.action)
        self.cfg, self.directory, self.choices, self.seed = cfg, directory, choices, int(cfg.seed)
        self.cache = Path(cfg.paths.cache).absolute()
        self.engine = config.build(cfg.trainer)
        self.backbone = config.build(cfg.policy)
        self.init = config.build(cfg.init)
        self.recipe = config.build(cfg.optim)
        self.loss = config.build(cfg.loss)
        self.reference = config.build(cfg.reference)
        self.layout = config.build(cfg.layout)
        self.vision_cache = config.build(cfg.cache)
        self.benchmarks: dict[str, Benchmark] = config.build_all(cfg.benchmark)
        reads_pairs = any(benchmark.reads_pairs for benchmark in self.benchmarks.values())
        self.plan = DataPlan(cfg, share=self.init.share, pairs_judged=reads_pairs)
        self.monitor: DriftMonitor = config.build(cfg.monitor)
        self.detectors = config.build_all(cfg.detector)
        self.replay: Replay = config.build(cfg.replay)
        self.tracker = tracker
        self._base: Path | None = None
        self.summary: dict[str, Any] = {"choices": dict(choices), "seed": self.seed}
        self.summary |= {"fingerprints": {}, "stages": {}, "eval": {}, "finished": False}
        self.summary |= read_json(directory / "summary.json")  # of an earlier part of this run

    def data(self) -> Data:
        """Dataset → drift stream → counterfactuals → preference pairs, for training and for judging.

        Raises:
            ConfigError: The loss reads what these pairs do not have.
            DataError: No pair is short enough.
        """
        check_pairing(self.loss, rejects_images=self.plan.pairing.rejects_images)
        with first_ahead():
            data = self.plan.read(may_wait=True)
        if not self.waits:
            check_pairs(self.loss, data.pairs.pairs)
        return self._short_enough(data)

    @property
    def waits(self) -> bool:
        """Whether the counterfactuals, and so the pairs, wait for the policy that the preference stage starts from."""
        return self.plan.method.needs is not None

    def paired(self, data: Data, start: Path) -> Data:
        """The same with the pairs that waited; as it was where none did.

        Args:
            data: As read.
            start: The model directory that the preference stage starts from.

        Raises:
            ConfigError: The loss reads what these pairs do not have.
            DataError: No pair is short enough.
        """
        if not self.waits:
            return data
        loaded = cache(lambda: self.load(start))
        with first_ahead():
            made = self.plan.paired(data, loaded, start.name)
        check_pairs(self.loss, made.pairs.pairs)
        made = replace(self._short_enough(replace(made, sft=None)), sft=data.sft)
        self._record_pairs(made)
        return made

    def _short_enough(self, data: Data) -> Data:
        """The same without what is longer than the policy may read, which is counted, where the job asks for it."""
        if self.cfg.max_length.action != "filter":
            return data
        encoder, limit = self.backbone.load_encoder(self.base(data)), self.backbone.max_length
        pairs, held_out = (
            replace(some, pairs=within(encoder, some.pairs, limit)) for some in (data.pairs, data.held_out.pairs)
        )
        sft = data.sft and short_samples(encoder, data.sft, limit)
        found = {"sft": len(data.sft.samples) - len(sft.samples)} if data.sft and sft else {}
        if data.pairs.pairs:
            found["pairs"] = len(data.pairs.pairs) - len(pairs.pairs)
            found["held_out_pairs"] = len(data.held_out.pairs.pairs) - len(held_out.pairs)
        if (data.pairs.pairs and not pairs.pairs) or (sft and not sft.samples):
            raise DataError(
                got=f"nothing left that policy.max_length={limit} tokens can hold: left out {found}",
                wanted="at least one pair, and one sample for SFT",
                remedy="raise policy.max_length, or lower policy.image_size",
            )
        self.summary["over_long"] = {**self.summary.get("over_long", {}), "max_length": limit, **found}
        names = {"sft": "samples for SFT", "pairs": "pairs", "held_out_pairs": "held-out pairs"}
        told = ", ".join(f"{count:,} {names[kind]}" for kind, count in found.items())
        console.print(f"[bold]left out[/]   longer than {limit} tokens: {told}")
        return replace(data, sft=sft, pairs=pairs, held_out=replace(data.held_out, pairs=held_out))

    @property
    def sweep(self) -> bool:
        """Whether the run is one of a sweep."""
        return self.directory.parent.parent.name == "sweeps"

    def record(self, data: Data) -> None:
        """Writes what the run read into its directory, before anything is trained, and opens the other trackers."""
        for benchmark in self.benchmarks.values():
            benchmark.refuse_unless_allowed(data.judged.access, acknowledged=self.cfg.privacy == "acknowledged")
        if rank() != 0:
            return
        write_json(self.directory / "data_quality.json", asdict(data.dataset.quality()))
        write_json(self.directory / "drift.json", asdict(data.stream.truth))
        self.summary["fingerprints"] |= {"dataset": data.dataset.fingerprint, "stream": data.stream.fingerprint}
        self.summary["dataset"] = data.dataset.quality().dataset
        if not self.waits:
            self._record_pairs(data)
        self._track(data.dataset.access)
        pairs = "pairs to be made by the SFT policy" if self.waits else f"{len(data.pairs.pairs):,} pairs"
        console.print(
            f"[bold]data[/]       {len(data.sft.samples) if data.sft else 0:,} samples for SFT, "
            f"{len(data.stream.samples):,} in the stream ({data.stream.truth.left_out:,} left out by the shift), "
            f"{pairs}, {len(data.held_out.samples):,} held out"
        )

    def _record_pairs(self, data: Data) -> None:
        """Writes some of the pairs, and how their counterfactuals were made."""
        if rank() != 0:
            return
        rows = [json.dumps(pair_row(pair), ensure_ascii=False) for pair in evenly(data.pairs.pairs, PAIRS_KEPT)]
        write_text(self.directory / "pairs_sample.jsonl", "\n".join(rows) + "\n")
        self.summary["fingerprints"]["pairs"] = data.pairs.fingerprint
        self.summary["counterfactual"] = dict(data.counterfactuals)
        if self.waits:
            console.print(f"[bold]pairs[/]      {len(data.pairs.pairs):,}, made by the SFT policy")

    def _track(self, access: str) -> None:
        """Adds the configured trackers, now that it is known whether the data may be named."""
        given = {
            "directory": str(self.directory),
            "name": self.directory.name,
            "group": self.directory.parent.name if self.sweep else str(self.choices.get("experiment", "")),
            "tags": [str(self.choices[group]) for group in READABLE if self.choices.get(group, "none") != "none"],
            "config": config.resolved(self.cfg),
            "access": access,
            "acknowledged": self.cfg.privacy == "acknowledged",
        }
        others = [
            # each is given what its YAML lists; a name, group or tags that the user gave stay
            config.build(
                node,
                **{k: v for k, v in given.items() if k in node and not (k in ("name", "group", "tags") and node[k])},
            )
            for name, node in self.cfg.tracker.items()
            if name != "local"
        ]
        if others:
            self.tracker = CompositeTracker(trackers=[self.tracker, *others])

    def base(self, data: Data) -> Path:
        """The backbone's model directory, made first if need be; of whole data, though over-long samples go later."""
        if self._base is None:
            samples, results = data.sft.samples if data.sft else data.stream.samples, data.dataset.results
            with first_ahead():
                self._base = self.backbone.directory(self.cache, samples=samples, results=results, seed=self.seed)
        return self._base

    def preflight(self, data: Data) -> None:
        """Prints what the preference stage will cost, measured on two steps of the untuned policy.

        Raises:
            DataError: A sample or pair is too long for the policy.
        """
        policy = self.load(self.base(data), adapter=True)
        others = [*as_pairs(data.sft.samples if data.sft else ()), *data.held_out.pairs.pairs]
        if others:
            check_lengths(policy, others)
        if self.waits:
            check_lengths(policy, as_pairs(data.stream.samples))
            console.print("[bold]preflight[/]  no pairs to count and to time yet: the SFT policy has to make them")
            return
        found = estimate(self._stage("preference", self.loss, self.directory), policy, data.pairs.pairs)
        console.print(
            f"[bold]preflight[/]  {found.steps:,} steps, {found.tokens_median}–{found.tokens_max} tokens a trajectory, "
            f"about {found.seconds:.0f} s, {found.peak_memory_mb:,.0f} MB"
        )

    def start(self, data: Data) -> Path:
        """The model directory that the preference stage starts from and refers to."""
        samples = data.sft.samples if data.sft else ()
        base = self.base(data)
        identity = {
            "dataset": data.dataset.fingerprint,
            "stream": data.sft.fingerprint if data.sft else None,
            "policy": config.resolved(self.cfg.policy),
            "processes": world_size(),
        }
        self.tracker.summary(self.summary)  # from here on something is spent, and kept whatever happens
        # a run that is continued has logged this stage already
        again = "sft" in self.summary["stages"]
        tracker = CompositeTracker(trackers=[]) if again else self.tracker
        directory, report = self.init.prepare(
            Start(self.backbone, base, samples, self.engine, tracker, self.cache, self.seed, identity)
        )
        if not again:
            self._account("sft", report)
        self.summary["fingerprints"] |= {"policy": base.name, "sft": directory.name}
        return directory

    def load(self, directory: Path, *, adapter: bool = False) -> LoadedPolicy:
        """The policy of a model directory, with a fresh adapter if it is to be trained."""
        model = self.backbone.load_model(directory)
        if adapter:
            seed_everything(self.seed)
            model = self.backbone.lora.attach(model)
        else:
            model.requires_grad_(False)
        self.vision_cache.attach(unwrap(model).model.visual, self.cache / "vision")
        encoder = self.backbone.load_encoder(directory)
        return LoadedPolicy(model.to(self.engine.device), encoder, self.layout, self.backbone.max_length, directory)

    def check_base(self, policy: LoadedPolicy) -> None:
        """Refuses a model directory whose weights are not those that the run's adapters are trained on.

        Raises:
            DataError: They have changed since the run began to train on them.
        """
        found = weights_fingerprint(unwrap(policy.model), adapter=False)
        known = self.summary["fingerprints"].setdefault("base_weights", found)
        if known != found:
            raise DataError(
                got=f"weights {found} in {policy.directory}",
                wanted=f"{known}, on which the adapter was trained",
                remedy="restore that directory, or delete it and run the same train.py command: it trains it again",
            )

    def continue_sft(self, data: Data, start: Path) -> LoadedPolicy:
        """The equal-compute control: SFT continued on the chosen side of the very batches of the preference stage."""
        return self._tune("control", SFT(), data, start, self.directory / "control")

    def prefer(self, data: Data, start: Path) -> LoadedPolicy:
        """The preference stage: a fresh adapter on the SFT policy, tuned by the chosen loss, in stream order."""
        return self._tune("preference", self.loss, data, start, self.directory)

    def _tune(self, name: str, loss: Any, data: Data, start: Path, directory: Path) -> LoadedPolicy:
        done = name in self.summary["stages"]
        policy = self.load(start, adapter=not done)
        self.check_base(policy)
        if done:
            policy.model = self.backbone.load_adapter(policy.model, directory / "adapter")
            return policy
        self.tracker.summary(self.summary)  # what is gone on with later has to find this base
        console.print(f"[bold]{name:10}[/] {type(loss).__name__} on {len(data.pairs.pairs):,} pairs")
        # each process sees its share of the stream only, which is another stream
        watched = name == "preference" and world_size() == 1
        watch = self.monitor.watch(self.detectors, self.tracker, directory / "snapshots") if watched else None
        probe = self._probe(policy, data) if watched and self.monitor.probe else None
        stage = self._stage(name, loss, directory, tuple(w for w in (watch, probe) if w is not None))
        report = run_stage(stage, policy, data.pairs.pairs, self.tracker)
        if watch is not None:
            self._note_alarms(watch, data)
        if probe is not None:
            self.summary["stream"]["probe"] = probe.summary()
        if rank() == 0:
            policy.model.save_pretrained(directory / "adapter")
        self._account(name, report)
        return policy

    def _probe(self, policy: LoadedPolicy, data: Data) -> ProbeConcepts:
        """Measures some held-out pairs of each concept as the stream goes from one to the next."""
        by_id: dict[str, list[PreferencePair]] = {}
        for pair in data.held_out.pairs.pairs:
            by_id.setdefault(pair.sample.id, []).append(pair)
        samples, concepts = data.held_out.judged(-1)
        pairs = {
            name: [pair for i in places for pair in by_id.get(samples[i].id, ())][: self.monitor.probe]
            for name, places in concepts.items()
            if name != "all" or len(concepts) == 1
        }
        return ProbeConcepts(policy, pairs, data.stream.truth, self.recipe.batch_size)

    def _note_alarms(self, watch: WatchStream, data: Data) -> None:
        """Puts the detectors' alarms, and their scores against the truth of the stream, into the summary."""
        self.summary["alarms"] = [asdict(alarm) for alarm in watch.alarms]
        self.summary["stream"] = self.monitor.stream_scores(watch, data.stream.truth)
        self.summary["detection"] = self.monitor.scores(watch.alarms, data.stream.truth, watch.watched)
        if watch.alarms:
            told = ", ".join(f"{a.position:,} ({a.detector} on {a.signal})" for a in watch.alarms[:5])
            more = f" and {len(watch.alarms) - 5} more" if watch.alarms[5:] else ""
            console.print(f"[bold]alarms[/]     at {told}{more}")

    def _stage(self, name: str, loss: Any, directory: Path, watchers: tuple[Callback, ...] = ()) -> Stage:
        return Stage(
            "train" if name == "preference" else name,
            loss,
            self.reference,
            self.recipe,
            self.engine,
            self.seed,
            shuffle=False,
            checkpoints=directory / "checkpoints",
            references=self.cache / "reference",
            watchers=watchers,
            replay=self.replay,
        )

    def _account(self, name: str, report: StageReport) -> None:
        self.summary["stages"][name] = report.as_dict()
        how = "reused from the cache" if report.cached else f"{report.seconds:.0f} s"
        how += ", stopped early: the loss no longer fell" if report.stopped_early else ""
        console.print(f"[bold]{name:10}[/] {report.steps:,} steps, {how}")
        self.tracker.summary(self.summary)

    def judge(self, phase: str, policy: LoadedPolicy | None, data: Data) -> None:
        """Runs every benchmark; scores go to the summary and the trackers, those of the tuned policy to `eval/` too.

        A phase that was judged before an interruption is not judged again.

        Args:
            phase: `before`, `control` or `after`.
            policy: To be judged; None to score again what an earlier judgement kept.
            data: Gives the held-out part.
        """
        if rank() != 0 or phase in self.summary["eval"]:
            return
        started = time.perf_counter()
        found: dict[str, Scores] = {}
        for name, benchmark in self.benchmarks.items():
            folder = self.directory / "eval" / phase / name
            acknowledged = self.cfg.privacy == "acknowledged"
            session = Session(self.seed, folder, progress=self.engine.progress, acknowledged=acknowledged)
            with unfinished(folder):
                found[name] = benchmark.evaluate(policy, data.held_out, session)
            if phase == "after":
                self.write_scores(name, found[name], data)
        scores, self.summary["benchmarks"] = merged(found)
        self.summary["eval"][phase] = scores
        stage = "eval_control" if phase == "control" else "eval"
        step = 0 if phase == "before" else self.recipe.steps(len(data.pairs.pairs), devices=world_size())
        self.tracker.rewind(stage=stage, step=step - 1)
        self.tracker.log(flat_values(scores, stage), stage=stage, step=step)
        self.tracker.summary(self.summary)
        console.print(f"[bold]judged[/]     {phase}, {time.perf_counter() - started:.0f} s")

    def write_scores(self, name: str, scores: Scores, data: Data) -> None:
        """Writes `eval/<benchmark>.json` into the run directory; equal fingerprints mean equal scores.

        Args:
            name: Of the benchmark.
            scores: Of the tuned policy.
            data: What it was judged on.
        """
        weights = self.directory / "adapter" / "adapter_model.safetensors"
        decides = {
            "base": self.summary["fingerprints"].get("base_weights"),
            "adapter": hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else None,
            "benchmark": config.resolved(self.cfg.benchmark[name]),
            "held_out": held_out_fingerprint(data.held_out),
        }
        write_result(self.directory, name, self.benchmarks[name], scores, decides)

    def report(self) -> None:
        """Summary, page, table."""
        if rank() != 0:
            return
        self.summary["finished"] = True
        self.tracker.summary(self.summary)
        write_model_card(self.directory)
        page = run_page(self.directory)
        show(self.tracker, exhibits(read_run(self.directory), acknowledged=self.cfg.privacy == "acknowledged"))
        console.print(eval_table(self.summary))
        console.print(f"[bold]page[/]       {page}", soft_wrap=True)
