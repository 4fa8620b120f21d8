from __future__ import annotations

import gzip
import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml

from cpo.dataset.mimic_cxr import MimicCXR
from cpo.errors import ConfigError, DataError, PrivacyError
from cpo.records import LabelState

ROOT = Path(__file__).parents[3]


def test_a_study_becomes_a_sample(good_copy) -> None:
    good_copy.write()
    first = good_copy.reader().samples("train")[0]
    assert (first.id, first.group, first.split) == ("50000001", "10000001", "train")
    assert first.factual.thinking == "The heart is enlarged. No pneumothorax."
    assert first.factual.answer == "The disease of this patient is Cardiomegaly."
    assert first.results == ("Cardiomegaly",)
    assert first.labels["Cardiomegaly"] is LabelState.PRESENT
    assert first.labels["Pneumothorax"] is LabelState.ABSENT
    assert first.labels["Edema"] is LabelState.UNCERTAIN
    assert first.labels["Fracture"] is LabelState.UNMENTIONED
    assert len(first.labels) == 14
    assert first.metadata == {
        "view": "AP",
        "procedure": "CHEST (AP)",
        "orientation": "Erect",
        "study_date": "21990101",
        "study_time": "93015.5",
    }
    assert first.provenance.access == "credentialed"
    assert (first.provenance.file, first.provenance.row) == ("mimic-cxr-jpg/2.1.0/mimic-cxr-2.0.0-split.csv.gz", "2")


def test_the_first_frontal_image_is_shown(good_copy) -> None:
    good_copy.write()
    (image,) = good_copy.reader().samples("train")[0].images
    assert Path(image.path).is_file()
    assert Path(image.path).stem.split("-")[1] == "00000001"  # the lateral one comes first in the table
    only_pa = good_copy.reader(views=["PA"]).samples("train")[0]
    assert Path(only_pa.images[0].path).stem.split("-")[1] == "00000002"


def test_answers_name_the_present_labels_and_no_finding_when_there_is_no_disease(good_copy) -> None:
    good_copy.write()
    reader = good_copy.reader()
    answers = {s.id: s.results for split in ("train", "validate", "test") for s in reader.samples(split)}
    assert answers == {
        "50000001": ("Cardiomegaly",),
        "50000002": ("No Finding",),
        "50000003": ("Atelectasis", "Pleural Effusion", "Support Devices"),
        "50000004": ("No Finding",),
        "50000005": ("No Finding",),
        "50000006": ("No Finding", "Support Devices"),
    }
    assert reader.samples("train")[2].factual.answer == (
        "The disease of this patient is Atelectasis, Pleural Effusion, Support Devices."
    )


def test_no_finding_yields_to_a_disease_in_the_same_row(copy) -> None:
    copy.add(1, 1, labels={"No Finding": "1.0", "Edema": "1.0"})
    copy.write()
    (sample,) = copy.reader().samples("train")
    assert sample.results == ("Edema",)
    assert sample.labels["No Finding"] is LabelState.PRESENT


def test_uncertain_labels_may_count_as_present(good_copy) -> None:
    good_copy.write()
    reader = good_copy.reader(uncertain="present")
    assert reader.samples("train")[0].results == ("Cardiomegaly", "Edema")
    assert reader.samples("validate")[0].results == ("Pneumonia",)


def test_twelve_of_the_fourteen_labels_are_diseases(good_copy) -> None:
    reader = good_copy.reader()
    assert len(reader.results) == 14
    assert set(reader.results) - set(reader.scored) == {"No Finding", "Support Devices"}


@pytest.mark.parametrize("layout", [{"merged": True}, {"gzipped": False}, {"version": "2.0.0"}, {"version": ""}])
def test_every_layout_of_a_copy_reads_the_same(good_copy, tmp_path: Path, layout: dict[str, Any]) -> None:
    good_copy.write()
    usual = good_copy.reader()
    good_copy.root = tmp_path / "other"
    good_copy.write(**layout)
    other = good_copy.reader()
    assert other.fingerprint == usual.fingerprint
    assert [s.content for s in other.samples("train")] == [s.content for s in usual.samples("train")]


