"""The composition root: configs become objects, and the objects a run; `cpo.launch` is what the scripts call."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console

from cpo import config
from cpo.dataset.split import split_groups
from cpo.drift.stream import concept_samples, concepts_of, make_stream
from cpo.errors import ConfigError
from cpo.evaluation.benchmark import Benchmark, HeldOut, Scores
from cpo.files import write_json, write_text
from cpo.losses.sft import SFT
from cpo.policy.loaded import LoadedPolicy
from cpo.preference.pairing import PairSet
from cpo.records import DriftTruth, PreferencePair, Stream, Tracker
from cpo.report.run import run_page
from cpo.report.terminal import eval_table
from cpo.sequence.template import completion_text, prompt_messages
from cpo.tracking.composite import CompositeTracker
from cpo.training.engine import seed_everything
from cpo.training.init import Start
from cpo.training.stages import Stage, StageReport, run_stage

console = Console(highlight=False, soft_wrap=True)

PAIRS_KEPT = 64
"""Pairs of a run that it leaves as `pairs_sample.jsonl`, evenly over its stream."""


@dataclass(frozen=True)
class Data:
    """Everything a run reads, from dataset to pairs.

    Args:
        dataset: The reader.
        sft: Stream of the SFT stage; None without one.
        stream: Stream of the preference stage.
        pairs: Its preference pairs, in its order.
        counterfactuals: How their making went.
        held_out: What the run is judged on.
    """

    dataset: Any
    sft: Stream | None
    stream: Stream
    pairs: PairSet
    counterfactuals: Mapping[str, Any]
    held_out: HeldOut


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
        self.cfg, self.directory, self.choices, self.seed = cfg, directory, choices, int(cfg.seed)
        self.cache = Path(cfg.paths.cache).absolute()
        self.engine = config.build(cfg.trainer)
        self.backbone = config.build(cfg.policy)
        self.init = config.build(cfg.init)
        self.recipe = config.build(cfg.optim)
        self.loss = config.build(cfg.loss)
        self.reference = config.build(cfg.reference)
        self.layout = config.build(cfg.layout)
        self.schedule = config.build(cfg.drift)
        self.shifts = config.build_all(cfg.shift)
        self.method = config.build(cfg.counterfactual)
        self.pairing = config.build(cfg.pairing)
        self.benchmarks: dict[str, Benchmark] = config.build_all(cfg.benchmark)
        self.tracker = tracker
        self.summary: dict[str, Any] = {"choices": dict(choices), "seed": self.seed}
        self.summary |= {"fingerprints": {}, "stages": {}, "eval": {}, "finished": False}
        self.summary |= read_json(directory / "summary.json")

    def dataset(self) -> Any:
        """The reader, over a generated world that is made first if need be."""
        node = config.resolved(self.cfg.dataset)
        world = node.pop("world", None)
        if world is not None:
            node["root"] = str(config.build(world).write(Path(node["root"]).absolute()))
        return config.build(node)

    def data(self) -> Data:
        """Dataset → drift stream → counterfactuals → preference pairs, for training and for judging."""
        dataset = self.dataset()
        training = dataset.samples("train")
        for_sft, for_preference = self._shared_out(training)
        length = None if self.cfg.length == -1 else self.cfg.length
        sft = make_stream(for_sft, self.schedule, self.shifts, self.seed) if for_sft else None
        stream = make_stream(for_preference, self.schedule, self.shifts, self.seed + 1, length)
        made = self.method.make(stream.samples, seed=self.seed)
        pairs = self.pairing.make(stream, made)
        return Data(
            dataset=dataset,
            sft=sft,
            stream=stream,
            pairs=pairs,
            counterfactuals={**made.stats, "rejected": dict(made.rejected), "dropped": dict(pairs.dropped)},
            held_out=self._held_out(dataset),
        )

    def _shared_out(self, training: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        """Training samples of the SFT stage and of the preference stage, no patient in both unless both see all."""
        if self.init.share == 0:
            return (), training
        if self.init.share == 1:
            return training, training
        for_sft, for_preference = split_groups(training, self.init.share, self.seed)
        return for_sft, for_preference

    def _held_out(self, dataset: Any) -> HeldOut:
        samples = dataset.samples(self.cfg.held_out)
        position = {sample.id: index for index, sample in enumerate(samples)}
        concepts = {
            concept.name: [
                position[sample.id]
                for sample in concept_samples(samples, self.shifts, concept.index, self.seed).samples
            ]
            for concept in concepts_of(self.shifts)
            if self.shifts
        }
        everything = Stream(tuple(samples), DriftTruth(concepts_of({}), (0,) * len(samples)))
        pairs = self.pairing.make(everything, self.method.make(samples, seed=self.seed))
        return HeldOut(samples, concepts, pairs, dataset.results, dataset.diseases)

    def record(self, data: Data) -> None:
        """Writes what the run read into its directory, before anything is trained, and opens the other trackers."""
        write_json(self.directory / "data_quality.json", asdict(data.dataset.quality()))
        write_json(self.directory / "drift.json", asdict(data.stream.truth))
        rows = [json.dumps(pair_row(pair), ensure_ascii=False) for pair in evenly(data.pairs.pairs, PAIRS_KEPT)]
        write_text(self.directory / "pairs_sample.jsonl", "\n".join(rows) + "\n")
        self.summary["fingerprints"] |= {
            "dataset": data.dataset.fingerprint,
            "stream": data.stream.fingerprint,
            "pairs": data.pairs.fingerprint,
        }
        self.summary["counterfactual"] = dict(data.counterfactuals)
        self._track(data.dataset.access)
        console.print(
            f"[bold]data[/]       {len(data.sft.samples) if data.sft else 0:,} samples for SFT, "
            f"{len(data.stream.samples):,} in the stream ({data.stream.truth.left_out:,} left out by the shift), "
            f"{len(data.pairs.pairs):,} pairs, {len(data.held_out.samples):,} held out"
        )

    def _track(self, access: str) -> None:
        """Adds the configured trackers, now that it is known whether the data may be named."""
        given = {
            "directory": str(self.directory),
            "name": self.directory.name,
            "config": config.resolved(self.cfg),
            "access": access,
            "acknowledged": self.cfg.privacy == "acknowledged",
        }
        others = [config.build(node, **given) for name, node in self.cfg.tracker.items() if name != "local"]
        if others:
            self.tracker = CompositeTracker(trackers=[self.tracker, *others])

    def start(self, data: Data) -> Path:
        """The model directory that the preference stage starts from and refers to."""
        samples = data.sft.samples if data.sft else ()
        base = self.backbone.directory(
            self.cache, samples=samples or data.stream.samples, results=data.dataset.results, seed=self.seed
        )
        identity = {
            "dataset": data.dataset.fingerprint,
            "stream": data.sft.fingerprint if data.sft else None,
            "policy": config.resolved(self.cfg.policy),
        }
        directory, report = self.init.prepare(
            Start(self.backbone, base, samples, self.engine, self.tracker, self.cache, self.seed, identity)
        )
        self._account("sft", report)
        self.summary["fingerprints"] |= {"policy": base.name, "sft": directory.name}
        return directory

    def load(self, directory: Path, *, adapter: bool = False) -> LoadedPolicy:
        """The policy of a model directory, with a fresh adapter if it is to be trained."""
        model = self.backbone.load_model(directory)
        if adapter:
            seed_everything(self.seed)
            model = self.backbone.lora.attach(model)
        encoder = self.backbone.load_encoder(directory)
        return LoadedPolicy(model.to(self.engine.device), encoder, self.layout, self.backbone.max_length, directory)

    def continue_sft(self, data: Data, start: Path) -> LoadedPolicy:
        """The equal-compute control: SFT continued on the chosen side of the very batches of the preference stage."""
        return self._tune("control", SFT(), data, start, self.directory / "control")

    def prefer(self, data: Data, start: Path) -> LoadedPolicy:
        """The preference stage: a fresh adapter on the SFT policy, tuned by the chosen loss, in stream order."""
        return self._tune("preference", self.loss, data, start, self.directory)

    def _tune(self, name: str, loss: Any, data: Data, start: Path, directory: Path) -> LoadedPolicy:
        if name in self.summary["stages"]:
            policy = self.load(start)
            policy.model = self.backbone.load_adapter(policy.model, directory / "adapter")
            return policy
        policy = self.load(start, adapter=True)
        console.print(f"[bold]{name:10}[/] {type(loss).__name__} on {len(data.pairs.pairs):,} pairs")
        stage = Stage(
            "train" if name == "preference" else name,
            loss,
            self.reference,
            self.recipe,
            self.engine,
            self.seed,
            shuffle=False,
            checkpoints=directory / "checkpoints",
        )
        report = run_stage(stage, policy, data.pairs.pairs, self.tracker)
        policy.model.save_pretrained(directory / "adapter")
        self._account(name, report)
        return policy

    def _account(self, name: str, report: StageReport) -> None:
        self.summary["stages"][name] = report.as_dict()
        how = "reused from the cache" if report.cached else f"{report.seconds:.0f} s"
        console.print(f"[bold]{name:10}[/] {report.steps:,} steps, {how}")
        self.tracker.summary(self.summary)

    def judge(self, phase: str, policy: LoadedPolicy, data: Data) -> None:
        """Runs every benchmark; scores go to the summary and the trackers, those of the tuned policy to `eval/` too.

        A phase that was judged before an interruption is not judged again.

        Args:
            phase: `before`, `control` or `after`.
            policy: To be judged.
            data: Gives the held-out part.
        """
        if phase in self.summary["eval"]:
            return
        started = time.perf_counter()
        found = {
            name: benchmark.evaluate(policy, data.held_out, seed=self.seed, progress=self.engine.progress)
            for name, benchmark in self.benchmarks.items()
        }
        scores: Scores = {}
        for by_concept in found.values():
            for concept, metrics in by_concept.items():
                scores.setdefault(concept, {}).update(metrics)
        self.summary["eval"][phase] = scores
        stage = "eval_control" if phase == "control" else "eval"
        step = 0 if phase == "before" else self.recipe.steps(len(data.pairs.pairs))
        self.tracker.rewind(stage=stage, step=step - 1)
        self.tracker.log(flat_values(scores, stage), stage=stage, step=step)
        self.tracker.summary(self.summary)
        if phase == "after":
            self.write_scores(found)
        console.print(f"[bold]judged[/]     {phase}, {time.perf_counter() - started:.0f} s")

    def write_scores(self, found: Mapping[str, Scores]) -> None:
        """Writes `eval/<benchmark>.json` into the run directory."""
        for name, scores in found.items():
            content = {"benchmark": name, "protocol": self.benchmarks[name].protocol, "scores": scores}
            write_json(self.directory / "eval" / f"{name}.json", content)

    def report(self) -> None:
        """Summary, page, table."""
        self.summary["finished"] = True
        self.tracker.summary(self.summary)
        page = run_page(self.directory)
        console.print(eval_table(self.summary))
        console.print(f"[bold]page[/]       {page}", soft_wrap=True)


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file, or nothing if there is none."""
    return json.loads(path.read_text()) if path.is_file() else {}


def flat_values(scores: Scores, prefix: str) -> dict[str, float]:
    """The values of scores as metrics `prefix/<concept>/<metric>`."""
    return {
        f"{prefix}/{concept}/{name}": value["value"]
        for concept, metrics in scores.items()
        for name, value in metrics.items()
        if value.get("value") is not None
    }


def evenly(items: Sequence[Any], count: int) -> list[Any]:
    """At most `count` items, evenly over the sequence.

    Example:
        >>> evenly("abcdef", 3)
        ['a', 'c', 'e']
    """
    return [items[i * len(items) // count] for i in range(count)] if len(items) > count else list(items)


def pair_row(pair: PreferencePair) -> dict[str, Any]:
    """A pair as a row of a pair file."""
    return {
        "id": pair.sample.id,
        "time": pair.time,
        "images": [image.path for image in pair.sample.images],
        "prompt": prompt_messages(pair.sample),
        "chosen": completion_text(pair.chosen),
        "rejected": [completion_text(r.trajectory) for r in pair.rejected],
        "targets": [r.target for r in pair.rejected],
    }
