from __future__ import annotations

import ast
import csv
import io
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cpo.dataset.padchest import PadChest, strings
from cpo.errors import ConfigError, DataError
from cpo.records import LabelState
from cpo.sequence.pixels import read_image
from tests.fixtures.mutations import fuzz, spoilt, survives

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT.parent / "shared/samples"
TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"

HEADER = ["", "ImageID", "ImageDir", "StudyDate_DICOM", "PatientID", "PatientBirth", "PatientSex_DICOM", "Projection"]
HEADER += ["Report", "MethodLabel", "Labels", "Localizations", "LabelsLocalizationsBySentence", "labelCUIS"]


def row(number: int, labels: str, method: str = "Physician", **cells: str) -> dict[str, str]:
    usual = {
        "": str(number),
        "ImageID": f"1{number:03}_a.png",
        "ImageDir": str(number % 3),
        "StudyDate_DICOM": "20170124",
        "PatientID": str(100 + number // 2),
        "PatientBirth": "1953.0",
        "PatientSex_DICOM": "F",
        "Projection": "AP_horizontal",
        "Report": " escoliosis . sin hallazg ,\n pulmonar",
        "MethodLabel": method,
        "Labels": labels,
        "Localizations": "['loc left', ' loc lingula']",
        "LabelsLocalizationsBySentence": "[['scoliosis'], ['normal']]",
        "labelCUIS": "['C0036439' 'C0032285']",
    }
    return usual | cells


ROWS = [
    row(0, "['scoliosis']"),
    row(1, "['pneumonia', ' scoliosis ', '']"),
    row(2, "['normal']"),
    row(3, "[]"),
    row(4, "['goiter']", method="RNN_model"),
    row(5, "", method="", Report=""),
    row(6, "['suboptimal study', 'normal']", PatientBirth="None", labelCUIS="[]"),
]


def table(rows: list[dict[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def write(root: Path, rows: list[dict[str, str]] = ROWS) -> Path:
    (root / TABLE).write_bytes(table(rows))
    return root


def reader(root: Path, **knobs: Any) -> PadChest:
    defaults = {"name": "padchest", "root": str(root), "access": "credentialed", "media": "optional"}
    return PadChest(**defaults | knobs)


def test_a_row_becomes_a_sample(tmp_path: Path) -> None:
    first, second, *_ = reader(write(tmp_path)).samples("test")
    assert (first.id, first.group, first.split) == ("1000_a.png", "100", "test")
    assert first.factual.answer == "The disease of this patient is scoliosis."
    assert first.labels == {
        "pneumonia": LabelState.UNMENTIONED,
        "scoliosis": LabelState.PRESENT,
        "suboptimal study": LabelState.UNMENTIONED,
    }
    assert first.metadata == {
        "labelled_by": "Physician",
        "view": "AP_horizontal",
        "sex": "F",
        "born": "1953",
        "study_date": "20170124",
        "cuis": "C0036439; C0032285",
        "places": "loc left; loc lingula",
    }
    assert second.results == ("pneumonia", "scoliosis")
    assert first.provenance.access == "credentialed"


def test_normal_is_no_class_and_empty_lists_name_nothing(tmp_path: Path) -> None:
    dataset = reader(write(tmp_path))
    _, _, normal, empty, mixed = dataset.samples("test")
    assert normal.results == empty.results == ("No Finding",)
    assert set(normal.labels.values()) == {LabelState.ABSENT}
    assert set(empty.labels.values()) == {LabelState.UNMENTIONED}
    assert mixed.results == ("suboptimal study",)
    assert mixed.metadata["born"] == ""
    assert dataset.quality().details["empty_label_lists"] == 1


def test_the_physicians_part_leaves_the_networks_rows_out(tmp_path: Path) -> None:
    quality = reader(write(tmp_path)).quality()
    assert (quality.records, quality.samples) == (7, 5)
    assert quality.excluded == {"labelled by RNN_model": 1, "no list of labels": 1}
    whole = reader(tmp_path, subset="all")
    assert whole.labels == ("goiter", "pneumonia", "scoliosis", "suboptimal study")
    assert whole.quality().excluded == {"no list of labels": 1}


def test_rare_classes_are_those_with_few_positives_in_the_part(tmp_path: Path) -> None:
    write(tmp_path, [row(n, "['scoliosis', 'goiter']" if n < 10 else "['scoliosis', 'normal']") for n in range(11)])
    dataset = reader(tmp_path, classes="rare")
    assert dataset.scored == ("goiter",)
    assert dataset.labels == ("goiter", "scoliosis")
    assert dataset.quality().samples == 11
    assert dataset.quality().details["positives"] == {"goiter": 10, "scoliosis": 11}
    assert reader(tmp_path, classes="rare", rare_limit=11).scored == ("goiter", "scoliosis")
    with pytest.raises(DataError, match="no class with at most 9 positives"):
        reader(tmp_path, classes="rare", rare_limit=9).quality()


def test_classes_are_told_by_the_index_without_reading_again(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    knobs = {"index": str(tmp_path / "index"), "classes": "rare", "rare_limit": 1}
    first = reader(write(tmp_path / "copy"), **knobs)
    assert first.results == ("pneumonia", "scoliosis", "suboptimal study", "No Finding")
    second = reader(tmp_path / "copy", **knobs)
    second._build = None  # type: ignore[assignment,method-assign] # it must not be needed
    assert (second.scored, second.labels, second.results) == (first.scored, first.labels, first.results)
    assert list(second.samples("test")) == list(first.samples("test"))


def test_spellings_that_differ_in_case_are_one_class(tmp_path: Path) -> None:
    dataset = reader(write(tmp_path, [row(0, "['COPD signs']"), row(1, "['copd signs', 'Normal']")]))
    assert dataset.labels == ("COPD signs",)
    assert [s.results for s in dataset.samples("test")] == [("COPD signs",)] * 2


def test_shares_divide_patients_and_not_films(tmp_path: Path) -> None:
    write(tmp_path, [row(n, "['scoliosis']") for n in range(60)])
    dataset = reader(tmp_path, train_share=0.5, validate_share=0.2)
    by_split = {split: {s.group for s in dataset.samples(split)} for split in dataset.splits}
    assert all(by_split.values())
    assert sum(map(len, by_split.values())) == 30
    assert len(set().union(*by_split.values())) == 30


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("['C0024117' 'C0231819']", ("C0024117", "C0231819")),
        ("['C0024117'\n 'C0231819']", ("C0024117", "C0231819")),
        ("[['pneumonia'], ['normal', 'loc left']]", ("pneumonia", "normal", "loc left")),
        ("['costophrenic angle blunting', ' hemidiaphragm elevation']", None),
        ("[\"it's\", 'so']", ("it's", "so")),
        ("[]", ()),
        ("['', ' ']", ()),
    ],
)
def test_lists_of_python_and_of_numpy_are_read_alike(cell: str, found: Any) -> None:
    assert strings(cell) == (found or tuple(name.strip() for name in ast.literal_eval(cell) if name.strip()))


@pytest.mark.parametrize("cell", ["goiter", "['goiter'", "[goiter]", "['a' + 'b']", "nan", "{'a'}", "[1]", "[\"a']"])
def test_what_is_no_list_of_strings_is_none(cell: str) -> None:
    assert strings(cell) is None


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("ñé\xa0\n"), max_size=8)))
def test_any_list_that_python_writes_is_read(names: list[str]) -> None:
    assert strings(str(names)) == tuple(" ".join(name.split()) for name in names if name.strip())


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"ImageID": "1000_a.png"}, "image listed before"),
        ({"ImageID": "../../secret.png"}, "ImageID is not a file name"),
        ({"ImageDir": "zip"}, "without a PatientID, or with an ImageDir that is not a number"),
        ({"PatientID": ""}, "without a PatientID, or with an ImageDir that is not a number"),
        ({"MethodLabel": "radiologist"}, "MethodLabel is neither Physician nor RNN_model"),
        ({"Labels": "scoliosis"}, "Labels is not a list"),
        ({"Labels": "['scoliosis'"}, "Labels is not a list"),
    ],
)
def test_a_damaged_row_is_set_aside_with_its_line_and_reason(
    tmp_path: Path, cells: dict[str, str], reason: str
) -> None:
    rows = [*ROWS, row(90, "['scoliosis']") | cells]
    quality = reader(write(tmp_path, rows), quarantine_limit=1).quality()
    (quarantined,) = quality.quarantined
    # the reports of the rows before hold a line break each but one
    assert (quarantined.file, quarantined.row, quarantined.reason) == (TABLE, "16", reason)


