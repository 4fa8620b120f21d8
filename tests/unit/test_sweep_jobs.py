"""A job of a sweep is found again by its overrides, and its state is what its files say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cpo.commands.sweep import Line, headline, look, measured, most_telling, runs, seconds_to_go, status
from cpo.errors import DataError
from cpo.files import write_json, write_text
from cpo.sweep_jobs import State, SweepJob, failures, job_key, write_plan
from cpo.tracking.naming import run_name

OVERRIDES = ("loss=dpo", "seed=0")


def job(sweep: Path, *overrides: str) -> SweepJob:
    return SweepJob(sweep, overrides or OVERRIDES)


def begun(job: SweepJob, *, finished: bool = False, accuracy: float = 0.5, seconds: float = 10.0) -> Path:
    """The run directory of a job as it would lie there."""
    directory = job.sweep / f"0-some-{job.key}"
    write_text(directory / "config.yaml", "seed: 0\n")
    write_text(directory / "metrics.jsonl", f'{{"stage": "train", "step": 3, "time": {seconds}}}\n{{"stage": "tr')
    evaluation = {"after": {"all": {"balanced_accuracy": {"value": accuracy, "low": 0.4, "high": 0.6}}}}
    write_json(directory / "summary.json", {"finished": finished, "eval": evaluation if finished else {}})
    return directory


def test_a_job_s_key_ends_the_name_of_its_run() -> None:
    assert run_name({"loss": "dpo"}, seed=0, overrides=OVERRIDES).endswith(f"-{job_key(OVERRIDES[::-1])}")


def test_a_job_goes_through_its_states(tmp_path: Path) -> None:
    one = job(tmp_path)
    assert one.state is State.LEFT
    with one.turn() as mine:
        assert mine is State.LEFT
        assert job(tmp_path).state is State.RUNNING
        begun(one)
    assert one.state is State.STOPPED
    with one.turn():
        one.note_failure(0, "why")
    assert one.state is State.FAILED
    with one.turn():
        assert not one.failure_file.exists(), "it may do better now"
        begun(one, finished=True)
    assert one.state is State.DONE
    with one.turn() as mine:
        assert mine is State.DONE


def test_a_job_that_another_process_runs_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cpo.sweep_jobs.PATIENCE", 0.1)
    with job(tmp_path).turn() as first, job(tmp_path).turn() as second:
        assert (first, second) == (State.LEFT, State.RUNNING)


def test_a_failure_counts_until_the_run_is_finished_later(tmp_path: Path) -> None:
    one = job(tmp_path, "sweep=grid", "loss=it's")
    directory = begun(one, finished=True)
    one.note_failure(3, "another config")
    later = one.failure_file.stat().st_mtime + 5
    assert failures([one]) == [
        {
            "job": 3,
            "overrides": ["sweep=grid", "loss=it's"],
            "error": "another config",
            "command": f"""python train.py 'loss=it'"'"'s' run={directory}""",
        }
    ]
    os.utime(directory / "summary.json", (later, later))
    assert failures([one]) == []


def test_the_status_counts_ranks_and_tells_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [job(tmp_path, "seed=0", f"loss={loss}") for loss in ("dpo", "ipo", "hinge", "nca")]
    write_plan(tmp_path, jobs, total=4, axes=["loss"], command="python train.py -m loss=…")
    begun(jobs[0], finished=True, accuracy=0.7)
    begun(jobs[1], finished=True, accuracy=0.8)
    jobs[2].note_failure(2, "got:    a bad loss\nwanted: a good one")
    assert status([str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert "2 done   1 failed   1 left" in shown
    assert "best so far  0.800  loss=ipo" in shown
    assert "got:    a bad loss" in shown
    assert "No process runs it. To go on:  python train.py -m loss=…" in shown
    assert status([str(tmp_path), "direction=minimize"]) == 1
    assert "best so far  0.700  loss=dpo" in capsys.readouterr().out


def test_seeds_of_one_setting_are_averaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = {("dpo", 0): 0.9, ("dpo", 1): 0.5, ("ipo", 0): 0.8, ("ipo", 1): 0.8}
    jobs = {key: job(tmp_path, f"loss={key[0]}", f"seed={key[1]}") for key in values}
    write_plan(tmp_path, list(jobs.values()), total=4, axes=["loss", "seed"], command="")
    for key, one in jobs.items():
        begun(one, finished=True, accuracy=values[key])
    assert status([str(tmp_path)]) == 0
    assert "best so far  0.800 (mean of 2 seeds)  loss=ipo" in capsys.readouterr().out


def test_the_time_to_go_is_what_done_jobs_took_over_those_that_run(tmp_path: Path) -> None:
    jobs = [job(tmp_path, f"seed={seed}") for seed in range(6)]
    write_plan(tmp_path, jobs, total=6, axes=["seed"], command="")
    begun(jobs[0], finished=True, seconds=100)
    for running in jobs[1:3]:
        begun(running, seconds=40)
    with jobs[1].turn(), jobs[2].turn():
        lines = look(tmp_path, "")
    assert [line.where for line in lines[1:3]] == ["train 3", "train 3"]
    # three left of 100 s each and twice 60 s, two at a time
    assert seconds_to_go(lines, left=3) == (300 + 120) / 2


def test_a_small_terminal_shows_what_runs_and_what_failed_first(tmp_path: Path) -> None:
    states = [State.DONE, State.LEFT, State.FAILED, State.DONE, State.RUNNING]
    lines = [Line(job(tmp_path, f"seed={seed}"), state, 1.0, "", None) for seed, state in enumerate(states)]
    assert [line.state for line in most_telling(lines, 3)] == [State.DONE, State.FAILED, State.RUNNING]
    assert most_telling(lines, None) == most_telling(lines, 5) == lines


def test_a_metric_may_be_any_number_of_the_summary() -> None:
    summary = {"stages": {"sft": {"seconds": 4.5}}, "eval": {"after": {"all": {"margin": 2.0}}}}
    assert measured(summary, "") == 2.0
    assert measured(summary, "stages.sft.seconds") == 4.5
    assert measured(summary, "stages.sft.seconds.more") is None


def test_runs_lists_the_latest_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for age, name in enumerate(["runs/new", "sweeps/s/0-old"]):
        write_text(tmp_path / name / "config.yaml", "")
        os.utime(tmp_path / name / "config.yaml", (1e9 - age, 1e9 - age))
    write_json(tmp_path / "runs/new/summary.json", {"finished": True, "eval": {"after": {"all": {"accuracy": 0.75}}}})
    runs([str(tmp_path)])
    first, second, third = capsys.readouterr().out.splitlines()
    assert "done" in first
    assert first.endswith("runs/new")
    assert second.strip() == "accuracy: tuned 0.750"
    assert "open" in third
    assert third.endswith("sweeps/s/0-old")
    runs([str(tmp_path), "n=1"])
    assert "1 older ones" in capsys.readouterr().out


def test_a_run_that_was_not_judged_has_no_headline() -> None:
    assert not headline({"eval": {}})


@pytest.mark.parametrize("given", [[], ["a", "b"]])
def test_the_status_is_of_one_sweep(given: list[str]) -> None:
    with pytest.raises(DataError, match="cpo sweep status DIR"):
        status(given)


def test_what_is_no_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no sweep\.json"):
        status([str(tmp_path)])
