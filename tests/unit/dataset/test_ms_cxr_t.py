from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from cpo.dataset.ms_cxr_t import MSCXRT, PROMPTS, PROTOCOL
from cpo.dataset.ms_cxr_t_release import COLUMNS, FINDINGS
from cpo.errors import ConfigError, DataError, PrivacyError
from cpo.records import LabelState
from tests.fixtures.mutations import fuzz, spoilt, survives

SYNTHETIC = Path(__file__).parents[4] / "shared/samples/synthetic"
TABLE = "MS_CXR_T_temporal_image_classification_v1.0.0.csv"
JPEG = b"\xff\xd8 not really a picture \xff\xd9"


def dicom(number: int) -> str:
    return f"{number:08x}-00000000-00000000-00000000-00000000"


def place(patient: int, study: int) -> str:
    return f"p10/p{10_000_000 + patient}/s{50_000_000 + study}/{dicom(study)}"


def row(patient: int, before: int, after: int, **cells: str) -> dict[str, str]:
    """One row; a finding's cell holds its progression and its label quality, joined by a slash."""
    found = {
        "dicom_id": place(patient, after),
        "study_id": f"{50_000_000 + after}",
        "subject_id": f"{10_000_000 + patient}",
        "previous_dicom_id": place(patient, before),
        "previous_study_id": f"{50_000_000 + before}",
    }
    for name, cell in cells.items():
        if name in FINDINGS:
            found[f"{name}_progression"], _, found[f"{name}_label_quality"] = cell.partition("/")
        else:
            found[name] = cell
    return found


ROWS = [
    row(1, 1, 2, edema="worsening/one_expert", pleural_effusion="stable/multiple_experts"),
    row(1, 2, 3, consolidation="improving/disagreement"),
    row(2, 4, 5, pneumothorax="stable/"),
]


def table(rows: list[dict[str, str]], columns: tuple[str, ...] = COLUMNS) -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def write(root: Path, rows: list[dict[str, str]] = ROWS, *, folder: str = "ms-cxr-t/1.0.0") -> Path:
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / folder / TABLE).write_text(table(rows), encoding="utf-8", newline="")
    for number in range(1, 6):
        image = root / f"mimic-cxr-jpg/2.1.0/files/{place(2 if number > 3 else 1, number)}.jpg"
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(JPEG)
    return root


def reader(root: Path, **knobs: Any) -> MSCXRT:
    return MSCXRT(**{"name": "ms_cxr_t", "root": str(root), "access": "credentialed", **knobs})


def test_progression_shows_the_earlier_image_first_and_asks_for_one_finding(tmp_path: Path) -> None:
    samples = reader(write(tmp_path)).samples("test")
    assert [s.id for s in samples] == [
        "50000002-2-edema",
        "50000002-2-pleural_effusion",
        "50000003-3-consolidation",
        "50000005-4-pneumothorax",
    ]
    first = samples[0]
    assert [Path(image.path).stem for image in first.images] == [dicom(1), dicom(2)]
    assert first.prompt == PROMPTS["progression"].format("edema")
    assert first.factual.answer == "The finding is worsening."
    assert (first.factual.thinking, first.results, first.group) == ("", ("worsening",), "10000001")
    assert first.metadata == {"finding": "Edema", "label_quality": "one_expert"}
    assert samples[3].metadata["label_quality"] == ""
    assert first.labels["Edema"] is LabelState.PRESENT
    assert first.labels["Pneumonia"] is LabelState.UNMENTIONED
    assert first.provenance.row == "2"


def test_presence_shows_the_later_image_and_lists_what_is_annotated(tmp_path: Path) -> None:
    samples = reader(write(tmp_path), task="presence").samples("test")
    assert [s.factual.answer for s in samples] == [
        "The disease of this patient is Edema, Pleural Effusion.",
        "The disease of this patient is Consolidation.",
        "The disease of this patient is Pneumothorax.",
    ]
    assert [Path(image.path).stem for image in samples[0].images] == [dicom(2)]
    assert samples[0].labels["Consolidation"] is LabelState.UNMENTIONED  # not absent: the release does not say so
    assert samples[0].metadata["Edema label_quality"] == "one_expert"


def test_an_image_compared_with_two_others_is_one_sample_of_presence(tmp_path: Path) -> None:
    rows = [row(1, 1, 3, edema="stable/one_expert"), row(1, 2, 3, pneumonia="stable/", edema="worsening/")]
    quality = reader(write(tmp_path, rows), task="presence").quality()
    assert (quality.records, quality.samples) == (2, 1)
    assert reader(tmp_path, task="presence").samples("test")[0].results == ("Edema", "Pneumonia")
    assert reader(tmp_path).quality().samples == 3


def test_results_are_labelled_with_their_protocol_and_the_overlap_is_named(tmp_path: Path, good_copy) -> None:
    write(tmp_path)
    assert reader(tmp_path).quality().details["subjects_in_mimic_cxr_training"].startswith("not known")
    good_copy.root = tmp_path
    good_copy.write()
    for task in ("presence", "progression"):
        details = reader(tmp_path, task=task).quality().details
        assert (details["task"], details["protocol"]) == (task, PROTOCOL[task])
        assert (details["subjects"], details["subjects_in_mimic_cxr_training"]) == (2, 2)
        assert details["annotated_labels"]["all"] == 4
        assert details["annotated_labels"]["published"] == 1_326