def test_the_newest_of_two_versions_is_read(good_copy) -> None:
    good_copy.write(version="2.9.0")
    good_copy.write(version="2.10.0")
    assert "/2.10.0/" in good_copy.reader().samples("train")[0].provenance.file


def test_the_other_labeler_can_be_read(good_copy) -> None:
    root = good_copy.write(gzipped=False)
    table = root / "mimic-cxr-jpg/2.1.0/mimic-cxr-2.0.0-negbio.csv"
    table.write_text(table.read_text().replace("1.0", "0.0"))
    assert good_copy.reader(labels="negbio").samples("train")[0].results == ("No Finding",)
    table.unlink()
    with pytest.raises(DataError, match="no mimic-cxr-\\*-negbio"):
        good_copy.reader(labels="negbio").samples("train")


def test_a_byte_order_mark_before_the_header_does_no_harm(good_copy) -> None:
    root = good_copy.write(gzipped=False)
    table = root / "mimic-cxr-jpg/2.1.0/mimic-cxr-2.0.0-split.csv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    assert good_copy.reader().quality().samples == 6


def test_what_the_release_leaves_out_is_counted_and_adds_up(good_copy) -> None:
    good_copy.add(6, 7, views=("LATERAL", "LL", ""), labels={})
    good_copy.add(6, 8, labels=None)
    good_copy.add(6, 9, report="FINAL REPORT\n IMPRESSION: Normal.\n", labels={})
    good_copy.write()
    quality = good_copy.reader(quarantine_limit=0).quality()
    assert quality.excluded == {"no image of view AP, PA": 1, "no label row": 1, "no findings section": 1}
    assert (quality.records, quality.samples, quality.quarantined) == (9, 6, ())
    assert quality.by_split == {"train": 4, "validate": 1, "test": 1}
    assert quality.labels["No Finding"] == {"present": 2, "absent": 0, "uncertain": 0, "unmentioned": 4}
    assert quality.labels["Edema"]["uncertain"] == 1


def spoil_split_row(copy: Any, column: int, value: str) -> None:
    copy.split[3][column] = value  # study 50000002, line 5


