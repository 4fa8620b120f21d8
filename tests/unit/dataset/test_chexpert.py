from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from PIL import Image

from cpo.dataset.chexpert import CHEXPERT5, LABELS, CheXpert
from cpo.errors import ConfigError, DataError
from cpo.records import LabelState
from tests.fixtures.mutations import fuzz, spoilt, survives

SAMPLES = Path(__file__).parents[4] / "shared/samples"
TEST = SAMPLES / "chexpert_test"
INVENTED = SAMPLES / "synthetic/chexpert"

HEADER = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *LABELS]


def row(name: str, base: str = "CheXpert-v1.0-small", view: str = "AP", **labels: str) -> list[str]:
    side = "Frontal" if "frontal" in name else "Lateral"
    cells = [labels.get(label.replace(" ", "_"), "") for label in LABELS]
    return [f"{base}/{name}", "Female", "61", side, view if side == "Frontal" else "", *cells]


TRAIN = [
    row("train/patient00001/study1/view1_frontal.jpg", Edema="1.0", Pneumonia="-1.0", Fracture="0.0"),
    row("train/patient00002/study1/view1_frontal.jpg", No_Finding="1.0", Support_Devices="1.0"),
    row("train/patient00002/study1/view2_lateral.jpg", No_Finding="1.0", Support_Devices="1.0"),
    row("train/patient00002/study2/view1_frontal.jpg", Pneumonia="-1.0"),
]
VALID = [row("valid/patient90001/study1/view1_frontal.jpg", Cardiomegaly="1.0")]
STUDIES = [
    ["CheXpert-v1.0/test/patient64741/study1", *"01110000000001"],
    ["CheXpert-v1.0/test/patient64743/study1", *"10000000000000"],
]


def table(header: list[str], rows: list[list[str]]) -> bytes:
    return "\n".join(",".join(cells) for cells in [header, *rows]).encode()  # no final newline, as released


def files(train: Any = TRAIN, valid: Any = VALID, studies: Any = STUDIES) -> dict[str, bytes]:
    return {
        "train.csv": table(HEADER, train),
        "valid.csv": table(HEADER, valid),
        "groundtruth.csv": table(["Study", *LABELS], studies),
    }


def write(root: Path, content: dict[str, bytes]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name, text in content.items():
        (root / name).write_bytes(text)
    return root


def reader(root: Path, **knobs: Any) -> CheXpert:
    defaults = {"name": "chexpert", "root": str(root), "access": "credentialed", "media": "optional"}
    return CheXpert(**defaults | knobs)


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4)).save(path)


def test_rows_become_samples_of_the_releases_own_splits(tmp_path: Path) -> None:
    dataset = reader(write(tmp_path, files()))
    first, *_ = dataset.samples("train")
    assert (first.id, first.group) == ("train/patient00001/study1/view1_frontal.jpg", "patient00001")
    assert first.metadata == {"sex": "Female", "age": "61", "side": "Frontal", "view": "AP"}
    assert first.results == ("Edema",)
    assert first.labels["Pneumonia"] is LabelState.UNCERTAIN
    assert first.labels["Fracture"] is LabelState.ABSENT
    assert first.labels["Atelectasis"] is LabelState.UNMENTIONED
    assert (first.provenance.file, first.provenance.row, first.provenance.access) == ("train.csv", "2", "credentialed")
    assert [s.results for s in dataset.samples("train")] == [
        ("Edema",),
        ("No Finding", "Support Devices"),
        ("No Finding",),
    ]
    assert dataset.quality().by_split == {"train": 3, "validate": 1, "test": 2}
    assert dataset.quality().excluded == {"no frontal view": 1}


def test_uncertain_labels_may_count_as_present(tmp_path: Path) -> None:
    samples = reader(write(tmp_path, files()), uncertain="present").samples("train")
    assert [s.results for s in samples][::2] == [("Edema", "Pneumonia"), ("Pneumonia",)]


def test_lateral_images_are_samples_when_asked_for(tmp_path: Path) -> None:
    quality = reader(write(tmp_path, files()), views="all").quality()
    assert (quality.by_split["train"], quality.excluded) == (4, {})


