"""What is exported is read back equal, what a format cannot hold is refused by name, and access travels along."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cpo.dataset.export import export_pairs, export_samples, released_pairs
from cpo.dataset.mimic_cxr_counterfact import MimicCXRCounterFact
from cpo.dataset.preference_json import PreferenceJson
from cpo.errors import ConfigError, DataError, PrivacyError
from cpo.records import (
    Counterfactual,
    Edit,
    ImageRef,
    PreferencePair,
    Provenance,
    Released,
    Sample,
    Trajectory,
)

PYTHON = os.environ.get("CPO_PEER_PYTHON", sys.executable)
FORMATS = ("ms_swift", "trl", "llamafactory", "llamafactory_v1")
CHOSEN = Trajectory("The heart is large.", "The disease of this patient is Cardiomegaly.")
EDEMA = Trajectory("Septal lines.", "The disease of this patient is Edema.")
PNEUMONIA = Trajectory("Focal\n opacity.", "The disease of this patient is Pneumonia.")


def sample(*released: Released, **fields: Any) -> Sample:
    made = Sample(
        id="50000001",
        group="10000001",
        split="train",
        images=(ImageRef("/data/files/p10/p10000001/s50000001/00000001-00000000-00000000-00000000-00000000.jpg"),),
        prompt="What is it?",
        factual=CHOSEN,
        labels={},
        results=("Cardiomegaly",),
        metadata={},
        provenance=Provenance("mimic_cxr", "split.csv", "7", "open"),
        counterfactuals=released,
    )
    return replace(made, **fields)


BOTH = sample(Released("Edema", EDEMA), Released("Pneumonia", PNEUMONIA))
OTHER_IMAGE = (ImageRef("/data/other.jpg"),)
SEEN = sample(Released("", CHOSEN, OTHER_IMAGE), Released("", EDEMA, OTHER_IMAGE), id="50000002")


def read(path: Path, **knobs: Any) -> PreferenceJson:
    given = {"name": "x", "root": str(path), "access": "credentialed", "media": "optional"}
    return PreferenceJson(**{**given, "validate_share": 0, "test_share": 0, **knobs})


def content(pairs: Sequence[PreferencePair]) -> list[Any]:
    """What a pair is, apart from where it stands: texts and images of both sides."""
    return [
        [pair.sample.prompt, pair.sample.images, pair.chosen, [(r.trajectory, r.images) for r in pair.rejected]]
        for pair in pairs
    ]


@pytest.mark.parametrize("form", FORMATS)
def test_pairs_exported_and_read_back_are_equal(tmp_path: Path, form: Any) -> None:
    plain = sample(Released("", Trajectory("", " Else. ")), id="2", images=(), factual=Trajectory("", "Said."))
    two = sample(
        Released("", EDEMA), id="3", images=(ImageRef("/data/a.jpg"), ImageRef("/data/b c.jpg")), prompt="\nÄ?"
    )
    pairs = list(released_pairs([BOTH, plain, two]))
    exported = export_pairs(pairs, to=form, out=tmp_path / "pairs.jsonl")
    assert (exported.rows, exported.refused, exported.access) == (4, {}, "open")
    back = list(released_pairs(read(exported.path).samples("train")))
    assert content(back) == content(pairs)
    assert [pair.time for pair in back] == [pair.time for pair in pairs]


@pytest.mark.parametrize("form", ["ms_swift", "llamafactory_v1"])
def test_images_of_both_sides_survive_where_the_format_has_them(tmp_path: Path, form: Any) -> None:
    pairs = list(released_pairs([SEEN]))
    exported = export_pairs(pairs, to=form, out=tmp_path / "pairs.jsonl")
    assert content(list(released_pairs(read(exported.path).samples("train")))) == content(pairs)


def test_k_negatives_are_k_rows_and_one_sample_again(tmp_path: Path) -> None:
    rejected = tuple(Counterfactual("50000001", "x", "", t) for t in (EDEMA, PNEUMONIA))
    exported = export_pairs([PreferencePair(BOTH, CHOSEN, rejected, 0)], to="trl", out=tmp_path / "pairs.jsonl")
    assert exported.rows == 2
    (back,) = read(exported.path).samples("train")
    assert [c.trajectory for c in back.counterfactuals] == [EDEMA, PNEUMONIA]


TEXT = st.text(st.characters(exclude_categories=()), max_size=15) | st.sampled_from(["</think>", "<image>", " ", ""])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(TEXT, TEXT, TEXT, TEXT, TEXT), st.sampled_from(FORMATS))
def test_any_text_is_read_back_equal_or_refused(tmp_path: Path, texts: Any, form: Any) -> None:
    prompt, *said = texts
    pair = PreferencePair(
        sample(prompt=prompt), Trajectory(*said[:2]), (Counterfactual("1", "x", "", Trajectory(*said[2:])),), 0
    )
    try:
        exported = export_pairs([pair], to=form, out=tmp_path / "pairs.jsonl")
    except DataError:
        return
    ((_, _, chosen, rejected),) = content(list(released_pairs(read(exported.path).samples("train"))))
    assert (chosen, rejected) == (pair.chosen, [(pair.rejected[0].trajectory, None)])


@pytest.mark.parametrize("form", ["trl", "llamafactory", "ccf"])
def test_two_different_images_are_refused_by_name_where_a_format_has_one_set(tmp_path: Path, form: Any) -> None:
    with pytest.raises(DataError, match=r"split\.csv:7: two different images") as caught:
        export_pairs(released_pairs([SEEN]), to=form, out=tmp_path / "pairs.jsonl")
    assert "to=ms_swift" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []
    exported = export_pairs(released_pairs([BOTH, SEEN]), to=form, out=tmp_path / "pairs.jsonl", strict=False)
    assert sum(exported.refused.values()) >= 1
    assert json.loads((tmp_path / "pairs.jsonl.about.json").read_text())["refused"] == exported.refused


@pytest.mark.parametrize(
    ("given_sample", "reason"),
    [
        (sample(images=(ImageRef("a.jpg", edits=(Edit("fog"),)),)), "an edited image"),
        (sample(images=(ImageRef("a.mp4", time_s=1.0),)), "the frame of a video"),
        (sample(prompt="See <image>."), "a text with <image>"),
        (sample(prompt=" "), "a blank prompt"),
        (sample(factual=Trajectory("a </think>", "b")), "think tags in it"),
        (sample(factual=Trajectory("a", " ")), "blank"),
        (sample(factual=Trajectory("", "")), "blank"),
        (sample(factual=Trajectory("", "\ud800")), "not Unicode"),
    ],
)
def test_what_would_read_back_differently_is_refused(tmp_path: Path, given_sample: Sample, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        export_samples([given_sample], to="ms_swift", out=tmp_path / "samples.jsonl")


def test_a_weight_has_no_place_and_nothing_to_write_is_said(tmp_path: Path) -> None:
    (pair, _) = released_pairs([BOTH])
    with pytest.raises(DataError, match="weight other than 1"):
        export_pairs([replace(pair, weight=0.5)], to="trl", out=tmp_path / "x.jsonl")
    with pytest.raises(DataError, match="no row to write"):
        export_pairs([], to="trl", out=tmp_path / "x.jsonl")
    with pytest.raises(ConfigError, match="ms_swift, trl"):
        export_pairs([pair], to="verl", out=tmp_path / "x.jsonl")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_access_travels_with_the_file(tmp_path: Path) -> None:
    closed = replace(BOTH, provenance=replace(BOTH.provenance, access="credentialed"))
    exported = export_pairs(released_pairs([BOTH, closed]), to="llamafactory", out=tmp_path / "mine.json")
    assert exported.access == "credentialed"
    assert stat.S_IMODE(exported.path.stat().st_mode) == 0o600
    about = json.loads((tmp_path / "mine.json.about.json").read_text())
    assert (about["access"], about["rows"], about["datasets"]) == ("credentialed", 4, ["mimic_cxr"])
    assert about["dataset_info"]["mine"]["columns"]["rejected"] == "rejected"
    with pytest.raises(PrivacyError):
        read(exported.path, access="open").quality()
    assert read(tmp_path).quality().records == 4  # what stands beside is no data


@pytest.mark.parametrize("form", FORMATS)
def test_samples_are_written_as_supervised_rows_without_a_rejected_side(tmp_path: Path, form: Any) -> None:
    exported = export_samples([BOTH], to=form, out=tmp_path / "samples.jsonl")
    (line,) = exported.path.read_text(encoding="utf-8").splitlines()
    assert "The heart is large." in line
    assert "Septal" not in line
    assert read(exported.path).quality().excluded == {"no rejected side": 1}


def test_rows_have_the_documented_fields(tmp_path: Path) -> None:
    rows = {}
    for form in FORMATS:
        exported = export_pairs(released_pairs([sample(Released("", EDEMA))]), to=form, out=tmp_path / form)  # type: ignore[arg-type]
        rows[form] = json.loads(exported.path.read_text(encoding="utf-8"))
    assert set(rows["ms_swift"]) == {"messages", "images", "rejected_response"}
    assert rows["ms_swift"]["messages"][0] == {"role": "user", "content": "<image>What is it?"}
    assert set(rows["trl"]) == {"prompt", "chosen", "rejected", "images"}
    assert [part["type"] for part in rows["trl"]["prompt"][0]["content"]] == ["image", "text"]
    assert set(rows["llamafactory"]) == {"conversations", "chosen", "rejected", "images"}
    assert rows["llamafactory"]["conversations"][-1]["from"] == "human"
    assert rows["llamafactory"]["conversations"][0]["value"].count("<image>") == len(rows["llamafactory"]["images"])
    v1 = rows["llamafactory_v1"]
    assert set(v1) == {"chosen_messages", "rejected_messages"}
    assert [turn["loss_weight"] for turn in v1["chosen_messages"]] == [0.0, 1.0]
    assert v1["rejected_messages"][0]["content"][0] == {"type": "image_url", "value": BOTH.images[0].path}


def test_counterfact_records_are_read_back_by_their_own_reader(good_copy, tmp_path: Path) -> None:
    good_copy.write()
    samples = good_copy.reader().samples("train")
    made = [replace(samples[0], counterfactuals=BOTH.counterfactuals[1:]), samples[1]]
    made = [replace(s, counterfactuals=(Released("Edema", EDEMA), *s.counterfactuals)) for s in made]
    for export, what in ((export_samples, made), (export_pairs, list(released_pairs(made)))):
        exported = export(what, to="ccf", out=good_copy.root / "mimic-counterfact.json")  # type: ignore[operator]
        assert exported.rows == 2
        knobs = {"name": "x", "root": str(good_copy.root), "access": "credentialed"}
        back = MimicCXRCounterFact(**knobs).samples("train")
        assert [s.factual for s in back] == [s.factual for s in made]
        assert [s.results for s in back] == [s.results for s in made]
        assert [s.counterfactuals for s in back] == [s.counterfactuals for s in made]
        assert [s.images for s in back] == [s.images for s in made]


@pytest.mark.parametrize(
    ("given_sample", "reason"),
    [
        (sample(images=()), "other than one unedited image"),
        (sample(group="clip"), "ids that are not MIMIC-CXR's"),
        (sample(factual=Trajectory("", CHOSEN.answer)), "blank or begins"),
        (sample(factual=Trajectory("x", "Stop.")), "not the sentence with known names"),
        (sample(Released("Edema", EDEMA), Released("Edema", EDEMA)), "two counterfactuals for one disease"),
        (sample(Released("Edema", PNEUMONIA)), "names other than its one target"),
        (sample(Released("", EDEMA)), "names other than its one target"),
        (sample(factual=Trajectory("\ud800", CHOSEN.answer)), "not Unicode"),
    ],
)
def test_what_the_counterfact_layout_has_no_place_for_is_refused(
    tmp_path: Path, given_sample: Sample, reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        export_samples([given_sample], to="ccf", out=tmp_path / "x.json")


PEER = """
import json, sys
from datasets import Image, List, load_dataset
from trl.data_utils import extract_prompt, is_conversational, prepare_multimodal_messages
rows = load_dataset("json", data_files=sys.argv[1], split="train").cast_column("images", List(Image()))
found = []
for row in rows:
    assert is_conversational(row)
    prompt = prepare_multimodal_messages(row["prompt"], images=row["images"])
    shown = [part["image"].size for turn in prompt for part in turn["content"] if part["type"] == "image"]
    texts = [part["text"] for turn in prompt for part in turn["content"] if part["type"] == "text"]
    sides = [prepare_multimodal_messages(row[key])[0]["content"][0]["text"] for key in ("chosen", "rejected")]
    found.append([shown, texts, *sides])
