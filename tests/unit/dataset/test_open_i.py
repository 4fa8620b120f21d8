from __future__ import annotations

import csv
import io
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from PIL import Image

from cpo.dataset.open_i import PHRASES, OpenI, labels_in
from cpo.errors import ConfigError, DataError
from cpo.records import LabelState
from tests.fixtures.mutations import fuzz, spoilt, survives

SAMPLES = Path(__file__).parents[4] / "shared/samples/openi_iuxray"
needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="the excerpt of the release is not at ../shared/samples/openi_iuxray"
)


def xml(
    uid: str = "CXR97",
    findings: str = "The lungs are XXXX clear.",
    major: tuple[str, ...] = ("Spondylosis/thoracic vertebrae",),
    automatic: tuple[str, ...] = ("Spinal Osteophytosis",),
    images: tuple[str, ...] = ("CXR97_IM-2460-1001", "CXR97_IM-2460-3003"),
) -> bytes:
    terms = "".join(f"<major>{t}</major>" for t in major) + "".join(f"<automatic>{t}</automatic>" for t in automatic)
    parents = "".join(
        f'<parentImage id="{i}"><caption>Xray Chest PA and Lateral</caption></parentImage>' for i in images
    )
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<eCitation><uId id="{uid}"/><Abstract>'
        f'<AbstractText Label="COMPARISON"/><AbstractText Label="FINDINGS">{findings}</AbstractText>'
        f'<AbstractText Label="IMPRESSION">No acute process.</AbstractText></Abstract><MeSH>\n{terms}</MeSH>{parents}'
        "</eCitation>"
    ).encode()


XML = {
    "ecgen-radiology/97.xml": xml(),
    "ecgen-radiology/1.xml": xml("CXR1", major=("normal",), automatic=(), images=("CXR1_1_IM-0001-3001",)),
    "ecgen-radiology/8.xml": xml("CXR8", "", ("Opacity/lung",), ("Infiltrate", "Edema"), ("CXR8_IM-2333-1001",)),
    "ecgen-radiology/10.xml": xml("CXR10", images=()),
}
REPORTS = b"""uid,MeSH,Problems,image,indication,comparison,findings,impression
1,normal,normal,Xray Chest PA and Lateral,Positive TB test,None.,The lungs are clear.,Normal chest x-XXXX.
5,Osteophyte/multiple;Thickening/pleura/apex/bilateral,Osteophyte;Thickening,Xray,"Chest, and nose",,,No change.
7,Pulmonary Atelectasis/base,Pulmonary Atelectasis,Xray,,"XXXX, XXXX",Basilar atelectasis.,
"""
PROJECTIONS = b"""uid,filename,projection
1,1_IM-0001-4001.dcm.png,Frontal
1,1_IM-0001-3001.dcm.png,Lateral
5,5_IM-2117-1003002.dcm.png,Lateral
"""
KAGGLE = {"indiana_reports.csv": REPORTS, "indiana_projections.csv": PROJECTIONS}


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def reader(root: Path, **knobs: Any) -> OpenI:
    return OpenI(**{"name": "open_i", "root": str(root), "access": "open", "media": "optional"} | knobs)


def test_each_image_of_a_report_becomes_a_sample(tmp_path: Path) -> None:
    dataset = reader(write(tmp_path, XML))
    normal, infiltrate, first, second = dataset.samples("test")
    assert (first.id, second.id, first.group) == ("97_IM-2460-1001", "97_IM-2460-3003", "97")
    assert first.factual.thinking == "The lungs are XXXX clear."
    assert first.metadata == {
        "view": "Xray Chest PA and Lateral",
        "terms": "Spondylosis/thoracic vertebrae",
        "impression": "No acute process.",
    }
    assert (second.provenance.file, second.provenance.row) == ("ecgen-radiology/97.xml", "2")
    assert first.results == normal.results == ("No Finding",)
    assert set(first.labels.values()) == {LabelState.UNMENTIONED}
    assert set(normal.labels.values()) == {LabelState.ABSENT}
    assert infiltrate.factual.answer == "The disease of this patient is Infiltration, Edema."
    assert infiltrate.factual.thinking == ""


