"""The written road world of clips: BDD-X's layout, real videos, truth, determinism."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from cpo.graph.schema import ConceptGraph
from cpo.world.road import RoadWorldVideo, read

KNOBS = {"clips": 18, "image_size": 64, "fps": 2, "seed": 3, "test_share": 0.2, "validate_share": 0.1}
TABLE = "BDD-X-Annotations_v1.csv"
OFFICIAL = Path(__file__).parents[3].parent / "shared/samples/bddx/BDD-X-Dataset" / TABLE


def rows(root: Path) -> list[dict[str, str]]:
    with (root / TABLE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def truth(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "truth/studies.jsonl").read_text(encoding="utf-8").splitlines()]


def segments(root: Path) -> dict[str, tuple[int, int, str, str]]:
    """Filled slots by study id, numbered as the official preprocessing numbers them."""
    found, number = {}, 0
    for row in rows(root):
        stem = row["Input.Video"].split("/")[-1].split(".")[0]
        if not (stem and row["Answer.1start"] and row["Answer.1justification"]):
            continue
        number += 1
        for slot in range(1, 16):
            start, end, action, why = (
                row[f"Answer.{slot}{cell}"] for cell in ("start", "end", "action", "justification")
            )
            if action:
                found[f"{number}_{stem}#{slot}"] = int(start), int(end), action, why
    return found


def digest(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def frames(path: Path) -> tuple[float, list[NDArray[np.uint8]]]:
    """Duration in seconds, and all frames."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert stream.duration is not None
        assert stream.time_base is not None
        return float(stream.duration * stream.time_base), decoded


def test_the_table_has_the_official_form(written_clips: Path) -> None:
    content = (written_clips / TABLE).read_bytes()
    header, *lines = content.split(b"\r\n")

    assert len(header.split(b",")) == 61
    assert header.startswith(
        b"Input.Video,Answer.1start,Answer.1end,Answer.1action,Answer.1justification,Answer.2start"
    )
    assert len(lines) == 18
    assert lines[-1], "no line end after the last row"
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert content.isascii()


def test_the_header_is_that_of_the_release(written_clips: Path) -> None:
    if not OFFICIAL.exists():
        pytest.skip("no sample of the official table beside this checkout")

    with OFFICIAL.open(encoding="utf-8", newline="") as file:
        assert list(rows(written_clips)[0]) == next(csv.reader(file))


def test_split_files_number_the_clips_by_the_official_rule(written_clips: Path) -> None:
    lines = {name: (written_clips / f"{name}.txt").read_text().splitlines() for name in ("train", "val", "test")}
    listed = [line for found in lines.values() for line in found]

    assert sorted(listed) == sorted({name.split("#")[0] for name in segments(written_clips)})
    assert all(re.fullmatch(r"\d+_[0-9a-f]{8}-[0-9a-f]{8}", line) for line in listed)
    assert len({line.split("_")[1] for line in listed}) == 18
    assert {name: len(found) for name, found in lines.items()} == {"train": 12, "val": 2, "test": 4}
    splits = {record["study_id"].split("#")[0]: record["split"] for record in truth(written_clips)}
    assert splits == {
        line: {"train": "train", "val": "validate", "test": "test"}[n] for n, found in lines.items() for line in found
    }


def test_segments_follow_each_other_in_whole_seconds(written_clips: Path) -> None:
    clips: dict[str, list[tuple[int, int]]] = {}
    for name, (start, end, _, _) in segments(written_clips).items():
        clips.setdefault(name.split("#")[0], []).append((start, end))

    for times in clips.values():
        assert times[0][0] == 0
        assert all(end - start >= 2 for start, end in times)
        assert all(one[1] == other[0] for one, other in pairwise(times))
        assert 8 <= times[-1][1] <= 12
    assert {len(times) for times in clips.values()} == {1, 2, 3}


def test_every_clip_is_a_video_of_the_duration_that_the_table_says(written_clips: Path) -> None:
    ends = {name.split("#")[0].split("_")[1]: end for name, (_, end, _, _) in segments(written_clips).items()}

    assert sorted(path.stem for path in (written_clips / "videos").iterdir()) == sorted(ends)
    for stem, end in ends.items():
        seconds, shown = frames(written_clips / "videos" / f"{stem}.mp4")
        assert seconds == end
        assert len(shown) == 2 * end
        assert all(frame.shape == (64, 64, 3) for frame in shown)


