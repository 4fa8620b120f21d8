"""Files and directories are whole or absent, after a power cut too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cpo.files import build_directory, replace_file


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the disk, in order: names of what is flushed, `all`, and the new names of renamed paths."""
    seen: list[str] = []
    fsync, rename, replace = os.fsync, Path.rename, Path.replace

    def flushed(handle: int) -> None:
        seen.append(f"flush {Path(os.readlink(f'/proc/self/fd/{handle}')).name}")
        fsync(handle)

    def renamed(self: Path, target: Path) -> Path:
        seen.append(f"name {target.name}")
        return rename(self, target)

    def replaced(self: Path, target: Path) -> Path:
        seen.append(f"name {target.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "sync", lambda: seen.append("flush all"))
    monkeypatch.setattr(Path, "rename", renamed)
    monkeypatch.setattr(Path, "replace", replaced)
    return seen


def test_a_directory_has_its_name_only_when_its_files_are_on_the_disk(tmp_path: Path, calls: list[str]) -> None:
    (tmp_path / "cache").mkdir()
    build_directory(tmp_path / "cache" / "made", lambda folder: (folder / "a").write_text("x") and None)
    assert calls == ["flush all", "name made", "flush cache"]
    assert (tmp_path / "cache" / "made" / "a").read_text() == "x"


def test_a_file_is_replaced_when_the_new_one_is_on_the_disk(tmp_path: Path, calls: list[str]) -> None:
    (tmp_path / "last").write_text("old")
    (tmp_path / "new").write_text("new")
    replace_file(tmp_path / "new", tmp_path / "last")
    assert calls == ["flush new", "name last", f"flush {tmp_path.name}"]
    assert (tmp_path / "last").read_text() == "new"


def test_what_fails_to_be_built_has_no_name(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "half").touch()
        raise InterruptedError

    with pytest.raises(InterruptedError):
        build_directory(tmp_path / "made", build)
    assert not (tmp_path / "made").exists()
