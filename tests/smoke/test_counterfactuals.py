"""Counterfactuals as a user makes them: a judged set from the command line, and jobs that wait for the SFT policy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cpo.cli import main
from cpo.counterfactual.store import read_set

PROJECT = Path(__file__).resolve().parents[2]
SMALL = ["debug=smoke", "tracker=local", "control=false", "detector=[]"]
WORLD = ["dataset=chest_world", "dataset.world.studies=40", "dataset.world.image_size=64", "dataset.world.workers=1"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all jobs of this module are started: they share its cache."""
    return tmp_path_factory.mktemp("work")


def train(place: Path, *arguments: str) -> Path:
    """The directory of a run."""
    done = subprocess.run(
        [sys.executable, str(PROJECT / "train.py"), *SMALL, *arguments],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return Path(done.stdout.strip().splitlines()[-1].removeprefix("run: "))


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def test_a_made_set_is_judged_counted_and_reused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    for out, reused in (("first", False), ("second", True)):
        assert main(["counterfactual", "make", *WORLD, "counterfactual=concept_graph", "split=all", f"out={out}"]) == 0
        quality = read(place / out / "quality.json")
        assert quality["reused"] is reused
    assert quality["n"] == len(read_set(place / "second").all) == 80
    assert quality["valid_share"] >= 0.99
    assert quality["edited_words_median"] < 0.3
    assert quality["judge"] == "the world's own reader"
    assert {"per_second", "rejected"} <= quality.keys()
    assert "Rejected: argues for" in (place / "first" / "quality.html").read_text(encoding="utf-8")


def test_a_directory_that_holds_something_is_left_alone(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    (tmp_path / "mine").write_text("kept")
    assert main(["counterfactual", "make", *WORLD, "counterfactual=random", f"out={tmp_path}"]) == 2
    assert "which is there" in capsys.readouterr().err
    assert (tmp_path / "mine").read_text() == "kept"


def test_credentialed_data_is_refused_to_a_foreign_endpoint_before_it_is_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["dataset=mimic_cxr", "dataset.root=/nowhere", "counterfactual=llm_expert"]
    foreign = ["counterfactual.endpoint.url=https://example.org/v1", "counterfactual.endpoint.model=m"]
    assert main(["counterfactual", "make", *given, *foreign, f"out={tmp_path / 'set'}"]) == 2
    said = capsys.readouterr().err
    assert "credentialed" in said
    assert "nowhere" not in said


def test_a_method_that_asks_a_policy_wants_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["counterfactual", "make", *WORLD, "counterfactual=on_policy", f"out={tmp_path / 'set'}"]) == 2
    assert "run=" in capsys.readouterr().err


def test_pairs_wait_for_the_sft_policy_and_its_run_measures_a_set(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train(place, "counterfactual=on_policy")
    summary = read(run / "summary.json")
    assert summary["finished"]
    assert summary["counterfactual"]["reused"] is False
    assert summary["fingerprints"]["pairs"]
    assert (run / "pairs_sample.jsonl").read_text().count("\n") > 4

    monkeypatch.chdir(place)
    asked = ["counterfactual=perception", "counterfactual.margin=1000", "split=test", f"run={run}", "out=seen"]
    assert main(["counterfactual", "make", *WORLD, *asked]) == 0
    quality = read(place / "seen" / "quality.json")
    assert quality["n"] > 0
    assert quality["difficulty"]["margin_q50"] is not None
    assert quality["edited_words_median"] is None


def test_mdpo_trains_on_a_rejected_text_and_a_rejected_image(place: Path) -> None:
    run = train(place, "loss=mdpo", "counterfactual=thinking_and_perception", "pairing=text_and_image")
    step0 = read(run / "summary.json")["stages"]["preference"]
    assert step0["step0_loss"] == pytest.approx(3 * 0.693147, abs=1e-3)
    assert "train/loss/image" in (run / "metrics.jsonl").read_text()
