"""A run directory as a run leaves it, small enough to make in a moment and full enough to look at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

DISEASES = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion", "Pneumothorax")
SUMMARY = {
    "choices": {
        "dataset": "chest_world",
        "drift": "gradual",
        "shift": "spurious",
        "counterfactual": "concept_graph",
        "pairing": "one_negative",
        "loss": "dpo",
        "policy": "tiny",
    },
    "seed": 0,
    "fingerprints": {"dataset": "3fa9c1d2e0b45678", "stream": "a41bd02c77e9f013", "pairs": "09e2b7f4c6d8a155"},
    "stages": {
        "sft": {"steps": 1200, "seconds": 96.3, "cached": False},
        "control": {"steps": 250, "seconds": 21.8},
        "preference": {
            "steps": 250,
            "seconds": 61.2,
            "pairs_per_second": 65.4,
            "peak_memory_mb": 1312.0,
            "step0_loss": 0.693147,
            "step0_margin_max_abs": 0.0,
        },
    },
}
CHOSEN = (
    "<think> PA view of the chest. The heart is normal in size. There is moderate blunting of the left costophrenic "
    "angle with a meniscus. No pleural line is seen. The lungs are otherwise clear. </think> "
    "The disease of this patient is Pleural Effusion."
)
REJECTED = (
    "<think> PA view of the chest. The heart is normal in size. A visceral pleural line is seen at the left apex "
    "without lung markings beyond it. The left costophrenic angle is sharp. The lungs are otherwise clear. </think> "
    "The disease of this patient is Pneumothorax."
)
ENVIRONMENT = {
    "python": "3.11.7",
    "platform": "Linux x86_64",
    "cores": 2,
    "device": "cpu",
    "git": {"commit": "9f3c2ab", "dirty": False},
    "packages": {"torch": "2.13.0", "transformers": "5.23.0", "peft": "0.21.2"},
}


def interval(value: float, half: float) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "n": 512, "clusters": 301, "level": 0.95}


def judged(balanced: float, pair: float, margin: float, malformed: int) -> dict[str, Any]:
    return {
        "balanced_accuracy": interval(balanced, 0.031),
        "shuffled_balanced_accuracy": interval(0.502 + (balanced - 0.8) / 9, 0.028),
        "accuracy": interval(balanced + 0.071, 0.018),
        "shuffled_accuracy": interval(0.761, 0.02),
        "pair_accuracy": interval(pair, 0.02),
        "margin": interval(margin, 0.41),
        "malformed": {"count": malformed, "answers": 512, "tags": malformed, "sentence": 0, "names": 0},
    }


def metric_rows() -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(0)
    for step in range(0, 1200, 10):
        loss = 0.35 + 2.6 * np.exp(-step / 180) + rng.normal(0, 0.06)
        yield {"stage": "sft", "step": step, "time": step * 0.08, "sft/loss": loss, "sft/lr": 2e-3}
    for step in range(0, 250, 10):
        yield {"stage": "control", "step": step, "time": 97 + step * 0.08, "control/loss": 0.34 + rng.normal(0, 0.03)}
    for step in range(250):
        grown = 1 - np.exp(-step / 90)
        margin = 1.4 * grown + rng.normal(0, 0.18)
        drop = 0.06 / (1 + np.exp(-(step - 140) / 6)) * np.exp(-max(step - 150, 0) / 60)
        yield {
            "stage": "train",
            "step": step,
            "time": 120 + step * 0.24,
            "train/loss": None if step == 77 else np.log(1 + np.exp(-margin)) + rng.normal(0, 0.03),
            "train/rewards/chosen": -0.15 * grown + rng.normal(0, 0.05),
            "train/rewards/rejected": -0.15 * grown - margin,
            "train/rewards/margins": margin,
            "train/rewards/accuracies": min(1.0, 0.5 + 0.42 * grown + rng.normal(0, 0.07)),
            "train/logps/chosen": -21.5 - 1.5 * grown + rng.normal(0, 0.9),
            "train/logps/rejected": -27.0 - 14 * grown + rng.normal(0, 1.1),
            "train/logratios/chosen": -1.5 * grown + rng.normal(0, 0.5),
            "train/logratios/rejected": -14 * grown + rng.normal(0, 0.5),
            "train/margins/q10": 0.4 * margin,
            "train/margins/q50": margin,
            "train/margins/q90": 1.8 * margin,
            "train/kl/chosen": 0.02 * grown,
            "train/prequential/accuracy": min(1.0, 0.55 + 0.4 * grown - 2.5 * drop + rng.normal(0, 0.06)),
            "train/stream/position": step * 8,
            "train/lr": 2e-5 * (1 - step / 250),
        }


def draw_chest(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.normal(70, 8, (112, 112)).clip(0, 255).astype("uint8"))
    pen = ImageDraw.Draw(image)
    pen.ellipse((16, 14, 50, 98), fill=32)
    pen.ellipse((62, 14, 96, 98), fill=32)
    pen.ellipse((44, 50, 84, 98), fill=150)
    pen.rectangle((0, 92, 112, 112), fill=140)
    image.save(path)


def write_run(directory: Path) -> Path:
    directory.mkdir(parents=True)
    evaluation = {
        "before": {"all": judged(0.812, 0.913, 6.77, 1), "tied": judged(0.834, 0.921, 6.9, 0)},
        "control": {"all": judged(0.818, 0.915, 6.71, 0), "tied": judged(0.841, 0.922, 6.8, 0)},
        "after": {"all": judged(0.809, 0.931, 7.97, 3), "tied": judged(0.829, 0.94, 8.2, 1)},
    }
    for arm, balanced, pair, margin in (
        ("before", 0.79, 0.9, 6.6),
        ("control", 0.796, 0.91, 6.6),
        ("after", 0.789, 0.92, 7.7),
    ):
        evaluation[arm]["untied"] = judged(balanced, pair, margin, 1)
    quality = {
        "dataset": "chest_world",
        "records": 4000,
        "samples": 3964,
        "excluded": {"no FINDINGS section": 21, "no frontal picture": 12},
        "quarantined": [
            {"file": "mimic-cxr-2.0.0-metadata.csv.gz", "row": "line 812", "reason": "empty ViewPosition"},
            {"file": "files/p10/p10000032/s50414267.txt", "row": "s50414267", "reason": "not UTF-8"},
        ],
        "by_split": {"train": 2961, "validate": 491, "test": 512},
        "labels": {
            name: {"present": 900 - 120 * i, "absent": 400, "uncertain": 60 + i, "unmentioned": 2604 + 119 * i}
            for i, name in enumerate(DISEASES)
        },
    }
    drift = {
        "concepts": [{"index": 0, "name": "tied"}, {"index": 1, "name": "untied"}],
        "concept_at": [int(i >= 1100) for i in range(2000)],
        "changes": [[900, 1300]],
        "shifts": [{"name": "spurious", "attribute": "view", "value": "AP", "result": "Cardiomegaly", "strength": 0.9}],
        "left_out": 61,
    }
    pairs = []
    for i in range(3):
        draw_chest(directory / f"chest{i}.png", i)
        prompt = [
            {
                "role": "user",
                "content": [{"type": "image"}, {"type": "text", "text": "What disease does this chest X-ray show?"}],
            }
        ]
        pairs.append(
            {
                "id": f"s5000000{i}",
                "images": [str(directory / f"chest{i}.png")],
                "prompt": prompt,
                "chosen": CHOSEN,
                "rejected": [REJECTED],
            }
        )
    pairs[1]["rejected"] = [REJECTED, CHOSEN.replace("Pleural Effusion", "Atelectasis").replace("moderate", "slight")]
    pairs[2]["images"] = [str(directory / "lost.png")]
    files = {
        "summary": {**SUMMARY, "eval": evaluation},
        "data_quality": quality,
        "drift": drift,
        "environment": ENVIRONMENT,
    }
    for name, content in files.items():
        (directory / f"{name}.json").write_text(json.dumps(content))
    (directory / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in metric_rows()))
    (directory / "pairs_sample.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    (directory / "overrides.yaml").write_text("- experiment=demo\n- drift=gradual\n- seed=0\n")
    (directory / "config.yaml").write_text(
        "seed: 0\ndataset:\n  name: chest_world\n  access: open\nloss:\n  beta: 0.1\n"
    )
    return directory


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    """A complete run directory."""
    return write_run(tmp_path / "chest_world-gradual-concept_graph-dpo-seed0-mijkbden")
