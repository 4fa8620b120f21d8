from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpo.counterfactual.released import ReleasedCounterfactual
from cpo.dataset.json_array import array_elements
from cpo.dataset.mimic_cxr_counterfact import FILE, MimicCXRCounterFact
from cpo.errors import ConfigError, DataError, PrivacyError
from cpo.records import LabelState, Trajectory
from tests.fixtures.mutations import fuzz, spoilt, survives
from tests.unit.dataset.conftest import Copy

SYNTHETIC = Path(__file__).parents[4] / "shared/samples/synthetic"


def dicom(study: int) -> str:
    return f"{study:08x}-00000000-00000000-00000000-00000000"


def record(patient: int, study: int, **cells: Any) -> dict[str, Any]:
    return {
        "dicom_id": dicom(study),
        "sid": f"{50_000_000 + study}",
        "pid": f"{10_000_000 + patient}",
        "report": "The heart is enlarged.",
        "diagnose": " The disease of this patient is Cardiomegaly.",
        "counterfact": {"Pneumonia": "Focal opacity.", "Atelectasis": "Volume loss."},
        **cells,
    }


RECORDS = [record(1, 2), record(2, 3), record(4, 5), record(5, 6)]


def write(copy: Copy, records: Any = RECORDS, *, folder: str = "CXR-CounterFact") -> Path:
    root = copy.write()
    (root / folder).mkdir(parents=True, exist_ok=True)
    text = records if isinstance(records, str) else json.dumps(records, indent=2)
    (root / folder / FILE).write_text(text, encoding="utf-8")
    return root


def reader(root: Path, **knobs: Any) -> MimicCXRCounterFact:
    return MimicCXRCounterFact(
        **{"name": "mimic_cxr_counterfact", "root": str(root), "access": "credentialed", **knobs}
    )


def test_a_record_is_a_sample_with_both_counterfactuals_in_order(good_copy) -> None:
    sample = reader(write(good_copy)).samples("train")[0]
    assert (sample.id, sample.group, sample.split) == (dicom(2), "10000001", "train")
    assert sample.factual == Trajectory("The heart is enlarged.", "The disease of this patient is Cardiomegaly.")
    assert sample.results == ("Cardiomegaly",)
    assert [(c.target, c.trajectory.thinking, c.trajectory.answer) for c in sample.counterfactuals] == [
        ("Pneumonia", "Focal opacity.", "The disease of this patient is Pneumonia."),
        ("Atelectasis", "Volume loss.", "The disease of this patient is Atelectasis."),
    ]
    assert sample.labels["No Finding"] is LabelState.PRESENT  # the table's states, the record's results
    assert sample.metadata["view"] == "PA"
    assert (sample.provenance.file, sample.provenance.row) == (f"CXR-CounterFact/{FILE}", "1")


def test_splits_are_the_release_s_and_the_index_gives_equal_samples_back(good_copy, tmp_path: Path) -> None:
    root = write(good_copy)
    quality = reader(root).quality()
    assert quality.by_split == {"train": 2, "validate": 1, "test": 1}
    assert quality.details["records_by_counterfactuals"] == {"2": 4}
    indexed = reader(root, index=str(tmp_path / "index"))
    assert list(indexed.samples("train")) == list(reader(root).samples("train"))
    assert list(reader(root, index=str(tmp_path / "index")).samples("test")) == list(indexed.samples("test"))


def test_the_fingerprint_follows_the_counterfactuals(good_copy) -> None:
    before = reader(write(good_copy)).fingerprint
    assert reader(write(good_copy, [*RECORDS[:3], record(5, 6, counterfact={})])).fingerprint != before


def test_they_become_pairs_by_the_released_method(good_copy) -> None:
    samples = reader(write(good_copy)).samples("train")
    made = ReleasedCounterfactual(targets=2, doubtful="reject").make(samples, seed=0)
    assert [c.target for c in made.by_sample[dicom(2)]] == ["Pneumonia", "Atelectasis"]
    # Atelectasis is true of the second study by the label table, though not by the record's answer
    assert [c.target for c in made.by_sample[dicom(3)]] == ["Pneumonia"]
    assert made.rejected == {"target is already true of the sample": 1}
    first = ReleasedCounterfactual(targets=1, doubtful="keep").make(samples, seed=0)
    assert [c.target for c in first.all] == ["Pneumonia", "Pneumonia"]
    assert len(ReleasedCounterfactual(targets=2, doubtful="keep").make(samples, seed=0).all) == 4


@pytest.mark.parametrize("folder", [".", "CXR-CounterFact", "cxr-counterfact"])
def test_the_file_is_found_beside_the_release(good_copy, folder: str) -> None:
    assert reader(write(good_copy, folder=folder)).quality().samples == 4


def test_the_file_may_stand_elsewhere_and_the_reports_need_not_be_there(good_copy, tmp_path: Path) -> None:
    good_copy.reports.clear()
    root = write(good_copy)
    (root / "CXR-CounterFact" / FILE).rename(tmp_path / "mine.json")
    dataset = reader(root, file=str(tmp_path / "mine.json"))
    assert dataset.samples("test")[0].provenance.file == "mine.json"
    with pytest.raises(DataError, match=r"no mimic-counterfact\.json"):
        reader(root).quality()