print(json.dumps(found))
"""


@pytest.mark.peer
def test_trl_s_own_dataset_code_loads_the_export(tmp_path: Path) -> None:
    from PIL import Image

    if subprocess.run([PYTHON, "-c", "import trl"], capture_output=True, check=False).returncode:
        pytest.skip("no TRL in this environment; CPO_PEER_PYTHON names an interpreter that has it")
    for name, size in (("a.png", (4, 6)), ("b.png", (8, 2))):
        Image.new("RGB", size).save(tmp_path / name)
    images = (ImageRef(str(tmp_path / "a.png")), ImageRef(str(tmp_path / "b.png")))
    pairs = released_pairs([replace(BOTH, images=images), replace(BOTH, images=images[:1], prompt="Ä?")])
    exported = export_pairs(pairs, to="trl", out=tmp_path / "pairs.jsonl")
    run = subprocess.run([PYTHON, "-c", PEER, str(exported.path)], capture_output=True, text=True, check=True)
    chosen = "<think> The heart is large. </think> The disease of this patient is Cardiomegaly."
    edema = "<think> Septal lines. </think> The disease of this patient is Edema."
    rows = json.loads(run.stdout.splitlines()[-1])
    assert rows[0] == [[[4, 6], [8, 2]], ["What is it?"], chosen, edema]
    assert rows[3][:2] == [[[4, 6]], ["Ä?"]]
    assert len(rows) == 4
