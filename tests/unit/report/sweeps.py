"""Directories of sweeps as jobs leave them, with effects that are known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

EFFECTS = {"dpo": 0.0, "ipo": 0.0, "cpo_plus": 0.25, "simpo": -0.25}
"""Of each loss on the share of right answers, to `dpo`; the other loss without an effect is noise."""
ITEMS, PATIENTS = 240, 120


def interval(values: np.ndarray[Any, Any]) -> dict[str, Any]:
    mean = float(values.mean())
    return {"value": mean, "low": mean - 0.03, "high": mean + 0.03, "n": len(values), "clusters": PATIENTS}


def write_job(sweep: Path, drift: str, loss: str, seed: int, *, finished: bool = True, steps: int = 20) -> Path:
    rng = np.random.default_rng([sum(map(ord, drift + loss)), seed])
    right = (rng.random(ITEMS) < 0.6 + EFFECTS[loss]).astype(float)
    margin = rng.normal(4, 1, ITEMS)
    scores = {"balanced_accuracy": right, "accuracy": right, "margin": margin}
    run = sweep / f"chest_world-{drift}-{loss}-seed{seed}-{'abcdefgh'[seed] * 8}"
    folder = run / "eval" / "after" / "disease_classification"
    folder.mkdir(parents=True)
    items = {
        "ids": [f"item{n}" for n in range(ITEMS)],
        "groups": [f"patient{n % PATIENTS}" for n in range(ITEMS)],
        "values": {key: values.tolist() for key, values in scores.items()},
    }
    (folder / "items.json").write_text(json.dumps(items))
    judged = {"all": {key: interval(values) for key, values in scores.items()} | {"malformed": {"count": 2}}}
    summary = {
        "choices": {"dataset": "chest_world", "drift": drift, "loss": loss, "counterfactual": "concept_graph"},
        "seed": seed,
        "stages": {
            "sft": {"steps": 9, "seconds": 40.0, "cached": loss != "dpo"},
            "preference": {"steps": steps, "seconds": 60.0, "pairs_per_second": 50.0, "peak_memory_mb": 900.0},
        },
        "eval": {"after": judged} if finished else {},
        "finished": finished,
    }
    (run / "summary.json").write_text(json.dumps(summary))
    overrides = [f"drift={drift}", f"loss={loss}", f"seed={seed}", "trainer.threads=1"]
    (run / "overrides.yaml").write_text("".join(f"- {override}\n" for override in overrides))
    rows = [{"stage": "train", "step": n, "time": 0.1 * n, "train/loss": 0.69 - n / 100} for n in range(steps)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return run


def write_sweep(
    directory: Path, drifts: Sequence[str], losses: Sequence[str], seeds: Sequence[int], *, failed: bool = False
) -> Path:
    directory.mkdir(parents=True)
    jobs = list(product(drifts, losses, seeds))
    for drift, loss, seed in jobs:
        write_job(directory, drift, loss, seed)
    if failed:
        (directory / "failed").mkdir()
        failure = {"job": 4, "error": "got: a loss of nan", "command": "python train.py loss=ipo"}
        (directory / "failed" / "x.json").write_text(json.dumps(failure))
    planned = [[f"drift={d}", f"loss={loss}", f"seed={s}", "trainer.threads=1"] for d, loss, s in jobs]
    (directory / "sweep.json").write_text(json.dumps({"total": len(jobs) + failed, "jobs": planned}))
    return directory