def test_ids_may_be_numbers_or_have_their_letters_and_a_diagnosis_several_sentences(good_copy) -> None:
    said = " The disease of this patient is Edema. The disease of this patient is Cardiomegaly."
    root = write(
        good_copy, [record(1, 2, sid=50_000_002, pid="p10000001", diagnose=said), record(2, 3, sid="s50000003")]
    )
    first = reader(root).samples("train")[0]
    assert first.results == ("Cardiomegaly", "Edema")
    assert first.factual.answer == "The disease of this patient is Cardiomegaly, Edema."
    assert reader(root).quality().details["answers_of_several_sentences_joined"] == 1


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        ("not a record", "record is no JSON object"),
        (record(2, 2), "image, study and patient are not together in the split table"),
        (record(1, 2, dicom_id="../../secret"), "image, study and patient are not together in the split table"),
        (record(1, 2, dicom_id=None), "dicom_id is no text"),
        (record(1, 2, report=" \n"), "report blank"),
        (record(1, 2, report=["a"]), "report is no text"),
        (record(1, 2, report="\ud800"), "report not Unicode"),
        (record(1, 2, diagnose="It is Gout."), "diagnose is not the answer sentence with known names"),
        (record(1, 2, counterfact=["a"]), "counterfact is no JSON object"),
        (record(1, 2, counterfact={"Gout": "x"}), "counterfact for a disease that is none of the 14 labels"),
        (record(1, 2, counterfact={"Edema": " "}), "counterfactual report blank"),
        (record(2, 3), "image described before"),
    ],
)
def test_a_damaged_record_is_set_aside_with_its_place_and_reason(good_copy, damaged: Any, reason: str) -> None:
    quality = reader(write(good_copy, [*RECORDS[1:], damaged]), quarantine_limit=1).quality()
    assert [(q.row, q.reason) for q in quality.quarantined] == [("4", reason)]
    assert (quality.records, quality.samples) == (4, 3)


def test_a_missing_image_is_damage_and_a_study_without_a_label_row_is_kept(good_copy) -> None:
    good_copy.labels.pop(1)
    good_copy.images = {name: content for name, content in good_copy.images.items() if "s50000003" not in name}
    dataset = reader(write(good_copy), quarantine_limit=1)
    assert [q.reason for q in dataset.quality().quarantined] == ["image file missing"]
    assert set(dataset.samples("train")[0].labels.values()) == {LabelState.UNMENTIONED}


@pytest.mark.parametrize("text", ["", "{}", "[1", "[1,]", '[{"dicom_id": "a"} {}]', "[1] 2", "[" * 100_000, '["\\x"]'])
def test_a_file_that_is_no_json_array_is_said_with_the_element(good_copy, text: str) -> None:
    with pytest.raises(DataError, match=r"mimic-counterfact\.json is (not|followed)"):
        reader(write(good_copy, text), quarantine_limit=1).quality()


@given(st.lists(st.recursive(st.none() | st.floats(allow_nan=False) | st.text(), st.lists), max_size=4), st.booleans())
def test_elements_of_an_array_are_those_of_json(tmp_path_factory: Any, values: list[Any], indented: bool) -> None:
    path = tmp_path_factory.mktemp("array") / "a.json"
    path.write_text(json.dumps(values, indent=1 if indented else None), encoding="utf-8-sig")
    assert list(array_elements(path, "a.json")) == list(enumerate(values, start=1))


def test_a_real_copy_cannot_be_opened_and_a_generated_one_can(good_copy) -> None:
    root = write(good_copy)
    with pytest.raises(PrivacyError):
        reader(root, access="open").quality()
    good_copy.prove()
    assert reader(root, access="open").access == "open"
    write(good_copy, [*RECORDS, record(1, 99)])
    with pytest.raises(PrivacyError):
        reader(root, access="open", quarantine_limit=1).quality()


@pytest.mark.parametrize("knobs", [{"labels": "chexbert"}, {"prompt": " "}])
def test_knobs_out_of_range_are_refused_at_once(tmp_path: Path, knobs: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        reader(tmp_path, **knobs)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    copy = Copy(tmp_path_factory.mktemp("counterfact"))
    copy.add(1, 2, labels={"Cardiomegaly": "1.0"})
    copy.add(2, 3, split="test", labels={})
    copy.write(gzipped=False)
    root = write(copy, RECORDS[:2])
    found = {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
    return {
        name: content for name, content in found.items() if "negbio" not in name and not name.endswith((".gz", "txt"))
    }


@fuzz
@given(st.data())
def test_no_spoilt_copy_ends_in_a_crash(files: dict[str, bytes], data: st.DataObject) -> None:
    survives(data.draw(spoilt(files)), lambda root: reader(root, quarantine_limit=1))


@pytest.mark.skipif(not SYNTHETIC.is_dir(), reason="the invented copy is not at ../shared/samples/synthetic")
def test_counts_of_the_invented_file_equal_an_independent_count() -> None:
    records = json.loads((SYNTHETIC / "cxr-counterfact" / FILE).read_text(encoding="utf-8"))
    dataset = reader(SYNTHETIC, media="optional")
    assert dataset.quality().records == dataset.quality().samples == len(records)
    (sample,) = dataset.samples("train")
    assert [(c.target, c.trajectory.thinking) for c in sample.counterfactuals] == list(
        records[0]["counterfact"].items()
    )
