"""Two processes started by torchrun, each with half of every batch, train as one process does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

PROJECT = Path(__file__).resolve().parents[2]
JOB = ["debug=smoke", "tracker=local", "control=false", "init.optim.max_steps=3"]


def train(place: Path, processes: int, batch_size: int) -> Path:
    several = [
        "-m",
        "torch.distributed.run",
        "--nproc-per-node=2",
        "--master-port=29631",
        str(PROJECT / "train.py"),
        "trainer.devices=2",
        "trainer.strategy=ddp",
    ]
    start = several if processes == 2 else [str(PROJECT / "train.py")]
    sizes = [f"init.optim.batch_size={batch_size}", f"optim.batch_size={batch_size}"]
    place.mkdir()
    done = subprocess.run(
        [sys.executable, *start, *JOB, *sizes], cwd=place, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr[:6000]
    return Path(done.stdout.strip().splitlines()[-1].removeprefix("run: "))


def test_two_processes_give_the_loss_curve_and_weights_of_one(tmp_path: Path) -> None:
    one, two = train(tmp_path / "one", 1, batch_size=6), train(tmp_path / "two", 2, batch_size=3)
    curves = []
    for directory in (one, two):
        rows = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
        curves.append([row.get("sft/loss", row.get("train/loss")) for row in rows if row["stage"] != "eval"])
    assert len(curves[0]) == 6
    assert curves[1] == pytest.approx(curves[0], rel=1e-5)
    ours, oracle = (load_file(d / "adapter" / "adapter_model.safetensors") for d in (two, one))
    for name, weight in oracle.items():
        torch.testing.assert_close(ours[name], weight, rtol=1e-3, atol=1e-5)
