"""A killed run, continued, ends as if it had not been killed: same weights, same metrics, bit for bit (on CPU).

Each instant is drawn from its seed, uniformly over the time that an uninterrupted job takes from its own start: world
generation, pretraining, SFT, pair building, control, preference, evaluation and checkpoint writing all come by.
`CPO_KILLS=20 pytest -m slow tests/smoke/test_kill_and_continue.py` tries twenty.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

PROJECT = Path(__file__).resolve().parents[2]
JOB = [
    "debug=smoke",
    "tracker=local",
    "init.optim.max_steps=8",
    "optim.max_steps=6",
    "trainer.checkpoint_every=2",
    "benchmark.disease_classification.limit=8",
]
KILLS = int(os.environ.get("CPO_KILLS", "3"))

pytestmark = pytest.mark.slow


def start(place: Path, *more: str) -> subprocess.Popen[str]:
    place.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(PROJECT / "train.py"), *JOB, *more]
    return subprocess.Popen(
        command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(job: subprocess.Popen[str]) -> Path:
    out, err = job.communicate(timeout=300)
    assert job.returncode == 0, err[-3000:]
    return Path(out.strip().splitlines()[-1].removeprefix("run: "))


def run_directory(place: Path) -> list[str]:
    """`run=DIR` if the killed job had got as far as describing its run."""
    found = list(place.glob("outputs/runs/*/config.yaml"))
    return [f"run={found[0].parent}"] if found else []


def outcome(directory: Path) -> dict[str, Any]:
    """Everything that must be equal: weights, metrics without times, scores."""
    rows = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    summary = json.loads((directory / "summary.json").read_text())
    sft = Path(json.loads((directory / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"])
    return {
        "metrics": [{k: v for k, v in row.items() if k != "time"} for row in rows],
        "eval": summary["eval"],
        "fingerprints": summary["fingerprints"],
        "files": sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()),
        "weights": [
            load_file(path)
            for path in (
                sft / "model.safetensors",
                directory / "control" / "adapter" / "adapter_model.safetensors",
                directory / "adapter" / "adapter_model.safetensors",
            )
        ],
    }


def assert_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for key in ("fingerprints", "metrics", "eval", "files"):
        assert found[key] == expected[key], key
    for ours, theirs in zip(found["weights"], expected["weights"], strict=True):
        assert ours.keys() == theirs.keys()
        for name, weight in theirs.items():
            assert np.array_equal(ours[name], weight), name


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], float]:
    """An uninterrupted job and how long it takes, in seconds."""
    started = time.monotonic()
    directory = finish(start(tmp_path_factory.mktemp("straight")))
    return outcome(directory), time.monotonic() - started


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_job_killed_at_any_instant_ends_as_if_it_had_not_been(
    straight: tuple[dict[str, Any], float], tmp_path: Path, seed: int
) -> None:
    expected, seconds = straight
    job = start(tmp_path)
    # the instants are spread over the job, one in each part of it, so that few of them still meet every stage
    time.sleep(seconds * (seed + np.random.default_rng(seed).random()) / KILLS)
    os.killpg(job.pid, signal.SIGKILL)
    job.communicate()
    continued = finish(start(tmp_path, *run_directory(tmp_path)))
    assert len(list(tmp_path.glob("outputs/runs/*"))) <= 2
    assert_equal(outcome(continued), expected)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_asked_to_stop_saves_and_says_how_to_go_on(
    straight: tuple[dict[str, Any], float], tmp_path: Path, number: signal.Signals
) -> None:
    job = start(tmp_path, "optim.max_steps=6")
    metrics = None
    for _ in range(2400):  # waits until the preference stage has made a step
        found = list(tmp_path.glob("outputs/runs/*/metrics.jsonl"))
        metrics = found[0] if found else None
        if metrics is not None and '"stage": "train"' in metrics.read_text():
            break
        time.sleep(0.05)
    job.send_signal(number)
    _, err = job.communicate(timeout=120)
    if job.returncode == 0:
        pytest.skip("the job had finished before the signal came")
    assert job.returncode == 128 + number
    assert "Traceback" not in err
    command = next(line.strip() for line in err.splitlines() if line.strip().startswith("python train.py"))
    assert f"run={metrics.parent if metrics else ''}" in command
    assert_equal(outcome(finish(start(tmp_path, *run_directory(tmp_path)))), straight[0])
