"""What fails does so alone: a sweep goes on without the job, a run keeps its last good checkpoint."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SMALL = ["debug=smoke", "tracker=local", "control=false"]

pytestmark = pytest.mark.slow

BROKEN = """
import dataclasses, runpy, sys
from cpo.losses.dpo import DPO

whole, trained = DPO.__call__, []

def broken(self, policy, reference, info):
    output = whole(self, policy, reference, info)
    if not output.loss.requires_grad:
        return output
    trained.append(output)
    return dataclasses.replace(output, loss=output.loss * float("nan" if len(trained) > 2 else 1))

DPO.__call__ = broken
sys.argv[0] = sys.argv.pop(1)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a script with a loss that is no number from the third step on."""


def run(place: Path, *arguments: str, script: Path = PROJECT / "train.py") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=500, check=False)


def test_a_sweep_goes_on_without_a_job_that_fails(tmp_path: Path) -> None:
    """The first of three: its loss reads rejected images, and its pairs have none."""
    done = run(tmp_path, "-m", *SMALL, "preflight=none", "loss=mdpo,dpo,ipo")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    name, sweep = done.stdout.strip().splitlines()[-1].split(": ", 1)
    assert name == "sweep"
    found = [json.loads(path.read_text()) for path in sorted(Path(sweep).glob("*/summary.json"))]
    assert [(summary["choices"]["loss"], summary["finished"]) for summary in found] == [("dpo", True), ("ipo", True)]

    listed = done.stderr[done.stderr.index("job 0 failed:") :]
    assert "MDPO on" in listed
    assert "no rejected image" in listed
    assert "1 of its jobs failed" in listed
    again = next(line.split() for line in listed.splitlines() if line.startswith("  python train.py"))
    assert "loss=mdpo" in again
    assert "-m" not in again
    alone = run(tmp_path, *again[2:])
    assert alone.returncode == 2
    assert "MDPO on" in alone.stderr


def test_a_loss_that_is_no_number_stops_a_job_and_leaves_its_last_good_checkpoint(tmp_path: Path) -> None:
    import torch

    (tmp_path / "broken.py").write_text(BROKEN)
    job = [str(PROJECT / "train.py"), *SMALL, "preflight=none", "trainer.checkpoint_every=1", "optim.max_steps=4"]
    done = run(tmp_path, *job, script=tmp_path / "broken.py")
    assert done.returncode == 2, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    assert "a loss of nan on the samples" in done.stderr
    assert done.stderr.count("(hash ") == 4, "the four of the third batch"
    assert "the last good checkpoint is kept" in done.stderr

    (directory,) = tmp_path.glob("outputs/runs/*")
    kept = torch.load(directory / "checkpoints" / "last.ckpt", weights_only=False)
    assert kept["global_step"] == 2
    assert all(weight.isfinite().all() for weight in kept["state_dict"].values())
    continued = run(tmp_path, *job[1:], f"run={directory}")
    assert continued.returncode == 0, continued.stderr[-3000:]
    assert json.loads((directory / "summary.json").read_text())["stages"]["preference"]["steps"] == 4


def test_what_is_too_long_is_left_out_and_counted_where_that_is_asked_for(tmp_path: Path) -> None:
    limit = ["policy.max_length=100"]
    refused = run(tmp_path, *SMALL, *limit)
    assert refused.returncode == 2
    assert "max_length.action=filter" in refused.stderr

    done = run(tmp_path, *SMALL, *limit, "max_length.action=filter")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "left out   longer than 100 tokens" in done.stdout
    directory = Path(done.stdout.strip().splitlines()[-1].removeprefix("run: "))
    counted = json.loads((directory / "summary.json").read_text())["over_long"]
    assert counted["max_length"] == 100
    assert counted["pairs"] > 0
    again = run(tmp_path, f"run={directory}", script=PROJECT / "evaluate.py")
    assert "same numbers" in again.stdout, again.stderr[-3000:]
