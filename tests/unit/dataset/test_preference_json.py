from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpo.dataset.conversations import MOVED
from cpo.dataset.preference_formats import PLAIN, PairRow, detect, read_pair, trajectory
from cpo.dataset.preference_json import PreferenceJson
from cpo.dataset.preference_writers import RefusedError, write_pair
from cpo.errors import ConfigError, DataError, PrivacyError
from cpo.records import Released, Trajectory
from tests.fixtures.mutations import fuzz, spoilt, survives

SAMPLES = Path(__file__).parents[4] / "shared/samples"
REAL = SAMPLES / "preference_formats"
SYNTHETIC = SAMPLES / "synthetic/preference"

CHOSEN = "<think> The heart is large. </think> It is Cardiomegaly."
REJECTED = "<think> Focal opacity. </think> It is Pneumonia."
PAIR = PairRow("What is it?", ("a.jpg",), CHOSEN, REJECTED)
USER = {"role": "user", "content": "<image>What is it?"}
SAID = {"role": "assistant", "content": CHOSEN}
DENIED = {"role": "assistant", "content": REJECTED}
FORMATS = ("ms_swift", "trl", "llamafactory", "llamafactory_v1")


def reader(root: Path, **knobs: Any) -> PreferenceJson:
    shares = {"validate_share": 0, "test_share": 0}
    given = {"name": "preference_json", "root": str(root), "access": "credentialed", "media": "optional"}
    return PreferenceJson(**{**given, **shares, **knobs})


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("form", FORMATS)
def test_a_pair_of_each_format_is_told_by_its_keys_and_read(tmp_path: Path, form: Any) -> None:
    record = write_pair(PAIR, form)
    assert detect(record) == form
    for knob in ("auto", form):
        (sample,) = reader(write(tmp_path / "pairs.jsonl", record), format=knob).samples("train")
        assert sample.prompt == "What is it?"
        assert [image.path for image in sample.images] == [str(tmp_path / "a.jpg")]
        assert sample.factual == Trajectory("The heart is large.", "It is Cardiomegaly.")
        assert sample.counterfactuals == (Released("", Trajectory("Focal opacity.", "It is Pneumonia.")),)
        assert (sample.id, sample.provenance.row) == ("pairs.jsonl:1", "1")


def test_a_named_format_does_not_read_another(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.jsonl", write_pair(PAIR, "ms_swift"))
    assert reader(path, format="trl", quarantine_limit=1).quality().samples == 0


def test_images_of_the_rejected_side_are_kept(tmp_path: Path) -> None:
    only_image = {"messages": [USER, SAID], "images": ["a.jpg"], "rejected_images": ["b.jpg"]}
    both = write_pair(PairRow("What is it?", ("a.jpg",), CHOSEN, REJECTED, ("b.jpg",)), "ms_swift")
    v1 = write_pair(PairRow("What is it?", ("a.jpg",), CHOSEN, REJECTED, ("b.jpg",)), "llamafactory_v1")
    (sample,) = reader(write(tmp_path / "pairs.jsonl", only_image, both, v1)).samples("train")
    assert [c.trajectory.answer for c in sample.counterfactuals] == ["It is Cardiomegaly."] + ["It is Pneumonia."] * 2
    assert [[Path(i.path).name for i in c.images or ()] for c in sample.counterfactuals] == [["b.jpg"]] * 3


def test_rows_that_share_the_chosen_side_are_one_sample(tmp_path: Path) -> None:
    other = PairRow("What is it?", ("a.jpg",), CHOSEN, "<think> Fluid. </think> It is Edema.")
    again = PairRow("What else?", ("a.jpg",), CHOSEN, REJECTED)
    path = write(tmp_path / "pairs.jsonl", *(write_pair(row, "trl") for row in (PAIR, other, again)))
    quality = reader(path).quality()
    assert (quality.records, quality.samples, quality.quarantined) == (3, 2, ())
    assert [len(s.counterfactuals) for s in reader(path).samples("train")] == [2, 1]


def test_results_are_read_where_the_sentence_is_known(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.jsonl", write_pair(PAIR, "trl"))
    dataset = reader(path, sentence="It is {}.", results=["Cardiomegaly", "Pneumonia"])
    (sample,) = dataset.samples("train")
    assert sample.results == ("Cardiomegaly",)
    assert sample.counterfactuals[0].target == "Pneumonia"
    assert dataset.scored == ("Cardiomegaly", "Pneumonia")
    assert reader(path, sentence="It is {}.", results=["Edema"], quarantine_limit=1).quality().samples == 0
    assert reader(path).scored == ()


MESSAGES = [USER, SAID]
VARIANTS = {
    "a message list as rejected_response": {"messages": MESSAGES, "images": ["a.jpg"], "rejected_response": [DENIED]},
    "images without placeholders": {
        "messages": [{"role": "user", "content": "What is it?"}, SAID],
        "images": [{"path": "a.jpg", "bytes": None}],
        "rejected_response": REJECTED,
    },
    "OpenAI's image parts": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "a.jpg"}},
                    {"type": "text", "text": "What is it?"},
                ],
            },
            SAID,
        ],
        "rejected_response": REJECTED,
    },
    "an implicit prompt": {"chosen": [USER, SAID], "rejected": [USER, DENIED]},
    "one image": {
        "prompt": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}],
        "chosen": CHOSEN,
        "rejected": REJECTED,
        "image": "a.jpg",
    },
    "roles in sharegpt": {"messages": [USER], "chosen": SAID, "rejected": DENIED, "images": ["a.jpg"]},
    "texts as sharegpt sides": {"conversations": [USER], "chosen": CHOSEN, "rejected": REJECTED, "images": ["a.jpg"]},
    "a plain prompt": {"prompt": "What is it?", "chosen": CHOSEN, "rejected": REJECTED, "images": ["a.jpg"]},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_that_the_formats_allow_are_read(variant: str) -> None:
    record = VARIANTS[variant]
    row = read_pair(record, detect(record))
    assert (row.prompt.removeprefix("<image>"), row.chosen, row.rejected) == ("What is it?", CHOSEN, REJECTED)
    assert row.images == (() if variant == "an implicit prompt" else ("a.jpg",))
    assert row.notes == ({PLAIN} if variant == "a plain prompt" else set())


