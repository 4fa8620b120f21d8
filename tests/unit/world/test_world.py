"""The written world: official layout, truth, determinism, refusals."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cpo.errors import ConfigError, DataError
from cpo.graph.schema import ConceptGraph
from cpo.records import LabelState
from cpo.world.chest import ChestWorld, contact_sheet, layout, read

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
    patients = ChestWorld(studies=2000, test_share=0.1, validate_share=0.05).patients()
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

    assert marker["fingerprint"] == small.fingerprint == written.name.removeprefix("chest_world-")
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
        "uncertain_share": 0.1,
        "severities": [0.5, 0.25, 0.25],
        "noise": 0.03,
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
        ({"severities": (0.5, 0.5)}, "three shares"),
        ({"severities": (0.5, 0.6, -0.1)}, "three shares"),
        ({"noise": 0.5}, "noise=0.5"),
        ({"jpeg_quality": 10}, "jpeg_quality=10"),
    ],
)
def test_a_knob_out_of_range_is_refused(knobs: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ChestWorld(**knobs)


def test_the_words_of_this_version_are_pinned() -> None:
    # a new digest means new worlds under old fingerprints: raise VERSION with it
    world = ChestWorld(studies=60, seed=1)
    text = []
    for patient, studies in enumerate(world.patients()):
        for ids in studies:
            study, report = world.study(len(text), ids, patient)
            text.append(json.dumps(study.record()) + report)

    assert hashlib.sha256("".join(text).encode()).hexdigest()[:16] == "f85db5b60bd72441"


def test_the_contact_sheet_shows_films(written: Path, tmp_path: Path) -> None:
    with Image.open(contact_sheet(written, 8, tmp_path / "new" / "sheet.png")) as sheet:
        pixels = np.asarray(sheet)

    tiles = pixels.reshape(2, -1, 6, 224).transpose(0, 2, 1, 3)[:, :, :224]
    shown = [tile.std() > 20 for row in tiles for tile in row]
    assert shown == [True] * 8 + [False] * 4


def test_a_contact_sheet_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the folder that ChestWorld\.write returned"):
        contact_sheet(tmp_path, 4, tmp_path / "sheet.png")
