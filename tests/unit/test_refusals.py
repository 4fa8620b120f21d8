"""What a person can mend is said in three lines; what is a mistake of the program's keeps its traceback."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict

from cpo import config, refusals
from cpo.errors import ConfigError


@pytest.fixture
def cfg(tmp_path: Path) -> Iterator[DictConfig]:
    """A job's config, as Hydra hands it to a task."""
    config.register_schemas()
    folders = [f"paths.outputs={tmp_path}/outputs", f"paths.cache={tmp_path}/cache"]
    with initialize_config_dir(str(config.ROOT / "conf"), version_base="1.3"):
        made = compose("train", overrides=folders, return_hydra_config=True)
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(made)
    with open_dict(made):
        del made["hydra"]
    yield made
    HydraConfig.instance().cfg = before


def outcome(cfg: DictConfig, error: Exception, capsys: pytest.CaptureFixture[str]) -> str:
    """What is printed of a job that raises, which then exits with 2."""

    @refusals.speaks_plainly
    def task(cfg: DictConfig) -> None:
        raise error

    with pytest.raises(SystemExit) as stopped:
        refusals.run(lambda: task(cfg))
    assert stopped.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
def test_a_disk_that_takes_nothing_is_said(
    cfg: DictConfig, number: int, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = outcome(cfg, OSError(number, os.strerror(number), str(tmp_path / "elsewhere")), capsys)
    assert f"got:    {os.strerror(number)}: {tmp_path}/elsewhere" in said
    assert "remedy: free some space" in said


@pytest.mark.parametrize("folder", ["outputs", "cache"])
def test_a_folder_of_the_run_or_of_the_cache_that_cannot_be_made_is_said(
    cfg: DictConfig, folder: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    error = FileNotFoundError(errno.ENOENT, "No such file or directory", str(tmp_path / folder / "runs"))
    assert f"{folder}/runs" in outcome(cfg, error, capsys)


def test_a_file_of_data_is_not_named(cfg: DictConfig, capsys: pytest.CaptureFixture[str]) -> None:
    said = outcome(cfg, OSError(errno.ENOSPC, "No space left on device", "/data/s50414267.txt"), capsys)
    assert "got:    No space left on device: a file" in said


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory", "/nowhere/table.csv"),
        OSError(errno.EBADF, "Bad file descriptor"),
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
        RuntimeError("shapes do not fit"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_mistake_of_the_program_s_leaves_it_with_its_traceback(cfg: DictConfig, error: Exception) -> None:
    @refusals.speaks_plainly
    def task(cfg: DictConfig) -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        refusals.run(lambda: task(cfg))
    assert raised.value is error
    assert error.__notes__ == [refusals.UNEXPECTED]


def test_a_folder_that_hydra_cannot_make_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "/proc/nowhere")

    with pytest.raises(SystemExit):
        refusals.run(main)
    assert "/proc/nowhere" in capsys.readouterr().err


def test_a_refusal_of_ours_is_printed_as_it_is(cfg: DictConfig, capsys: pytest.CaptureFixture[str]) -> None:
    error = ConfigError(got="a", wanted="b", remedy="c")
    assert outcome(cfg, error, capsys) == f"{error}\n"
