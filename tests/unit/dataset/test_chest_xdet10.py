from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cpo.dataset.chest_xdet10 import CLASSES, ChestXDet10
from cpo.errors import ConfigError, DataError
from cpo.records import LabelState
from tests.fixtures.mutations import fuzz, spoilt, survives

SAMPLES = Path(__file__).parents[4] / "shared/samples/chestx_det10"

TRAIN = [
    {"file_name": f"{36_200 + number}.png", "syms": syms, "boxes": [[10, 20, 30, 40]] * len(syms)}
    for number, syms in enumerate([["Mass"], [], ["Effusion", "Effusion", "Nodule"], ["Fracture"], ["Fibrosis"], []])
]
TEST = [{"file_name": "40000.png", "syms": ["Atelectasis"], "boxes": [[1, 2, 1024, 1024]]}]


def reader(root: Path, **knobs: Any) -> ChestXDet10:
    return ChestXDet10(
        **{"name": "chest_xdet10", "root": str(root), "access": "open", "media": "optional", **knobs},
    )


def write(root: Path, train: Any = TRAIN, test: Any = TEST) -> Path:
    (root / "train.json").write_text(train if isinstance(train, str) else json.dumps(train), encoding="utf-8")
    (root / "test.json").write_text(json.dumps(test), encoding="utf-8")
    return root


def test_boxes_become_present_labels_and_the_other_classes_are_absent(tmp_path: Path) -> None:
    samples = reader(write(tmp_path), validate_share=0).samples("train")
    assert [s.results for s in samples[:3]] == [("Mass",), ("No Finding",), ("Effusion", "Nodule")]
    assert samples[2].factual.answer == "The disease of this patient is Effusion, Nodule."
    assert samples[2].factual.thinking == ""
    assert samples[0].labels["Mass"] is LabelState.PRESENT
    assert samples[0].labels["Nodule"] is LabelState.ABSENT
    assert json.loads(samples[2].metadata["boxes"])["Effusion"] == [[10, 20, 30, 40]] * 2
    assert (samples[2].provenance.file, samples[2].provenance.row) == ("train.json", "3")


def test_validation_is_taken_from_train_and_never_from_test(tmp_path: Path) -> None:
    dataset = reader(write(tmp_path), validate_share=1)
    assert dataset.quality().by_split == {"train": 0, "validate": 6, "test": 1}


@pytest.mark.parametrize("folder", ["train_data", "train", "images"])
def test_films_are_found_in_the_folders_of_either_download(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    for record in TRAIN:
        Image.new("L", (4, 4)).save(tmp_path / folder / record["file_name"])
    dataset = reader(write(tmp_path, test=[]), media="required", validate_share=0)
    assert dataset.quality().quarantined == ()
    assert Path(dataset.samples("train")[0].images[0].path).is_file()


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("36200.png", "not a record with a file_name"),
        ({"file_name": "../1.png", "syms": [], "boxes": []}, "file_name is not a file name"),
        ({"file_name": "36201.png", "syms": [], "boxes": []}, "image listed before"),
        ({"file_name": "1.png", "syms": ["Mass"], "boxes": []}, "not one box for each label"),
        ({"file_name": "1.png"}, "not one box for each label"),
        ({"file_name": "1.png", "syms": ["mass"], "boxes": [[1, 2, 3, 4]]}, "a label is none of the ten classes"),
        *(
            (
                {"file_name": "1.png", "syms": ["Mass"], "boxes": [box]},
                "a box is not four integers x1 < x2, y1 < y2 on the film",
            )
            for box in ([1, 2, 3], [3, 2, 1, 4], [1, 4, 3, 2], [1, 2, 3, 1025], [1.5, 2, 3, 4], [True, 2, 3, 4], None)
        ),
    ],
)
def test_a_damaged_record_is_set_aside_with_its_place_and_reason(tmp_path: Path, record: Any, reason: str) -> None:
    quality = reader(write(tmp_path, train=[*TRAIN, record]), quarantine_limit=1).quality()
    assert [(q.file, q.row, q.reason) for q in quality.quarantined] == [("train.json", "7", reason)]
    assert (quality.records, quality.samples) == (8, 7)


def test_a_film_in_both_parts_is_set_aside_in_the_second(tmp_path: Path) -> None:
    quality = reader(write(tmp_path, test=[*TEST, TRAIN[0]])).quality()
    assert [(q.file, q.row) for q in quality.quarantined] == [("test.json", "2")]


@pytest.mark.parametrize("text", ["", "{}", '[{"file_name": "1.png", ', "[1] 2"])
def test_malformed_json_is_said_with_its_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"train\.json is"):
        reader(write(tmp_path, train=text)).quality()


def test_another_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no train\.json and test\.json"):
        reader(tmp_path).quality()


@pytest.mark.parametrize("knobs", [{"validate_share": 1.2}, {"validate_share": -0.1}, {"prompt": " "}])
def test_knobs_out_of_range_are_refused_at_once(tmp_path: Path, knobs: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        reader(tmp_path, **knobs)


@fuzz
@given(spoilt({"train.json": json.dumps(TRAIN, indent=0).encode(), "test.json": json.dumps(TEST).encode()}))
def test_no_spoilt_copy_ends_in_a_crash(files: dict[str, bytes]) -> None:
    survives(files, lambda root: reader(root, quarantine_limit=1))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["Mass", "2.png"]),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.sampled_from(sorted(TEST[0])), values),
    max_leaves=6,
)
RECORD = st.fixed_dictionaries({"file_name": JSON | st.just("1.png"), "syms": JSON, "boxes": JSON}) | JSON


@fuzz
@given(st.lists(RECORD | st.sampled_from(TRAIN), max_size=5))
def test_records_of_any_shape_are_read_or_set_aside(records: list[Any]) -> None:
    files = {"train.json": json.dumps(TRAIN + records).encode(), "test.json": b"[]"}
    assert survives(files, lambda root: reader(root, quarantine_limit=1))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the excerpt of the release is not at ../shared/samples/chestx_det10")
def test_counts_of_the_real_files_equal_an_independent_count() -> None:
    records = {part: json.loads((SAMPLES / f"{part}.json").read_text()) for part in ("train", "test")}
    positives = Counter(name for part in records.values() for record in part for name in set(record["syms"]))
    none = sum(not record["syms"] for part in records.values() for record in part)
    dataset = reader(SAMPLES)
    quality = dataset.quality()
    assert quality.quarantined == ()
    assert quality.records == quality.samples == sum(map(len, records.values())) == 1_772
    assert quality.by_split["test"] == len(records["test"])
    assert {c: quality.labels[c]["present"] for c in CLASSES} == {c: positives[c] for c in CLASSES}
    assert quality.details["boxes"] == sum(len(record["boxes"]) for part in records.values() for record in part)
    assert quality.details["groups_by_results"]["0"] == none
    assert {s.results for s in dataset.samples("test") if not any(json.loads(s.metadata["boxes"]))} == {("No Finding",)}
