"""Sweeps with real processes: resumed, killed, shared, searched. Their jobs are written by a stand-in in no time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
GRID = ["sweep=drift_x_loss", "drift=sudden", "loss=dpo,ipo,hinge"]

STAND_IN = f"""
import os, time
import hydra
from hydra.core.hydra_config import HydraConfig
from cpo import config, refusals, rundir
from cpo.errors import DataError
from cpo.files import write_json

config.register_schemas()

@hydra.main(version_base="1.3", config_path={str(PROJECT / "conf")!r}, config_name="train")
@refusals.speaks_plainly
def main(cfg):
    known = HydraConfig.get()
    overrides, choices = [o for o in known.overrides.task if o[:4] != "run="], dict(known.runtime.choices)
    directory = rundir.chosen_directory(cfg, choices, overrides)
    continues, cfg.run = bool(cfg.run), ""
    rundir.describe(cfg, directory, overrides, continues=continues)
    with open("begun.txt", "a") as file:
        file.write(f"{{choices['drift']}} {{choices['loss']}} {{os.environ.get('OMP_NUM_THREADS')}}\\n")
    time.sleep(float(os.environ.get("NAP", "0")))
    if choices["loss"] == os.environ.get("KILLED"):
        os.kill(os.getpid(), 9)
    if choices["loss"] == os.environ.get("BAD"):
        raise DataError(got="a bad loss", wanted="a good one", remedy="take another")
    score = {{"value": float(cfg.loss.beta) + 0.01 * cfg.seed}}
    evaluation = {{"after": {{"all": {{"balanced_accuracy": score}}}}}}
    write_json(directory / "summary.json", {{"choices": choices, "eval": evaluation, "finished": True}})

if __name__ == "__main__":
    refusals.run(main)
