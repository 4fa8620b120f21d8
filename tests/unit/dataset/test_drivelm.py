from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from PIL import Image

from cpo.dataset.drivelm import DriveLM
from cpo.dataset.drivelm_release import CAMERAS, TASKS
from cpo.errors import ConfigError, DataError
from tests.fixtures.mutations import fuzz, spoilt, survives

SAMPLES = Path(__file__).parents[4] / "shared/samples/drivelm"
real = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the excerpt of the release is not at ../shared/samples/drivelm")

TAGGED = "Is <c1,CAM_BACK,1088.3,497.5> a traffic sign or a road barrier?"
NOTHING = {"C": None, "con_up": None, "con_down": None, "cluster": None, "layer": None}


def path_of(camera: str, frame: str = "f") -> str:
    return f"../nuscenes/samples/{camera}/n008-2018__{camera}__{frame}.jpg"


def qa(question: str = TAGGED, answer: str | None = "No.", **more: Any) -> dict[str, Any]:
    return {"Q": question, "A": answer, **NOTHING, **more}


def frame(name: str = "f", **asked: list[Any]) -> dict[str, Any]:
    # the cameras in another order than samples show them
    paths = {camera: path_of(camera, name) for camera in reversed(CAMERAS)}
    objects = {"<c1,CAM_BACK,1088.3,497.5>": {"Category": "Vehicle", "Status": "None"}}
    return {"key_object_infos": objects, "QA": {task: [] for task in TASKS} | asked, "image_paths": paths}


def scenes(**of_scene: Mapping[str, Any]) -> dict[str, Any]:
    return {scene: {"scene_description": "It turns.", "key_frames": dict(frames)} for scene, frames in of_scene.items()}


GRAPH = scenes(
    s1={"f1": frame("f1", perception=[qa(), qa("What now?", "Wait.")], behavior=[qa("Predict.", "It waits.")])},
    s2={"f2": frame("f2", planning=[qa("What actions?", "Keep going.")]), "f3": frame("f3", prediction=[qa()])},
)
NAME = "data/QA_dataset_nus/v1_1_train_nus.json"


def write(root: Path, document: Any = GRAPH, name: str = NAME) -> Path:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return root


def reader(root: Path, **knobs: Any) -> DriveLM:
    return DriveLM(**{"name": "drivelm", "root": str(root), "split": "train", "media": "optional", **knobs})


def conversation(number: int = 0, **changes: Any) -> dict[str, Any]:
    turns = [{"from": "human", "value": f"<image>\n{TAGGED}"}, {"from": "gpt", "value": "No."}]
    images = [path_of(camera).replace("../", "data/") for camera in CAMERAS]
    return {"id": f"s_f_{number}", "image": images, "conversations": turns, **changes}


def test_each_question_is_a_sample_with_six_cameras_in_one_order(tmp_path: Path) -> None:
    first, second, third, *_ = reader(write(tmp_path)).samples("train")
    assert (first.id, first.group, first.split) == ("s1_f1_0", "s1", "train")
    assert first.prompt == TAGGED, "tags of objects stay"
    assert (first.factual.thinking, first.factual.answer) == ("", "No.")
    assert [Path(image.path).parts[-2] for image in first.images] == list(CAMERAS)
    assert (third.id, third.metadata["task"], third.metadata["position"]) == ("s1_f1_2", "behavior", "2")
    assert (first.provenance.file, second.provenance.row) == (NAME, "2")
    assert (first.results, dict(first.labels), first.metadata["tag"]) == ((), {}, "")


@pytest.mark.parametrize("folder", ["data/nuscenes/samples", "nuscenes/samples"])
def test_images_are_found_beside_the_annotations(tmp_path: Path, folder: str) -> None:
    write(tmp_path)
    for camera in CAMERAS:
        (tmp_path / folder / camera).mkdir(parents=True)
        for name in ("f1", "f2", "f3"):
            Image.new("L", (4, 4)).save(tmp_path / folder / path_of(camera, name).removeprefix("../nuscenes/samples/"))
    dataset = reader(tmp_path, media="required")
    assert dataset.quality().samples == 5
    assert all(Path(image.path).is_file() for sample in dataset.samples("train") for image in sample.images)


def test_missing_images_are_damage_of_every_question_about_them(tmp_path: Path) -> None:
    quality = reader(write(tmp_path), media="required", quarantine_limit=1).quality()
    assert [(q.row, q.reason) for q in quality.quarantined] == [(str(n), "image file missing") for n in range(1, 6)]
    assert reader(tmp_path).quality().details["media_absent"] == 18, "six cameras of three frames"