DAMAGES = {
    "image file missing": lambda copy: copy.images.pop(next(name for name in copy.images if "s50000002" in name)),
    "image file empty": lambda copy: copy.images.update(
        {name: b"" for name in copy.images if "s50000002" in name},
    ),
    "report file missing": lambda copy: copy.reports.pop(next(name for name in copy.reports if "s50000002" in name)),
    "report empty": lambda copy: copy.reports.update({n: b" \n" for n in copy.reports if "s50000002" in n}),
    "report not UTF-8": lambda copy: copy.reports.update(
        {n: b"\xff\xfe\x80" for n in copy.reports if "s50000002" in n}
    ),
    "image without a metadata row": lambda copy: copy.metadata.pop(3),
    "dicom_id is not five groups of eight hex digits": lambda copy: spoil_split_row(copy, 0, "../../secret"),
    "study_id is not eight digits from 5…": lambda copy: spoil_split_row(copy, 1, "s50000002"),
    "subject_id is not eight digits from 1…": lambda copy: spoil_split_row(copy, 2, ""),
    "split is none of train, validate, test": lambda copy: spoil_split_row(copy, 3, "val"),
    "image listed before": lambda copy: copy.split.append(list(copy.split[3])),
    "study listed before for another patient": lambda copy: copy.split.append(
        ["0" * 8 + "-00000000" * 4, "50000002", "10000009", "train"]
    ),
    "image described before": lambda copy: copy.metadata.append(list(copy.metadata[3])),
    "Edema is neither 1, 0, -1 nor blank": lambda copy: copy.labels[1].__setitem__(5, "maybe"),
    "study labelled before": lambda copy: copy.labels.append(list(copy.labels[1])),
    "number of cells differs from the header's": lambda copy: copy.labels[1].append("1.0"),
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_a_damaged_record_is_set_aside_with_its_row_and_reason(good_copy, reason: str) -> None:
    DAMAGES[reason](good_copy)
    good_copy.write()
    quality = good_copy.reader(quarantine_limit=1.0).quality()
    (quarantined,) = quality.quarantined
    assert quarantined.reason == reason
    assert quarantined.file.startswith("mimic-cxr-jpg/2.1.0/mimic-cxr-2.0.0-")
    assert int(quarantined.row) >= 2
    assert quality.samples >= 5
    assert quality.records == quality.samples + sum(quality.excluded.values()) + 1


def test_a_study_with_a_damaged_label_row_is_counted_once(good_copy) -> None:
    good_copy.write()
    before = good_copy.reader(quarantine_limit=1.0).quality()
    DAMAGES["Edema is neither 1, 0, -1 nor blank"](good_copy)
    good_copy.write()
    after = good_copy.reader(quarantine_limit=1.0).quality()
    assert (after.records, after.samples) == (before.records, before.samples - 1)
    assert after.excluded == before.excluded


def test_every_line_that_a_stray_quotation_mark_swallows_is_damage(good_copy) -> None:
    table = next(good_copy.write(gzipped=False).rglob("*-chexpert.csv"))
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:3], '"' + lines[3], *lines[4:]]))
    quality = good_copy.reader(quarantine_limit=1.0).quality()
    assert [int(q.row) for q in quality.quarantined] == list(range(4, len(lines) + 1))


def test_the_row_of_a_damaged_record_is_its_line_in_the_file(good_copy) -> None:
    good_copy.images.pop(next(name for name in good_copy.images if "s50000002" in name))
    root = good_copy.write(gzipped=False)
    (quarantined,) = good_copy.reader(quarantine_limit=1.0).quality().quarantined
    line = (root / quarantined.file).read_text().splitlines()[int(quarantined.row) - 1]
    assert ",50000002," in line


def test_too_much_damage_is_refused_with_files_rows_and_reasons_but_no_ids(good_copy) -> None:
    good_copy.images = {name: content for name, content in good_copy.images.items() if "s50000002" not in name}
    good_copy.write()
    assert len(good_copy.reader(quarantine_limit=1 / 6).samples("train")) == 3  # exactly at the limit
    with pytest.raises(DataError, match=r"1 of 6 records of mimic_cxr are damaged: image file missing \(1, ") as caught:
        good_copy.reader().samples("train")
    assert "mimic-cxr-2.0.0-split.csv.gz row 5" in caught.value.got
    assert "50000002" not in str(caught.value)


def test_excluded_studies_do_not_dilute_the_damage(good_copy) -> None:
    for study in range(10, 60):
        good_copy.add(6, study, views=("LATERAL",), labels={})
    good_copy.images = {name: content for name, content in good_copy.images.items() if "s50000002" not in name}
    good_copy.write()
    with pytest.raises(DataError, match="1 of 6 records"):
        good_copy.reader(quarantine_limit=0.1).samples("train")


def test_a_patient_in_two_splits_is_refused_without_being_named(good_copy) -> None:
    good_copy.add(1, 7, split="test", labels={})
    good_copy.write()
    with pytest.raises(DataError, match=r"train \(.*row 2\) and in test \(.*row 10\)") as caught:
        good_copy.reader().samples("train")
    assert "10000001" not in str(caught.value)


def test_a_root_that_does_not_exist_is_said(copy) -> None:
    with pytest.raises(DataError, match="no such folder"):
        copy.reader().quality()


def test_an_empty_root_is_said(copy) -> None:
    copy.root.mkdir()
    with pytest.raises(DataError, match="an empty folder"):
        copy.reader().quality()