def test_reports_are_the_records_and_those_without_an_image_are_left_out(tmp_path: Path) -> None:
    quality = reader(write(tmp_path, XML)).quality()
    assert (quality.records, quality.samples) == (4, 4)
    assert quality.excluded == {"report without an image": 1}
    assert quality.details["reports_without_findings"] == 1


def test_the_labels_are_looked_for_in_the_programs_terms_or_the_indexers(tmp_path: Path) -> None:
    write(tmp_path, XML)
    assert reader(tmp_path).quality().details["labels_from"] == "automatic terms"
    indexed = reader(tmp_path, terms="major")
    assert indexed.samples("test")[1].results == ("Opacity",)
    assert indexed.quality().details["labels_from"] == "major terms"


@pytest.mark.parametrize(
    ("terms", "labels"),
    [
        (["Atelectases"], ["Atelectasis"]),
        (["infiltrate"], ["Infiltration"]),
        (["Pleural Thickening"], ["Pleural_Thickening"]),
        (["Thickening/pleura/apex"], ["Pleural_Thickening"]),
        (["Calcified Granuloma"], ["Calcified Granuloma", "Granuloma"]),
        (["Granulomatous Disease"], ["Granuloma"]),
        (["pleural effusions", "hydropneumothorax"], ["Effusion", "Pneumothorax"]),
        (["-1"], []),
        ([], []),
    ],
)
def test_a_label_is_a_part_of_a_term_in_lower_case(terms: list[str], labels: list[str]) -> None:
    assert labels_in(terms) == labels


def test_kaggles_tables_give_a_sample_per_image_with_the_indexers_terms(tmp_path: Path) -> None:
    dataset = reader(write(tmp_path, KAGGLE))
    frontal, lateral, blank = dataset.samples("test")
    assert (frontal.id, frontal.group, frontal.metadata["view"]) == ("1_IM-0001-4001", "1", "Frontal")
    assert lateral.provenance.row == "3"
    assert (blank.factual.thinking, blank.results) == ("", ("Pleural_Thickening",))
    quality = dataset.quality()
    assert (quality.records, quality.excluded) == (3, {"report without an image": 1})
    assert (quality.details["packaging"], quality.details["labels_from"]) == ("kaggle", "major terms")
    assert quality.details["published"] == {"records": 3_851, "samples": 7_466}
    with pytest.raises(ConfigError, match="Kaggle"):
        reader(tmp_path, terms="automatic").quality()


def test_the_packaging_is_found_or_chosen(tmp_path: Path) -> None:
    write(tmp_path, {**XML, **KAGGLE})
    assert reader(tmp_path).quality().details["packaging"] == "xml"
    assert reader(tmp_path, packaging="kaggle").quality().details["packaging"] == "kaggle"


@pytest.mark.parametrize("packaging", ["auto", "xml", "kaggle"])
def test_a_folder_without_the_packaging_is_said(tmp_path: Path, packaging: str) -> None:
    if packaging != "auto":
        write(tmp_path, KAGGLE if packaging == "xml" else XML)
    wanted = {"auto": "nor indiana_reports", "xml": "no ecgen-radiology", "kaggle": "no indiana_reports"}[packaging]
    with pytest.raises(DataError, match=wanted):
        reader(tmp_path, packaging=packaging).quality()


