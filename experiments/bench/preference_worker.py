"""One of our layouts on the pairs of a benchmark job, through the real training stage: two epochs, cold and warm.

Called by `preference_step` as `python -m experiments.bench.preference_worker JOB WAY CACHE`; its last line is JSON.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

import torch

from cpo.losses.dpo import DPO
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.logps import compute_logps, unwrap
from cpo.policy.lora import LoRA
from cpo.policy.pretrained import PretrainedQwenVL
from cpo.policy.reference import AdapterOff
from cpo.policy.vision_cache import VisionCache
from cpo.records import Counterfactual, ImageRef, PreferencePair, Provenance, Sample, Trajectory
from cpo.sequence.collator import Collator
from cpo.sequence.layouts import Layout, Packed, Padded, PrefixShared
from cpo.tracking.composite import CompositeTracker
from cpo.training.engine import Engine, seed_everything
from cpo.training.optim import AdamWCosine
from cpo.training.stages import Stage, run_stage

LAYOUTS: dict[str, Layout] = {
    "padded": Padded(),
    "prefix_shared": PrefixShared(),
    "packed": Packed(max_tokens=16_384),
}


def main() -> None:
    job, way, cache = json.loads(Path(sys.argv[1]).read_text()), sys.argv[2], Path(sys.argv[3])
    result = oracle(job) if way == "oracle" else trained(job, LAYOUTS[way], cache)
    print(json.dumps(result))


def oracle(job: dict[str, Any]) -> dict[str, Any]:
    """Log-probs of the first batch in float64 on padded rows: what all others are compared with."""
    policy = loaded(job, Padded())
    policy.model.double().eval()
    return {"logps": first_batch(policy, job, torch.float64)}


def trained(job: dict[str, Any], layout: Layout, cache: Path) -> dict[str, Any]:
    """Pairs per second of two epochs, each a stage of its own with a fresh adapter, over the same caches."""
    vision = VisionCache(vision="memory", vision_mb=2048)
    pairs, rates, known = pairs_of(job), [], None
    for _ in ("cold", "warm"):
        policy = loaded(job, layout)
        policy.encoder = known or policy.encoder  # which remembers pictures and prompts
        known = policy.encoder
        vision.attach(unwrap(policy.model).model.visual, cache / "vision")
        report = run_stage(stage(job, cache), policy, pairs, CompositeTracker(trackers=[]))
        # what a stage checks before its first step is of constant size, so it is counted in neither
        spent = report.seconds + (report.reference_seconds or 0.0) * (not rates)
        rates.append(len(pairs) / spent)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    logps = first_batch(loaded(job, layout), job, torch.float32)
    return {"cold": rates[0], "warm": rates[1], "peak_mb": peak, "logps": logps}


def loaded(job: dict[str, Any], layout: Layout) -> LoadedPolicy:
    lora = LoRA(dropout=0.0, **job["lora"])
    backbone = PretrainedQwenVL(
        path=job["directory"],
        dtype="float32",
        image_size=job["image_size"],
        max_length=job["max_length"],
        lora=lora,
        sft_lora=lora,
    )
    directory = Path(job["directory"])
    seed_everything(0)
    model = lora.attach(backbone.load_model(directory))
    return LoadedPolicy(model, backbone.load_encoder(directory), layout, job["max_length"], directory)


def stage(job: dict[str, Any], cache: Path) -> Stage:
    recipe = AdamWCosine(
        lr=job["lr"],
        min_lr=0.0,
        betas=tuple(job["betas"]),
        weight_decay=job["weight_decay"],
        warmup_steps=0,
        clip_norm=job["clip_norm"],
        batch_size=job["batch"],
        accumulate=1,
        epochs=1,
        max_steps=-1,
        early_stop=0,
    )
    engine = Engine(
        accelerator="cpu",
        devices=1,
        strategy="auto",
        threads=0,
        workers=0,
        checkpoint_every=10_000,
        progress=False,
    )
    return Stage(
        "train",
        DPO(beta=job["beta"], nll_weight=0.0),
        AdapterOff(cache="disk"),
        recipe,
        engine,
        seed=0,
        shuffle=False,
        references=cache / "reference",
    )


def pairs_of(job: dict[str, Any]) -> list[PreferencePair]:
    pairs = []
    for number, row in enumerate(job["rows"]):
        sample = Sample(
            id=str(number),
            group=str(number),
            split="train",
            images=tuple(ImageRef(path) for path in row["images"]),
            prompt=row["text"],
            factual=Trajectory("", row["chosen"]),
            labels={},
            results=(),
            metadata={},
            provenance=Provenance("bench", "job.json", str(number), "open"),
        )
        rejected = tuple(Counterfactual(sample.id, "bench", "", Trajectory("", text)) for text in row["rejected"])
        pairs.append(PreferencePair(sample, sample.factual, rejected, time=number))
    return pairs


@torch.no_grad()
def first_batch(policy: LoadedPolicy, job: dict[str, Any], dtype: torch.dtype) -> list[list[float]]:
    """[B, 1 + K] log-probs before training, the chosen first."""
    policy.model.eval()
    batch = Collator(policy.encoder, policy.layout, max_length=policy.max_length)(pairs_of(job)[: job["batch"]])
    batch = type(batch)(**{**vars(batch), "pixel_values": batch.pixel_values.to(dtype)})
    logps = compute_logps(policy.model, batch)
    table: list[list[float]] = torch.cat([logps.chosen[:, None], logps.rejected], dim=1).tolist()
    return table


if __name__ == "__main__":
    main()
