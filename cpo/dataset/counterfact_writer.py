"""Records in the layout of CXR-CounterFact, which holds MIMIC-CXR's reports and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cpo.answers import ListedAnswer, Malformed
from cpo.dataset.mimic_cxr import ANSWER
from cpo.dataset.mimic_release import DICOM, LABELS, STUDY, SUBJECT
from cpo.dataset.preference_writers import RefusedError, check_unicode
from cpo.records import Released, Sample, Trajectory

ANSWERS = ListedAnswer(ANSWER, LABELS)


def counterfact_record(sample: Sample, chosen: Trajectory, counterfactuals: Sequence[Released]) -> dict[str, Any]:
    """The record of a sample; `mimic_cxr_counterfact` gives texts, targets and ids back. The prompt is not in it.

    Args:
        sample: Gives ids and image.
        chosen: Report and answer.
        counterfactuals: Each for another target.

    Raises:
        RefusedError: Something that the layout has no place for.
    """
    if len(sample.images) != 1 or sample.images[0].edits or sample.images[0].time_s is not None:
        raise RefusedError("other than one unedited image")
    image = Path(sample.images[0].path)
    study = sample.id if STUDY.fullmatch(sample.id) else image.parent.name.removeprefix("s")
    ids = ((DICOM, image.stem), (STUDY, study), (SUBJECT, sample.group))
    if not all(pattern.fullmatch(name) for pattern, name in ids):
        raise RefusedError("ids that are not MIMIC-CXR's")
    _check(chosen)
    if isinstance(ANSWERS.read(chosen.answer), Malformed):
        raise RefusedError("an answer that is not the sentence with known names")
    return {
        "dicom_id": image.stem,
        "sid": study,
        "pid": sample.group,
        "report": chosen.thinking,
        "diagnose": f" {chosen.answer}",  # the papers' script puts it right behind </think>
        "counterfact": _counterfact(counterfactuals),
    }


def _counterfact(counterfactuals: Sequence[Released]) -> dict[str, str]:
    reports: dict[str, str] = {}
    for released in counterfactuals:
        if released.images is not None:
            raise RefusedError("two different images, where the layout has one")
        if released.target in reports:
            raise RefusedError("two counterfactuals for one disease")
        if released.target not in LABELS or released.trajectory.answer != ANSWERS.write([released.target]):
            raise RefusedError("a counterfactual answer that names other than its one target")
        _check(released.trajectory)
        reports[released.target] = released.trajectory.thinking
    return reports


def _check(trajectory: Trajectory) -> None:
    for text in (trajectory.thinking, trajectory.answer):
        if not text or text != text.strip():
            raise RefusedError("a report or answer that is blank or begins or ends in white space")
        check_unicode(text)