@pytest.mark.parametrize(("views", "shown"), [("frontal", ["view1_frontal.jpg"]), ("all", None)])
def test_a_test_study_shows_its_first_frontal_image_or_all(tmp_path: Path, views: str, shown: Any) -> None:
    write(tmp_path, files())
    names = ["view1_frontal.jpg", "view2_frontal.jpg", "view3_lateral.jpg"]
    for name in names:
        put(tmp_path / "test/patient64741/study1" / name)
    sample = reader(tmp_path, views=views).samples("test")[0]
    assert [Path(image.path).name for image in sample.images] == (shown or names)
    assert sample.results == ("Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Support Devices")


def test_a_test_study_without_a_frontal_image_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, files())
    put(tmp_path / "test/patient64741/study1/view1_lateral.jpg")
    assert reader(tmp_path).quality().excluded == {"no frontal view": 2}
    assert len(reader(tmp_path, views="all").samples("test")) == 2


@pytest.mark.parametrize("folder", ["", "CheXpert-v1.0", "CheXpert-v1.0-small"])
def test_the_root_is_the_release_or_the_folder_that_holds_it(tmp_path: Path, folder: str) -> None:
    write(tmp_path / folder, files())
    for cells in [*TRAIN, *VALID]:
        put(tmp_path / folder / cells[0].partition("/")[2])
    for cells in STUDIES:
        put(tmp_path / folder / cells[0].partition("/")[2] / "view1_frontal.jpg")
    assert reader(tmp_path, media="required").quality().samples == 6


@pytest.mark.parametrize("name", ["train.csv", "valid.csv", "groundtruth.csv"])
def test_any_one_table_will_do_and_is_told(tmp_path: Path, name: str) -> None:
    quality = reader(write(tmp_path, {name: files()[name]})).quality()
    assert quality.details["tables"] == [name]
    assert quality.samples


def test_the_test_labels_may_lie_in_the_test_folder(tmp_path: Path) -> None:
    write(tmp_path / "CheXpert-v1.0/test", {"groundtruth.csv": files()["groundtruth.csv"]})
    assert len(reader(tmp_path).samples("test")) == 2


def test_columns_are_read_by_name_whatever_their_order(tmp_path: Path) -> None:
    # the radiologists' files have Lung Lesion before Lung Opacity
    swapped = list(LABELS)
    swapped[3], swapped[4] = swapped[4], swapped[3]
    write(tmp_path, {"groundtruth.csv": table(["Study", *swapped], STUDIES)})
    assert "Lung Lesion" in reader(tmp_path).samples("test")[0].results


def test_a_file_of_predictions_with_five_columns_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, {"groundtruth.csv": table(["Study", *CHEXPERT5], [[STUDIES[0][0], *"00000"]])})
    with pytest.raises(DataError, match=r"groundtruth\.csv has no column No Finding"):
        reader(tmp_path).quality()


@pytest.mark.parametrize("text", [b"\xef\xbb\xbf%s", b"%s\r\n\r\n"])
def test_byte_order_marks_carriage_returns_and_blank_lines_do_no_harm(tmp_path: Path, text: bytes) -> None:
    write(tmp_path, {"train.csv": text % files()["train.csv"].replace(b"\n", b"\r\n")})
    assert (reader(tmp_path).quality().samples, reader(tmp_path).quality().quarantined) == (3, ())


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (TRAIN[0], "Path listed before"),
        (row("train/../secret/view1_frontal.jpg"), "not the path of an image of its part"),
        (row("valid/patient00009/study1/view1_frontal.jpg"), "not the path of an image of its part"),
        (row("train/patient00009/study1/view1_frontal.jpg", Edema="2"), "Edema is neither 1, 0, -1 nor blank"),
        (row("train/patient00009/study1/view1_frontal.jpg", Edema="nan"), "Edema is neither 1, 0, -1 nor blank"),
        (row("train/patient00009/study1/view1_frontal.jpg")[:-1], "number of cells differs from the header's"),
        (
            [cell if cell != "Frontal" else "Lateral" for cell in row("train/patient00009/study1/view1_frontal.jpg")],
            "Frontal/Lateral differs from Path",
        ),
    ],
)
def test_a_damaged_row_is_set_aside_with_its_line_and_reason(tmp_path: Path, cells: list[str], reason: str) -> None:
    quality = reader(write(tmp_path, files(train=[*TRAIN, cells])), quarantine_limit=1).quality()
    assert [(q.file, q.row, q.reason) for q in quality.quarantined] == [("train.csv", "6", reason)]
    assert quality.records == 8


