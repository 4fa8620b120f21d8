"""How fast each stage is on this machine, on the chest world and the tiny policy: items per second, one row per stage.

Usage:
    python experiments/bench/stages.py                             400 studies, 5 repeats of each training step
    python experiments/bench/stages.py --studies 4000 --repeats 9  steadier
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from cpo import config
from cpo.drift.stream import make_stream
from cpo.policy.generate import generate
from cpo.policy.logps import compute_logps
from cpo.records import PreferencePair, Stream
from cpo.sequence.collator import Collator
from cpo.tensors import PairBatch, PairInfo

BATCH, NEW_TOKENS = 16, 48
LAYOUTS = ("padded", "prefix_shared")

Row = tuple[str, str, float]
"""Stage, what is counted, how many per second."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    cfg = composed([f"dataset.world.studies={arguments.studies}", "policy.vision_steps=0", "policy.alignment_steps=0"])
    with tempfile.TemporaryDirectory() as cache:
        rows, stream, pairs = data_stages(cfg, Path(cache))
        rows += model_stages(cfg, Path(cache), stream, pairs, arguments.repeats)
    table = Table(
        "stage", "counted", "per second", title=f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    table.columns[2].justify = "right"
    for stage, counted, rate in rows:
        table.add_row(stage, counted, f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}")
    Console().print(table)


def composed(overrides: Sequence[str]) -> DictConfig:
    config.register_schemas()
    with initialize_config_dir(str(config.ROOT / "conf"), version_base="1.3"):
        return compose("train", overrides=list(overrides))


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def data_stages(cfg: DictConfig, cache: Path) -> tuple[list[Row], Stream, Sequence[PreferencePair]]:
    """From nothing to pairs; the torch-free half."""
    node = config.resolved(cfg.dataset)
    world = config.build(node.pop("world"))
    root, generating = timed(lambda: world.write(cache))
    dataset = config.build(node, root=str(root))
    samples, reading = timed(lambda: dataset.samples("train"))
    shifts = config.build_all(cfg.shift)
    stream, ordering = timed(lambda: make_stream(samples, config.build(cfg.drift), shifts, cfg.seed))
    made, arguing = timed(lambda: config.build(cfg.counterfactual).make(stream.samples, seed=cfg.seed))
    pairs, pairing = timed(lambda: config.build(cfg.pairing).make(stream, made).pairs)
    rows = [
        ("world", "studies drawn and written", cfg.dataset.world.studies / generating),
        ("dataset", "studies read", cfg.dataset.world.studies / reading),
        ("drift", "samples ordered", len(stream.samples) / ordering),
        ("counterfactual", "trajectories made and checked", len(made.all) / arguing),
        ("preference", "pairs", len(pairs) / pairing),
    ]
    return rows, stream, pairs


def model_stages(
    cfg: DictConfig, cache: Path, stream: Stream, pairs: Sequence[PreferencePair], repeats: int
) -> list[Row]:
    """Encoding, training steps by layout, generation."""
    backbone = config.build(cfg.policy)
    directory = backbone.directory(cache, samples=stream.samples, results=(), seed=cfg.seed)
    model = backbone.lora.attach(backbone.load_model(directory)).train()
    encoder = backbone.load_encoder(directory)
    first = pairs[:BATCH]
    collators = {
        name: Collator(encoder, config.build(composed([f"layout={name}"]).layout), max_length=backbone.max_length)
        for name in LAYOUTS
    }
    _, encoding = timed(partial(collators[LAYOUTS[0]], first))  # later batches of these pairs find them in the cache
    batches = {name: collator(first) for name, collator in collators.items()}
    seconds = training_steps(model, config.build(cfg.loss), config.build(cfg.reference), batches, repeats)
    samples = [pair.sample for pair in first]
    _, writing = timed(lambda: list(generate(model, encoder, samples, batch_size=BATCH, max_new_tokens=NEW_TOKENS)))
    return [
        ("sequence", "pairs encoded, pictures included", len(first) / encoding),
        *(("training", f"pairs, layout={name}", len(first) / seconds[name]) for name in LAYOUTS),
        ("generation", f"answers of {NEW_TOKENS} tokens", len(samples) / writing),
    ]


def training_steps(
    model: Any, loss: Any, reference: Any, batches: dict[str, PairBatch], repeats: int
) -> dict[str, float]:
    """Median seconds of policy forward, reference forward and backward, the layouts by turns."""

    def step(batch: PairBatch) -> None:
        policy = compute_logps(model, batch)
        loss(policy, reference.logps(model, batch), PairInfo(batch.weight, batch.time)).loss.backward()

    seconds: dict[str, list[float]] = {name: [] for name in batches}
    for repeat in range(repeats + 1):
        for name, batch in batches.items():
            _, took = timed(partial(step, batch))
            if repeat > 0:  # the first is warm-up
                seconds[name].append(took)
    return {name: statistics.median(took) for name, took in seconds.items()}


if __name__ == "__main__":
    main()
