"""A job on credentialed data, and every byte that its trackers would send: no text, no id, no picture of it."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpo.world.chest import ChestWorld

PROJECT = Path(__file__).resolve().parents[2]
CANARY = "quokkacanary"
"""Planted in reports, in pictures and in the name of the folder."""
TRACKERS = ["wandb", *(["tensorboard"] if importlib.util.find_spec("tensorboard") else [])]
PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"/9j/", b"iVBORw0KGgo")
"""How pictures begin, as files and inside JSON."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def copy(place: Path) -> Path:
    """A world without the truth that proves it to be one: to the reader, somebody's own copy of the real release."""
    world = ChestWorld(studies=240, image_size=112, workers=1).write(place / "worlds")
    copy = place / f"{CANARY}-release"
    shutil.copytree(world, copy, ignore=shutil.ignore_patterns("truth"))
    for report in copy.rglob("*.txt"):
        text = report.read_text()
        report.write_text(text.replace("FINDINGS: \n \n ", f"FINDINGS: \n \n {CANARY.capitalize()} is seen. "))
    comment = CANARY.encode()
    for picture in copy.rglob("*.jpg"):
        start, rest = picture.read_bytes()[:2], picture.read_bytes()[2:]
        picture.write_bytes(start + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + rest)
    return copy


@pytest.fixture(scope="module")
def finished(place: Path, copy: Path) -> Path:
    job = ["debug=smoke", "dataset=mimic_cxr", f"dataset.root={copy}", f"tracker=[{','.join(TRACKERS)}]"]
    done = subprocess.run(
        [sys.executable, str(PROJECT / "train.py"), *job],
        cwd=place,
        env=os.environ | {"WANDB_DATA_DIR": str(place / "wandb-data"), "WANDB_CACHE_DIR": str(place / "wandb-cache")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Path(done.stdout.strip().splitlines()[-1].removeprefix("run: "))


def identifiers(copy: Path) -> set[bytes]:
    """Subjects, studies and pictures, as the release names them."""
    (table,) = copy.rglob("*metadata.csv.gz")
    rows = csv.DictReader(io.StringIO(gzip.decompress(table.read_bytes()).decode()))
    return {row[key].encode() for row in rows for key in ("subject_id", "study_id", "dicom_id")}


def findings(content: bytes, names: set[bytes]) -> list[str]:
    """What of the data stands in a file."""
    words = set(re.findall(rb"(?<![0-9a-f.])(?:[0-9a-f]{8}(?:-[0-9a-f]{8}){4}|\d{8})(?![0-9a-f])", content))
    found = [name.decode() for name in words & names]
    found += [CANARY] if CANARY.encode() in content.lower() else []
    return found + [f"a picture, {head!r}" for head in PICTURES if head in content]


def unframed(content: bytes) -> bytes:
    """A .wandb file without the headers at the borders of its blocks, which could part a word in two."""
    return b"".join(content[at + 7 if at else at : at + 32768] for at in range(0, len(content), 32768))


def sent(finished: Path, place: Path) -> Iterator[Path]:
    """Every file that a tracker keeps to be sent or shown elsewhere."""
    for folder in (finished / "wandb", finished / "tensorboard", place / "wandb-data", place / "wandb-cache"):
        # what W&B's service writes about itself stays where it is
        yield from (p for p in folder.rglob("*") if p.is_file() and p.suffix != ".log")


def test_the_search_finds_texts_ids_and_pictures_where_they_may_be(finished: Path, copy: Path) -> None:
    pairs = (finished / "pairs_sample.jsonl").read_bytes()
    assert CANARY in findings(pairs, identifiers(copy))
    assert any(name.encode() in pairs for name in findings(pairs, identifiers(copy)) if name != CANARY)
    assert any("picture" in found for found in findings((finished / "report.html").read_bytes(), set()))


def test_nothing_that_a_tracker_would_send_holds_anything_of_the_data(finished: Path, copy: Path, place: Path) -> None:
    names, files = identifiers(copy), list(sent(finished, place))
    assert len(names) > 400
    assert {path.suffix for path in files} >= {".wandb", ".json"}
    assert any("tfevents" in path.name for path in files) == ("tensorboard" in TRACKERS)
    told = {}
    for path in files:
        content = path.read_bytes()
        content += unframed(content) if path.suffix == ".wandb" else b""
        if found := [*findings(content, names), *([CANARY] if CANARY in path.name.lower() else [])]:
            told[path.name] = found
    assert told == {}


def test_the_numbers_and_the_figures_are_sent_all_the_same(finished: Path, place: Path) -> None:
    everything = b"".join(path.read_bytes() for path in sent(finished, place))
    for name in (b"train/rewards/margins", b"figures/Rewards", b"balanced_accuracy", b"concept_graph"):
        assert name in everything
    assert not [path for path in sent(finished, place) if path.suffix == ".safetensors"]
