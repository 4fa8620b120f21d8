"""What Lightning costs: a stage through `run_stage` against a bare loop over the same batches, in one run.

    python -m experiments.bench.lightning_overhead --steps 30 --rounds 3

Both do the same log-probs, loss, backward, clipping, step and metrics on the same batches from the same start; they
take turns, and medians are compared. The ratio is what counts, the times are this machine's.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from cpo.app import Job
from cpo.losses.sft import SFT
from cpo.sequence.collator import Collator, as_pairs, stream_info
from cpo.tracking.composite import CompositeTracker
from cpo.training.module import step_metrics
from cpo.training.stages import Stage, run_stage
from experiments.bench.stages import composed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with TemporaryDirectory() as place:
        cfg = composed(
            [
                "dataset.world.studies=300",
                "policy.vision_steps=0",
                "policy.alignment_steps=0",
                f"optim.max_steps={arguments.steps}",
                "trainer.progress=false",
                "tracker=local",
                f"paths.cache={place}/cache",
            ]
        )
        job = Job(cfg, Path(place), {}, CompositeTracker(trackers=[]))
        data = job.data()
        pairs = as_pairs(data.stream.samples)
        base = job.base(data)
        times: dict[str, list[float]] = {"lightning": [], "bare": []}
        for _ in range(arguments.rounds):
            stage = Stage("bench", SFT(), job.reference, job.recipe, job.engine, 0, shuffle=False)
            times["lightning"].append(run_stage(stage, job.load(base, adapter=True), pairs, job.tracker).seconds)
            times["bare"].append(bare(job, base, pairs, arguments.steps))
    medians = {name: statistics.median(found) for name, found in times.items()}
    print(f"lightning {medians['lightning']:.2f} s, bare {medians['bare']:.2f} s for {arguments.steps} steps")
    print(f"ratio {medians['lightning'] / medians['bare']:.3f}")


def bare(job: Job, base: Path, pairs: list[Any], steps: int) -> float:
    """Seconds of the loop that Lightning wraps."""
    from cpo.policy.logps import compute_logps
    from cpo.training.datamodule import BatchPlan

    policy = job.load(base, adapter=True)
    policy.model.train()
    optimizer, schedule = job.recipe.build(policy.model.parameters(), steps)
    collate = Collator(policy.encoder, policy.layout, max_length=policy.max_length)
    plan = BatchPlan(len(pairs), batch_size=job.recipe.batch_size, batches=steps, shuffle=False, seed=0)
    collate([pairs[i] for i in plan.batch(0)])  # both arms have seen the first batch's images
    info, loss = stream_info(pairs), SFT()
    started = time.perf_counter()
    for number in range(steps):
        batch = collate([pairs[i] for i in plan.batch(number)])
        logps = compute_logps(policy.model, batch)
        output = loss(logps, None, batch.info(info))
        output.loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.model.parameters(), job.recipe.clip_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        step_metrics(logps.detach(), None, output, batch)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
