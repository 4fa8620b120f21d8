"""MIMIC-CXR in the papers' flat tree, by the papers' findings, and without the patients that are judged on."""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpo.dataset.mimic_cxr import MimicCXR
from cpo.dataset.sections import findings, findings_only
from cpo.errors import ConfigError, DataError
from tests.fixtures.mutations import fuzz, spoilt, survives
from tests.unit.dataset.conftest import Copy

SYNTHETIC = Path(__file__).parents[4] / "shared/samples/synthetic"


def flatten(copy: Any) -> Path:
    """The copy in the papers' tree: images in shards, reports without `files`, tables at the root."""
    root: Path = copy.write(merged=True)
    for number, name in enumerate(sorted(copy.images)):
        shard = root / f"mimic-cxr-00{number % 7}/images"
        shard.mkdir(parents=True, exist_ok=True)
        (root / name).rename(shard / Path(name).name)
    for name in copy.reports:
        target = root / "reports" / Path(name).relative_to("files")
        target.parent.mkdir(parents=True, exist_ok=True)
        (root / name).rename(target)
    return root


def flat_files(copy: Any) -> dict[str, bytes]:
    root = flatten(copy)
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_the_flat_tree_of_the_papers_reads_the_same(good_copy, tmp_path: Path) -> None:
    good_copy.write()
    usual = good_copy.reader()
    good_copy.root = tmp_path / "flat"
    flatten(good_copy)
    flat = good_copy.reader()
    assert flat.fingerprint == usual.fingerprint
    assert Path(flat.samples("train")[0].images[0].path).parts[-3:-1] == ("mimic-cxr-001", "images")


def test_an_image_in_none_of_the_shards_is_missing(good_copy) -> None:
    root = flatten(good_copy)
    (shard,) = (p for p in root.glob("mimic-cxr-00*/images/*.jpg") if p.name.startswith("00000002-"))
    shard.unlink()
    quality = good_copy.reader(quarantine_limit=1).quality()
    assert [q.reason for q in quality.quarantined] == ["image file missing"]


def test_reports_in_files_and_images_in_shards_belong_together(good_copy) -> None:
    root = flatten(good_copy)
    (root / "reports").rename(root / "files-only")
    for path in root.glob("files/**/*.jpg"):
        path.unlink()
    for path in root.glob("files-only/**/*.txt"):
        target = root / "files" / path.relative_to(root / "files-only")
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    assert good_copy.reader().quality().samples == 6


def test_the_papers_findings_are_a_policy_of_their_own(copy) -> None:
    copy.add(1, 1, labels={}, report="FINAL REPORT\n Findings:  Clear.\n NOTE: Called\nat noon.\n")
    copy.add(2, 2, labels={}, report="FINAL REPORT\n CHEST, PORTABLE:  Clear.\n \n IMPRESSION:  Normal.\n")
    copy.add(3, 3, labels={}, report="FINAL REPORT\n HISTORY: Cough.\n \n Nothing found.\n")
    copy.write()
    official, papers = copy.reader(), copy.reader(sections="findings_only")
    # a header in lower case is none to the official script, which is left without a paragraph to stand in
    assert [s.factual.thinking for s in official.samples("train")] == ["Clear.", "Nothing found."]
    assert [s.factual.thinking for s in papers.samples("train")] == ["Findings:  Clear. NOTE: Calledat noon."]
    assert papers.quality().excluded == {"no findings section": 2}
    assert official.fingerprint != papers.fingerprint


@pytest.mark.parametrize(
    ("report", "found"),
    [
        (" FINDINGS: One.\n Two.\n IMPRESSION: x\n", "One. Two."),
        ("FINDINGS:One.\nTwo.\nIMPRESSION: x\n", "One.Two."),
        (" FINDINGS:\n  One.\n impression: x\n FINDINGS: Again.\n", "One.Again."),
        (" FINDINGS: One.\n TECHNIQUE: Swallowed.", "One. TECHNIQUE: Swallowed."),
        (" findings: kept FINDINGS: cut\n", "cut"),
        (" FINDINGS AND IMPRESSION: none\n IMPRESSION: x\n", ""),
        (" FINDINGS:  \n IMPRESSION: x\n", ""),
        ("", ""),
    ],
)
def test_the_quirks_of_the_papers_extractor_are_kept(report: str, found: str) -> None:
    assert findings_only(report) == found


