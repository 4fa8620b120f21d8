"""`evaluate.py policy.path=DIR`: any policy on any dataset, in a directory that the same command finds again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from cpo.commands.judge import judge_policy
from cpo.config import register_schemas
from cpo.errors import ConfigError, DataError

CONF = Path(__file__).parents[2] / "conf"
SMALL = ["dataset.world.studies=40", "dataset.world.image_size=64", "dataset.world.workers=1", "trainer.progress=false"]
PREFERENCE = ["benchmark=[preference]", "benchmark.preference.limit=4", "benchmark.preference.resamples=10"]
DISEASES = [
    "benchmark=[disease_classification]",
    *(f"benchmark.disease_classification.{knob}" for knob in (
        "limit=2", "max_new_tokens=4", "min_positives=1", "shuffled=false", "resamples=10",
    )),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _conf() -> Iterator[None]:
    register_schemas()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def composed(place: Path, *overrides: str) -> Any:
    return compose("evaluate", overrides=[f"paths.outputs={place}", f"paths.cache={place}/cache", *overrides])


def test_a_bare_model_is_judged_and_benchmarks_add_up_in_one_directory(
    tmp_path: Path, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = f"policy.path={directory}"
    judge_policy(composed(tmp_path, policy, *SMALL, *PREFERENCE))
    (place,) = (tmp_path / "judged").iterdir()
    assert capsys.readouterr().out.splitlines()[-1] == f"judged: {place}"
    first = (place / "eval" / "preference.json").read_text()
    judge_policy(composed(tmp_path, policy, *SMALL, *DISEASES))
    judge_policy(composed(tmp_path, policy, *SMALL, *PREFERENCE))
    assert [file.name for file in (tmp_path / "judged").iterdir()] == [place.name]
    assert (place / "eval" / "preference.json").read_text() == first
    summary = json.loads((place / "summary.json").read_text())
    assert summary["benchmarks"].keys() == {"disease_classification", "preference"}
    assert summary["eval"]["after"]["all"].keys() >= {"pair_accuracy", "accuracy", "malformed"}
    assert json.loads(first).keys() == {"benchmark", "protocol", "fingerprint", "scores"}
    assert len((place / "metrics.jsonl").read_text().splitlines()) == 1
    shown = capsys.readouterr().out
    assert "Pair accuracy" in shown
    assert "Malformed" in shown

    judge_policy(composed(tmp_path, policy, *SMALL, *PREFERENCE, "benchmark.preference.limit=3"))
    changed = json.loads((place / "eval" / "preference.json").read_text())
    assert changed["fingerprint"] != json.loads(first)["fingerprint"]


def test_a_dataset_that_is_not_there_is_refused(tmp_path: Path, directory: Path) -> None:
    cfg = composed(tmp_path, f"policy.path={directory}", "dataset=mimic_cxr", f"dataset.root={tmp_path}/nowhere")
    with pytest.raises(DataError, match="no such folder"):
        judge_policy(cfg)
    with pytest.raises(ConfigError, match=r"no value for .*root"):
        judge_policy(composed(tmp_path, f"policy.path={directory}", "dataset=open_i"))
    assert not (tmp_path / "judged").exists()


def test_a_policy_by_path_is_no_run(tmp_path: Path, directory: Path) -> None:
    for other in ("run=somewhere", "from=predictions"):
        with pytest.raises(ConfigError, match=r"beside policy\.path="):
            judge_policy(composed(tmp_path, f"policy.path={directory}", other))
