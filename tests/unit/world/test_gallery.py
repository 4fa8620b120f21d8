"""What a page of a world shows: its facts add up, and each study stands beside its truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cpo.errors import DataError
from cpo.world.chest import ChestWorld, gallery
from cpo.world.chest.reading import told
from cpo.world.chest.sheet import read_truth, report_of


@pytest.fixture(scope="module")
def content(written: Path) -> dict[str, Any]:
    return gallery(written, 7)


def test_studies_are_spread_over_the_world_with_their_pictures(content: dict[str, Any], written: Path) -> None:
    ids = [record["study_id"] for record in read_truth(written)]
    shown = [int(study["title"].split()[1]) for study in content["studies"]]

    assert shown == ids[::5][:7]
    assert all(study["image"].is_file() for study in content["studies"])


def test_the_report_is_whole_and_what_it_states_is_marked(content: dict[str, Any], written: Path) -> None:
    records = {record["study_id"]: record for record in read_truth(written)}
    for study in content["studies"]:
        record = records[int(study["title"].split()[1])]
        text = " ".join(report_of(written, record).split())
        assert all(sentence in text for _, sentences in study["report"] for sentence, _ in sentences)
        marked = [sentence for _, sentences in study["report"] for sentence, stated in sentences if stated]
        assert len(marked) == len(record["attributes"])


def test_the_truth_says_what_is_there_and_what_is_denied(content: dict[str, Any], written: Path) -> None:
    records = {record["study_id"]: record for record in read_truth(written)}
    for study in content["studies"]:
        record, truth = records[int(study["title"].split()[1])], dict(study["truth"])
        assert truth["Denied by the report"] == ", ".join(record["negated"])
        assert all(disease in truth["Diseases"] for disease in record["diseases"] or ["No Finding"])
        assert all(attribute["name"] in truth["Shown by the film"] for attribute in record["attributes"])


def test_facts_name_the_difficulty_and_count_patients(content: dict[str, Any], small: ChestWorld) -> None:
    facts = dict(content["facts"])

    assert facts["Difficulty"].startswith("default: severities")
    assert facts["Studies"] == f"40 of {len(small.groups())} patients"
    assert small.fingerprint in facts["Fingerprint"]


def test_tables_count_the_truth(content: dict[str, Any], written: Path) -> None:
    records = read_truth(written)
    diseases, together, attributes = content["tables"]
    for disease, (present, *by_split, uncertain) in diseases["rows"]:
        states = [record["diseases"].get(disease) for record in records]
        assert (present, uncertain) == (states.count("present"), states.count("uncertain"))
        assert sum(by_split) == present
    for name, (present, *grades, _, denied) in attributes["rows"]:
        assert denied == sum(name in record["negated"] for record in records)
        assert grades == ["", "", ""] or sum(grades) == present
    for pair, (studies, lift) in together["rows"]:
        assert studies == sum(set(pair.split(" + ")) <= set(record["diseases"]) for record in records)
        assert lift > 1
    assert all(len(row) == len(table["columns"]) - 1 for table in content["tables"] for _, row in table["rows"])


def test_findings_alone_are_told_without_marking_denials() -> None:
    assert told(" FINDINGS: There is no lung nodule.") == [("FINDINGS", [("There is no lung nodule.", False)])]


def test_a_folder_that_is_no_world_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no truth/studies"):
        gallery(tmp_path, 3)