def test_the_scene_changes_where_the_segment_does(written_clips: Path) -> None:
    cuts, within = [], []
    for name, (start, _, _, _) in segments(written_clips).items():
        if start:
            stem = name.split("#")[0].split("_")[1]
            _, shown = frames(written_clips / "videos" / f"{stem}.mp4")
            change = [np.abs(a.astype(float) - b).mean() for a, b in pairwise(shown)]
            cuts.append(change[2 * start - 1])
            within += change[2 * start : 2 * start + 2]

    assert np.median(cuts) > 1.2 * np.median(within)


def test_the_truth_beside_it_is_what_the_table_says(written_clips: Path) -> None:
    graph = ConceptGraph.load(written_clips / "truth/concept_graph.json")
    records, told = truth(written_clips), segments(written_clips)

    assert [record["study_id"] for record in records] == list(told)
    for record in records:
        start, end, action, why = told[record["study_id"]]
        reading = read(f"{why} {action}")
        assert not reading.unread
        assert (record["start"], record["end"]) == (start, end)
        shown = {(m.attribute, m.state.value, m.side, m.severity) for m in reading.mentions if m.state != "absent"}
        assert shown == {(a["name"], a["state"], a["side"], a["severity"]) for a in record["attributes"]}
        assert {m.attribute for m in reading.mentions if m.state == "absent"} == set(record["negated"])
        assert reading.actions == tuple(a for a, state in record["actions"].items() if state == "present")
        labels = {a: s.value for a, s in graph.labels(reading.states).items() if s in ("present", "uncertain")}
        assert labels == record["actions"]
        assert re.fullmatch(r"The car [a-z ,]+\.", action)


def test_a_clip_is_one_drive_with_one_light(written_clips: Path) -> None:
    drives: dict[int, set[str]] = {}
    for record in truth(written_clips):
        drives.setdefault(record["drive"], set()).add(json.dumps([record["split"], record["nuisances"]]))

    assert len(drives) == 18
    assert all(len(found) == 1 for found in drives.values())


def test_two_processes_write_the_bytes_of_one(written_clips: Path, tmp_path: Path) -> None:
    assert digest(RoadWorldVideo(**KNOBS, workers=2).write(tmp_path)) == digest(written_clips)


def test_a_stopped_generation_goes_on_and_ends_in_the_same_bytes(
    written_clips: Path, small_clips: RoadWorldVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    draw = RoadWorldVideo.picture
    limit = [17]

    def counted(self: RoadWorldVideo, scene: Any, place: tuple[int, ...], *arguments: Any, **more: Any) -> Any:
        if place[0] >= limit[0]:
            raise KeyboardInterrupt
        drawn.append(place[0])
        return draw(self, scene, place, *arguments, **more)

    monkeypatch.setattr(RoadWorldVideo, "picture", counted)
    with pytest.raises(KeyboardInterrupt):
        small_clips.write(tmp_path)
    assert not (tmp_path / small_clips.name).exists()
    drawn.clear()
    limit[0] = 18

    assert digest(small_clips.write(tmp_path)) == digest(written_clips)
    assert set(drawn) == {16, 17}


def test_every_knob_but_the_workers_changes_the_fingerprint(small_clips: RoadWorldVideo) -> None:
    changes: dict[str, Any] = {
        "clips": 19,
        "image_size": 66,
        "fps": 3,
        "seed": 4,
        "test_share": 0.21,
        "validate_share": 0.11,
        "night_share": 0.4,
        "bus_lane_share": 0.3,
        "difficulty": "easy",
        "crf": 30,
    }
    assert set(changes) == set(small_clips.knobs)
    prints = [RoadWorldVideo(**(small_clips.knobs | {name: value})).fingerprint for name, value in changes.items()]

    assert len({small_clips.fingerprint, *prints}) == len(changes) + 1
    assert RoadWorldVideo(**small_clips.knobs, workers=7).fingerprint == small_clips.fingerprint


def test_no_stem_occurs_twice_in_a_large_world() -> None:
    names = [names for group in RoadWorldVideo(clips=20_000).groups() for names in group]

    assert len({name.stem for name in names}) == 20_000
    assert [name.number for name in names] == list(range(1, 20_001))