@pytest.mark.parametrize(
    ("text", "prompt", "moved"),
    [
        ("<image>Look.", "Look.", False),
        ("<image>\nLook.", "\nLook.", False),
        ("This is a film <image>. Look.", "This is a film. Look.", True),
        ("Look at <image> here.", "Look at here.", True),
        ("Look at <image>this.", "Look at this.", True),
        ("Look.<image>", "Look.", True),
    ],
)
def test_an_image_inside_the_text_is_moved_before_it_and_noted(
    tmp_path: Path, text: str, prompt: str, moved: bool
) -> None:
    record = {"messages": [{"role": "user", "content": text}, SAID], "images": ["a"], "rejected_response": REJECTED}
    dataset = reader(write(tmp_path / "pairs.jsonl", record))
    assert dataset.samples("train")[0].prompt == prompt
    assert dataset.quality().details["notes"] == ({MOVED: 1} if moved else {})


SYSTEM, TURN = {"role": "system", "content": "Be brief."}, {"role": "assistant", "content": "Why?"}
EXCLUDED = [
    ({"messages": [SYSTEM, USER, SAID], "rejected_response": "x", "images": ["a"]}, "a system prompt"),
    ({"messages": [USER, TURN, USER, SAID], "rejected_response": "x"}, "several turns in the prompt"),
    ({"messages": [USER, SAID], "images": ["a"]}, "no rejected side"),
    ({"messages": [USER, SAID], "images": ["a"], "label": True}, "no rejected side"),
    ({"prompt": [USER], "completion": [SAID]}, "no rejected side"),
    ({"conversations": [USER, SAID]}, "no rejected side"),
    ({"messages": [USER, SAID], "videos": ["a.mp4"], "rejected_response": "x"}, "videos are not read"),
    ({"conversations": [USER], "chosen": SAID, "rejected": DENIED, "system": "Be brief."}, "a system prompt"),
    (
        {"messages": [{"role": "tool", "content": "x"}, SAID], "rejected_response": "x"},
        "a turn that is neither the user's nor the assistant's",
    ),
    (
        {
            "messages": [USER, SAID],
            "images": ["a"],
            "rejected_messages": [{"role": "user", "content": "<image>Else?"}, DENIED],
            "rejected_images": ["a"],
        },
        "the two sides have different prompts",
    ),
    (
        {"messages": [USER, SAID], "images": ["a"], "rejected_response": "x", "rejected_images": ["a", "b"]},
        "the two sides have different numbers of images",
    ),
    (
        {"prompt": [{"role": "user", "content": "x"}], "chosen": [SAID, USER], "rejected": [DENIED]},
        "several turns in a completion",
    ),
    (
        {
            "chosen_messages": [{**USER, "content": "x", "loss_weight": 1.0}, SAID],
            "rejected_messages": [{**USER, "content": "x"}, DENIED],
        },
        "a loss_weight other than 0 for the prompt and 1 for the completion",
    ),
]


