"""Every experiment takes its first steps: on the smallest policy and a generated world, whatever it is made for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from cpo.config import register_schemas

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "conf" / "experiment"
EXPERIMENTS = sorted(file.relative_to(FOLDER).with_suffix("").as_posix() for file in FOLDER.rglob("*.yaml"))
SMALL = ["dataset=chest_world", "policy=tiny", "debug=smoke", "tracker=local"]

pytestmark = pytest.mark.slow


def small(experiment: str) -> list[str]:
    """Overrides that shorten it: `debug=smoke` shortens an SFT stage, which not every experiment has."""
    register_schemas()
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        cfg = compose("train", overrides=[f"experiment={experiment}"])
    # what it is judged on elsewhere is a copy that is not here (tests/contract/test_tables.py has invented ones)
    here = [*SMALL, *(["~dataset@judged"] if cfg.get("judged") is not None else [])]
    return here if "optim" in cfg.init else [*here, "~init.optim"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all jobs are started: they share its cache."""
    return tmp_path_factory.mktemp("experiments")


def test_there_are_experiments() -> None:
    assert {"demo", "cpo_mimic_cxr", "recipe/cpo"} <= set(EXPERIMENTS)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_takes_its_first_steps(experiment: str, place: Path) -> None:
    command = [sys.executable, str(PROJECT / "train.py"), f"experiment={experiment}", *small(experiment)]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]

    summary = json.loads((Path(done.stdout.strip().splitlines()[-1].split(": ", 1)[1]) / "summary.json").read_text())
    assert summary["choices"]["experiment"] == experiment
    assert summary["stages"]["preference"]["steps"] == 3
    assert summary["stages"]["preference"].get("step0_margin_max_abs", 0.0) == 0.0