def test_the_test_format_keeps_its_tags_and_its_choices(tmp_path: Path) -> None:
    choices = "What is its status? Please select the correct answer from the following options: A. Stopped. B. Moving."
    asked = frame(perception=[qa(choices, "B", tag=[0])], planning=[qa(tag=[1, 2])])
    del asked["key_object_infos"]
    document = {"s": {"key_frames": {"f": asked}}}
    dataset = reader(write(tmp_path, document, "test_eval.json"), file="test_eval.json")
    first, second = dataset.samples("train")
    assert (first.prompt, first.factual.answer, first.metadata["tag"]) == (choices, "B", "0")
    assert second.metadata["tag"] == "1,2"
    assert dataset.quality().details["tags"] == {"accuracy": 1, "gpt": 1, "language": 1}


def test_the_conversations_of_the_baseline_give_the_same_samples(tmp_path: Path) -> None:
    write(tmp_path, [conversation(0), conversation(1)], "test_llama.json")
    first, second = reader(tmp_path, file="test_llama.json").samples("train")
    assert (first.id, first.group, first.prompt, first.factual.answer) == ("s_f_0", "s", TAGGED, "No.")
    assert [Path(image.path).parts[-2] for image in first.images] == list(CAMERAS)
    assert (second.metadata["position"], second.metadata["task"]) == ("1", "")


def test_questions_without_published_answers_can_be_generated_for_but_not_scored(tmp_path: Path) -> None:
    asked = frame(perception=[qa(answer=""), {"Q": "What now?"}])
    name = "data/QA_dataset_nus/v1_1_val_nus_q_only.json"
    write(tmp_path, {"s": {"key_frames": {"f": asked}}}, name)
    dataset = reader(tmp_path, file="v1_1_val_nus_q_only.json", split="derived")
    assert [s.metadata["reference"] for s in dataset.samples("test")] == ["blank", "blank"]
    with pytest.raises(DataError, match="blank references throughout the test split"):
        dataset.check_references("test")


def test_splits_are_derived_by_scene_and_need_no_other_scene(tmp_path: Path) -> None:
    document = scenes(**{f"s{n}": {f"f{n}": frame(planning=[qa(), qa("What now?")])} for n in range(200)})
    dataset = reader(write(tmp_path, document), split="derived", validate_share=0.2, test_share=0.3)
    sizes = dataset.quality().by_split
    assert (sum(sizes.values()), dataset.quality().details["groups_in_two_splits"]) == (400, 0)
    assert 0.2 < sizes["test"] / 400 < 0.4
    assert 0.1 < sizes["validate"] / 400 < 0.3
    half = {name: document[name] for name in list(document)[::2]}
    of_half = reader(write(tmp_path / "half", half), split="derived", validate_share=0.2, test_share=0.3)
    whole = {s.id: split for split in dataset.splits for s in dataset.samples(split)}
    assert all(whole[s.id] == split for split in of_half.splits for s in of_half.samples(split))


def test_the_newest_official_file_is_read_unless_one_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, scenes(s={"f": frame(planning=[qa()])}), "data/QA_dataset_nus/v1_0_train_nus.json")
    assert reader(tmp_path).quality().samples == 5
    assert reader(tmp_path, file="v1_0_train_nus.json").quality().samples == 1


def test_stages_that_are_not_asked_for_are_left_out_and_do_not_change_ids(tmp_path: Path) -> None:
    dataset = reader(write(tmp_path), tasks=["behavior"])
    assert [s.id for s in dataset.samples("train")] == ["s1_f1_2"]
    assert dataset.quality().excluded == {"task not among behavior": 4}
    assert dataset.quality().records == 5


def test_a_prompt_may_frame_the_question(tmp_path: Path) -> None:
    sample = reader(write(tmp_path), prompt="Six cameras. {}").samples("train")[0]
    assert sample.prompt == f"Six cameras. {TAGGED}"


def with_question(item: Any, **changes: Any) -> dict[str, Any]:
    return scenes(s={"f": {**frame(planning=[qa(), item]), **changes}})


