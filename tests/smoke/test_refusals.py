"""What cannot be run is refused before anything is spent: got, wanted, remedy, no traceback, nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


def refused(place: Path, *overrides: str, script: str = "train.py") -> str:
    done = subprocess.run(
        [sys.executable, str(PROJECT / script), *overrides],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    for word in ("got:", "wanted:", "remedy:"):
        assert word in done.stderr
    assert not list(place.glob("outputs/runs/*")), "a refused run leaves no directory"
    return done.stderr


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["sed=1"], "did you mean seed?"),
        (["drift=sudeen"], "did you mean sudden?"),
        (["driift=sudden"], "did you mean drift?"),
        (["seed=abc"], "could not be converted to Integer"),
        (["loss.beta=abc"], "beta of type float"),
        (["loss.beta=-1"], "got:    loss.beta=-1"),
        (["+dataset.extra={_target_:os.system,command:'touch executed'}"], "_target_: os.system"),
        (["dataset=mimic_cxr", "dataset.root=nowhere"], "no such folder"),
        (["dataset=mimic_cxr", "dataset.root=."], "not a copy of MIMIC-CXR-JPG"),
        (["paths.outputs=/proc/nowhere"], "/proc/nowhere"),
        (["trainer=fsdp"], "which shards"),
        (["trainer=deepspeed"], "the package deepspeed"),
        (["loss=mdpo", "debug=smoke"], "no rejected image"),
        (["max_length.action=cut"], "max_length.action=cut"),
        (["trainer=gpu"], "torch sees 0 GPU(s)"),
        (["policy=qwen2_5_vl_3b", "policy.dtype=float16"], "NaN rewards"),
        (["trainer=ddp", "trainer.accelerator=cpu"], "torchrun --nproc-per-node"),
        (["run=nowhere"], "holds no config.yaml"),
        (["debug=smoke", "policy.max_length=60"], "nothing is truncated"),
    ],
)
def test_a_job_that_cannot_be_run_is_refused(tmp_path: Path, overrides: list[str], said: str) -> None:
    if overrides == ["trainer=gpu"] and os.path.exists("/dev/nvidia0"):
        pytest.skip("this machine has a GPU")
    assert said in refused(tmp_path, "tracker=local", *overrides)
    assert not (tmp_path / "executed").exists()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small generated world in the layout of the release."""
    place = tmp_path_factory.mktemp("world")
    command = [sys.executable, str(PROJECT / "train.py"), "tracker=local", "debug=smoke", "preflight=only"]
    subprocess.run(command, cwd=place, capture_output=True, timeout=300, check=True)
    (root,) = place.glob("cache/worlds/chest_world-*")
    return root


def test_a_dataset_that_is_not_whole_is_refused(world: Path, tmp_path: Path) -> None:
    """A folder with nothing in it, a world whose generation was never finished, a release whose pictures are gone."""
    empty, half, blind = (tmp_path / name for name in ("empty", "half", "blind"))
    empty.mkdir()
    assert "an empty folder" in refused(tmp_path, "tracker=local", *released(empty))

    shutil.copytree(world, half)
    (half / "truth" / "world.json").unlink()
    said = refused(tmp_path, "tracker=local", *released(half), "dataset.access=open")
    assert "truth/world.json" in said
    assert "completely generated world" in said

    shutil.copytree(world, blind, ignore=shutil.ignore_patterns("*.jpg", "*.png"))
    said = refused(tmp_path, "tracker=local", *released(blind))
    assert "image file missing" in said


def released(root: Path) -> list[str]:
    """Overrides that read a folder as a copy of the release, with a policy of the smallest size."""
    return ["debug=smoke", "dataset=mimic_cxr", f"dataset.root={root}"]


def test_judging_a_directory_that_is_no_run_is_refused(tmp_path: Path) -> None:
    assert "the directory of a finished run" in refused(tmp_path, f"run={tmp_path}", script="evaluate.py")


def test_a_full_disk_is_said_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("only root may mount a small disk")
    try:
        said = refused(tmp_path, "tracker=local", "debug=smoke", f"paths.cache={small}/cache")
        assert "No space left on device" in said
        assert not list(small.glob("cache/worlds/chest_world-*")), "a world is there only when it is whole"
    finally:
        subprocess.run(["umount", str(small)], check=True)
