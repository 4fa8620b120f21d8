"""Sections of a MIMIC-CXR report, found by the release's own sectioning script or by that of the papers.

Source:
    MIT-LCP/mimic-cxr, `txt/section_parser.py`. Its list of some forty single studies whose text is taken by hand is
    left out: they are read by the same rules as all others. `findings_only` follows the data script of arXiv
    2505.13081 as it was released.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HEADER = re.compile(r"\n ([A-Z ()/,-]+):\s")
"""A header stands at the start of a line after a space, in capitals, and ends in a colon."""

# Names that no substring rule below would fold, misspellings included, as they occur in the release.
SPELLINGS = {
    "impression": (
        "conclusion impresson imprression imoression impressoin imprssion impresion imperssion mpression impession "
        "ndication"  # sic: the official script folds this one into the impression
    ),
    "findings": "finding findins findindgs findgings findngs findnings finidngs",
    "indication": "idication",
    "comparison": "comparision comparsion comparrison comparisions",
}
FOLDED = {spelling: name for name, spellings in SPELLINGS.items() for spelling in spellings.split()} | {
    "reference findings": "findings",
    "chest, two views": "findings",
    "clinical information": "history",
    "pfi": "history",
    "reason for examination": "indication",
    "reason for exam": "indication",
    "clinical indication": "indication",
    "exam": "examination",
    "type of examination": "examination",
    "reference exam": "comparison",
    "recommendation": "recommendations",
    "recommendation(s)": "recommendations",
    "wetread": "wet read",
}
CONTAINED = ("impression", "findings", "history", "comparison", "addendum")
"""A header that contains one of these is one of these; the first that fits counts."""
TITLE = re.compile(
    "chest|portable|pa and lateral|lateral and pa|ap and lateral|lateral and ap|frontal and|two views|frontal view"
    "|pa view|ap view|one view|lateral view|bone window|frontal upright|frontal semi-upright|ribs|pa and lat"
)
"""A header that reads like the title of a study opens a description of it: findings."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a report.

    Args:
        name: Lower case, spellings folded; `preamble` before the first header, `full report` where there is none,
            `last paragraph` for what stands in when a report has neither impression nor findings.
        text: As written, without its header.
    """

    name: str
    text: str


def sections(report: str) -> tuple[Section, ...]:
    r"""The sections of a report in their order; names may repeat.

    Findings and impressions without text are dropped: such a header is a title (`CHEST, PA LATERAL:`), and the real
    section follows.

    Args:
        report: The whole text of a report.

    Example:
        >>> for s in sections("FINAL REPORT\n HISTORY: Cough.\n \n FINDINS:\n \n Clear lungs.\n"):
        ...     print(s.name, "|", s.text.strip())
        preamble | FINAL REPORT
        history | Cough.
        findings | Clear lungs.
    """
    found = [s for s in _split(report) if s.text.strip() or s.name not in ("impression", "findings")]
    if not {"impression", "findings"} & {s.name for s in found} and found:
        head, blank_line, tail = found[-1].text.partition("\n \n")
        if blank_line:
            found[-1:] = [Section(found[-1].name, head), Section("last paragraph", tail)]
    return tuple(found)


def findings(report: str) -> str:
    r"""The findings of a report as one line of text; empty when it has none. The last of several counts.

    In a report with neither findings nor impression its last paragraph stands in.

    Args:
        report: The whole text of a report.

    Example:
        >>> findings("FINAL REPORT\n FINDINGS:  The heart is\n enlarged.\n \n IMPRESSION:  Cardiomegaly.\n")
        'The heart is enlarged.'
        >>> findings("FINAL REPORT\n IMPRESSION:  Cardiomegaly.\n")
        ''
        >>> findings("FINAL REPORT\n HISTORY:  Cough.\n \n Clear lungs.\n")
        'Clear lungs.'
    """
    texts = [s.text for s in sections(report) if s.name in ("findings", "last paragraph")]
    return " ".join(texts[-1].split()) if texts else ""


def findings_only(report: str) -> str:
    r"""The findings of a report as the papers' script extracts them, quirks included; empty when it has none.

    From each line that starts with FINDINGS, in any case, to the next that starts with IMPRESSION: without an
    impression all that follows is taken too, other sections included. Several passages are joined, lines are joined
    without a separator (a report's lines open with a space), and a header in lower case stays in the text.

    Args:
        report: The whole text of a report.

    Example:
        >>> findings_only("FINAL REPORT\n FINDINGS:  The heart is\n enlarged.\n \n IMPRESSION:  Cardiomegaly.\n")
        'The heart is enlarged.'
        >>> findings_only(" Findings: Clear.\n \n NOTIFICATION: By\ntelephone.\n")
        'Findings: Clear.  NOTIFICATION: Bytelephone.'
    """
    kept, inside = [], False
    for line in report.split("\n"):
        start = line.strip().upper()
        if start.startswith("FINDINGS:"):
            inside = True
            kept.append(line.split("FINDINGS:", 1)[-1].strip())
        elif start.startswith("IMPRESSION:"):
            inside = False
        elif inside:
            kept.append(line)
    return "".join(kept).strip()


def _split(report: str) -> list[Section]:
    headers = list(HEADER.finditer(report))
    if not headers:
        return [Section("full report", report)]
    # the line after a header alone on its line never is a header: its line break belongs to the one above
    ends = [header.start() for header in headers[1:]] + [len(report)]
    found = [Section("preamble", report[: headers[0].start(1)])]
    return found + [
        Section(_fold(header[1]), report[header.end() : end]) for header, end in zip(headers, ends, strict=True)
    ]


def _fold(header: str) -> str:
    name = header.lower().strip()
    if name in FOLDED:
        return FOLDED[name]
    for main in CONTAINED:
        if main in name:
            return main
    return "findings" if TITLE.search(name) else name
