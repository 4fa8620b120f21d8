"""The papers' tables compose as their overlays say, refuse to run without the copies they need, run without them."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from cpo.config import build_dataset, register_schemas
from cpo.errors import ConfigError

PROJECT = Path(__file__).parents[2]
CONF = PROJECT / "conf"
TABLES = sorted(file.stem for file in (CONF / "experiment").glob("table*.yaml"))
JUDGED = {"table2_ms_cxr_t": "MSCXRT", "table4_zero_shot": "OpenI", "table5_ablation": "MSCXRT"}
RECIPES = {"table5_ablation": "dpo"}
BENCHMARKS = {
    "table2_ms_cxr_t": ["disease_classification"],
    "table3_mimic_cxr_reports": ["report_generation"],
    "table4_zero_shot": ["zero_shot_auc"],
    "table5_ablation": ["disease_classification"],
}


@pytest.fixture(scope="module", autouse=True)
def _conf() -> Iterator[None]:
    register_schemas()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def composed(table: str, *overrides: str) -> Any:
    return compose("train", overrides=[f"experiment={table}", *overrides])


def command(table: str) -> list[str]:
    """The overrides of the command that the overlay gives for a machine without copies."""
    lines = (CONF / "experiment" / f"{table}.yaml").read_text().splitlines()
    (line,) = [line for line in lines if "debug=smoke" in line]
    return shlex.split(line.removeprefix("#   python train.py"))


def test_every_table_is_checked_here() -> None:
    assert sorted(BENCHMARKS) == TABLES


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_the_papers_recipe_judged_as_in_the_paper(table: str) -> None:
    cfg = composed(table)
    recipe = compose("train", overrides=[f"experiment=recipe/{RECIPES.get(table, 'cpo')}", "dataset=mimic_cxr"])
    for group in ("policy", "loss", "optim", "init", "counterfactual", "pairing", "drift"):
        assert cfg[group] == recipe[group]
    assert list(cfg.benchmark) == BENCHMARKS[table]
    assert (cfg.judged._target_.rsplit(".", 1)[1] if cfg.judged else None) == JUDGED.get(table)
    assert cfg.held_out == "test"


@pytest.mark.parametrize("table", TABLES)
def test_a_table_names_the_copies_it_needs(table: str) -> None:
    cfg, comment = composed(table), (CONF / "experiment" / f"{table}.yaml").read_text()
    for group in ("dataset", *(["judged"] if cfg.judged else [])):
        assert f"{group}.root=" in comment
        with pytest.raises(ConfigError, match=r"no value for (\w+\.)?root"):
            build_dataset(cfg[group])


def test_the_ablation_differs_in_its_negatives_alone() -> None:
    one, other = composed("table2_ms_cxr_t"), composed("table5_ablation")
    assert {key for key in one if one[key] != other[key]} == {"counterfactual"}


def test_patients_who_are_judged_are_not_trained_on() -> None:
    cfg = composed("table2_ms_cxr_t", "dataset.root=a", "judged.root=b")
    assert cfg.dataset.exclude_subjects_of == "b"
    assert composed("table2_ms_cxr_t", "~dataset@judged").dataset.exclude_subjects_of == ""


@pytest.mark.parametrize("table", TABLES)
def test_the_command_for_a_machine_without_copies_composes(table: str) -> None:
    given = [f"experiment={table}" if o.startswith("experiment=") else o for o in command(table) if o != "-m"]
    cfg = compose("train", overrides=given)
    assert cfg.dataset.world is not None
    assert cfg.judged is None


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_a_table_runs_here_at_the_smallest_size(table: str, tmp_path: Path) -> None:
    arguments = [*command(table), "tracker=local"]
    done = subprocess.run(
        [sys.executable, str(PROJECT / "train.py"), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(list(tmp_path.glob(f"outputs/**/eval/{BENCHMARKS[table][0]}.json"))) == (2 if "-m" in arguments else 1)
