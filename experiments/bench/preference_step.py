"""Preference training through the real path beside padded rows and a peer, in fresh processes, by turns.

Usage:
    python -m experiments.bench.preference_step --policy tiny
    python -m experiments.bench.preference_step --policy mid --negatives 2 --json FILE
    python -m experiments.bench.preference_step --policy mid --peer trl --peer-python PYTHON --json FILE

*Cold* is a first epoch, the reference pass and the pictures' processing included; *warm* one with both remembered. The
peer needs the extra `peers`; `--peer-python` (or CPO_PEER_PYTHON) names an interpreter that has it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cpo.sequence.template import completion_text, prompt_messages
from experiments.bench.policies import composed, prepared

SIZES = {"tiny": {"pairs": 192, "batch": 16}, "mid": {"pairs": 16, "batch": 4}}
"""Pairs per epoch and per batch: seconds for each epoch of the fastest way."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", choices=SIZES, required=True)
    parser.add_argument("--negatives", type=int, default=1, metavar="K")
    parser.add_argument("--peer", choices=("trl",))
    parser.add_argument("--peer-python", default=os.environ.get("CPO_PEER_PYTHON", sys.executable))
    parser.add_argument("--layouts", nargs="+", default=["packed", "prefix_shared", "padded"])
    parser.add_argument("--pairs", type=int, help="per epoch")
    parser.add_argument("--rounds", type=int, default=3, help="each way runs so often, by turns; medians are told")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if arguments.peer and arguments.negatives != 1:
        parser.error("TRL trains on one rejected completion per pair: leave --peer out, or --negatives 1")
    with tempfile.TemporaryDirectory() as scratch:
        result = compare(arguments, Path(scratch))
    for row in result["rows"]:
        print("  ".join(f"{key}={value}" for key, value in row.items()))
    print("  ".join(f"{key}={value}" for key, value in result["ratios"].items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


def compare(arguments: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Every way by turns, and the ratios of their medians; `warm` and `cold` are rows of their own."""
    size = SIZES[arguments.policy]
    job = job_of(arguments, scratch, pairs=arguments.pairs or size["pairs"], batch=size["batch"])
    oracle = worker(job, scratch, "oracle")
    ways = [*arguments.layouts, *([arguments.peer] if arguments.peer else [])]
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for number in range(arguments.rounds):
        for way in ways:
            found[way].append(
                peer(job, scratch, arguments.peer_python) if way == "trl" else worker(job, scratch, way, number)
            )
            print(f"round {number + 1}: {way} {[round(found[way][-1][k], 3) for k in ('cold', 'warm', 'peak_mb')]}")
    rows, medians = [], {}
    for way, runs in found.items():
        medians[way] = {key: statistics.median(run[key] for run in runs) for key in ("cold", "warm", "peak_mb")}
        error = max(largest(run["logps"], oracle["logps"]) for run in runs)
        for kind in ("cold", "warm"):
            rows.append(
                {
                    "name": f"{way} {kind}",
                    "policy": arguments.policy,
                    "negatives": arguments.negatives,
                    "pairs_per_second": round(medians[way][kind], 3),
                    "peak_memory_mb": round(medians[way]["peak_mb"]),
                    "max_abs_logp_error": error,
                }
            )
    return {"rows": rows, "ratios": ratios(medians)}


def ratios(medians: dict[str, dict[str, float]]) -> dict[str, float | None]:
    """The first layout over the peer and over padded rows; None where the other did not run."""
    ours, trl, padded = next(iter(medians.values())), medians.get("trl"), medians.get("padded")
    return {
        "vs_trl_cold": trl and round(ours["cold"] / trl["cold"], 2),
        "vs_trl_warm": trl and round(ours["warm"] / trl["warm"], 2),
        "memory_vs_trl": trl and round(ours["peak_mb"] / trl["peak_mb"], 2),
        "vs_padded": padded and round(ours["warm"] / padded["warm"], 2),
    }


def largest(ours: list[list[float]], oracle: list[list[float]]) -> float:
    """Largest difference; of a peer that tells only the means of a batch, that of the means."""
    if len(ours) == 1:
        oracle = [[statistics.mean(row[i] for row in oracle) for i in range(len(ours[0]))]]
    return max(abs(a - b) for mine, truth in zip(ours, oracle, strict=True) for a, b in zip(mine, truth, strict=True))


def job_of(arguments: argparse.Namespace, scratch: Path, *, pairs: int, batch: int) -> Path:
    """What every way is given: a model directory, and pairs of distinct samples, as files."""
    cfg = composed(arguments.policy, studies=4 * pairs + 80, negatives=arguments.negatives)
    backbone, directory, made = prepared(cfg, arguments.policy, scratch / "cache")
    distinct = list({pair.sample.id: pair for pair in made}.values())[:pairs]
    if len(distinct) < pairs:
        raise SystemExit(f"{len(distinct)} samples with pairs, {pairs} wanted: raise the number of studies")
    rows = [
        {
            "images": [image.path for image in pair.sample.images],
            "prompt": prompt_messages(pair.sample),
            "text": pair.sample.prompt,
            "chosen": completion_text(pair.chosen),
            "rejected": [completion_text(r.trajectory) for r in pair.rejected],
        }
        for pair in distinct
    ]
    lora = {"r": backbone.lora.r, "alpha": backbone.lora.alpha, "target_modules": backbone.lora.target_modules}
    job = {
        "directory": str(directory),
        "image_size": backbone.image_size,
        "max_length": backbone.max_length,
        "lora": lora,
        "batch": batch,
        "lr": 2e-5,
        "betas": [0.9, 0.98],
        "weight_decay": 0.05,
        "clip_norm": 1.0,
        "beta": 0.1,
        "rows": rows,
    }
    path = scratch / "job.json"
    path.write_text(json.dumps(job))
    return path


def worker(job: Path, scratch: Path, way: str, number: int = 0) -> dict[str, Any]:
    """One of our layouts, in a process of its own with caches of its own."""
    cache = scratch / f"{way}-{number}"
    return told([sys.executable, "-m", "experiments.bench.preference_worker", str(job), way, str(cache)])


def peer(job: Path, scratch: Path, python: str) -> dict[str, Any]:
    """TRL, in the interpreter that has it."""
    return told([python, str(Path(__file__).with_name("peer_trl.py")), str(job), str(scratch / "trl")])


def told(command: list[str]) -> dict[str, Any]:
    """The JSON object that a process prints in its last line."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()
