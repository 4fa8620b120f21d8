from __future__ import annotations

import pytest

from cpo.dataset.sections import findings, sections


def names(report: str) -> list[str]:
    return [s.name for s in sections(report)]


def test_the_last_of_several_findings_sections_counts() -> None:
    report = "FINAL REPORT\n FINDINGS: First.\n \n FINDINGS: Second\n line.\n \n IMPRESSION: Done.\n"
    assert findings(report) == "Second line."


def test_an_empty_repetition_does_not_hide_the_findings() -> None:
    report = "FINAL REPORT\n FINDINGS: Clear lungs.\n \n FINDINGS:  \n \n IMPRESSION: Normal.\n"
    assert findings(report) == "Clear lungs."


def test_a_wet_read_before_the_report_is_not_part_of_its_findings() -> None:
    report = (
        " WET READ: ___ 9:99 PM\n  Early words.\n ____________\n                 FINAL REPORT\n HISTORY:  Cough.\n \n"
        " FINDINGS:  Final words.\n \n IMPRESSION:  1. Done.\n"
    )
    assert findings(report) == "Final words."


def test_a_title_that_describes_the_study_opens_its_findings_unless_it_is_empty() -> None:
    assert findings("FINAL REPORT\n CHEST, PORTABLE:  Clear lungs.\n \n IMPRESSION: Normal.\n") == "Clear lungs."
    empty = "FINAL REPORT\n PORTABLE CHEST:\n \n INDICATION: Cough.\n \n FINDINGS: Clear.\n"
    assert names(empty) == ["preamble", "indication", "findings"]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("FINDINGS", "findings"),
        ("FINIDNGS", "findings"),
        ("FINDINGS AND IMPRESSION", "impression"),
        ("CONCLUSION", "impression"),
        ("CLINICAL HISTORY", "history"),
        ("REASON FOR EXAM", "indication"),
        ("COMPARRISON", "comparison"),
        ("PA AND LATERAL VIEWS OF THE CHEST", "findings"),
        ("TECHNIQUE", "technique"),
    ],
)
def test_spellings_of_a_header_are_folded(header: str, name: str) -> None:
    assert names(f"FINAL REPORT\n {header}:  Some text.\n \n IMPRESSION: Done.\n")[1] == name


def test_only_capitals_after_a_space_at_the_start_of_a_line_are_a_header() -> None:
    report = "FINAL REPORT\n FINDINGS:  Clear.\nTHORAX: x\n Lower: x\n see NOTE: x\n \n IMPRESSION: Done.\n"
    assert names(report) == ["preamble", "findings", "impression"]
    assert findings(report) == "Clear. THORAX: x Lower: x see NOTE: x"


def test_the_line_after_a_lone_header_is_never_a_header() -> None:
    # so the release's own script: a header takes the line break after it
    report = "FINAL REPORT\n FINDINGS:\n TUBES: in place.\n \n IMPRESSION: Done.\n"
    assert findings(report) == "TUBES: in place."


def test_the_last_paragraph_stands_in_for_impression_and_findings() -> None:
    report = "FINAL REPORT\n HISTORY: Cough.\n \n All clear.\n \n Signed.\n"
    found = {s.name: s.text for s in sections(report)}
    assert list(found) == ["preamble", "history", "last paragraph"]
    assert found["history"] == "Cough."
    assert found["last paragraph"] == " All clear.\n \n Signed.\n"
    assert findings(report) == "All clear. Signed."
    assert findings(report + " IMPRESSION: Normal.\n") == ""


def test_a_report_without_headers_is_one_section() -> None:
    assert names("No headers here.") == ["full report"]
    assert findings("No headers here.") == ""
    assert findings("") == ""
