from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from cpo.dataset.bdd_x import BddX
from cpo.dataset.bdd_x_release import COLUMNS, Segment
from cpo.errors import ConfigError, DataError
from cpo.records import LabelState
from tests.fixtures.mutations import fuzz, spoilt, survives

SAMPLES = Path(__file__).parents[4] / "shared/samples/bddx"
TABLE = SAMPLES / "BDD-X-Dataset/BDD-X-Annotations_v1.csv"
real = pytest.mark.skipif(not TABLE.is_file(), reason="the excerpt of the release is not at ../shared/samples/bddx")

ONE, TWO, THREE = "06d501fd-a9ffc960", "01b0505f-5f564e84", "071c7a20-524d2e74"
STOPS = ("0", "8", "The car is stopped.", "because the light is red.")
GOES = ("9", "20", "The car accelerates", "because it turned green.")
HOLE = ("", "", "", "")


def row(stem: str, *slots: Sequence[str], folder: str = "train") -> list[str]:
    video = f"https://s3-us-west-2.amazonaws.com/sq8geewpqu/{folder}/{stem}.mov" if stem else ""
    cells = [cell for slot in slots for cell in slot]
    return [video, *cells, *[""] * (60 - len(cells))]


ROWS = [row(ONE, STOPS, GOES), row(""), row(TWO, STOPS), row(ONE, GOES, folder="samples-1k"), row(THREE, GOES)]
LISTS = {"train": [f"1_{ONE}", f"3_{ONE}"], "val": [f"2_{TWO}"], "test": []}


def content(rows: Sequence[Sequence[str]] = ROWS, lists: dict[str, list[str]] = LISTS) -> dict[str, bytes]:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([COLUMNS, *rows])
    files = {"BDD-X-Annotations_v1.csv": text.getvalue().removesuffix("\r\n").encode()}
    return files | {f"{split}.txt": "\n".join(listed).encode() for split, listed in lists.items()}


def write(root: Path, files: dict[str, bytes] | None = None, folder: str = "") -> Path:
    for name, data in (content() if files is None else files).items():
        path = root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def reader(root: Path, **knobs: Any) -> BddX:
    return BddX(**{"name": "bdd_x", "root": str(root), "media": "optional", **knobs})


def of_slots(root: Path, *slots: Sequence[str], **knobs: Any) -> BddX:
    """A reader of one row with these slots behind a good one."""
    write(root, content([row(ONE, STOPS, *slots)], {"train": [f"1_{ONE}"]}))
    return reader(root, **{"quarantine_limit": 1, **knobs})


def test_each_segment_is_a_sample_with_the_action_as_answer_and_the_reason_as_thinking(tmp_path: Path) -> None:
    first, second, again = reader(write(tmp_path)).samples("train")
    assert (first.id, second.id, first.group) == (f"1_{ONE}#1", f"1_{ONE}#2", ONE)
    assert (first.factual.thinking, first.factual.answer) == ("because the light is red.", "The car is stopped.")
    assert (first.results, second.results) == (("stop",), ("speed up",))
    assert first.labels["stop"] is LabelState.PRESENT
    assert (first.metadata["slot"], first.metadata["start"], first.metadata["end"]) == ("1", "0", "8")
    assert (first.provenance.file, first.provenance.row) == ("BDD-X-Annotations_v1.csv", "2")
    assert (again.id, again.provenance.row) == (f"3_{ONE}#1", "5"), "the same video in another row"
    assert [s.metadata["source"] for s in (first, again)] == ["train", "samples-1k"]
    assert first.group == again.group


def test_rows_are_numbered_by_the_releases_rule_and_matched_with_the_split_files(tmp_path: Path) -> None:
    unnumbered = [row(TWO, ("X", "", "", "")), row(TWO), row(TWO, ("0", "1", "stops", ""))]
    quality = reader(write(tmp_path, content([*unnumbered, *ROWS]))).quality()
    assert quality.details["split_ids_matched"] == {"train": 2, "validate": 1, "test": 0}
    assert quality.details["segments"] == {"train": 3, "validate": 1, "test": 0}
    assert quality.by_split == {"train": 3, "validate": 1, "test": 0}
    assert quality.records == 8
    assert quality.excluded == {
        "blank row": 1,
        "row in no split file": 1,
        "row without a video, a first start or a first justification": 3,
    }


def test_ids_that_no_row_has_are_damage_of_the_split_file(tmp_path: Path) -> None:
    files = content(lists={**LISTS, "test": [f"9_{THREE}"]})
    (found,) = reader(write(tmp_path, files), quarantine_limit=1).quality().quarantined
    assert (found.file, found.row) == ("test.txt", "1")
    assert found.reason == "listed, but no row of the table has this number"


def test_the_releases_own_folder_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    files = {name: b"\xef\xbb\xbf" + data for name, data in content().items()}
    quality = reader(write(tmp_path, files, folder="BDD-X-Dataset")).quality()
    assert (quality.samples, quality.quarantined) == (4, ())