def test_a_list_of_codes_that_is_none_is_counted_but_costs_no_film(tmp_path: Path) -> None:
    quality = reader(write(tmp_path, [row(0, "['scoliosis']", labelCUIS="C0036439")])).quality()
    assert (quality.samples, quality.details["lists_unread"]) == (1, 1)


@pytest.mark.parametrize("folder", ["0", "images/0", "images"])
def test_sixteen_bit_films_are_found_and_keep_their_greys(tmp_path: Path, folder: str) -> None:
    write(tmp_path, ROWS[:1])
    (tmp_path / folder).mkdir(parents=True)
    Image.fromarray(np.array([[0, 32_768, 65_535]], dtype=np.uint16)).save(tmp_path / folder / "1000_a.png")
    (sample,) = reader(tmp_path, media="required").samples("test")
    assert [read_image(sample.images[0]).getpixel((x, 0))[0] for x in range(3)] == [0, 128, 255]


def test_films_that_are_absent_empty_or_cut_off_are_set_aside(tmp_path: Path) -> None:
    write(tmp_path, ROWS[:3])
    Image.new("L", (64, 64), 7).save(tmp_path / "whole.png")
    for number, size in ((1, 0), (2, 40)):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / f"100{number}_a.png").write_bytes((tmp_path / "whole.png").read_bytes()[:size])
    quality = reader(tmp_path, media="required").quality()
    assert [q.reason for q in quality.quarantined] == ["image file missing", "image file empty", "image file cut off"]


