"""The main job as a user runs it, at a small size: train, judge again, sweep, and be refused."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SMALL = ["debug=smoke", "tracker=local"]


def run(script: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROJECT / script), *arguments], cwd=cwd, capture_output=True, text=True, timeout=300
    )


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all jobs of this module are started: they share its cache."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def finished(place: Path) -> Path:
    """The directory of one run."""
    name, directory = last_line(run("train.py", *SMALL, cwd=place)).split(": ", 1)
    assert name == "run"
    return Path(directory)


def test_a_run_leaves_what_the_contract_names(finished: Path) -> None:
    for name in (
        "config.yaml",
        "overrides.yaml",
        "metrics.jsonl",
        "summary.json",
        "checkpoints/last.ckpt",
        "adapter/adapter_model.safetensors",
        "report.html",
        "data_quality.json",
        "environment.json",
        "pairs_sample.jsonl",
    ):
        assert (finished / name).is_file(), name


def test_the_summary_has_the_contract_s_shape_and_a_true_start(finished: Path) -> None:
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["choices"]["counterfactual"] == "concept_graph"
    assert summary["stages"]["sft"].keys() >= {"steps", "seconds", "cached"}
    preference = summary["stages"]["preference"]
    assert preference["steps"] == summary["stages"]["control"]["steps"] == 3
    # ln 2 and 0.1 of the NLL at the start; the margin is exactly 0
    assert preference["step0_loss"] > math.log(2)
    assert preference["step0_margin_max_abs"] == 0.0
    for phase in ("before", "control", "after"):
        assert summary["eval"][phase].keys() == {"all", "tied", "untied"}
        for concept in summary["eval"][phase].values():
            for metric in ("balanced_accuracy", "accuracy", "shuffled_balanced_accuracy", "pair_accuracy"):
                assert concept[metric].keys() >= {"value", "low", "high"}


def test_metrics_cover_every_stage(finished: Path) -> None:
    rows = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    steps = {stage: [row["step"] for row in rows if row["stage"] == stage] for stage in ("sft", "control", "train")}
    assert steps == {"sft": [1, 2, 3, 4], "control": [1, 2, 3], "train": [1, 2, 3]}


def test_the_adapter_loads_with_plain_peft_on_its_base(finished: Path) -> None:
    from peft import AutoPeftModel, PeftModel
    from transformers import AutoModelForImageTextToText

    del AutoPeftModel  # only checks that the public import exists
    base = json.loads((finished / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"]
    model = PeftModel.from_pretrained(AutoModelForImageTextToText.from_pretrained(base), finished / "adapter")
    assert any("lora_B" in name and p.abs().max() > 0 for name, p in model.named_parameters())


def test_judging_again_gives_the_same_numbers(finished: Path, place: Path) -> None:
    known = json.loads((finished / "eval" / "preference.json").read_text())
    (finished / "eval" / "preference.json").unlink()
    done = run("evaluate.py", f"run={finished}", cwd=place)
    assert last_line(done) == f"run: {finished}"
    assert "same numbers" in done.stdout
    assert json.loads((finished / "eval" / "preference.json").read_text()) == known


def test_judging_again_changes_the_knob_that_is_given_and_no_other(finished: Path, place: Path) -> None:
    known = {path.name: path.read_text() for path in (finished / "eval").glob("*.json")}
    try:
        done = run("evaluate.py", f"run={finished}", "benchmark.preference.limit=8", cwd=place)
        assert last_line(done) == f"run: {finished}"
        found = {path.name: json.loads(path.read_text()) for path in (finished / "eval").glob("*.json")}
    finally:
        for name, content in known.items():
            (finished / "eval" / name).write_text(content)
    assert found["preference.json"]["scores"]["all"]["pair_accuracy"]["n"] == 8
    # the other benchmark's 16 studies and 8 new tokens are the run's, not its YAML's
    assert found["disease_classification.json"] == json.loads(known["disease_classification.json"])


def test_the_policy_of_a_run_is_judged_by_path_with_the_same_numbers(finished: Path, place: Path) -> None:
    small = ["dataset.world.studies=240", "dataset.world.image_size=112", "benchmark=[preference]"]
    knobs = ["benchmark.preference.limit=16", "benchmark.preference.resamples=50"]
    line = last_line(run("evaluate.py", f"policy.path={finished}/adapter", *small, *knobs, cwd=place))
    assert line.startswith("judged: ")
    found, known = (
        json.loads((Path(folder) / "eval" / "preference.json").read_text())["scores"]["all"]
        for folder in (line.removeprefix("judged: "), finished)
    )
    assert found == known


def test_a_run_is_judged_on_its_own_data_and_with_its_own_weights(finished: Path, place: Path) -> None:
    done = run("evaluate.py", f"run={finished}", "dataset=road_world", cwd=place)
    assert done.returncode == 2
    assert "got:    dataset= for a run" in done.stderr
    assert f"policy.path={finished}/adapter" in done.stderr
    weights = finished / "adapter" / "adapter_model.safetensors"
    away = weights.rename(weights.with_suffix(".away"))
    try:
        done = run("evaluate.py", f"run={finished}", cwd=place)
    finally:
        away.rename(weights)
    assert done.returncode == 2
    assert "without adapter_model.safetensors" in done.stderr


@pytest.mark.parametrize(
    ("script", "wanted"), [("evaluate.py", "the run's own folders"), ("train.py", "paths.cache=cache")]
)
def test_a_run_stands_on_the_cache_that_it_was_made_with(finished: Path, place: Path, script: str, wanted: str) -> None:
    small = SMALL if script == "train.py" else []
    done = run(script, *small, f"run={finished}", "paths.cache=elsewhere", cwd=place)
    assert done.returncode == 2
    assert "paths.cache" in done.stderr.splitlines()[0]
    assert wanted in done.stderr
    assert not (place / "elsewhere").exists()


def test_a_sweep_trains_sft_once_per_stream(finished: Path, place: Path) -> None:
    arguments = ["-m", *SMALL, "counterfactual=concept_graph,random", "drift=sudden,gradual", "control=false"]
    name, directory = last_line(run("train.py", *arguments, cwd=place)).split(": ", 1)
    assert name == "sweep"
    summaries = [json.loads(path.read_text()) for path in sorted(Path(directory).glob("*/summary.json"))]
    assert len(summaries) == 4
    trained = {s["fingerprints"]["sft"] for s in summaries}
    assert len(trained) == 2
    # drift=sudden had been trained by the single run before the sweep, gradual is trained by its first job
    assert sorted(s["stages"]["sft"]["cached"] for s in summaries) == [False, True, True, True]


@pytest.mark.parametrize(
    ("override", "got"),
    [("loss.beta=-1", "loss.beta=-1"), ("policy.image_size=100", "policy.image_size=100"), ("privacy=none", "privacy")],
)
def test_a_knob_out_of_range_is_refused_without_traceback(place: Path, override: str, got: str) -> None:
    done = run("train.py", *SMALL, override, cwd=place)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for word in (f"got:    {got}", "wanted:", "remedy:"):
        assert word in done.stderr


def test_a_run_is_not_continued_with_another_config(finished: Path, place: Path) -> None:
    done = run("train.py", *SMALL, "loss.beta=0.3", f"run={finished}", cwd=place)
    assert done.returncode == 2
    assert "of another config: loss.beta=0.3" in done.stderr
    assert "the run's own: loss.beta=0.1" in done.stderr
    assert (finished / "summary.json").is_file()


def test_an_adapter_whose_base_has_changed_is_refused(finished: Path, place: Path) -> None:
    base = json.loads((finished / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"]
    weights = Path(base) / "model.safetensors"
    kept = weights.read_bytes()
    try:
        weights.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        judged = run("evaluate.py", f"run={finished}", cwd=place)
        summary = (finished / "summary.json").read_text()
        continued = run("train.py", *SMALL, f"run={finished}", cwd=place)
    finally:
        weights.write_bytes(kept)
    for done in (judged, continued):
        assert done.returncode == 2
        assert "on which the adapter was trained" in done.stderr
    recorded = [json.loads(text)["fingerprints"] for text in (summary, (finished / "summary.json").read_text())]
    assert recorded[0] == recorded[1], "the record of the base is what it was"


@pytest.mark.slow
@pytest.mark.parametrize("reference", sorted(path.stem for path in (PROJECT / "conf" / "reference").glob("*.yaml")))
@pytest.mark.parametrize("cache", ["disk", "none"])
def test_every_reference_starts_at_a_margin_of_0_and_trains(place: Path, reference: str, cache: str) -> None:
    choice = [f"reference={reference}", f"reference.cache={cache}", "control=false"]
    directory = Path(last_line(run("train.py", *SMALL, *choice, cwd=place)).removeprefix("run: "))
    preference = json.loads((directory / "summary.json").read_text())["stages"]["preference"]
    assert preference["step0_margin_max_abs"] == 0.0
    assert preference["steps"] == 3