def archive(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as packed:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            packed.addfile(info, io.BytesIO(text))
    return content.getvalue()


def test_the_librarys_archive_need_not_be_unpacked(tmp_path: Path) -> None:
    write(tmp_path / "unpacked", XML)
    write(tmp_path / "packed", {"NLMCXR_reports.tgz": archive(dict(sorted(XML.items(), key=lambda x: len(x[0]))))})
    unpacked, packed = (reader(tmp_path / name).samples("test") for name in ("unpacked", "packed"))
    assert [s.content for s in packed] == [s.content for s in unpacked]
    assert packed[0].provenance.file == "NLMCXR_reports.tgz/1.xml"


@pytest.mark.parametrize("content", [b"", b"not an archive", archive(XML)[:300]])
def test_a_cut_off_archive_is_said(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match="cut off or no archive"):
        reader(write(tmp_path, {"NLMCXR_reports.tgz": content})).quality()


@pytest.mark.parametrize("folder", [".", "images", "NLMCXR_png", "images/images_normalized", "images_normalized"])
@pytest.mark.parametrize("name", ["CXR1_1_IM-0001-3001.png", "1_1_IM-0001-3001.png", "1_IM-0001-3001.dcm.png"])
def test_films_are_found_under_the_names_of_every_download(tmp_path: Path, folder: str, name: str) -> None:
    write(tmp_path, {"ecgen-radiology/1.xml": XML["ecgen-radiology/1.xml"]})
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4)).save(tmp_path / folder / name)
    (sample,) = reader(tmp_path, media="required").samples("test")
    assert Path(sample.images[0].path).name == name


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "report not XML"),
        (xml()[:200], "report not XML"),
        (b"\xff" + xml(), "report not XML"),
        (xml().replace(b"utf-8", b"klingon"), "report not XML"),
        (xml(uid="97"), "report without a uId of CXR and a number"),
        (b"<eCitation/>", "report without a uId of CXR and a number"),
        (xml("CXR1"), "report listed before"),
        (xml("CXR3", images=("CXR97_IM-2460-1001",)), "image without a name, or with that of another report"),
        (xml("CXR3", images=("",)), "image without a name, or with that of another report"),
        (xml("CXR3", images=("CXR3_IM-1-1",) * 2), "image listed before"),
    ],
)
def test_a_damaged_report_or_image_is_set_aside_with_its_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    quality = reader(write(tmp_path, {**XML, "ecgen-radiology/9999.xml": content}), quarantine_limit=1).quality()
    assert [(q.file, q.reason) for q in quality.quarantined] == [("ecgen-radiology/9999.xml", reason)]
    assert quality.records == 5


@pytest.mark.parametrize(
    ("name", "row", "reason"),
    [
        ("indiana_reports.csv", b"1,a,b,c,d,e,f,g\n", "uid listed before, or not a number"),
        ("indiana_reports.csv", b"X,a,b,c,d,e,f,g\n", "uid listed before, or not a number"),
        ("indiana_reports.csv", b"1,a,b\n", "number of cells differs from the header's"),
        ("indiana_projections.csv", b"6,6_IM-1-1.dcm.png,Frontal\n", "image without a report row"),
        ("indiana_projections.csv", b"5,5_IM-1-1.dcm.png,Oblique\n", "projection is none of Frontal, Lateral"),
        (
            "indiana_projections.csv",
            b"5,7_IM-1-1.dcm.png,Frontal\n",
            "image without a name, or with that of another report",
        ),
        ("indiana_projections.csv", b"1,1_IM-0001-4001.dcm.png,Frontal\n", "image listed before"),
    ],
)
def test_a_damaged_row_of_kaggles_tables_is_set_aside(tmp_path: Path, name: str, row: bytes, reason: str) -> None:
    quality = reader(write(tmp_path, {**KAGGLE, name: KAGGLE[name] + row}), quarantine_limit=1).quality()
    assert [(q.file, q.row, q.reason) for q in quality.quarantined] == [(name, "5", reason)]
    assert (quality.records, quality.samples) == (4 if name == "indiana_reports.csv" else 3, 3)


def test_shares_divide_reports_and_not_images(tmp_path: Path) -> None:
    uids = [f"CXR{n}" for n in range(40)]
    images = {uid: (f"{uid}_IM-1-1", f"{uid}_IM-1-2") for uid in uids}
    write(tmp_path, {f"ecgen-radiology/{uid[3:]}.xml": xml(uid, images=images[uid]) for uid in uids})
    by_split = reader(tmp_path, train_share=0.5, validate_share=0.2).quality().by_split
    assert all(count and count % 2 == 0 for count in by_split.values())
    assert sum(by_split.values()) == 80