def test_the_root_of_another_dataset_is_said(copy) -> None:
    (copy.root / "CheXpert-v1.0-small").mkdir(parents=True)
    (copy.root / "CheXpert-v1.0-small/train.csv").write_text("Path,Sex\n")
    with pytest.raises(DataError, match="not a copy of MIMIC-CXR-JPG"):
        copy.reader().quality()


def test_images_without_reports_are_said(good_copy) -> None:
    good_copy.reports.clear()
    good_copy.write()
    with pytest.raises(DataError, match="no reports"):
        good_copy.reader().quality()


def test_a_table_without_a_column_is_said(good_copy) -> None:
    root = good_copy.write(gzipped=False)
    table = root / "mimic-cxr-jpg/2.1.0/mimic-cxr-2.0.0-metadata.csv"
    table.write_text(table.read_text().replace("ViewPosition", "Position"))
    with pytest.raises(DataError, match=r"metadata\.csv has no column ViewPosition"):
        good_copy.reader().quality()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda content: content[: len(content) // 2], "cut off"),
        (lambda content: b"not gzip at all", "not gzip"),
        (lambda content: gzip.compress(b""), "empty"),
        (lambda content: gzip.compress(gzip.decompress(content).splitlines(keepends=True)[0]), "without rows"),
        (lambda content: gzip.compress(b"\xff\xfe" + gzip.decompress(content)), "not a CSV in UTF-8"),
    ],
)
def test_a_spoilt_table_is_said(good_copy, spoil: Any, message: str) -> None:
    for study in range(100, 200):  # enough for a table that half of does not hold
        good_copy.add(7, study, labels={})
    root = good_copy.write()
    table = root / "mimic-cxr-jpg/2.1.0/mimic-cxr-2.0.0-split.csv.gz"
    table.write_bytes(spoil(table.read_bytes()))
    with pytest.raises(DataError, match=message):
        good_copy.reader().quality()


def test_nothing_left_to_train_on_is_said(copy) -> None:
    copy.add(1, 1, views=("LATERAL",), labels={})
    copy.write()
    with pytest.raises(DataError, match="no sample left of 1 records"):
        copy.reader().samples("train")


def test_a_real_copy_cannot_be_opened(good_copy) -> None:
    good_copy.write()
    with pytest.raises(PrivacyError, match="PhysioNet"):
        _ = good_copy.reader(access="open").access


def test_a_generated_world_is_open_once_proved(good_copy) -> None:
    good_copy.write()
    good_copy.prove()
    reader = good_copy.reader(name="chest_world", access="open")
    assert reader.access == "open"
    assert {s.provenance.access for s in reader.samples("train")} == {"open"}
    assert good_copy.reader().access == "credentialed"


def test_a_half_written_world_is_not_open(good_copy) -> None:
    good_copy.write()
    good_copy.prove(complete=False)
    with pytest.raises(PrivacyError, match="completely generated"):
        good_copy.reader(access="open").samples("train")


def test_a_marker_copied_beside_other_studies_opens_nothing(good_copy) -> None:
    good_copy.write()
    good_copy.prove()
    good_copy.add(8, 99, labels={})
    good_copy.write()
    with pytest.raises(PrivacyError, match=r"1 studies there that truth/studies\.jsonl does not know"):
        good_copy.reader(access="open").samples("train")