def test_an_absent_image_is_set_aside_and_no_id_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="6 of 6 records of chexpert are damaged: image file missing") as caught:
        reader(write(tmp_path, files()), media="required").samples("test")
    assert "patient" not in str(caught.value)


def test_a_patient_in_two_splits_is_refused_without_being_named(tmp_path: Path) -> None:
    write(tmp_path, files(valid=[row("valid/patient00001/study9/view1_frontal.jpg")]))
    with pytest.raises(DataError, match=r"one group is in train \(train\.csv row 2\)") as caught:
        reader(tmp_path).samples("train")
    assert "patient00001" not in str(caught.value)


def test_scored_are_the_competitions_five_or_all_diseases(tmp_path: Path) -> None:
    assert reader(tmp_path).scored == CHEXPERT5
    assert set(LABELS) - set(reader(tmp_path, scored="all").scored) == {"No Finding", "Support Devices"}


@pytest.mark.parametrize("knobs", [{"uncertain": "drop"}, {"views": "AP"}, {"scored": "five"}, {"prompt": ""}])
def test_knobs_out_of_range_are_refused_at_once(tmp_path: Path, knobs: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        reader(tmp_path, **knobs)


def test_another_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no train\.csv, valid\.csv or groundtruth\.csv"):
        reader(tmp_path).quality()


@fuzz
@given(spoilt(files()))
def test_no_spoilt_copy_ends_in_a_crash(content: dict[str, bytes]) -> None:
    survives(content, lambda root: reader(root, quarantine_limit=1))


@pytest.mark.skipif(
    not TEST.is_dir(), reason="the excerpt of the test labels is not at ../shared/samples/chexpert_test"
)
@pytest.mark.parametrize("name", ["groundtruth.csv", "radiologists/benchmark_radiologists/bc4.csv"])
def test_counts_of_the_real_test_labels_equal_an_independent_count(tmp_path: Path, name: str) -> None:
    shutil.copy(TEST / name, tmp_path / "groundtruth.csv")
    with (TEST / name).open(newline="") as file:
        rows = list(csv.DictReader(file))
    positives = Counter(label for cells in rows for label in LABELS if float(cells[label]) == 1)
    none = sum(
        not any(float(c[label]) for label in LABELS if label not in ("No Finding", "Support Devices")) for c in rows
    )
    dataset = reader(tmp_path)
    quality = dataset.quality()
    assert (quality.records, quality.samples, quality.quarantined) == (len(rows), len(rows), ())
    assert {label: quality.labels[label]["present"] for label in LABELS} == {
        label: positives[label] for label in LABELS
    }
    assert sum("No Finding" in s.results for s in dataset.samples("test")) == none


@pytest.mark.skipif(
    not TEST.is_dir(), reason="the excerpt of the test labels is not at ../shared/samples/chexpert_test"
)
def test_the_real_labelers_table_has_all_four_states(tmp_path: Path) -> None:
    shutil.copy(TEST / "labeler/chexpert_labels.csv", tmp_path / "groundtruth.csv")
    with (tmp_path / "groundtruth.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    cells = Counter(cells[label] for cells in rows for label in LABELS)
    quality = reader(tmp_path).quality()
    states = Counter[str]()
    for label in LABELS:
        states.update(quality.labels[label])
    assert states == {
        "present": cells["1.0"],
        "absent": cells["0.0"],
        "uncertain": cells["-1.0"],
        "unmentioned": cells[""],
    }


@pytest.mark.skipif(not INVENTED.is_dir(), reason="the invented tables are not at ../shared/samples/synthetic/chexpert")
def test_the_invented_tables_are_read(tmp_path: Path) -> None:
    shutil.copy(INVENTED / "train_invented.csv", tmp_path / "train.csv")
    shutil.copy(INVENTED / "valid_invented.csv", tmp_path / "valid.csv")
    quality = reader(tmp_path, views="all").quality()
    assert quality.by_split == {"train": 1, "validate": 2, "test": 0}
    assert quality.quarantined == ()