"""
"""`train.py` with nothing between its directory and its summary."""


slow = pytest.mark.slow  # several processes each; three stay in the quick suite


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(STAND_IN)
    return tmp_path


def started(place: Path, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    known = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return subprocess.Popen(
        [sys.executable, "train.py", *arguments],
        cwd=place,
        env={**known, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(place: Path, *arguments: str, status: int = 0, **environ: str) -> tuple[str, str]:
    job = started(place, *arguments, **environ)
    out, err = job.communicate(timeout=200)
    assert job.returncode == status, err[-3000:]
    return out, err


def begun(place: Path) -> list[str]:
    """Drift, loss and threads of each job that began, in order."""
    return (place / "begun.txt").read_text().splitlines()


def summaries(place: Path) -> Mapping[str, dict[str, object]]:
    return {path.parent.name: json.loads(path.read_text()) for path in place.glob("outputs/sweeps/*/*/summary.json")}


def test_the_same_command_runs_only_what_failed(place: Path) -> None:
    out, err = run(place, *GRID, status=2, BAD="ipo")
    sweep = out.strip().splitlines()[-1]
    assert sweep.startswith(f"sweep: {place}/outputs/sweeps/drift_x_loss-")
    listed = err[err.index("job 1 failed:") :]
    assert "a bad loss" in listed
    again = next(line.split() for line in listed.splitlines() if line.startswith("  python train.py"))
    assert not [word for word in again if word.startswith("sweep=") or word == "-m"]

    out, _ = run(place, *GRID)
    assert out.strip().splitlines()[-1] == sweep, "the directory is named by the grid, not by the time"
    assert begun(place) == [f"sudden {loss} None" for loss in ("dpo", "ipo", "hinge", "ipo")]
    assert len(summaries(place)) == 3


@slow
def test_a_failed_job_that_is_run_again_alone_counts_for_its_sweep(place: Path) -> None:
    _, err = run(place, *GRID, status=2, BAD="ipo")
    again = next(line.split() for line in err.splitlines() if line.startswith("  python train.py"))
    run(place, *again[2:])
    out, _ = run(place, *GRID)
    assert "3 jobs, 3 of them done before" in out
    assert len(begun(place)) == 4


@slow
def test_a_sweep_that_was_killed_goes_on_where_it_stopped(place: Path) -> None:
    killed = started(place, *GRID, NAP="1")
    while not (place / "begun.txt").is_file() or len(begun(place)) < 2:
        assert killed.poll() is None
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    run(place, *GRID)
    assert [line.split()[1] for line in begun(place)] == ["dpo", "ipo", "ipo", "hinge"]
    assert len(summaries(place)) == 3


@slow
def test_two_processes_with_the_same_command_do_each_job_once(place: Path) -> None:
    """The second finds the first job taken, and takes the next one."""
    both = [started(place, *GRID, NAP="8") for _ in range(2)]
    told = [job.communicate(timeout=200)[0] for job in both]
    assert [job.returncode for job in both] == [0, 0]
    assert sorted(line.split()[1] for line in begun(place)) == ["dpo", "hinge", "ipo"]
    assert any("being run by another process" in out for out in told)


def test_a_job_is_not_taken_for_done_if_its_config_has_changed(place: Path) -> None:
    run(place, *GRID)
    (kept,) = place.glob("outputs/sweeps/*/1-*/config.yaml")
    kept.write_text(kept.read_text().replace("held_out: test", "held_out: validate"))
    _, err = run(place, *GRID, status=2)
    assert "held_out=test" in err
    assert "remove that directory to run the job anew" in err
    assert len(begun(place)) == 3


@slow
def test_a_wider_grid_in_the_directory_of_a_narrower_one_runs_the_new_jobs_only(place: Path) -> None:
    run(place, "-m", "loss=dpo,ipo", "hydra.sweep.dir=kept")
    run(place, "-m", "loss=hinge,ipo,dpo", "hydra.sweep.dir=kept")
    assert [line.split()[1] for line in begun(place)] == ["dpo", "ipo", "hinge"]


@slow
def test_workers_of_joblib_share_the_cores(place: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="needs the extra `joblib`")
    out, _ = run(place, *GRID, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    threads = str(max(1, len(os.sched_getaffinity(0)) // 2))
    assert f"threads of each: {threads}" in out
    assert [line.split()[2] for line in begun(place)] == [threads] * 3


@slow
def test_a_worker_of_ray_that_is_killed_fails_alone(place: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")
    _, err = run(place, *GRID, "hydra/launcher=ray", status=2, KILLED="ipo")
    assert "job 1 failed:\nWorkerCrashedError: its worker died" in err
    assert len(summaries(place)) == 2


@slow
def test_a_worker_of_joblib_that_is_killed_ends_the_sweep_and_the_same_command_goes_on(place: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="needs the extra `joblib`")
    _, err = run(place, *GRID, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", status=2, KILLED="ipo")
    assert "got:    a worker of the sweep that ended without an answer" in err
    assert "Traceback" not in err
    run(place, *GRID)
    assert len(summaries(place)) == 3


@slow
def test_a_launcher_in_a_file_that_the_sweep_chooses_is_refused(place: Path) -> None:
    (place / "more" / "experiment").mkdir(parents=True)
    for name, launcher in (("late", "ray"), ("plain", "basic")):
        text = f"# @package _global_\ndefaults:\n  - override /hydra/launcher: {launcher}\n"
        (place / "more" / "experiment" / f"{name}.yaml").write_text(text)
    _, err = run(place, "-m", "--config-dir", "more", "experiment=late,plain", status=2)
    assert "the launcher RayLauncher in a file that the sweep chooses" in err
    assert "hydra/launcher=" in err
    assert len(begun(place)) == 1


def test_an_interval_in_a_grid_is_refused(place: Path) -> None:
    _, err = run(place, "-m", "loss.beta=interval(0.1, 1)", status=2)
    assert err.startswith("got:    a range without a list of values")
    assert "hydra/sweeper=optuna" in err


SEARCH = ["sweep=beta_x_lr", "hydra.sweeper.seeds=2"]


@slow
def test_a_search_averages_seeds_on_the_validation_split_and_goes_on(place: Path) -> None:
    pytest.importorskip("optuna", reason="needs the extra `optuna`")
    out, _ = run(place, *SEARCH, "hydra.sweeper.n_trials=3")
    sweep = Path(out.strip().splitlines()[-1].removeprefix("sweep: "))
    jobs = [(path.parent / "config.yaml").read_text() for path in sweep.glob("*/summary.json")]
    assert len(jobs) == 6
    assert all("held_out: validate" in job for job in jobs)
    best = json.loads((sweep / "best.json").read_text())
    # the stand-in scores β, and 0.01 for the second seed
    assert best["value"] == pytest.approx(best["params"]["loss.beta"] + 0.005, rel=1e-3)
    assert "held_out=test" in best["command"]

    out, _ = run(place, *SEARCH, "hydra.sweeper.n_trials=4")
    assert "4 trials of 2 seeds, 3 of them done before" in out
    assert len(begun(place)) == 8
    told = [json.loads(path.read_text())["eval"]["after"]["all"] for path in sweep.glob("*/summary.json")]
    assert len({score["balanced_accuracy"]["value"] for score in told}) == 8, "no trial is proposed twice"


@slow
def test_a_search_tries_again_what_failed_and_takes_up_what_was_killed(place: Path) -> None:
    pytest.importorskip("optuna", reason="needs the extra `optuna`")
    search = [*SEARCH, "hydra.sweeper.n_trials=2"]
    out, err = run(place, *search, status=2, BAD="dpo")
    assert "no trial was completed" in out
    assert err.count(" failed:") == 4
    killed = started(place, *search, NAP="2")
    while len(begun(place)) < 6:
        assert killed.poll() is None
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    run(place, *search)
    assert len(summaries(place)) == 4, "two trials of two seeds, the very ones that had failed"
    assert len(begun(place)) == 4 + 2 + 3


@slow
@pytest.mark.parametrize(
    ("arguments", "got"),
    [
        (["held_out=test"], "a search with held_out=test"),
        (["hydra.sweeper.n_trials=0"], "n_trials=0"),
        (["hydra.sweeper.metric=eval.after.none"], "there is no none among: all"),
    ],
)
def test_a_search_that_cannot_be_is_refused_without_traceback(place: Path, arguments: list[str], got: str) -> None:
    pytest.importorskip("optuna", reason="needs the extra `optuna`")
    _, err = run(place, *SEARCH, *arguments, status=2)
    assert "Traceback" not in err
    assert got in err.splitlines()[0]
