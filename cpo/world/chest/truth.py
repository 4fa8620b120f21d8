"""What is true of a generated study: causes, findings, nuisances, ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cpo.graph.lexicon import Mention
from cpo.records import LabelState


@dataclass(frozen=True, slots=True)
class Nuisances:
    """What shows in picture or words and neither causes a disease nor is caused by one.

    Args:
        view: `AP` (portable) or `PA`.
        site: `A`, `B` or `C`: collimation, marker, contrast curve, names of examinations.
        devices: Support devices on the film.
        phrase: Which habitual opening of this view and site.
        lungs_first: The report describes the lungs before the heart.
    """

    view: str
    site: str
    devices: tuple[str, ...]
    phrase: int
    lungs_first: bool


@dataclass(frozen=True, slots=True)
class Ids:
    """The names of a study in the official layout.

    Args:
        subject: Eight digits, the first a 1.
        study: Eight digits, the first a 5.
        dicom: Five groups of eight hexadecimal digits.
        date: YYYYMMDD, shifted into the future.
        time: HHMMSS.fff as a number, so without leading zeros.
        split: `train`, `validate` or `test`.
    """

    subject: int
    study: int
    dicom: str
    date: int
    time: float
    split: str


@dataclass(frozen=True, slots=True)
class Causes:
    """Diseases of a study and the attributes they cause.

    Args:
        diseases: Those that are present, or uncertain; all others are absent.
        findings: Attributes that the film shows, present or (when fainter, and hedged in words) uncertain.
    """

    diseases: Mapping[str, LabelState]
    findings: tuple[Mention, ...]


@dataclass(frozen=True, slots=True)
class Study:
    """Everything that is true of one study; `negated` are the attributes that its report denies."""

    ids: Ids
    sex: str
    causes: Causes
    nuisances: Nuisances
    negated: tuple[str, ...] = ()

    @property
    def states(self) -> dict[str, LabelState]:
        """State of every attribute that the report mentions."""
        shown = {finding.attribute: finding.state for finding in self.causes.findings}
        return shown | dict.fromkeys(self.negated, LabelState.ABSENT)

    def record(self) -> dict[str, Any]:
        """The study as one line of `truth/studies.jsonl`."""
        nuisances = self.nuisances
        return {
            "subject_id": self.ids.subject,
            "study_id": self.ids.study,
            "dicom_id": self.ids.dicom,
            "split": self.ids.split,
            "diseases": {name: state.value for name, state in self.causes.diseases.items()},
            "attributes": [
                {"name": f.attribute, "state": f.state.value, "side": f.side, "severity": f.severity}
                for f in self.causes.findings
            ],
            "negated": list(self.negated),
            "nuisances": {
                "view": nuisances.view,
                "site": nuisances.site,
                "devices": list(nuisances.devices),
                "phrase": nuisances.phrase,
                "lungs_first": nuisances.lungs_first,
                "sex": self.sex,
            },
        }
