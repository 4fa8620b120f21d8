"""How fast counterfactuals are made, step by step: reading the pool, editing, checking, judging, keeping.

Everything runs in one process on one core, and processor time is counted, so that other jobs beside it do little harm.
Rates are medians over rounds.

Usage:
    python -m experiments.bench.counterfactuals                             4,000 studies of the chest world, 3 rounds
    python -m experiments.bench.counterfactuals --dataset road_world --records 1000
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from cpo import config
from cpo.counterfactual.base import sample_generator
from cpo.counterfactual.concept_graph import ConceptGraphCounterfactual
from cpo.counterfactual.quality import judge_by
from cpo.counterfactual.statements import read_statements
from cpo.counterfactual.store import read_set, write_set
from cpo.counterfactual.validity import Validity, lexicon_judge
from cpo.graph.extraction import LexiconExtractor
from cpo.records import Counterfactual, Sample
from experiments.bench.stages import composed

T = TypeVar("T")
PAPER = 320_416
"""Counterfactuals of arXiv 2505.13081, made by a language model in five days on four A100s."""
READ_SLOWLY = 200
"""Texts for the extractor of free text, which parses each."""


class Unchecked:
    """A validity check that finds nothing wrong, so that editing is timed alone."""

    def rejection(self, sample: Sample, counterfactual: Counterfactual) -> None:
        """Nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="chest_world", choices=["chest_world", "road_world"])
    parser.add_argument("--records", type=int, default=4000)
    parser.add_argument("--pixels", type=int, default=224, help="of the pictures, which are not looked at")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cache", default="cache", help="folder of generated worlds")
    arguments = parser.parse_args()
    kind = "studies" if arguments.dataset == "chest_world" else "scenes"
    size = [f"dataset.world.{kind}={arguments.records}", f"dataset.world.image_size={arguments.pixels}"]
    workers = ["dataset.world.workers=1"]
    cfg = composed([f"dataset={arguments.dataset}", f"paths.cache={arguments.cache}", *size, *workers])
    dataset = config.build_dataset(cfg.dataset)
    pool = tuple(sample for split in dataset.splits for sample in dataset.samples(split))
    world = import_module(str(cfg.dataset.world._target_).rpartition(".")[0])
    rounds = [measure(pool, cfg.counterfactual, world) for _ in range(arguments.rounds)]
    print(f"{len(pool):,} reports of {dataset.name}, one core, medians of {arguments.rounds} rounds")
    for name in rounds[0]:
        rate = statistics.median(found[name] for found in rounds)
        print(f"{name:<62} {rate:>10,.0f} /s")
    whole = statistics.median(found["concept_graph: counterfactuals, all of it"] for found in rounds)
    print(f"{PAPER:,} counterfactuals, not measured, would take {PAPER / whole / 60:.1f} minutes at that rate")


def measure(pool: Sequence[Sample], node: Any, world: Any) -> dict[str, float]:
    """Things per second of each step, once."""
    method: ConceptGraphCounterfactual = config.build(node)
    made, whole = timed(lambda: method.make(pool, seed=0))
    texts = [sample.factual.thinking for sample in pool]
    _, reading = timed(lambda: [read_statements(method.lexicon, text) for text in texts])
    _, habits = timed(lambda: method.proposer(pool))
    alone: ConceptGraphCounterfactual = config.build(node)
    alone._validity = Unchecked()  # type: ignore[assignment]
    propose = alone.proposer(pool)
    edited, editing = timed(lambda: sum(1 for _ in proposals(propose, pool, alone.targets_per_sample)))
    by_id = {sample.id: sample for sample in pool}
    checks = {
        "validity by the graph's wordings": lexicon_judge(method.lexicon),
        "validity by the world's own reader": judge_by(world.read),
    }
    rates = {
        "extraction: reports read into statements": len(pool) / reading,
        "extraction: reports read and their habits counted": len(pool) / habits,
        "generation alone: counterfactuals edited, not checked": edited / editing,
    }
    for name, judge in checks.items():
        validity = Validity(graph=method.graph, judge=judge, max_edit_ratio=1.0)
        _, seconds = timed(lambda v=validity: [v.rejection(by_id[c.sample_id], c) for c in made.all])  # type: ignore[misc]
        rates[f"{name}: counterfactuals"] = len(made.all) / seconds
    extractor = LexiconExtractor(method.graph)
    _, seconds = timed(lambda: [extractor.read(text) for text in texts[:READ_SLOWLY]])
    rates["extraction from free text: reports"] = min(READ_SLOWLY, len(texts)) / seconds
    rates["concept_graph: counterfactuals, all of it"] = len(made.all) / whole
    with tempfile.TemporaryDirectory() as place:
        _, writing = timed(lambda: write_set(Path(place), made))
        _, back = timed(lambda: read_set(Path(place)))
    return {**rates, "written to disk: counterfactuals": len(made.all) / writing, "read back": len(made.all) / back}


def proposals(propose: Any, pool: Sequence[Sample], wanted: int) -> Any:
    """As many of each sample as a set would hold."""
    for sample in pool:
        found = 0
        for proposal in propose(sample, sample_generator(sample.id, 0)):
            if isinstance(proposal, Counterfactual):
                yield proposal
                found += 1
            if found == wanted:
                break


def timed(call: Callable[[], T]) -> tuple[T, float]:
    """What a call returns, and its processor seconds."""
    started = time.process_time()
    result = call()
    return result, time.process_time() - started


if __name__ == "__main__":
    main()
