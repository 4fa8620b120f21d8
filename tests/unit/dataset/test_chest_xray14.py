from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from PIL import Image

from cpo.dataset.chest_xray14 import ChestXray14
from cpo.dataset.nih_release import FINDINGS, age_in_years
from cpo.errors import ConfigError, DataError
from cpo.records import LabelState
from tests.fixtures.mutations import fuzz, spoilt, survives

SAMPLES = Path(__file__).parents[4] / "shared/samples/nih_chestxray14"
needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="the excerpt of the release is not at ../shared/samples/nih_chestxray14"
)

HEADER = (
    b"Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    b"OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
OLD = HEADER + b"," + b"""
00000001_000.png,Cardiomegaly,000,00000001,058Y,M,PA,2682,2749,0.143,0.143
00000001_001.png,Cardiomegaly|Pleural_Thickening,001,00000001,058Y,M,PA,2894,2729,0.143,0.143
00000002_000.png,No Finding,000,00000002,412Y,F,AP,2500,2048,0.171,0.171
00000003_000.png,Hernia,000,00000003,009M,F,PA,2582,2991,0.143,0.143
""".replace(b"\n", b"\r\n")  # fmt: skip
NEW = HEADER + b"""
00000001_000.png,Cardiomegaly,0,1,57,M,PA,2682,2749,0.14300000000000002,0.14300000000000002
00000001_001.png,Cardiomegaly|Pleural_Thickening,1,1,58,M,PA,2894,2729,0.14300000000000002,0.14300000000000002
00000002_000.png,No Finding,0,2,80,F,AP,2500,2048,0.171,0.171
00000003_000.png,Hernia,0,3,0,F,PA,2582,2991,0.14300000000000002,0.14300000000000002
"""  # fmt: skip
OFFICIAL = {
    "train_val_list.txt": b"00000001_000.png\n00000001_001.png\n00000002_000.png\n",
    "test_list.txt": b"00000003_000.png\n",
}
CHEXNET = {"test_list.txt": b"00000001_000.png 0 1 0 0 0 0 0 0 0 0 0 0 0 0\n00000001_001.png" + b" 0" * 14}
BOXES = b"Image Index,Finding Label,Bbox [x,y,w,h],,,\n00000001_000.png,Infiltrate,225.0,547.0,86.7,79.1\n"


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def copy(**files: bytes) -> dict[str, bytes]:
    return {"Data_Entry_2017.csv": OLD, **OFFICIAL, **files}


def reader(root: Path, **knobs: Any) -> ChestXray14:
    defaults = {"name": "chest_xray14", "root": str(root), "access": "open", "media": "optional", "validate_share": 0}
    return ChestXray14(**defaults | knobs)


def test_both_versions_of_the_table_give_the_same_samples_but_for_ages(tmp_path: Path) -> None:
    old = reader(write(tmp_path / "old", copy()))
    new = reader(write(tmp_path / "new", {"Data_Entry_2017_v2020.csv": NEW, **OFFICIAL}))
    for split in ("train", "test"):
        for first, second in zip(old.samples(split), new.samples(split), strict=True):
            assert (first.id, first.group, first.results) == (second.id, second.group, second.results)
    assert [s.metadata["age"] for s in old.samples("train")] == ["58", "58", ""]
    assert [s.metadata["age"] for s in new.samples("train")] == ["57", "58", "80"]
    assert (old.quality().details["ages_impossible"], new.quality().details["ages_impossible"]) == (1, 0)


def test_a_row_becomes_a_sample(tmp_path: Path) -> None:
    dataset = reader(write(tmp_path, copy()))
    sample = dataset.samples("train")[1]
    assert (sample.id, sample.group) == ("00000001_001.png", "1")
    assert sample.factual.answer == "The disease of this patient is Cardiomegaly, Pleural_Thickening."
    assert sample.labels["Cardiomegaly"] is LabelState.PRESENT
    assert sample.labels["Mass"] is LabelState.UNMENTIONED
    assert sample.labels["No Finding"] is LabelState.ABSENT
    assert sample.metadata == {"age": "58", "sex": "M", "view": "PA"}
    assert (sample.provenance.file, sample.provenance.row) == ("Data_Entry_2017.csv", "3")
    normal = dataset.samples("train")[2]
    assert normal.results == ("No Finding",)
    assert normal.labels["Mass"] is LabelState.ABSENT


@pytest.mark.parametrize(
    ("cell", "years"),
    [("058Y", "58"), ("058", "58"), ("0", "0"), ("009M", "0"), ("023M", "1"), ("001D", "0"), ("120Y", "120")]
    + [(cell, "") for cell in ("412Y", "414", "148Y", "", "Y", "5y", "-1", "٣Y")],
)
def test_an_age_is_in_years_or_unknown(cell: str, years: str) -> None:
    assert age_in_years(cell) == years


def test_the_newer_table_is_read_unless_the_other_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path, copy(**{"Data_Entry_2017_v2020.csv": NEW}))
    assert reader(tmp_path).quality().details["entries"] == "Data_Entry_2017_v2020.csv"
    assert reader(tmp_path, entries="2017").quality().details["entries"] == "Data_Entry_2017.csv"


