"""`evaluate.py policy.path=DIR dataset=…`: any policy by path, judged on any dataset, in a directory of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from cpo import config
from cpo.data import DataPlan
from cpo.errors import ConfigError
from cpo.evaluation.benchmark import Benchmark, HeldOut, Scores, Session, flat_values, merged
from cpo.evaluation.results import held_out_fingerprint, write_result
from cpo.files import read_json, write_json, write_text
from cpo.policy.directory import PolicyDirectory
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.logps import unwrap
from cpo.policy.weights import weights_fingerprint
from cpo.records import fingerprint
from cpo.report.terminal import eval_table
from cpo.tracking.environment import environment
from cpo.tracking.local import LocalTracker

console = Console(highlight=False, soft_wrap=True)


def judge_policy(cfg: DictConfig) -> None:
    """Judges a policy by path, and prints what each benchmark found.

    The directory, `outputs/judged/<policy>-<dataset>-<fingerprint>`, is that of the weights and the data: the same
    command goes on where it was interrupted, and other benchmarks are added to those that stand there.

    Raises:
        ConfigError: No policy, or knobs out of range.
        DataError: The policy or the dataset is absent, or does not fit.
    """
    if cfg.run or cfg["from"] != "policy":
        raise ConfigError(
            got=f"run={cfg.run} or from={cfg['from']} beside policy.path=",
            wanted="a run or a policy by path; completions that were made before are found by themselves",
            remedy="leave policy.path= out, or the others",
        )
    benchmarks: dict[str, Benchmark] = config.build_all(cfg.benchmark)
    directory: PolicyDirectory = config.build(cfg.policy)
    plan = DataPlan(cfg, share=0.0, pairs_judged=any(b.reads_pairs for b in benchmarks.values()))
    dataset, held_out = plan.for_judging()
    for benchmark in benchmarks.values():
        benchmark.refuse_unless_allowed(dataset.access, acknowledged=cfg.privacy == "acknowledged")
    policy, weights = _load(cfg, directory)
    judged = fingerprint([weights, dataset.fingerprint, held_out_fingerprint(_alone(held_out)), cfg.seed])
    place = Path(cfg.paths.outputs).absolute() / "judged" / f"{_name(directory.path)}-{dataset.name}-{judged}"
    place.mkdir(parents=True, exist_ok=True)
    write_json(place / "data_quality.json", asdict(dataset.quality()))
    write_json(place / "environment.json", environment(config.ROOT))
    write_text(place / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True))
    for name, benchmark in benchmarks.items():
        folder = place / "eval" / "after" / name
        acknowledged = cfg.privacy == "acknowledged"
        session = Session(int(cfg.seed), folder, progress=bool(cfg.trainer.progress), acknowledged=acknowledged)
        scores = benchmark.evaluate(policy, held_out, session)
        knobs = config.resolved(cfg.benchmark[name])
        decides = {"weights": weights, "benchmark": knobs, "held_out": held_out_fingerprint(held_out)}
        write_result(place, name, benchmark, scores, decides)
    summary = _summary(place, cfg, directory, dataset, weights)
    _track(place, summary)
    console.print(eval_table(summary, names={"after": _name(directory.path)}))
    print(f"judged: {place}", flush=True)


def _load(cfg: DictConfig, directory: PolicyDirectory) -> tuple[LoadedPolicy, str]:
    """The policy on its device, and the fingerprint of its weights."""
    engine, layout, cache = (config.build(node) for node in (cfg.trainer, cfg.layout, cfg.cache))
    model, encoder = directory.load()
    weights = weights_fingerprint(model)
    cache.attach(unwrap(model).model.visual, Path(cfg.paths.cache).absolute() / "vision")
    return LoadedPolicy(model.to(engine.device), encoder, layout, directory.max_length, directory.base), weights


def _alone(held_out: HeldOut) -> HeldOut:
    """Without pairs, which only some benchmarks read: all of one policy and one dataset share a directory."""
    return HeldOut(held_out.samples, held_out.concepts, type(held_out.pairs)((), {}), held_out.answers, held_out.scored)


def _name(path: Path) -> str:
    """What a policy is called: an adapter by the run that it stands in."""
    return path.parent.name if path.name == "adapter" else path.name


def _summary(place: Path, cfg: DictConfig, directory: PolicyDirectory, dataset: Any, weights: str) -> Mapping[str, Any]:
    """Of all that the directory holds, benchmarks of earlier commands included."""
    found: dict[str, Scores] = {
        file.stem: read_json(file)["scores"] for file in sorted((place / "eval").glob("*.json"))
    }
    scores, measures = merged(found)
    return {
        "policy": str(directory.path),
        "base": str(directory.base),
        "dataset": dataset.quality().dataset,
        "held_out": cfg.held_out,
        "seed": int(cfg.seed),
        "fingerprints": {"dataset": dataset.fingerprint, "policy": weights},
        "eval": {"after": scores},
        "benchmarks": measures,
    }


def _track(place: Path, summary: Mapping[str, Any]) -> None:
    tracker = LocalTracker(directory=place)
    try:
        tracker.rewind(stage="eval", step=-1)
        tracker.log(flat_values(summary["eval"]["after"], "eval"), stage="eval", step=0)
        tracker.summary(summary)
    finally:
        tracker.finish()