@pytest.mark.parametrize("knobs", [{"packaging": "json"}, {"terms": "all"}, {"train_share": -1}, {"prompt": ""}])
def test_knobs_out_of_range_are_refused_at_once(tmp_path: Path, knobs: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        reader(tmp_path, **knobs)


@fuzz
@given(spoilt(XML))
def test_no_spoilt_xml_ends_in_a_crash(files: dict[str, bytes]) -> None:
    survives(files, lambda root: reader(root, quarantine_limit=1))


@fuzz
@given(spoilt(KAGGLE))
def test_no_spoilt_tables_end_in_a_crash(files: dict[str, bytes]) -> None:
    survives(files, lambda root: reader(root, quarantine_limit=1))


@fuzz
@given(spoilt({"NLMCXR_reports.tgz": archive(XML)}))
def test_no_spoilt_archive_ends_in_a_crash(files: dict[str, bytes]) -> None:
    survives(files, lambda root: reader(root, quarantine_limit=1))


def independent(terms: str) -> set[str]:
    return {label for label, phrases in PHRASES.items() if any(phrase in terms.lower() for phrase in phrases)}


@needs_samples
@pytest.mark.parametrize("tag", ["automatic", "major"])
def test_counts_of_the_real_xml_files_equal_an_independent_count(tag: str) -> None:
    images, empty, positives = list[int](), 0, Counter[str]()
    for file in (SAMPLES / "ecgen-radiology").glob("*.xml"):
        root = ElementTree.parse(file).getroot()
        images.append(len(root.findall(".//parentImage")))
        sections = {node.get("Label"): node.text for node in root.iter("AbstractText")}
        empty += images[-1] > 0 and not (sections["FINDINGS"] or "").strip()
        for label in independent(" | ".join(node.text or "" for node in root.iter(tag))):
            positives[label] += images[-1]
    quality = reader(SAMPLES, terms=tag).quality()
    assert (quality.records, quality.samples, quality.quarantined) == (len(images), sum(images), ())
    assert quality.excluded == {"report without an image": images.count(0)}
    assert quality.details["reports_without_findings"] == empty
    assert {label: quality.labels[label]["present"] for label in PHRASES} == {
        label: positives[label] for label in PHRASES
    }


@needs_samples
def test_counts_of_the_real_tables_equal_an_independent_count() -> None:
    with (SAMPLES / "kaggle/indiana_reports.csv").open(newline="", encoding="utf-8") as file:
        reports = {row["uid"]: row for row in csv.DictReader(file)}
    with (SAMPLES / "kaggle/indiana_projections.csv").open(newline="", encoding="utf-8") as file:
        images = list(csv.DictReader(file))
    positives = Counter(label for image in images for label in independent(reports[image["uid"]]["MeSH"]))
    dataset = reader(SAMPLES / "kaggle")
    quality = dataset.quality()
    assert (quality.records, quality.samples, quality.quarantined) == (len(reports), len(images), ())
    assert quality.details["reports_without_findings"] == sum(not report["findings"] for report in reports.values())
    assert {label: quality.labels[label]["present"] for label in PHRASES} == {
        label: positives[label] for label in PHRASES
    }
    assert Counter(s.metadata["view"] for s in dataset.samples("test")) == Counter(i["projection"] for i in images)


@needs_samples
def test_both_packagings_name_the_same_images_and_findings() -> None:
    library = {s.id: s for s in reader(SAMPLES).samples("test")}
    tables = {s.id: s for s in reader(SAMPLES / "kaggle").samples("test")}
    shared = library.keys() & tables.keys()
    assert {s.group for s in library.values()} & {s.group for s in tables.values()} == {
        library[i].group for i in shared
    }
    assert len(shared) > 100
    assert all(library[i].factual.thinking == " ".join(tables[i].factual.thinking.split()) for i in shared)