def test_frames_are_spread_over_the_segment_and_clipped_to_the_video() -> None:
    assert Segment(0, 8, "", "").times(4) == (1.0, 3.0, 5.0, 7.0)
    assert Segment(5, 5, "", "").times(4) == (5.0,)
    assert Segment(0, 222, "", "").times(2) == (10.0, 30.0)
    assert Segment(40, 47, "", "").times(3) == (40.0,)


@pytest.mark.parametrize("kind", [".mov", ".mp4"])
def test_the_frames_of_a_sample_name_its_video_and_times(tmp_path: Path, kind: str) -> None:
    write(tmp_path)
    clips = tmp_path / "clips"
    clips.mkdir()
    for stem in (ONE, TWO):
        (clips / f"{stem}{kind}").write_bytes(b"a video")
    first = reader(tmp_path, videos="clips", media="required", frames=2).samples("train")[0]
    assert [(image.path, image.time_s) for image in first.images] == [
        (str(clips / f"{ONE}{kind}"), 2.0),
        (str(clips / f"{ONE}{kind}"), 6.0),
    ]
    assert reader(tmp_path, videos=str(clips), media="required").quality().details["media_absent"] == 0


def test_missing_and_empty_videos_are_damage_unless_media_are_optional(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / f"{TWO}.mov").write_bytes(b"")
    found = reader(tmp_path, media="required", quarantine_limit=1).quality().quarantined
    assert [q.reason for q in found] == ["video file missing"] * 2 + ["video file empty", "video file missing"]
    assert reader(tmp_path, quarantine_limit=1).quality().details["media_absent"] == 3


def test_a_hole_between_slots_does_not_end_a_row(tmp_path: Path) -> None:
    dataset = of_slots(tmp_path, HOLE, HOLE, GOES)
    assert [s.metadata["slot"] for s in dataset.samples("train")] == ["1", "4"]
    assert dataset.quality().excluded == {}


def test_the_fifteenth_slot_is_read(tmp_path: Path) -> None:
    dataset = of_slots(tmp_path, *[HOLE] * 13, GOES)
    assert [s.metadata["slot"] for s in dataset.samples("train")] == ["1", "15"]


@pytest.mark.parametrize(
    ("slot", "reason"),
    [
        (("9", "", "The car stops", "since"), "slot without end"),
        (("", "12", "The car stops", "since"), "slot without start"),
        (("", "", "The car stops", "since"), "slot without start and end"),
        (("9", "12", "The car stops", ""), "slot without justification"),
        (("9", "12", "", "since"), "slot without action"),
        (("9", "12", "", ""), "slot without action and justification"),
        (("9", "X", "The car stops", "since"), "slot with X for end"),
        (("9", "12", "X", "X"), "slot with X for action and justification"),
    ],
)
def test_incomplete_slots_are_left_out_by_reason(tmp_path: Path, slot: Sequence[str], reason: str) -> None:
    quality = of_slots(tmp_path, slot).quality()
    assert (quality.excluded, quality.samples, quality.quarantined) == ({reason: 1}, 1, ())


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        ("24", "22", "segment ends before it starts"),
        ("-1", "2", "segment starts outside the 40 s of a video"),
        ("93", "95", "segment starts outside the 40 s of a video"),
        ("1.5", "2", "time of a segment is no whole number of seconds"),
        ("nan", "2", "time of a segment is no whole number of seconds"),
        ("1", "9" * 30, "time of a segment is no whole number of seconds"),
    ],
)
def test_impossible_times_are_set_aside_with_their_line(tmp_path: Path, start: str, end: str, reason: str) -> None:
    quality = of_slots(tmp_path, (start, end, "The car stops", "since")).quality()
    assert [(q.file, q.row, q.reason) for q in quality.quarantined] == [("BDD-X-Annotations_v1.csv", "2", reason)]
    assert quality.details["segments"]["train"] == 2, "complete slots, as the release counts them"


def test_segments_of_a_moment_and_those_that_end_late_are_kept_and_late_ends_counted(tmp_path: Path) -> None:
    dataset = of_slots(tmp_path, ("3", "3", "a", "b"), ("30", "222", "a", "b"), frames=2)
    moment, late = dataset.samples("train")[1:]
    assert [image.time_s for image in moment.images] == [3.0]
    assert [image.time_s for image in late.images] == [32.5, 37.5]
    assert late.metadata["end"] == "222"
    assert dataset.quality().details["ends_after_the_video"] == 1


def test_quotes_and_stray_spaces_are_read_as_written(tmp_path: Path) -> None:
    dataset = of_slots(tmp_path, ("9", " 12", '  The "car" stops, then waits ', " since "))
    sample = dataset.samples("train")[1]
    assert (sample.factual.answer, sample.factual.thinking) == ('The "car" stops, then waits', "since")


