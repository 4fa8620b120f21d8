"""Log-probs of fixed pairs under a fixed policy by TRL's `DPOTrainer`: `trl_logps.json`, which ordinary tests read.

`CPO_PEER_PYTHON=PYTHON python -m tests.goldens.trl_logps` writes it; PYTHON is an interpreter with the `peers` extra,
by default this one. Each pair is a training run of its own, in which TRL tells what the two log-probs were before the
first update. Weights, pictures and words are drawn by numpy, so that they are the same everywhere.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from cpo.policy.loaded import LoadedPolicy
from cpo.records import Counterfactual, ImageRef, PreferencePair, Provenance, Sample, Trajectory
from cpo.sequence.collator import Collator
from cpo.sequence.layouts import Padded
from cpo.sequence.template import completion_text, prompt_messages
from experiments.bench.preference_step import peer
from tests.fixtures.tiny import WORDS, make_backbone

FILE = Path(__file__).with_suffix(".json")
PYTHON = os.environ.get("CPO_PEER_PYTHON", sys.executable)
IMAGES, LENGTHS = (1, 1, 2, 1), ((3, 9), (12, 1), (6, 7), (1, 2))
"""Pictures of each pair, and words of its chosen and rejected thinking."""


def policy(folder: Path) -> LoadedPolicy:
    """A tiny policy whose weights are large enough to tell tokens, pictures and positions apart."""
    backbone = make_backbone()
    text = Trajectory(" ".join(WORDS), "It is large.")
    sample = Sample("s", "g", "train", (), "lung", text, {}, (), {}, Provenance("drawn", "none", "0", "open"))
    made = backbone.directory(folder / "cache", samples=[sample], results=["large"], seed=0)
    model = backbone.load_model(made).eval()
    rng = np.random.default_rng(7)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            drawn = torch.from_numpy(rng.normal(scale=0.15, size=tuple(parameter.shape))).float()
            parameter.copy_(drawn + 1 if "norm" in name and "weight" in name else drawn)
    drawn_policy = LoadedPolicy(model, backbone.load_encoder(made), Padded(), backbone.max_length, folder / "policy")
    drawn_policy.save(folder / "policy")
    return drawn_policy


def pairs(folder: Path) -> list[PreferencePair]:
    """Pairs of one and two pictures and of unequal lengths."""
    rng, made = np.random.default_rng(11), []

    def trajectory(words: int) -> Trajectory:
        return Trajectory(" ".join(rng.choice(WORDS, size=words)), f"It is {rng.choice(WORDS)}.")

    for n, (images, lengths) in enumerate(zip(IMAGES, LENGTHS, strict=True)):
        shown = []
        for m in range(images):
            path = folder / f"{n}-{m}.png"
            Image.fromarray(rng.integers(0, 255, (60 + 10 * n, 50 + 20 * m), dtype=np.uint8)).save(path)
            shown.append(ImageRef(str(path)))
        prompt, chosen, rejected = "what is seen", trajectory(lengths[0]), trajectory(lengths[1])
        place = Provenance("drawn", "none", str(n), "open")
        sample = Sample(f"s{n}", f"g{n}", "train", tuple(shown), prompt, chosen, {}, (), {}, place)
        made.append(PreferencePair(sample, chosen, (Counterfactual(sample.id, "random", "", rejected),), time=n))
    return made


def keys(loaded: LoadedPolicy, some: list[PreferencePair]) -> list[str]:
    """Hashes of what is scored: pixels, prompt tokens, completion tokens."""
    return list(Collator(loaded.encoder, Padded(), max_length=loaded.max_length)(some).keys)


def compute(folder: Path) -> dict[str, Any]:
    """Everything that the file holds."""
    loaded, some = policy(folder), pairs(folder)
    job = {
        "directory": str(loaded.directory),
        "image_size": 56,
        "max_length": loaded.max_length,
        "lora": {"r": 4, "alpha": 8, "target_modules": ["q_proj", "v_proj"]},  # fresh, so the policy is as it stands
        "batch": 1,
        "lr": 0.0,
        "betas": [0.9, 0.98],
        "weight_decay": 0.0,
        "clip_norm": 1.0,
        "beta": 0.1,
    }
    found = []
    for n, pair in enumerate(some):
        row = {
            "images": [image.path for image in pair.sample.images],
            "prompt": prompt_messages(pair.sample),
            "text": pair.sample.prompt,
            "chosen": completion_text(pair.chosen),
            "rejected": [completion_text(r.trajectory) for r in pair.rejected],
        }
        path = folder / f"job-{n}.json"
        path.write_text(json.dumps({**job, "rows": [row]}), encoding="utf-8")
        ((chosen, rejected),) = peer(path, folder, PYTHON)["logps"]
        found.append({"chosen": chosen, "rejected": rejected})
    return {"made_by": versions(), "keys": keys(loaded, some), "logps": found}


def versions() -> dict[str, str]:
    """Of what has computed them."""
    names = ("trl", "transformers", "torch")
    ask = f"from importlib.metadata import version; print(*(version(n).split('+')[0] for n in {names}))"
    done = subprocess.run([PYTHON, "-c", ask], capture_output=True, text=True, check=True)
    return dict(zip(names, done.stdout.split(), strict=True))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        FILE.write_text(json.dumps(compute(Path(scratch)), indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")