@pytest.mark.parametrize(("record", "reason"), EXCLUDED)
def test_what_a_sample_cannot_hold_is_excluded_with_its_reason(tmp_path: Path, record: Any, reason: str) -> None:
    quality = reader(write(tmp_path / "pairs.jsonl", record, write_pair(PAIR, "trl"))).quality()
    assert (quality.excluded, quality.quarantined, quality.samples) == ({reason: 1}, (), 1)


PLACEHOLDERS, NO_FILE = (
    "number of placeholders differs from the number of images",
    "an image that is not the path of a file",
)
NO_TAGS, NOTHING = "think tags do not match", "nothing between the think tags or after them"


def swift(**cells: Any) -> dict[str, Any]:
    return {"messages": MESSAGES, "images": ["a"], "rejected_response": "x", **cells}


DAMAGED = [
    ("{'messages': 1}", "line not JSON"),
    ("[1", "line not JSON"),
    ("1", "line is no JSON object"),
    ({"text": "x"}, "keys of no known preference format"),
    (swift(messages=[]), "messages is no list of messages"),
    (swift(messages=[SAID]), "no user turn in the prompt"),
    (swift(messages=[USER, USER]), "a completion that is no assistant's text"),
    (swift(rejected_response=" "), "completion blank or no text"),
    (swift(rejected_response="\ud800"), "completion not Unicode"),
    (swift(rejected_messages=MESSAGES), "rejected_messages without rejected_images"),
    (swift(images=[]), PLACEHOLDERS),
    ({"conversations": [USER], "chosen": SAID, "rejected": DENIED}, PLACEHOLDERS),
    (swift(images=["http://a/b.png"]), NO_FILE),
    (swift(images=["data:image/png;base64,aa"]), NO_FILE),
    (swift(images=[{"bytes": "aa"}]), NO_FILE),
    (swift(images=["a\0"]), NO_FILE),
    (swift(images=["a" * 5000]), "image file cannot be opened"),
    (swift(rejected_response="<think> x"), NO_TAGS),
    (swift(rejected_response="</think> x <think>"), NO_TAGS),
    (swift(rejected_response="<think></think>x"), NOTHING),
]


@pytest.mark.parametrize(("record", "reason"), DAMAGED)
def test_a_damaged_record_is_set_aside_with_its_line_and_reason(tmp_path: Path, record: Any, reason: str) -> None:
    path = write(tmp_path / "pairs.jsonl", write_pair(PAIR, "trl"), record)
    quality = reader(path, quarantine_limit=1).quality()
    assert [(q.file, q.row, q.reason) for q in quality.quarantined] == [("pairs.jsonl", "2", reason)]
    assert (quality.records, quality.samples) == (2, 1)


@pytest.mark.parametrize(
    ("completion", "found"),
    [
        ("<think> a </think> b", ("a", "b")),
        ("<think>a\n</think>\n\nb.", ("a", "b.")),
        ("<think>  a </think>  b ", (" a", " b ")),
        (" Without a thought. ", ("", " Without a thought. ")),
    ],
)
def test_thinking_is_what_stands_between_the_tags(completion: str, found: tuple[str, str]) -> None:
    assert trajectory(completion) == Trajectory(*found)


def test_an_image_that_is_required_and_absent_is_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.jsonl", write_pair(PAIR, "trl"))
    assert reader(path, media="required", quarantine_limit=1).quality().quarantined[0].reason == "image file missing"
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8 a picture \xff\xd9")
    assert reader(path, media="required").quality().samples == 1
    assert reader(path, images=str(tmp_path / "other")).samples("train")[0].images[0].path.endswith("other/a.jpg")


def test_files_named_after_a_split_are_that_split_and_others_are_shared_out_by_group(tmp_path: Path) -> None:
    for name, number in (("train.jsonl", 0), ("val.json", 1), ("test.jsonl", 2)):
        write(tmp_path / name, write_pair(PairRow("Q", (f"{number}.jpg",), CHOSEN, REJECTED), "trl"))
    (tmp_path / "dataset_info.json").write_text("{}")
    assert reader(tmp_path).quality().by_split == {"train": 1, "validate": 1, "test": 1}
    rows = [PairRow(f"Q{i}", (f"p{10_000_000 + i // 4}/{i}.jpg",), CHOSEN, REJECTED) for i in range(400)]
    path = write(tmp_path / "pairs.jsonl", *(write_pair(row, "ms_swift") for row in rows))
    dataset = reader(path, group=r"(p\d{8})/", validate_share=0.1, test_share=0.2)
    groups = {split: {s.group for s in dataset.samples(split)} for split in dataset.splits}
    assert sum(len(found) for found in groups.values()) == len(set().union(*groups.values())) == 100
    assert 5 <= len(groups["validate"]) <= 16
    assert 12 <= len(groups["test"]) <= 28


