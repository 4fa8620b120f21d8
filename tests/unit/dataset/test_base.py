"""What every reader shares, shown on the smallest one: the index, its freshness, the counts, the refusals."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cpo.answers import ListedAnswer
from cpo.dataset.base import Dataset
from cpo.dataset.doctor import Verdict, examine
from cpo.dataset.index import decode, encode
from cpo.dataset.intake import DamagedError, ExcludedError, Intake, Media
from cpo.errors import ConfigError, DataError
from cpo.records import Edit, ImageRef, LabelState, Provenance, Sample, Trajectory


class Lines(Dataset):
    """One sample per line of `rows.txt`: `id group split result image`."""

    labels = scored = ("A", "B")

    def __init__(self, root: Path, *, media: Media = "required", limit: float = 1.0, index: str = "") -> None:
        super().__init__(
            name="lines", root=str(root), access="open", media=media, quarantine_limit=limit, index=index, knobs={}
        )
        self.answers = ListedAnswer("It is {}.", ("A", "B"))
        self.readings = 0

    def annotations(self) -> Sequence[Path]:
        return [self.root / "rows.txt"]

    def read(self, intake: Intake) -> Iterator[Sample]:
        self.readings += 1
        for row, line in enumerate((self.root / "rows.txt").read_text().splitlines(), start=1):
            with intake.record("rows.txt", row):
                if not line:
                    raise ExcludedError("blank row")
                if line.count(" ") != 4:
                    raise DamagedError("not five words")
                id_, group, split, result, image = line.split()
                yield Sample(
                    id=id_,
                    group=group,
                    split=split,
                    images=(intake.image(self.root / image),),
                    prompt="Which?",
                    factual=Trajectory("", self.answers.write([result])),
                    labels={result: LabelState.PRESENT},
                    results=(result,),
                    metadata={},
                    provenance=Provenance("lines", "rows.txt", str(row), "open"),
                )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(tmp_path / "a.jpg")
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(tmp_path / "b.png")
    rows = ["1 p train A a.jpg", "2 p train B b.png", "", "3 q test B a.jpg", "nothing"]
    (tmp_path / "rows.txt").write_text("\n".join(rows))
    return tmp_path


@pytest.mark.parametrize("folder", ["", "index"])
def test_samples_are_read_in_order_with_or_without_an_index(root: Path, folder: str) -> None:
    lines = Lines(root, index=folder and str(root / folder))
    train = lines.samples("train")

    assert [s.id for s in train] == [train[0].id, train[-1].id] == ["1", "2"]
    assert train[np.int64(1)].id == "2"  # as a permutation gives it
    assert [s.id for s in train[:1]] == ["1"]
    assert len(lines.samples("validate")) == 0
    with pytest.raises(IndexError):
        train[2]
    with pytest.raises(ConfigError, match="split=val"):
        lines.samples("val")


def test_what_was_found_is_counted(root: Path) -> None:
    quality = Lines(root).quality()

    assert (quality.records, quality.samples, dict(quality.excluded)) == (5, 3, {"blank row": 1})
    assert [(q.row, q.reason) for q in quality.quarantined] == [("5", "not five words")]
    assert quality.by_split == {"train": 2, "validate": 0, "test": 1}
    assert quality.labels["B"] == {"present": 2, "absent": 0, "uncertain": 0, "unmentioned": 0}
    assert quality.details["groups_by_results"] == {"0": 0, "1": 1, "2": 1, "3 or more": 0}


def test_a_second_reader_opens_the_index_without_reading(root: Path) -> None:
    first, second = (Lines(root, index=str(root / "index")) for _ in range(2))
    assert list(first.samples("train")) == list(second.samples("train"))
    assert (first.fingerprint, first.quality()) == (second.fingerprint, second.quality())
    assert (first.readings, second.readings) == (1, 0)
    assert first.fingerprint == Lines(root).fingerprint


@pytest.mark.parametrize("changed", ["rows.txt", "a.jpg"])
def test_a_changed_file_is_noticed_and_the_copy_read_anew(root: Path, changed: str) -> None:
    Lines(root, index=str(root / "index")).samples("train")
    time.sleep(0.01)  # the file system's clock may be coarse
    content = (root / changed).read_bytes()
    (root / changed).write_bytes(content.replace(b"1 p train A", b"1 p train B") if changed == "rows.txt" else content)
    again = Lines(root, index=str(root / "index"))
    assert again.samples("train")[0].results == (("B",) if changed == "rows.txt" else ("A",))
    assert again.readings == 1


def test_a_knob_that_is_no_content_opens_the_same_index(root: Path) -> None:
    Lines(root, index=str(root / "index")).quality()
    strict = Lines(root, index=str(root / "index"), limit=0.0)
    with pytest.raises(DataError, match="1 of 4 records of lines are damaged"):
        strict.samples("train")
    assert strict.readings == 0


def test_a_group_in_two_splits_is_refused(root: Path) -> None:
    (root / "rows.txt").write_text("1 p train A a.jpg\n2 p test A a.jpg")
    with pytest.raises(DataError, match=r"group 'p' is in train \(rows.txt row 1\) and in test \(rows.txt row 2\)"):
        Lines(root).samples("train")
    assert examine(Lines(root), decode=10).verdict is Verdict.UNUSABLE


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda whole: b"", "image file empty"),
        (lambda whole: whole[: len(whole) // 2], "image file cut off"),
        (None, "image file missing"),
    ],
)
@pytest.mark.parametrize("image", ["a.jpg", "b.png"])
def test_a_spoilt_image_is_quarantined_with_its_reason(root: Path, image: str, spoil: Any, reason: str) -> None:
    path = root / image
    if spoil is None:
        path.unlink()
    else:
        path.write_bytes(spoil(path.read_bytes()))
    assert reason in {q.reason for q in Lines(root).quality().quarantined}


def test_absent_media_are_counted_when_they_are_optional(root: Path) -> None:
    (root / "a.jpg").unlink()
    quality = Lines(root, media="optional").quality()
    assert quality.samples == 3
    assert quality.details["media_absent"] == 2
    found = examine(Lines(root, media="optional"), decode=-1)
    assert (found.verdict, found.decoded) == (Verdict.QUARANTINED, 1)
    assert "2 images or videos are not there" in found.remarks


def test_the_doctor_decodes_what_the_reader_only_looks_at(root: Path) -> None:
    content = bytearray((root / "b.png").read_bytes())
    content[40:44] = b"\0\0\0\0"  # both ends are whole, the middle is not
    (root / "b.png").write_bytes(content)
    found = examine(Lines(root), decode=-1)
    assert [(q.file, q.row) for q in found.unreadable] == [("rows.txt", "2")]
    assert found.unreadable[0].reason.startswith("an image that cannot be read")
    assert found.as_dict()["quarantined"][found.unreadable[0].reason] == 1


def test_a_sample_survives_the_index() -> None:
    sample = Sample(
        id="x",
        group="g",
        split="test",
        images=(ImageRef("v.mp4", 1.5, (Edit("box", (("height", 2), ("x", 0.5))),)), ImageRef("i.png")),
        prompt="p",
        factual=Trajectory("ü", "a"),
        labels={"A": LabelState.UNCERTAIN},
        results=("A",),
        metadata={"view": "PA"},
        provenance=Provenance("d", "f", "1", "credentialed"),
    )
    assert decode(encode(sample)) == sample