def test_the_fingerprint_follows_texts_labels_splits_and_image_sizes(good_copy, tmp_path: Path) -> None:
    def fingerprint_after(change: Any, number: int) -> str:
        good_copy.root = tmp_path / str(number)
        change()
        good_copy.write()
        return good_copy.reader().fingerprint

    image, report = next(iter(good_copy.images)), next(iter(good_copy.reports))
    frontal = next(name for name in good_copy.images if "s50000002" in name)
    unchanged = fingerprint_after(lambda: None, 0)
    assert fingerprint_after(lambda: good_copy.images.update({image: b"another lateral view"}), 1) == unchanged
    found = [
        unchanged,
        fingerprint_after(lambda: good_copy.images.update({frontal: b"longer " * 20}), 2),
        fingerprint_after(lambda: good_copy.reports.update({report: b"X\n FINDINGS: Else.\n"}), 3),
        fingerprint_after(lambda: good_copy.labels[3].__setitem__(2, "-1.0"), 4),
        fingerprint_after(lambda: good_copy.split[-1].__setitem__(3, "validate"), 5),
    ]
    assert len(set(found)) == len(found)


def test_a_copy_is_read_once_and_only_when_asked(good_copy) -> None:
    reader = good_copy.reader()
    assert reader.access == "credentialed"  # nothing is there yet
    root = good_copy.write()
    first = reader.samples("train")
    (root / "mimic-cxr-jpg/2.1.0/mimic-cxr-2.0.0-split.csv.gz").unlink()
    assert list(reader.samples("train")) == list(first)
    assert reader.quality().samples == 6


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"access": "public"}, "open, credentialed"),
        ({"labels": "chexbert"}, "chexpert, negbio"),
        ({"uncertain": "drop"}, "absent, present"),
        ({"prompt": " "}, "prompt"),
        ({"views": "AP"}, "views"),
        ({"views": []}, "views"),
        ({"quarantine_limit": 1.5}, "quarantine_limit=1.5"),
    ],
)
def test_knobs_out_of_range_are_refused_at_once(good_copy, knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        good_copy.reader(**knobs)


def test_an_unknown_split_is_refused_with_those_there_are(good_copy) -> None:
    with pytest.raises(ConfigError, match="train, validate, test"):
        good_copy.reader().samples("valid")


@pytest.mark.parametrize("name", ["mimic_cxr", "chest_world"])
def test_the_configs_agree_with_the_readers_defaults(name: str) -> None:
    config = yaml.safe_load((ROOT / f"conf/dataset/{name}.yaml").read_text(encoding="utf-8"))
    for knob, parameter in inspect.signature(MimicCXR).parameters.items():
        if parameter.default is not inspect.Parameter.empty and knob != "index":  # a path belongs to the config
            default = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
            assert config[knob] == default, knob
    assert config["access"] == {"mimic_cxr": "credentialed", "chest_world": "open"}[name]


def test_the_invented_samples_are_read_by_the_official_rules(tmp_path: Path) -> None:
    source = ROOT.parent / "shared/samples/synthetic"
    if not source.is_dir():
        pytest.skip("the invented sample of the layout is not at ../shared/samples/synthetic")
    for name in ("mimic-cxr", "mimic-cxr-jpg"):
        for path in (source / name).rglob("*"):
            if path.is_file():
                target = tmp_path / name / path.relative_to(source / name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
    # the sample has no pictures
    for patient, study, last in ((1, 1, 1), (3, 4, 5)):
        folder = tmp_path / f"mimic-cxr-jpg/files/p19/p1999999{patient}/s5999999{study}"
        folder.mkdir(parents=True)
        (folder / f"aaaaaaaa-bbbbbbbb-cccccccc-dddddddd-0000000{last}.jpg").write_bytes(b"a picture")
    reader = MimicCXR(name="mimic_cxr", root=str(tmp_path), access="credentialed", quarantine_limit=0)
    (train,) = reader.samples("train")
    assert train.factual.thinking == (
        "Invented sentence: the heart is enlarged. A made-up catheter ends in the made-up vein. No pneumothorax."
    )
    assert train.results == ("Cardiomegaly", "Support Devices")
    (test,) = reader.samples("test")
    assert test.factual.thinking.startswith("No section header but the title")
    assert test.results == ("Consolidation", "Pneumonia")
    assert reader.quality().excluded == {
        "no findings section": 1,
        "no image of view AP, PA": 1,
        "no label row": 1,
    }