def test_a_row_of_another_length_or_without_a_video_name_is_set_aside(tmp_path: Path) -> None:
    rows = [*ROWS, ["x", "0"], ["movie.avi", *row(ONE, STOPS)[1:]]]
    quality = reader(write(tmp_path, content(rows)), quarantine_limit=1).quality()
    assert [(q.row, q.reason.split()[0]) for q in quality.quarantined] == [("7", "number"), ("8", "video")]
    assert quality.records == 7


def test_a_line_that_is_no_id_or_is_listed_twice_is_set_aside(tmp_path: Path) -> None:
    lists = {"train": [*LISTS["train"], ONE, ""], "val": [*LISTS["val"], f"1_{ONE}"], "test": []}
    quality = reader(write(tmp_path, content(lists=lists)), quarantine_limit=1).quality()
    assert [(q.file, q.row, q.reason) for q in quality.quarantined] == [
        ("train.txt", "3", "line is not <n>_<video>"),
        ("val.txt", "2", "row listed before"),
    ]


def test_a_video_in_two_splits_is_refused(tmp_path: Path) -> None:
    lists = {"train": [f"1_{ONE}"], "val": [f"3_{ONE}"], "test": []}
    with pytest.raises(DataError, match=r"is in train .* and in validate"):
        reader(write(tmp_path, content(lists=lists)), quarantine_limit=1).samples("train")


def test_another_folder_or_another_table_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        reader(tmp_path / "nowhere").quality()
    with pytest.raises(DataError, match=r"no BDD-X-Annotations_v1\.csv"):
        reader(tmp_path).quality()
    write(tmp_path, {"BDD-X-Annotations_v1.csv": b"a,b\r\n1,2\r\n"})
    with pytest.raises(DataError, match=r"none of train\.txt"):
        reader(tmp_path).quality()
    (tmp_path / "train.txt").write_bytes(b"")
    with pytest.raises(DataError, match=r"no column Input\.Video"):
        reader(tmp_path).quality()


@pytest.mark.parametrize("knobs", [{"frames": 0}, {"frames": 65}, {"prompt": " "}, {"videos": ""}])
def test_knobs_out_of_range_are_refused_at_once(tmp_path: Path, knobs: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        reader(tmp_path, **knobs)


@fuzz
@given(spoilt(content()))
def test_no_spoilt_copy_ends_in_a_crash(files: dict[str, bytes]) -> None:
    survives(files, lambda root: reader(root, quarantine_limit=1), free_text=True)


@pytest.fixture(scope="module")
def released() -> BddX:
    return reader(SAMPLES)


def real_rows() -> list[list[str]]:
    with TABLE.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


@real
def test_every_id_of_the_real_split_file_is_reproduced(released: BddX) -> None:
    listed = (TABLE.parent / "train.txt").read_text().split()
    assert len(listed) == 3_694
    assert released.quality().details["split_ids_matched"] == {"train": 3_694, "validate": 0, "test": 0}
    numbered = {sample.id.partition("#")[0] for sample in released.samples("train")}
    assert numbered == set(listed)


@real
def test_counts_of_the_real_table_equal_an_independent_count(released: BddX) -> None:
    rows, quality = real_rows(), released.quality()
    listed = {name.split("_")[1] for name in (TABLE.parent / "train.txt").read_text().split()}
    numbered = [r for r in rows if r[0] and r[1] and r[4]]
    kept = [r for r in numbered if any(stem in r[0] for stem in [r[0].rpartition("/")[2][:17]] if stem in listed)]
    slots = [[cell.strip() for cell in r[i : i + 4]] for r in kept for i in range(1, 61, 4)]
    complete = [s for s in slots if all(s)]
    assert quality.records == len(rows) == 6_399
    assert quality.excluded["blank row"] == sum(not any(r) for r in rows) == 2_699
    assert quality.excluded["row in no split file"] == len(numbered) - len(kept) == 4
    assert quality.details["segments"]["train"] == len(complete) == 14_060
    crossed = sum("X" in s for s in complete)
    timed = [(int(s[0]), int(s[1])) for s in complete if "X" not in s]
    impossible = sum(end < start or start > 40 for start, end in timed)
    assert quality.samples == len(complete) - crossed - impossible == 14_043
    assert len(quality.quarantined) == impossible
    incomplete = sum(n for reason, n in quality.excluded.items() if reason.startswith("slot"))
    assert incomplete == crossed + sum(any(s) and not all(s) for s in slots)
    assert quality.details["groups"] == len({r[0].rpartition("/")[2] for r in kept})


@real
def test_most_real_actions_are_recognised(released: BddX) -> None:
    samples = released.samples("train")
    assert sum(bool(sample.results) for sample in samples) / len(samples) > 0.94
    assert released.quality().labels["stop"]["present"] > 3_000