def test_a_group_in_two_named_files_is_refused(tmp_path: Path) -> None:
    for name in ("train.jsonl", "test.jsonl"):
        write(tmp_path / name, write_pair(PAIR, "trl"))
    with pytest.raises(DataError, match="one group is in test"):
        reader(tmp_path).samples("train")


def test_pairs_exported_from_credentialed_data_cannot_be_opened(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.jsonl", write_pair(PAIR, "trl"))
    assert reader(path, access="open").samples("train")[0].provenance.access == "open"
    (tmp_path / "pairs.jsonl.about.json").write_text('{"access": "credentialed"}')
    with pytest.raises(PrivacyError, match="exported from credentialed data"):
        reader(path, access="open").quality()


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a folder without \.json or \.jsonl"):
        reader(tmp_path).quality()
    (tmp_path / "broken.json").write_text('[{"messages": ')
    with pytest.raises(DataError, match=r"broken\.json is not JSON from its element 1 on"):
        reader(tmp_path).quality()


@pytest.mark.parametrize(
    "knobs",
    [
        {"format": "verl"},
        {"test_share": 1},
        {"validate_share": -0.1},
        {"group": "p.*"},
        {"group": "(("},
        {"sentence": "It is {}."},
        {"results": ["a"]},
    ],
)
def test_knobs_out_of_range_are_refused_at_once(tmp_path: Path, knobs: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        reader(tmp_path, **knobs)


TEXT = st.text(max_size=12)
PATHS = st.lists(st.sampled_from(["a.jpg", "b/c.png", "/d e.jpg"]), max_size=2).map(tuple)


@given(st.builds(PairRow, TEXT, PATHS, TEXT, TEXT, st.none() | PATHS), st.sampled_from(FORMATS))
def test_what_a_format_can_hold_is_read_back_equal(row: PairRow, form: Any) -> None:
    try:
        record = json.loads(json.dumps(write_pair(row, form)))
    except RefusedError:
        return
    same = row.rejected_images in (None, row.images)
    assert read_pair(record, form) == PairRow(
        row.prompt, row.images, row.chosen, row.rejected, None if same else row.rejected_images
    )
    assert detect(record) == form


@fuzz
@given(
    st.sampled_from(FORMATS).flatmap(
        lambda form: spoilt(
            {
                "pairs.jsonl": "\n".join(
                    json.dumps(write_pair(PairRow(f"Q{i}", (f"{i}.jpg",), CHOSEN, REJECTED), form)) for i in range(3)
                ).encode(),
                "train.json": json.dumps([write_pair(PAIR, form)]).encode(),
            }
        )
    )
)
def test_no_spoilt_copy_ends_in_a_crash(files: dict[str, bytes]) -> None:
    survives(files, lambda root: reader(root, quarantine_limit=1))


@pytest.mark.skipif(not REAL.is_dir(), reason="the excerpts are not at ../shared/samples/preference_formats")
def test_counts_of_the_real_files_equal_an_independent_count() -> None:
    records = json.loads((REAL / "llamafactory_dpo_en_demo_first8.json").read_text(encoding="utf-8"))
    single = [r for r in records if len(r["conversations"]) == 1 and r["conversations"][0]["from"] == "human"]
    dataset = reader(REAL / "llamafactory_dpo_en_demo_first8.json")
    assert (dataset.quality().records, dataset.quality().samples) == (len(records), len(single))
    for sample, record in zip(dataset.samples("train"), single, strict=True):
        assert sample.prompt == record["conversations"][0]["value"]
        assert sample.factual == Trajectory("", record["chosen"]["value"])
        assert sample.counterfactuals[0].trajectory == Trajectory("", record["rejected"]["value"])
    lines = (REAL / "llamafactory_v1_dpo_demo_first4.jsonl").read_text(encoding="utf-8").splitlines()
    with_system = sum(json.loads(line)["chosen_messages"][0]["role"] == "system" for line in lines)
    quality = reader(REAL / "llamafactory_v1_dpo_demo_first4.jsonl").quality()
    assert (quality.records, quality.excluded) == (len(lines), {"a system prompt": with_system})


@pytest.mark.skipif(not SYNTHETIC.is_dir(), reason="the invented pairs are not at ../shared/samples/synthetic")
def test_the_invented_pairs_of_every_format_say_the_same() -> None:
    found = Counter[tuple[str, Trajectory]]()
    for path in sorted(SYNTHETIC.iterdir()):
        for sample in reader(path).samples("train"):
            found[sample.prompt, sample.factual] += len(sample.counterfactuals)
    ((_, chosen),) = found  # one prompt and one chosen side in all of them
    assert chosen.answer == "The disease of this patient is Cardiomegaly."
    assert found.total() == 6