def test_the_official_lists_give_the_splits(tmp_path: Path) -> None:
    quality = reader(write(tmp_path, copy())).quality()
    assert quality.by_split == {"train": 3, "validate": 0, "test": 1}
    assert quality.details["test_list"] == "official (test_list.txt)"
    assert reader(tmp_path, validate_share=1).quality().by_split == {"train": 0, "validate": 3, "test": 1}


def test_chexnets_list_makes_every_other_image_one_for_training(tmp_path: Path) -> None:
    write(tmp_path, {"Data_Entry_2017.csv": OLD, **CHEXNET})
    quality = reader(tmp_path, test_list="chexnet").quality()
    assert quality.by_split == {"train": 2, "validate": 0, "test": 2}
    assert quality.details["test_list"] == "chexnet (test_list.txt)"
    assert quality.details["published"] == {"test": 22_433}
    # its second line lacks both findings of the entry table
    assert quality.details["labels_unlike_test_list"] == 1


def test_lists_are_told_apart_by_their_content(tmp_path: Path) -> None:
    write(tmp_path, {"Data_Entry_2017.csv": OLD, **CHEXNET})
    with pytest.raises(
        DataError, match=r"no official test_list\.txt, but dataset\.test_list=chexnet is there"
    ) as caught:
        reader(tmp_path).quality()
    assert caught.value.remedy.startswith("pass dataset.test_list=chexnet, or ")
    write(tmp_path, {**OFFICIAL, "labels/test_list.txt": CHEXNET["test_list.txt"]})
    assert reader(tmp_path).quality().by_split["test"] == 1
    assert reader(tmp_path, test_list="chexnet").quality().by_split["test"] == 2


def test_an_image_on_neither_list_is_left_out(tmp_path: Path) -> None:
    quality = reader(write(tmp_path, copy(**{"train_val_list.txt": b"00000001_000.png\n00000001_001.png"}))).quality()
    assert quality.excluded == {"on neither list": 1}


def test_a_patient_on_both_sides_of_a_list_is_refused(tmp_path: Path) -> None:
    write(tmp_path, copy(**{"test_list.txt": b"00000003_000.png\n00000001_001.png\n"}))
    write(tmp_path, {"train_val_list.txt": b"00000001_000.png\n00000002_000.png\n"})
    with pytest.raises(DataError, match="group '1' is in train"):
        reader(tmp_path).samples("train")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"00000001_000.png\n", "image on the test list before"),
        (b"nonsense\n", "line is not an image name, alone or with 14 labels"),
        (b"00000009_000.png 0 1\n", "line is not an image name, alone or with 14 labels"),
        (b"00000009_000.png\n", "listed image has no row in the entry table"),
    ],
)
def test_a_damaged_line_of_a_list_is_set_aside(tmp_path: Path, line: bytes, reason: str) -> None:
    lists = {**OFFICIAL, "test_list.txt": b"00000003_000.png\n00000001_000.png\n"}
    lists["train_val_list.txt"] = b"00000001_001.png\n\n00000002_000.png\n" + line
    quality = reader(write(tmp_path, copy(**lists)), quarantine_limit=1).quality()
    assert [(q.file, q.row, q.reason) for q in quality.quarantined] == [("train_val_list.txt", "4", reason)]
    assert quality.records == 4


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"00000003_000.png,Hernia,0,3,1,F,PA,1,1,1,1", "image listed before"),
        (b"00000003_001.png,Hernia,0,4,1,F,PA,1,1,1,1", "Patient ID differs from the one in Image Index"),
        (b"00000003_001.png,Hernia,0,X,1,F,PA,1,1,1,1", "Patient ID differs from the one in Image Index"),
        (b"../secret.png,Hernia,0,3,1,F,PA,1,1,1,1", "Image Index is not eight digits, three digits and .png"),
        (b"00000003_001.png,,0,3,1,F,PA,1,1,1,1", "Finding Labels holds a name that is none of the 14"),
        (b"00000003_001.png,Infiltrate,0,3,1,F,PA,1,1,1,1", "Finding Labels holds a name that is none of the 14"),
        (b"00000003_001.png,No Finding|Mass,0,3,1,F,PA,1,1,1,1", "No Finding beside a finding"),
        (b"00000003_001.png,Hernia,0,3,1,F,PA,1,1,1", "number of cells differs from the header's"),
    ],
)
def test_a_damaged_row_is_set_aside_with_its_line_and_reason(tmp_path: Path, row: bytes, reason: str) -> None:
    quality = reader(write(tmp_path, copy(**{"Data_Entry_2017.csv": OLD + row})), quarantine_limit=1).quality()
    assert [(q.file, q.row, q.reason) for q in quality.quarantined] == [("Data_Entry_2017.csv", "6", reason)]
    assert (quality.records, quality.samples) == (5, 4)