DAMAGES: dict[str, Any] = {
    "question is no JSON object": with_question("What?"),
    "question is no text": with_question({"A": "No."}),
    "blank question": with_question(qa(" ")),
    "question with an image placeholder inside": with_question(qa("Is <image> red?")),
    "answer is no text": with_question(qa(answer=7)),  # type: ignore[arg-type]
    "answer not Unicode": with_question(qa(answer="\ud800")),
    "blank reference": with_question(qa(answer=None)),
    "tag is no list of 0 to 3": with_question(qa(tag=[4])),
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_a_damaged_question_is_set_aside_with_its_place(tmp_path: Path, reason: str) -> None:
    quality = reader(write(tmp_path, DAMAGES[reason]), quarantine_limit=1).quality()
    assert [(q.file, q.row, q.reason) for q in quality.quarantined] == [(NAME, "2", reason)]
    assert (quality.records, quality.samples) == (2, 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"image_paths": None}, "image_paths is no JSON object"),
        ({"image_paths": {"CAM_FRONT": "front.jpg"}}, "image path is not …/nuscenes/samples/<camera>/<name>.jpg"),
        ({"image_paths": {c: path_of(c) for c in CAMERAS[:5]}}, "no image of CAM_BACK_RIGHT"),
        ({"QA": None}, "key frame without lists of questions"),
        ({"QA": {"planning": {}}}, "key frame without lists of questions"),
    ],
)
def test_a_damaged_frame_is_set_aside_with_its_reason(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    quality = reader(write(tmp_path, with_question(qa(), **changes)), quarantine_limit=1).quality()
    assert {q.reason for q in quality.quarantined} == {reason}
    assert quality.samples == 0


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (7, "record is no JSON object"),
        ({"id": "s_f_1"}, "record without conversations"),
        (conversation(id="s_f"), "id is not <scene>_<frame>_<number>"),
        (conversation(0), "question listed before"),
        (conversation(1, conversations=[]), "conversation is not one question and one answer"),
        (conversation(1, image="one.jpg"), "image is no list of paths"),
    ],
)
def test_a_damaged_conversation_is_set_aside_with_its_place(tmp_path: Path, record: Any, reason: str) -> None:
    write(tmp_path, [conversation(0), record], "test_llama.json")
    quality = reader(tmp_path, file="test_llama.json", quarantine_limit=1).quality()
    assert [(q.row, q.reason) for q in quality.quarantined] == [("2", reason)]
    assert quality.samples == 1


@pytest.mark.parametrize("text", ["", "7", "{}", "[]", '{"s": {"key_frames": '])
def test_a_file_that_is_no_annotation_file_is_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"v1_1_train_nus\.json is not JSON"):
        reader(write(tmp_path, text)).quality()


def test_another_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no v1_1_train_nus\.json or"):
        reader(tmp_path).quality()
    with pytest.raises(DataError, match="no such folder"):
        reader(tmp_path / "nowhere").quality()


@pytest.mark.parametrize(
    "knobs",
    [
        {"prompt": "What?"},
        {"tasks": []},
        {"tasks": ["driving"]},
        {"split": "all"},
        {"file": "../else.json"},
        {"test_share": 1.0},
        {"validate_share": -0.1},
    ],
)
def test_knobs_out_of_range_are_refused_at_once(tmp_path: Path, knobs: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        reader(tmp_path, **knobs)


@fuzz
@given(spoilt({NAME: json.dumps(GRAPH, indent=0).encode()}))
def test_no_spoilt_graph_ends_in_a_crash(files: dict[str, bytes]) -> None:
    survives(files, lambda root: reader(root, quarantine_limit=1), free_text=True)


@fuzz
@given(spoilt({"l.json": json.dumps([conversation(n) for n in range(3)], indent=0).encode()}))
def test_no_spoilt_conversation_ends_in_a_crash(files: dict[str, bytes]) -> None:
    survives(files, lambda root: reader(root, file="l.json", split="derived", quarantine_limit=1), free_text=True)


@real
@pytest.mark.parametrize("name", ["train_sample.json", "test.json", "test_eval.json"])
def test_counts_of_the_real_graphs_equal_an_independent_count(name: str) -> None:
    document = json.loads((SAMPLES / name).read_text())
    frames = [(s, f, about) for s, scene in document.items() for f, about in scene["key_frames"].items()]
    quality = reader(SAMPLES, file=name).quality()
    assert quality.quarantined == ()
    assert quality.records == quality.samples == sum(len(q) for *_, about in frames for q in about["QA"].values())
    assert quality.details["key_frames"] == len(frames)
    assert quality.details["key_objects"] == sum(len(about.get("key_object_infos", {})) for *_, about in frames)
    assert quality.details["questions"] == {task: sum(len(a["QA"][task]) for *_, a in frames) for task in TASKS}
    ids = [
        f"{s}_{f}_{i}" for s, f, about in frames for i, _ in enumerate(q for task in TASKS for q in about["QA"][task])
    ]
    assert [sample.id for sample in reader(SAMPLES, file=name).samples("train")] == ids


@real
def test_the_real_conversations_are_the_real_graph_once_more() -> None:
    graph, told = (reader(SAMPLES, file=name).samples("train") for name in ("test_eval.json", "test_llama.json"))
    assert (
        [s.id for s in told]
        == [s.id for s in graph]
        == [r["id"] for r in json.loads((SAMPLES / "output.json").read_text())]
    )
    assert [s.images for s in told] == [s.images for s in graph]
    assert sum(a.prompt == b.prompt for a, b in zip(told, graph, strict=True)) >= 20, "choices are drawn anew"
