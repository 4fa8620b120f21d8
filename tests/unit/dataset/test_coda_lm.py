from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from PIL import Image

from cpo.dataset.coda_lm import CodaLM
from cpo.dataset.coda_release import PROMPTS, SUPER_CLASSES, Region
from cpo.errors import ConfigError, DataError
from cpo.records import LabelState
from cpo.sequence.pixels import read_image
from tests.fixtures.mutations import fuzz, spoilt, survives

SAMPLES = Path(__file__).parents[4] / "shared/samples/coda_lm"
real = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the excerpt of the release is not at ../shared/samples/coda_lm")

CONE = {"description and explanation": "An orange cone.", "box": [10, 20, 30, 40], "category_name": "traffic_cone"}
BUS = {"description and explanation": "A bus.", "box": [1, 2, 3, 4], "category_name": "bus"}


def annotation(
    description: str = "A red light at night.",
    suggestion: str = "The ego car should slow down.",
    regions: Mapping[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    general: dict[str, Any] = {
        "vehicles": [{"description": "A bus.", "explanation": "It is large."}],
        "vulnerable_road_users": [],
        "traffic signs": [],
        "traffic lights": [{"description": "A red light.", "explanation": "Stop."}],
        "traffic cones": [],
        "barriers": [],
        "other objects": [],
        "description and explanation": description,
    }
    regions = {"1": CONE} if regions is None else regions
    return {
        "general_perception": general,
        "region_perception": dict(regions),
        "driving_suggestion": suggestion,
        **changes,
    }


FILES = {
    "Train/val_0001.json": annotation(regions={"5": CONE, "6": BUS}),
    "Train/val_0002.json": annotation(regions={}),
    "Val/test_0003.json": annotation(suggestion="Come to a complete stop and yield to pedestrians."),
    "Test/test_0004.json": annotation(suggestion="Hum a song."),
}


def write(root: Path, files: Mapping[str, Any] = FILES, language: str = "CODA-LM", images: bool = True) -> Path:
    for name, content in files.items():
        path = root / language / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        folder, _, stem = Path(name).stem.partition("_")
        image = root / folder / "images" / f"{stem}.jpg"
        if images and stem:
            image.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (80, 80), "white").save(image)
    return root


def reader(root: Path, **knobs: Any) -> CodaLM:
    return CodaLM(**{"name": "coda_lm", "root": str(root), **knobs})


def test_a_scene_becomes_a_sample_with_perception_as_thinking_and_suggestion_as_answer(tmp_path: Path) -> None:
    first = reader(write(tmp_path)).samples("train")[0]
    assert (first.id, first.group, first.split) == ("Train/val_0001", "val_0001", "train")
    assert (first.factual.thinking, first.factual.answer) == ("A red light at night.", "The ego car should slow down.")
    assert Path(first.images[0].path) == tmp_path / "val/images/0001.jpg"
    assert first.results == ("slow down",)
    assert first.labels["slow down"] is LabelState.PRESENT
    assert first.labels["stop"] is LabelState.UNMENTIONED
    assert (first.metadata["traffic_lights"], first.metadata["barriers"]) == ("1", "0")
    assert (first.metadata["night"], first.metadata["bus_lane"], first.metadata["reference"]) == (
        "told",
        "untold",
        "given",
    )
    assert (first.provenance.file, first.provenance.row) == ("CODA-LM/Train/val_0001.json", "1")


def test_each_split_reads_its_folder_and_its_images(tmp_path: Path) -> None:
    dataset = reader(write(tmp_path))
    (validate,), (test,) = dataset.samples("validate"), dataset.samples("test")
    assert Path(validate.images[0].path).parts[-3:] == ("test", "images", "0003.jpg")
    assert validate.results == ("stop", "give way")
    assert test.results == (), "no action that is known"


def test_the_folder_of_a_generated_world_is_found(tmp_path: Path) -> None:
    write(tmp_path / "CODA")
    assert reader(tmp_path).samples("train")[0].provenance.file == "CODA/CODA-LM/Train/val_0001.json"


def test_a_listed_suggestion_names_exactly_its_actions(tmp_path: Path) -> None:
    suggestion = "The ego car should stop, move left."
    dataset = reader(write(tmp_path, {"Train/val_0001.json": annotation(suggestion=suggestion)}), answers="listed")
    (sample,) = dataset.samples("train")
    assert sample.results == ("stop", "move left")
    assert dataset.answers.write(sample.results) == suggestion


def test_the_general_perception_is_an_answer_of_its_own(tmp_path: Path) -> None:
    dataset = reader(write(tmp_path), task="general_perception")
    sample = dataset.samples("train")[0]
    assert (sample.factual.thinking, sample.factual.answer) == ("", "A red light at night.")
    assert (sample.results, dict(sample.labels), dataset.labels, dataset.scored) == ((), {}, (), ())


def test_a_region_is_shown_by_a_red_box(tmp_path: Path) -> None:
    dataset = reader(write(tmp_path), task="region_perception")
    cone, bus = dataset.samples("train")
    assert (cone.id, cone.group, bus.id) == ("Train/val_0001#5", "val_0001", "Train/val_0001#6")
    assert (cone.metadata["region"], cone.metadata["category"], cone.metadata["super_class"]) == (
        "5",
        "traffic_cone",
        "traffic_cone",
    )
    pixels = np.asarray(read_image(cone.images[0])).astype(int)
    red = pixels[..., 0] - pixels[..., 1] > 100
    assert red[[20, 60, 20, 50], [10, 40, 25, 10]].all(), "the edges, by row and column"
    assert not red[[40, 5, 70], [25, 5, 50]].any()
    assert dataset.quality().excluded == {"no region": 1}
    assert dataset.quality().records == 4


def test_super_classes_hold_every_category_once_and_the_rest_is_miscellaneous() -> None:
    everything = [name for members in SUPER_CLASSES.values() for name in members]
    assert len(everything) == len(set(everything)) == 22
    assert Region("", (0, 0, 1, 1), "suitcace").super_class == "miscellaneous"
    assert Region("", (0, 0, 1, 1), "moped").super_class == "vru"


def test_gaps_empty_regions_and_missing_categories_are_counted_and_kept(tmp_path: Path) -> None:
    lacking = annotation()
    del lacking["general_perception"]["barriers"]
    quality = reader(write(tmp_path, {**FILES, "Train/val_0009.json": lacking})).quality()
    counts = ("regions", "files_with_gaps", "files_without_regions", "files_lacking_categories")
    assert [quality.details[name] for name in counts] == [5, 1, 1, 1]
    assert quality.samples == 5


def test_keys_out_of_order_are_no_gap(tmp_path: Path) -> None:
    regions = {"2": CONE, "1": BUS}
    dataset = reader(write(tmp_path, {"Train/val_0001.json": annotation(regions=regions)}), task="region_perception")
    assert dataset.quality().details["files_with_gaps"] == 0
    assert [s.metadata["region"] for s in dataset.samples("train")] == ["2", "1"]


def test_a_split_with_blank_references_can_be_generated_for_but_not_scored(tmp_path: Path) -> None:
    blank = annotation("", "", {"1": {**CONE, "description and explanation": "", "category_name": ""}})
    files = {**FILES, "Test/test_0004.json": blank, "Test/test_0005.json": blank}
    for task in PROMPTS["english"]:
        dataset = reader(write(tmp_path, files), task=task)
        assert dataset.quality().details["blank_references"] == ["test"]
        samples = dataset.samples("test")
        assert [(s.metadata["reference"], s.factual.answer) for s in samples] == [("blank", "")] * 2
        dataset.check_references("train")
        with pytest.raises(DataError, match="blank references throughout the test split"):
            dataset.check_references("test")


def test_one_blank_reference_among_others_is_damage(tmp_path: Path) -> None:
    write(tmp_path, {**FILES, "Train/val_0009.json": annotation(suggestion=" ")})
    (found,) = reader(tmp_path, quarantine_limit=1).quality().quarantined
    assert (found.file, found.reason) == ("CODA-LM/Train/val_0009.json", "blank reference")


def test_one_text_in_the_other_language_is_damage(tmp_path: Path) -> None:
    long = "There is a car ahead, which the ego car has to keep its distance from. " * 5
    write(tmp_path, {**FILES, "Train/val_0009.json": annotation(long, "自车应当减速。")})
    (found,) = reader(tmp_path, quarantine_limit=1).quality().quarantined
    assert (found.file, found.reason) == ("CODA-LM/Train/val_0009.json", "text is not English")


DAMAGES: dict[str, tuple[str, Any]] = {
    "annotation not JSON": ("Train/val_0009.json", '{"general_perception": {'),
    "annotation empty": ("Train/val_0009.json", " "),
    "annotation is no JSON object": ("Train/val_0009.json", "[]"),
    "no driving_suggestion": ("Train/val_0009.json", {"general_perception": {}}),
    "general_perception is no JSON object": ("Train/val_0009.json", annotation(general_perception=[])),
    "general_perception is no text": ("Train/val_0009.json", annotation(general_perception={})),
    "driving_suggestion is no text": ("Train/val_0009.json", annotation(driving_suggestion=None)),
    "driving_suggestion not Unicode": ("Train/val_0009.json", annotation(driving_suggestion="\ud800")),
    "region_perception is no JSON object": ("Train/val_0009.json", annotation(region_perception=[])),
    "file name is not <image folder>_<image>.json": ("Train/0009.json", annotation()),
    "image folder is not val, which Train has": ("Train/test_0009.json", annotation()),
    "text is not English": ("Train/val_0009.json", annotation("前方路口可见绿色交通灯。", "减速。")),
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_a_damaged_file_is_set_aside_with_its_reason(tmp_path: Path, reason: str) -> None:
    name, content = DAMAGES[reason]
    quality = reader(write(tmp_path, {**FILES, name: content}), quarantine_limit=1).quality()
    assert [(q.file, q.row, q.reason) for q in quality.quarantined] == [(f"CODA-LM/{name}", "1", reason)]
    assert (quality.records, quality.samples) == (5, 4)


@pytest.mark.parametrize(
    ("key", "region", "reason"),
    [
        ("2", {}, "region without a box of four numbers"),
        ("2", [], "region is no JSON object"),
        ("2", {**CONE, "box": [1, 2, 3]}, "region without a box of four numbers"),
        ("2", {**CONE, "box": [1, 2, 3, float("nan")]}, "region without a box of four numbers"),
        ("2", {**CONE, "box": [1, 2, 3, True]}, "region without a box of four numbers"),
        ("2", {**CONE, "box": [1, 2, 0, 4]}, "box of a region outside its image or empty"),
        ("2", {**CONE, "box": [-1, 2, 3, 4]}, "box of a region outside its image or empty"),
        ("two", CONE, "key of a region is no number"),
        ("2", {**CONE, "description and explanation": ""}, "blank reference"),
        ("2", {**CONE, "category_name": None}, "category_name is no text"),
    ],
)
def test_a_damaged_region_leaves_the_others_of_its_file(tmp_path: Path, key: str, region: Any, reason: str) -> None:
    write(tmp_path, {"Train/val_0001.json": annotation(regions={"1": CONE, key: region})})
    quality = reader(tmp_path, task="region_perception", quarantine_limit=1).quality()
    assert [(q.row, q.reason) for q in quality.quarantined] == [("2", reason)]
    assert quality.samples == 1
    assert reader(tmp_path).quality().quarantined == (), "a suggestion does not need its regions"


def test_missing_and_spoilt_images_are_damage_unless_media_are_optional(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "val/images/0001.jpg").unlink()
    (tmp_path / "val/images/0002.jpg").write_bytes(b"")
    whole = (tmp_path / "test/images/0003.jpg").read_bytes()
    (tmp_path / "test/images/0003.jpg").write_bytes(whole[: len(whole) // 2])
    reasons = {q.reason for q in reader(tmp_path, quarantine_limit=1).quality().quarantined}
    assert reasons == {"image file missing", "image file empty", "image file cut off"}
    optional = reader(tmp_path, media="optional", quarantine_limit=1).quality()
    assert optional.details["media_absent"] == 1
    assert "image file missing" not in {q.reason for q in optional.quarantined}


def test_mini_is_read_only_on_request(tmp_path: Path) -> None:
    write(tmp_path, {**FILES, "Mini/test_0007.json": annotation()})
    assert [s.id for s in reader(tmp_path).samples("validate")] == ["Val/test_0003"]
    assert [s.id for s in reader(tmp_path, mini=True).samples("validate")] == ["Mini/test_0007"]


def test_chinese_texts_are_read_with_a_chinese_prompt_and_english_ones_refused(tmp_path: Path) -> None:
    chinese = annotation("前方路口可见绿色交通灯。", "减速并保持车距。")
    write(tmp_path, {"Train/val_0001.json": chinese, "Train/val_0002.json": annotation()}, language="CODA-LM-chinese")
    dataset = reader(tmp_path, language="chinese", quarantine_limit=1)
    (sample,) = dataset.samples("train")
    assert sample.prompt == PROMPTS["chinese"]["driving_suggestion"]
    assert sample.factual.answer == "减速并保持车距。"
    assert [q.reason for q in dataset.quality().quarantined] == ["text is not Chinese"]


def questions(*rows: Any) -> str:
    return "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)


def question(number: int, image: str, **more: Any) -> dict[str, Any]:
    return {"question_id": number, "image": image, "question": "What now?", "answer": "Slow down.", **more}


def test_questions_of_the_releases_own_script_give_the_same_samples(tmp_path: Path) -> None:
    write(tmp_path)
    texts = tmp_path / "CODA-LM/Train/vqa_anno"
    texts.mkdir()
    (texts / "driving_suggestion.jsonl").write_text(
        questions(question(0, "val/images/0001.jpg"), question(1, "val/images/0002.jpg", answer="Speed up."))
    )
    (texts / "general_perception.jsonl").write_text(
        questions(question(0, "val/images/0001.jpg", answer="A red light."))
    )
    first, second = reader(tmp_path, annotations="vqa").samples("train")
    assert (first.id, first.prompt, first.results) == ("Train/val_0001", "What now?", ("slow down",))
    assert (first.factual.thinking, second.factual.thinking) == ("A red light.", "")
    assert (first.provenance.file, second.provenance.row) == ("CODA-LM/Train/vqa_anno/driving_suggestion.jsonl", "2")
    own = reader(tmp_path, annotations="vqa", prompt="Mine.").samples("train")[0]
    assert own.prompt == "Mine."


def test_region_questions_show_the_images_with_boxes_and_blank_answers_are_told(tmp_path: Path) -> None:
    texts = tmp_path / "CODA-LM/Test/vqa_anno"
    texts.mkdir(parents=True)
    row = question(0, "test/images_w_boxes/0087_object_3.jpg")
    del row["answer"]
    (texts / "region_perception.jsonl").write_text(questions(row))
    dataset = reader(tmp_path, annotations="vqa", task="region_perception", media="optional")
    (sample,) = dataset.samples("test")
    assert (sample.id, sample.group, sample.metadata["region"]) == ("Test/test_0087#3", "test_0087", "3")
    assert sample.images[0].path.endswith("test/images_w_boxes/0087_object_3.jpg")
    details = dataset.quality().details
    assert (details["blank_references"], details["regions"]) == (["test"], 1)
    assert "published" not in details  # a number of files, which these rows are not


@pytest.mark.parametrize(("mini", "published"), [(False, 9_768), (True, 5_434)])
def test_the_published_size_is_that_of_the_parts_that_are_read(tmp_path: Path, mini: bool, published: int) -> None:
    quality = reader(write(tmp_path, FILES), mini=mini, quarantine_limit=1).quality()
    assert quality.details["published"] == {"records": published}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{\n", "line not JSON"),
        ("7\n", "line is no JSON object"),
        (question(0, "val/images/0002.jpg"), "question_id is no number, or listed before"),
        (question(9, "val/images/0001.jpg"), "image asked about before"),
        (question(9, "0002.jpg"), "image is not <image folder>/images/<image>.jpg"),
        (question(9, "val/images/../../0002.jpg"), "image is not <image folder>/images/<image>.jpg"),
        (question(9, "test/images/0002.jpg"), "image folder is not val, which Train has"),
        (question(9, "val/images/0002.jpg", question=" "), "blank question"),
        (question(9, "val/images/0002.jpg", answer=""), "blank reference"),
    ],
)
def test_a_damaged_question_is_set_aside_with_its_line(tmp_path: Path, row: Any, reason: str) -> None:
    texts = tmp_path / "CODA-LM/Train/vqa_anno"
    texts.mkdir(parents=True)
    (texts / "driving_suggestion.jsonl").write_text(questions(question(0, "val/images/0001.jpg"), "\n", row))
    quality = reader(tmp_path, annotations="vqa", media="optional", quarantine_limit=1).quality()
    assert [(q.row, q.reason) for q in quality.quarantined] == [("3", reason)]
    assert (quality.records, quality.samples) == (2, 1)


def test_a_folder_without_the_release_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no CODA-LM/"):
        reader(tmp_path).quality()
    with pytest.raises(DataError, match="no such folder"):
        reader(tmp_path / "nowhere").quality()
    write(tmp_path)
    with pytest.raises(DataError, match="no vqa_anno"):
        reader(tmp_path, annotations="vqa").quality()


@pytest.mark.parametrize(
    "knobs", [{"task": "planning"}, {"language": "german"}, {"annotations": "csv"}, {"answers": "free"}]
)
def test_knobs_out_of_range_are_refused_at_once(tmp_path: Path, knobs: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        reader(tmp_path, **knobs)


def as_bytes(files: Mapping[str, Any]) -> dict[str, bytes]:
    return {f"CODA-LM/{name}": json.dumps(content, indent=0).encode() for name, content in files.items()}


@fuzz
@given(spoilt(as_bytes(FILES)))
def test_no_spoilt_annotation_ends_in_a_crash(files: dict[str, bytes]) -> None:
    for task in ("driving_suggestion", "region_perception"):
        survives(
            files,
            lambda root, task=task: reader(root, task=task, media="optional", quarantine_limit=1),  # type: ignore[misc]
            free_text=True,
        )


VQA = {
    f"CODA-LM/{split}/vqa_anno/driving_suggestion.jsonl": questions(
        *(question(n, f"{folder}/images/000{n}.jpg") for n in range(3))
    ).encode()
    for split, folder in (("Train", "val"), ("Val", "test"))
}


@fuzz
@given(spoilt(VQA))
def test_no_spoilt_question_ends_in_a_crash(files: dict[str, bytes]) -> None:
    survives(files, lambda root: reader(root, annotations="vqa", media="optional", quarantine_limit=1), free_text=True)


@real
def test_counts_of_the_real_files_equal_an_independent_count() -> None:
    documents = {
        split: [json.loads(path.read_text()) for path in sorted((SAMPLES / "CODA-LM" / split).glob("*.json"))]
        for split in ("Train", "Val", "Test")
    }
    everything = [d for some in documents.values() for d in some]
    keys = [list(d["region_perception"]) for d in everything]
    quality = reader(SAMPLES, media="optional").quality()
    assert quality.quarantined == ()
    assert (
        quality.by_split
        == {"train": 120, "validate": 80, "test": 40}
        == dict(zip(("train", "validate", "test"), map(len, documents.values()), strict=True))
    )
    assert quality.details["blank_references"] == ["test"]
    assert not any(d["driving_suggestion"] for d in documents["Test"])
    assert quality.details["regions"] == sum(map(len, keys))
    assert quality.details["files_without_regions"] == sum(not k for k in keys)
    assert quality.details["files_with_gaps"] == sum({*map(int, k)} != {*range(1, len(k) + 1)} for k in keys)
    assert quality.details["files_lacking_categories"] == sum(len(d["general_perception"]) < 8 for d in everything)
    regions = reader(SAMPLES, media="optional", task="region_perception")
    assert regions.quality().samples == sum(map(len, keys))
    found = Counter(s.metadata["category"] for split in regions.splits for s in regions.samples(split))
    assert found == Counter(r["category_name"] for d in everything for r in d["region_perception"].values())


@real
def test_real_suggestions_are_read_word_for_word_and_name_actions() -> None:
    dataset = reader(SAMPLES, media="optional")
    for split, folder in (("train", "Train"), ("validate", "Val")):
        for sample in dataset.samples(split):
            document = json.loads((SAMPLES / f"CODA-LM/{folder}" / f"{sample.group}.json").read_text())
            assert sample.factual.answer == document["driving_suggestion"].strip()
            assert sample.factual.thinking == document["general_perception"]["description and explanation"].strip()
    named = [bool(s.results) for split in ("train", "validate") for s in dataset.samples(split)]
    assert sum(named) / len(named) > 0.95


@real
def test_real_chinese_files_are_read() -> None:
    dataset = reader(SAMPLES, media="optional", language="chinese", mini=True)
    assert dataset.quality().quarantined == ()
    assert len(dataset.samples("validate")) == len(list((SAMPLES / "CODA-LM-chinese/Mini").glob("*.json"))) == 4
    refused = reader(SAMPLES, media="optional", mini=True, language="chinese", task="region_perception").quality()
    assert refused.quarantined == ()