def test_the_brackets_of_the_box_tables_header_hold_commas(tmp_path: Path) -> None:
    quality = reader(write(tmp_path, copy(**{"BBox_List_2017.csv": BOXES}))).quality()
    assert quality.details["boxes"] == {"Infiltration": 1}
    assert quality.quarantined == ()


@pytest.mark.parametrize("folders", [["images"], ["images_001/images", "images_002/images"], ["images_001"]])
def test_films_are_found_in_one_folder_or_in_twelve(tmp_path: Path, folders: list[str]) -> None:
    write(tmp_path, copy())
    for number, name in enumerate(["00000001_000", "00000001_001", "00000002_000", "00000003_000"]):
        folder = tmp_path / folders[number % len(folders)]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(folder / f"{name}.png")
    assert reader(tmp_path, media="required").quality().samples == 4


@pytest.mark.parametrize("lost", ["Data_Entry_2017.csv", "train_val_list.txt", "test_list.txt"])
def test_a_part_that_is_not_there_is_named(tmp_path: Path, lost: str) -> None:
    write(tmp_path, {name: content for name, content in copy().items() if name != lost})
    with pytest.raises(DataError, match=lost.replace(".", r"\.")):
        reader(tmp_path).quality()


@pytest.mark.parametrize("knobs", [{"test_list": "carzero"}, {"entries": "2020"}, {"validate_share": 2}])
def test_knobs_out_of_range_are_refused_at_once(tmp_path: Path, knobs: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        reader(tmp_path, **knobs)


@fuzz
@given(spoilt(copy(**{"BBox_List_2017.csv": BOXES})))
def test_no_spoilt_copy_ends_in_a_crash(files: dict[str, bytes]) -> None:
    survives(files, lambda root: reader(root, quarantine_limit=1))


@fuzz
@given(spoilt({"Data_Entry_2017_v2020.csv": NEW, **CHEXNET}))
def test_no_spoilt_copy_with_chexnets_list_ends_in_a_crash(files: dict[str, bytes]) -> None:
    survives(files, lambda root: reader(root, quarantine_limit=1, test_list="chexnet"))


def rows_of(name: str) -> list[list[str]]:
    with (SAMPLES / name).open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))[1:]


@needs_samples
@pytest.mark.parametrize(("name", "odd"), [("Data_Entry_2017.csv", 11), ("Data_Entry_2017_v2020.csv", 0)])
def test_counts_of_the_real_tables_equal_an_independent_count(tmp_path: Path, name: str, odd: int) -> None:
    rows = rows_of(name)
    shutil.copy(SAMPLES / name, tmp_path)
    shutil.copy(SAMPLES / "BBox_List_2017.csv", tmp_path)
    tests = [row[0] for row in rows if int(row[0][:8]) % 5 == 0]
    (tmp_path / "test_list.txt").write_text("\n".join(tests))
    (tmp_path / "train_val_list.txt").write_text("\n".join(row[0] for row in rows if row[0] not in tests))
    quality = reader(tmp_path).quality()
    found = Counter(finding for row in rows for finding in row[1].split("|"))
    assert quality.quarantined == ()
    assert quality.records == quality.samples == len(rows)
    assert quality.by_split == {"train": len(rows) - len(tests), "validate": 0, "test": len(tests)}
    assert {label: quality.labels[label]["present"] for label in quality.labels} == {
        label: found[label] for label in (*FINDINGS, "No Finding")
    }
    assert quality.details["ages_impossible"] == odd
    assert quality.details["groups"] == len({row[0][:8] for row in rows})
    assert sum(quality.details["boxes"].values()) == len(rows_of("BBox_List_2017.csv"))


@needs_samples
def test_the_real_chexnet_list_agrees_with_the_table_of_its_time(tmp_path: Path) -> None:
    rows = rows_of("Data_Entry_2017.csv")
    lines = (SAMPLES / "chexnet_14col_test_list.txt").read_text().splitlines()
    names = {row[0] for row in rows}
    shutil.copy(SAMPLES / "Data_Entry_2017.csv", tmp_path)
    shutil.copy(SAMPLES / "chexnet_14col_test_list.txt", tmp_path / "test_list.txt")
    quality = reader(tmp_path, test_list="chexnet").quality()
    assert quality.details["test_list_images"] == len(lines)
    assert quality.details["labels_unlike_test_list"] == 0
    assert quality.by_split["test"] == sum(line.split()[0] in names for line in lines)
    # the excerpt of the table holds few of the listed images
    assert len(quality.quarantined) == sum(line.split()[0] not in names for line in lines)
