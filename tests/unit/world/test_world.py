"""The written world: official layout, truth, determinism, refusals."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cpo.errors import ConfigError, DataError
from cpo.graph.schema import ConceptGraph
from cpo.records import LabelState
from cpo.world.chest import ChestWorld, contact_sheet, layout, read
from cpo.world.difficulty import DIFFICULTIES

TABLES = "mimic-cxr-jpg/2.1.0/mimic-cxr-2.0.0-{}.csv.gz"
OFFICIAL = Path(__file__).parents[3].parent / "shared/samples/synthetic/mimic-cxr-jpg"


def rows(root: Path, table: str) -> list[dict[str, str]]:
    with gzip.open(root / TABLES.format(table), "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def truth(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "truth/studies.jsonl").read_text(encoding="utf-8").splitlines()]


def digest(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def report_of(root: Path, row: dict[str, Any]) -> str:
    subject = str(row["subject_id"])
    path = root / f"mimic-cxr/2.1.0/files/p{subject[:2]}/p{subject}/s{row['study_id']}.txt"
    return path.read_text(encoding="utf-8")


def test_every_study_has_its_report_and_its_film_in_the_official_place(written: Path) -> None:
    records = rows(written, "split")

    assert len(records) == 40
    for record in records:
        assert report_of(written, record).lstrip().startswith("FINAL REPORT")
        subject = record["subject_id"]
        folder = written / f"mimic-cxr-jpg/2.1.0/files/p{subject[:2]}/p{subject}/s{record['study_id']}"
        with Image.open(folder / f"{record['dicom_id']}.jpg") as film:
            assert film.size == (64, 64)
    assert len(list(written.rglob("*.jpg"))) == len(list(written.rglob("*.txt"))) == 40


def test_ids_have_the_official_shapes_and_none_occurs_twice(written: Path) -> None:
    records = rows(written, "metadata")

    for record in records:
        assert re.fullmatch(r"1\d{7}", record["subject_id"])
        assert re.fullmatch(r"5\d{7}", record["study_id"])
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}", record["dicom_id"])
        assert re.fullmatch(r"2[12]\d\d(0[1-9]|1[0-2])(0[1-9]|1\d|2[0-8])", record["StudyDate"])
        assert re.fullmatch(r"\d{1,6}\.\d{1,3}", record["StudyTime"])
        assert record["ViewPosition"] in ("AP", "PA")
    assert len({r["study_id"] for r in records}) == len({r["dicom_id"] for r in records}) == 40


@pytest.mark.parametrize("table", ["split", "metadata", "chexpert", "negbio"])
def test_the_columns_are_the_official_ones(written: Path, table: str) -> None:
    sample = OFFICIAL / f"mimic-cxr-2.0.0-{table}.csv"
    if not sample.exists():
        pytest.skip("no sample of the official tables beside this checkout")

    with sample.open(encoding="utf-8", newline="") as file:
        assert list(rows(written, table)[0]) == next(csv.reader(file))


def test_a_patient_has_one_to_four_studies_of_one_split_in_order_of_their_dates() -> None:
    patients = ChestWorld(studies=2000, test_share=0.1, validate_share=0.05).groups()
    splits = Counter(ids.split for studies in patients for ids in studies)

    assert sum(map(len, patients)) == 2000
    assert {len(studies) for studies in patients} == {1, 2, 3, 4}
    assert all(len({(ids.subject, ids.split) for ids in studies}) == 1 for studies in patients)
    assert all([ids.date for ids in studies] == sorted({ids.date for ids in studies}) for studies in patients)
    assert 200 <= splits["test"] <= 203
    assert 100 <= splits["validate"] <= 103


def test_a_labeler_that_reads_the_reports_makes_the_label_tables(written: Path) -> None:
    graph = ConceptGraph.load(written / "truth/concept_graph.json")
    cells = {LabelState.PRESENT: "1.0", LabelState.ABSENT: "0.0", LabelState.UNCERTAIN: "-1.0"}

    for record in rows(written, "chexpert"):
        reading = read(report_of(written, record))
        for disease, state in graph.labels(reading.states).items():
            assert record[disease] == cells.get(state, ""), (record["study_id"], disease)
        ill = any(record[disease] in ("1.0", "-1.0") for disease in graph.diseases)
        assert record["No Finding"] == ("" if ill else "1.0")
        assert record["Support Devices"] == ("1.0" if reading.devices else "")
    assert rows(written, "negbio") == rows(written, "chexpert")


def test_the_truth_beside_it_is_what_the_reports_say(written: Path) -> None:
    studies = truth(written)

    assert [str(s["dicom_id"]) for s in studies] == [r["dicom_id"] for r in rows(written, "split")]
    for study in studies:
        reading = read(report_of(written, study))
        shown = {(m.attribute, m.state.value, m.side, m.severity) for m in reading.mentions if m.state != "absent"}
        assert shown == {(a["name"], a["state"], a["side"], a["severity"]) for a in study["attributes"]}
        assert {m.attribute for m in reading.mentions if m.state == "absent"} == set(study["negated"])
        assert {d: s.value for d, s in reading.impression.items()} == study["diseases"]
        assert reading.opening == (study["nuisances"]["site"], study["nuisances"]["view"])
        assert list(reading.devices) == study["nuisances"]["devices"]


def test_metadata_names_view_and_site(written: Path) -> None:
    procedures = {}
    for record, study in zip(rows(written, "metadata"), truth(written), strict=True):
        assert record["ViewPosition"] == study["nuisances"]["view"]
        assert f" EXAMINATION:  {record['PerformedProcedureStepDescription']}" in report_of(written, study)
        place = (study["nuisances"]["site"], study["nuisances"]["view"])
        procedures.setdefault(place, set()).add(record["PerformedProcedureStepDescription"])
    assert all(len(names) == 1 for names in procedures.values())
    assert len(set.union(*procedures.values())) == len(procedures)


def test_the_marker_holds_fingerprint_and_knobs(written: Path, small: ChestWorld) -> None:
    marker = json.loads((written / "truth/world.json").read_text(encoding="utf-8"))

    assert marker["fingerprint"] == small.fingerprint == written.name.removeprefix("chest_world-default-")
    assert marker["knobs"] == small.knobs
    assert marker["complete"] is True


def test_two_processes_write_the_bytes_of_one(written: Path, tmp_path: Path) -> None:
    knobs = {"studies": 40, "image_size": 64, "seed": 3, "test_share": 0.2, "validate_share": 0.1}
    again = ChestWorld(**knobs, workers=2).write(tmp_path)

    assert digest(again) == digest(written)


def test_every_knob_but_the_workers_changes_the_fingerprint(small: ChestWorld) -> None:
    changes: dict[str, Any] = {
        "studies": 41,
        "image_size": 65,
        "seed": 4,
        "test_share": 0.21,
        "validate_share": 0.11,
        "ap_share": 0.4,
        "device_share": 0.2,
        "difficulty": "easy",
        "jpeg_quality": 80,
    }
    assert set(changes) == set(small.knobs)
    prints = [ChestWorld(**(small.knobs | {name: value})).fingerprint for name, value in changes.items()]

    assert len({small.fingerprint, *prints}) == len(changes) + 1
    assert ChestWorld(**small.knobs, workers=7).fingerprint == small.fingerprint


def test_a_written_world_is_returned_untouched(written: Path, small: ChestWorld) -> None:
    before = {path: path.stat().st_mtime_ns for path in written.rglob("*")}

    assert small.write(written.parent) == written
    assert {path: path.stat().st_mtime_ns for path in written.rglob("*")} == before


def test_an_interrupted_generation_leaves_no_world_and_the_next_one_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = ChestWorld(studies=8, image_size=64, workers=1)
    with monkeypatch.context() as patched:
        patched.setattr(layout, "write_truth", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            world.write(tmp_path)
    assert not (tmp_path / world.name).exists()

    assert len(truth(world.write(tmp_path))) == 8


def killed_after(world: ChestWorld, root: Path, films: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The unfinished folder of a generation that was stopped in the middle of a film."""
    drawn = 0
    draw = ChestWorld.film

    def stop(self: ChestWorld, *arguments: Any) -> bytes:
        nonlocal drawn
        drawn += 1
        if drawn > films:
            raise KeyboardInterrupt
        return draw(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(ChestWorld, "film", stop)
        with pytest.raises(KeyboardInterrupt):
            world.write(root)
    return root / f".{world.name}.building"


def count_films(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    drawn: list[int] = []
    draw = ChestWorld.film

    def counted(self: ChestWorld, index: int, *arguments: Any) -> bytes:
        drawn.append(index)
        return draw(self, index, *arguments)

    monkeypatch.setattr(ChestWorld, "film", counted)
    return drawn


def test_a_stopped_generation_draws_only_what_is_missing_and_ends_in_the_same_bytes(
    written: Path, small: ChestWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unfinished = killed_after(small, tmp_path, 36, monkeypatch)
    assert not (tmp_path / small.name).exists()
    assert len(list(unfinished.rglob("*.jpg"))) == 36

    first_batch = sum(map(len, small.groups()[:16]))
    drawn = count_films(monkeypatch)
    assert digest(small.write(tmp_path)) == digest(written)
    assert drawn == list(range(first_batch, 40))


@pytest.mark.parametrize("damage", ["half", "gone", "journal torn", "journal of something else"])
def test_what_a_kill_left_damaged_is_drawn_again(
    written: Path, small: ChestWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    unfinished = killed_after(small, tmp_path, 36, monkeypatch)
    film = unfinished / layout.image_path(small.groups()[0][0])
    journal = unfinished / "journal.jsonl"
    if damage == "half":
        film.write_bytes(film.read_bytes()[:200])
    elif damage == "gone":
        film.unlink()
    else:
        journal.write_text(journal.read_text()[:-9] if damage == "journal torn" else '[1]\n{"patient": "x"}\n')
    drawn = count_films(monkeypatch)

    assert digest(small.write(tmp_path)) == digest(written)
    assert drawn == list(range(40))


def test_a_generation_killed_with_its_processes_is_continued_by_the_next_job(written: Path, tmp_path: Path) -> None:
    knobs = {"studies": 40, "image_size": 64, "seed": 3, "test_share": 0.2, "validate_share": 0.1, "workers": 2}
    script = (
        f"from pathlib import Path; from cpo.world.chest import ChestWorld; ChestWorld(**{knobs}).write(Path.cwd())"
    )
    if_main = f"if __name__ == '__main__':\n    {script}\n"
    (tmp_path / "job.py").write_text(if_main)
    job = subprocess.Popen([sys.executable, "job.py"], cwd=tmp_path, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("*.jpg")) and time.monotonic() < deadline:
        time.sleep(0.01)
    job.kill()  # the parent alone: its workers have to notice
    job.wait()
    while alive(job.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(job.pid), "workers of a killed parent live on"

    world = ChestWorld(**knobs)
    assert digest(world.write(tmp_path)) == digest(written)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([f".{world.name}.lock", world.name, "job.py"])


def alive(session: int) -> bool:
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_folder_without_its_marker_is_refused(tmp_path: Path) -> None:
    world = ChestWorld(studies=8, image_size=64)
    (tmp_path / world.name / "truth").mkdir(parents=True)

    with pytest.raises(DataError, match=r"without its marker(.|\n)*rm -r"):
        world.write(tmp_path)


def test_a_root_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(DataError, match="a folder with room to write to"):
        ChestWorld(studies=8, image_size=64).write(tmp_path / "file" / "worlds")


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"studies": 7}, "studies=7"),
        ({"image_size": 32}, r"image_size in \[64, 1024\]"),
        ({"seed": -1}, "seed at least 0"),
        ({"workers": 0}, "workers=0"),
        ({"test_share": 0.0}, "test_share=0.0"),
        ({"test_share": 0.6, "validate_share": 0.5}, "test_share \\+ validate_share below 1"),
        ({"ap_share": 1.1}, "ap_share=1.1"),
        ({"difficulty": "medium"}, "difficulty one of easy, default, hard"),
        ({"jpeg_quality": 10}, "jpeg_quality=10"),
    ],
)
def test_a_knob_out_of_range_is_refused(knobs: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ChestWorld(**knobs)


def test_a_level_is_told_by_name_folder_and_marker(tmp_path: Path) -> None:
    world = ChestWorld(studies=8, image_size=64, difficulty="easy", workers=1)
    marker = json.loads((world.write(tmp_path) / "truth/world.json").read_text())

    assert world.name.startswith("chest_world-easy-")
    assert marker["knobs"]["difficulty"] == "easy"
    assert marker["difficulty"] == asdict(DIFFICULTIES["easy"]) | {"severities": [0.0, 0.25, 0.75]}


def test_what_a_level_means_is_part_of_its_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ChestWorld(difficulty="hard").fingerprint
    monkeypatch.setitem(DIFFICULTIES, "hard", replace(DIFFICULTIES["hard"], noise=0.05))

    assert ChestWorld(difficulty="hard").fingerprint != before


def test_levels_rise_in_everything_that_makes_a_world_hard() -> None:
    easy, default, hard = (DIFFICULTIES[name] for name in ("easy", "default", "hard"))
    for one, other in ((easy, default), (default, hard)):
        assert one.noise < other.noise
        assert one.nuisance < other.nuisance
        assert one.uncertain_share < other.uncertain_share
        assert one.severities[0] < other.severities[0]
        assert one.severities[2] > other.severities[2]
    assert all(sum(level.severities) == pytest.approx(1) for level in DIFFICULTIES.values())


def test_levels_show_the_same_patients_easy_ones_more_plainly() -> None:
    def faint(level: str) -> tuple[list[set[str]], int]:
        world = ChestWorld(studies=200, seed=1, difficulty=level)
        names = (ids for studies in world.groups() for ids in studies)
        studies = [world.record(index, ids, index)[0].causes for index, ids in enumerate(names)]
        grades = [f.severity for causes in studies for f in causes.findings if f.state is LabelState.PRESENT]
        return [set(causes.diseases) for causes in studies], grades.count("mild")

    diseases, mild = zip(*(faint(level) for level in ("easy", "default", "hard")), strict=True)
    assert diseases[0] == diseases[1] == diseases[2]
    assert 0 == mild[0] < mild[1] < mild[2]


def test_the_words_of_this_version_are_pinned() -> None:
    # a new digest means new worlds under old fingerprints: raise VERSION with it
    world = ChestWorld(studies=60, seed=1)
    text = []
    for patient, studies in enumerate(world.groups()):
        for ids in studies:
            study, report = world.record(len(text), ids, patient)
            text.append(json.dumps(study.record()) + report)

    assert hashlib.sha256("".join(text).encode()).hexdigest()[:16] == "c3e7afe5f8ba3bed"


def test_the_contact_sheet_shows_films(written: Path, tmp_path: Path) -> None:
    with Image.open(contact_sheet(written, 8, tmp_path / "new" / "sheet.png")) as sheet:
        pixels = np.asarray(sheet)

    tiles = pixels.reshape(2, -1, 6, 224).transpose(0, 2, 1, 3)[:, :, :224]
    shown = [tile.std() > 20 for row in tiles for tile in row]
    assert shown == [True] * 8 + [False] * 4


def test_a_contact_sheet_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the folder that ChestWorld\.write returned"):
        contact_sheet(tmp_path, 4, tmp_path / "sheet.png")