@pytest.mark.parametrize(
    "knobs",
    [
        {"subset": "doctors"},
        {"classes": "20"},
        {"rare_limit": 0},
        {"train_share": 0.6, "validate_share": 0.6},
        {"access": "public"},
    ],
)
def test_knobs_out_of_range_are_refused_at_once(tmp_path: Path, knobs: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        reader(tmp_path, **knobs)


def test_another_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no PADCHEST_chest_x_ray"):
        reader(tmp_path).quality()


def test_padchest20_is_padchest_scored_on_its_rare_classes() -> None:
    configs = [
        yaml.safe_load((ROOT / f"conf/dataset/{name}.yaml").read_text(encoding="utf-8"))
        for name in ("padchest", "padchest20")
    ]
    assert {key for key in configs[0] if configs[0][key] != configs[1][key]} == {"name", "classes"}
    assert (configs[1]["classes"], configs[1]["rare_limit"], configs[1]["subset"]) == ("rare", 10, "physician")


@fuzz
@given(spoilt({TABLE: table(ROWS)}))
def test_no_spoilt_copy_ends_in_a_crash(files: dict[str, bytes]) -> None:
    survives(files, lambda root: reader(root, quarantine_limit=1, subset="all"))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the excerpt of the release is not at ../shared/samples/padchest")
def test_counts_of_the_real_rows_equal_an_independent_count(tmp_path: Path) -> None:
    source = SAMPLES / "padchest/pc_fixture_rows.csv"
    shutil.copy(source, tmp_path / TABLE)
    with source.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for subset, part in (("all", rows), ("physician", [r for r in rows if r["MethodLabel"] == "Physician"])):
        positives = Counter(name.strip() for r in part for name in set(ast.literal_eval(r["Labels"])))
        positives.pop("normal", None)
        dataset = reader(tmp_path, subset=subset)
        quality = dataset.quality()
        assert (quality.records, quality.samples, quality.quarantined) == (len(rows), len(part), ())
        assert quality.details["positives"] == dict(sorted(positives.items()))
        assert {name: quality.labels[name]["present"] for name in dataset.labels} == positives
    codes = [s.metadata["cuis"].split("; ") for s in reader(tmp_path).samples("test")]
    assert codes == [r["labelCUIS"].strip("[]").replace("'", "").split() for r in part]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the official header is not at ../shared/samples/synthetic/padchest")
def test_the_official_header_has_every_column_that_is_read(tmp_path: Path) -> None:
    header = (SAMPLES / "synthetic/padchest/header_official_order.csv").read_text(encoding="utf-8").strip().split(",")
    text = io.StringIO()
    writer = csv.DictWriter(text, header, restval="None", extrasaction="ignore")
    writer.writeheader()
    writer.writerow(ROWS[0])
    (tmp_path / TABLE).write_text(text.getvalue(), encoding="utf-8")
    assert reader(tmp_path).labels == ("scoliosis",)