def test_nothing_of_it_can_be_trained_on(tmp_path: Path) -> None:
    dataset = reader(write(tmp_path))
    assert dataset.quality().by_split == {"train": 0, "validate": 0, "test": 4}
    assert len(dataset.samples("train")) == 0


@pytest.mark.parametrize("folder", ["ms-cxr-t", ".", "ms-cxr-t/1.0.0"])
def test_the_table_is_found_beside_or_inside(tmp_path: Path, folder: str) -> None:
    assert reader(write(tmp_path, folder=folder)).quality().samples == 4


def test_images_in_the_papers_flat_tree_are_found(tmp_path: Path) -> None:
    write(tmp_path)
    shard = tmp_path / "mimic-cxr-004/images"
    shard.mkdir(parents=True)
    for image in list(tmp_path.rglob("*.jpg")):
        image.rename(shard / image.name)
    (tmp_path / "mimic-cxr-jpg").rename(tmp_path / "elsewhere")
    assert reader(tmp_path, quarantine_limit=0).quality().samples == 4


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ({"dicom_id": dicom(2)}, "dicom_id is not pNN/pNNNNNNNN/sNNNNNNNN/<image>"),
        ({"previous_dicom_id": f"../../{place(1, 1)}"}, "previous_dicom_id is not pNN/pNNNNNNNN/sNNNNNNNN/<image>"),
        ({"dicom_id": place(2, 5)}, "images of other studies than the row names"),
        ({"subject_id": "10000009"}, "images of other studies than the row names"),
        ({"edema": "better/one_expert"}, "edema_progression is none of improving, stable, worsening"),
        ({"edema": "stable/two"}, "edema_label_quality is none of one_expert, multiple_experts, disagreement"),
    ],
)
def test_a_damaged_row_is_set_aside_with_its_line_and_reason(
    tmp_path: Path, spoil: dict[str, str], reason: str
) -> None:
    quality = reader(write(tmp_path, [*ROWS, row(1, 1, 2, pneumonia="stable/", **spoil)]), quarantine_limit=1).quality()
    assert [(q.row, q.reason) for q in quality.quarantined] == [("5", reason)]
    assert (quality.records, quality.samples) == (4, 4)


def test_a_finding_annotated_twice_and_an_absent_image_are_damage_and_no_finding_is_none(tmp_path: Path) -> None:
    write(tmp_path, [*ROWS, row(1, 1, 2, edema="stable/"), row(1, 2, 9, edema="stable/"), row(1, 1, 3)])
    quality = reader(tmp_path, quarantine_limit=1).quality()
    assert Counter(q.reason for q in quality.quarantined) == {
        "a finding of this image pair was annotated before": 1,
        "image file missing": 1,
    }
    assert quality.excluded == {"no finding annotated": 1}
    assert quality.records == 6
    assert reader(tmp_path, media="optional", quarantine_limit=1).quality().details["media_absent"] == 1


def test_a_row_with_too_few_cells_is_a_record_and_set_aside(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "ms-cxr-t/1.0.0" / TABLE
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"p10,5\r\n")
    quality = reader(tmp_path, quarantine_limit=1).quality()
    assert (quality.records, quality.samples, len(quality.quarantined)) == (4, 4, 1)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="an empty folder"):
        reader(tmp_path).quality()
    (tmp_path / "files").mkdir()
    with pytest.raises(DataError, match=r"no MS_CXR_T_temporal_image_classification\*\.csv"):
        reader(tmp_path).quality()
    (tmp_path / TABLE).write_text(table(ROWS, COLUMNS).replace("edema_progression", "oedema_progression"))
    with pytest.raises(DataError, match="no column edema_progression"):
        reader(tmp_path).quality()


def test_a_real_copy_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(PrivacyError):
        reader(write(tmp_path), access="open").quality()


@pytest.mark.parametrize(
    "knobs", [{"task": "both"}, {"prompt": "No place."}, {"task": "presence", "prompt": "Is there {}?"}]
)
def test_knobs_out_of_range_are_refused_at_once(tmp_path: Path, knobs: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        reader(tmp_path, **knobs)


@fuzz
@given(spoilt({TABLE: table(ROWS).encode()}))
def test_no_spoilt_copy_ends_in_a_crash(files: dict[str, bytes]) -> None:
    for task in ("presence", "progression"):
        survives(files, lambda root, task=task: reader(root, task=task, media="optional", quarantine_limit=1))


@pytest.mark.skipif(not SYNTHETIC.is_dir(), reason="the invented table is not at ../shared/samples/synthetic")
def test_counts_of_the_invented_table_equal_an_independent_count() -> None:
    with (SYNTHETIC / "ms-cxr-t" / TABLE).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    annotated = [v for r in rows for k, v in r.items() if k.endswith("_progression") and v]
    dataset = reader(SYNTHETIC, media="optional")
    assert (dataset.quality().records, dataset.quality().samples) == (len(rows), len(annotated))
    assert Counter(s.results[0] for s in dataset.samples("test")) == Counter(annotated)
    assert dataset.quality().details["subjects_in_mimic_cxr_training"] == 1