@given(st.text(st.sampled_from("FINDGS:IMPRES \n.a"), max_size=60))
def test_both_ways_find_only_words_of_the_report(report: str) -> None:
    for found in (findings(report), findings_only(report)):
        assert set(re.sub(r"\s", "", found)) <= set(report)


MS_CXR_T = "dicom_id,study_id,subject_id\np10/p10000001/s50000001/x,50000001,10000001\n,,10000005\n,,19999999\n"


@pytest.mark.parametrize("place", ["MS_CXR_T_temporal_image_classification_v1.0.0.csv", "ms-cxr-t/1.0.0", "."])
def test_patients_of_ms_cxr_t_are_left_out_of_training_counted_and_named(good_copy, tmp_path: Path, place: str) -> None:
    name = "MS_CXR_T_temporal_image_classification_v1.0.0.csv"
    table = tmp_path / (place if place.endswith(".csv") else f"{place}/{name}")
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text(MS_CXR_T)
    good_copy.write()
    given = table if place.endswith(".csv") else tmp_path
    quality = good_copy.reader(exclude_subjects_of=str(given)).quality()
    assert quality.excluded == {"training study of a patient of MS-CXR-T": 2}
    assert quality.by_split == {"train": 2, "validate": 1, "test": 1}  # patient 5 is in the test split anyway
    assert quality.details["subjects_of_ms_cxr_t"] == {"named": 3, "here": 2}
    assert good_copy.reader().quality().samples == 6


def test_a_missing_table_of_ms_cxr_t_is_said(good_copy, tmp_path: Path) -> None:
    good_copy.write()
    with pytest.raises(DataError, match="no MS_CXR_T_temporal_image_classification"):
        good_copy.reader(exclude_subjects_of=str(tmp_path / "nowhere")).quality()


def test_an_unknown_way_to_find_sections_is_refused(copy) -> None:
    with pytest.raises(ConfigError, match="official, findings_only"):
        copy.reader(sections="mine")


@pytest.fixture(scope="module")
def readable(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    copy = Copy(tmp_path_factory.mktemp("flat"))
    copy.add(1, 1, views=("LATERAL", "AP"), labels={"Cardiomegaly": "1.0", "Edema": "-1.0"})
    copy.add(2, 2, split="test", labels={"No Finding": "1.0"})
    copy.add(3, 3, split="validate", labels=None)
    return {
        name.removesuffix(".gz"): gzip.decompress(content) if name.endswith(".gz") else content
        for name, content in flat_files(copy).items()
        if "negbio" not in name
    }


@fuzz
@given(st.data())
def test_no_spoilt_copy_ends_in_a_crash(readable: dict[str, bytes], data: st.DataObject) -> None:
    files = data.draw(spoilt(readable))
    survives(files, lambda root: MimicCXR(name="m", root=str(root), access="credentialed", quarantine_limit=1))


@pytest.mark.skipif(not SYNTHETIC.is_dir(), reason="the invented copy is not at ../shared/samples/synthetic")
def test_counts_of_the_invented_copy_equal_an_independent_count() -> None:
    with (SYNTHETIC / "mimic-cxr-jpg/mimic-cxr-2.0.0-split.csv").open() as file:
        studies = {row["study_id"]: row["split"] for row in csv.DictReader(file)}
    quality = MimicCXR(name="m", root=str(SYNTHETIC), access="credentialed", media="optional").quality()
    assert quality.records == len(studies)
    kept = Counter(quality.by_split) + Counter()
    assert quality.samples == sum(kept.values()) == len(studies) - sum(quality.excluded.values())
