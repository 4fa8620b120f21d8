"""Real sweeps of small jobs, side by side: each launcher, one SFT for many losses, a kill, a search."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SMALL = ["debug=smoke", "tracker=local", "control=false", "preflight=none"]
LAUNCHERS = {
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "submitit_local": "hydra_plugins.hydra_submitit_launcher",
    "ray": "ray",
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def started(place: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PROJECT / "train.py"), *arguments, *SMALL],
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def swept(place: Path, *arguments: str) -> tuple[Path, list[dict[str, Any]]]:
    """The directory of a sweep, and the summaries of its jobs."""
    job = started(place, *arguments)
    out, err = job.communicate(timeout=900)
    assert job.returncode == 0, err[-3000:]
    name, directory = out.strip().splitlines()[-1].split(": ", 1)
    assert name == "sweep"
    found = [json.loads(path.read_text()) for path in sorted(Path(directory).glob("*/summary.json"))]
    assert all(summary["finished"] for summary in found)
    return Path(directory), found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the launchers are tried: they share a cache, and the same four jobs have other directories."""
    return tmp_path_factory.mktemp("sweeps")


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_launcher_runs_two_by_two_jobs_side_by_side(place: Path, launcher: str) -> None:
    pytest.importorskip(LAUNCHERS[launcher], reason="needs an extra")
    options = ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else []
    _, jobs = swept(
        place, "-m", "drift=sudden,gradual", "loss=dpo,ipo", f"hydra/launcher={launcher}", *options,
        f"hydra.sweep.dir={place}/{launcher}",
    )  # fmt: skip
    chosen = [(job["choices"]["drift"], job["choices"]["loss"]) for job in jobs]
    assert chosen == [("sudden", "dpo"), ("sudden", "ipo"), ("gradual", "dpo"), ("gradual", "ipo")]


def test_four_jobs_side_by_side_train_sft_once(tmp_path: Path) -> None:
    pytest.importorskip(LAUNCHERS["joblib"], reason="needs the extra `joblib`")
    _, jobs = swept(tmp_path, "-m", "loss=dpo,ipo,hinge,simpo", "hydra/launcher=joblib", "hydra.launcher.n_jobs=4")
    assert sorted(job["stages"]["sft"]["cached"] for job in jobs) == [False, True, True, True]
    assert len([folder for folder in (tmp_path / "cache" / "sft").iterdir() if folder.is_dir()]) == 1


def test_a_real_sweep_that_was_killed_goes_on_where_it_stopped(tmp_path: Path) -> None:
    arguments = ["-m", "loss=dpo,ipo,hinge"]
    killed = started(tmp_path, *arguments)
    deadline = time.monotonic() + 600
    while not list(tmp_path.glob("outputs/sweeps/*/1-*/metrics.jsonl")):
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    (first,) = tmp_path.glob("outputs/sweeps/*/0-*/summary.json")
    before = first.stat().st_mtime_ns
    _, jobs = swept(tmp_path, *arguments)
    assert len(jobs) == 3
    assert first.stat().st_mtime_ns == before, "what was done is not done again"


def test_a_search_of_three_trials(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="needs the extra `optuna`")
    knobs = [f"hydra.sweeper.{knob}" for knob in ("n_trials=3", "seeds=1", "metric=eval.after.all.pair_accuracy.value")]
    whole = ["drift=stationary", "shift=none"]  # so few studies hold no tie in their validation split
    sweep, jobs = swept(tmp_path, "sweep=beta_x_lr", *knobs, *whole)
    best = json.loads((sweep / "best.json").read_text())
    assert best["value"] == max(job["eval"]["after"]["all"]["pair_accuracy"]["value"] for job in jobs)
    assert len(jobs) == 3
