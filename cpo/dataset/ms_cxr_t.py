"""MS-CXR-T: what became of five findings between two images of a patient, or which of them the later image shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from cpo.answers import ListedAnswer
from cpo.dataset.base import Dataset, one_of
from cpo.dataset.intake import DamagedError, ExcludedError, Intake, Media
from cpo.dataset.labelled import PROMPT
from cpo.dataset.mimic_release import Images, Release, check_folder
from cpo.dataset.ms_cxr_t_release import (
    FINDINGS,
    PROGRESSIONS,
    ImagePair,
    Shot,
    find_ms_cxr_t,
    image_pair,
    read_rows,
)
from cpo.dataset.quarantine import Quarantine
from cpo.errors import ConfigError, DataError
from cpo.records import Access, ImageRef, LabelState, Provenance, Sample, Trajectory

Task = Literal["presence", "progression"]

PROMPTS = {
    "presence": PROMPT,
    "progression": "The first image is an earlier radiograph of this patient. How has the {} changed since?",
}

PROTOCOL = {
    "presence": "one image, a finding counts as present where its progression is annotated (arXiv 2505.13081, Table 2, "
    "as its prompt and numbers read)",
    "progression": "image pair, three classes per finding, macro accuracy (BioViL-T)",
}
"""What results on this dataset have to be labelled with: the two are not comparable."""

PUBLISHED_LABELS = 1_326
"""Annotated findings, by the release's abstract."""


class MSCXRT(Dataset):
    """Reads the table of image pairs beside a copy of MIMIC-CXR-JPG. There is no training split: all of it is `test`.

    Two tasks, which the release's users mix up:

    - `progression`: the earlier and the later image, one sample for each annotated finding, and the answer says
      whether it is improving, stable or worsening.
    - `presence`: the later image alone, one sample per image, and the answer lists the annotated findings. A finding
      that is not annotated is unmentioned, not absent: the release does not say that it is not there.

    Args:
        name: See `Dataset`.
        root: Folder with MIMIC-CXR-JPG's images (either tree of `mimic_cxr`) and the table, in
            `ms-cxr-t/<version>` or beside.
        access: `credentialed`, or `open` for a generated world.
        task: `presence` or `progression`.
        prompt: The user's text, for progression with `{}` where the finding's name stands; empty for `PROMPTS`.
        media: See `Dataset`.
        quarantine_limit: See `Dataset`.
        index: See `Dataset`.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Bannur et al., MS-CXR-T 1.0.0 (PhysioNet). The answer of `presence` is arXiv 2505.13081's; the rest is our own.
    """

    must_prove_open = True

    def __init__(
        self,
        *,
        name: str,
        root: str,
        access: Access,
        task: Task = "progression",
        prompt: str = "",
        media: Media = "required",
        quarantine_limit: float = 0.01,
        index: str = "",
    ) -> None:
        one_of("task", task, get_args(Task))
        prompt = prompt or PROMPTS[task]
        if prompt.count("{}") != (task == "progression"):
            raise ConfigError(
                got=f"prompt={prompt!r} for task={task}",
                wanted="{} for the finding's name, once for progression, never for presence",
                remedy="leave dataset.prompt empty for the task's own",
            )
        super().__init__(
            name=name,
            root=root,
            access=access,
            media=media,
            quarantine_limit=quarantine_limit,
            index=index,
            knobs={"task": task, "prompt": prompt},
        )
        self._task, self._prompt = task, prompt
        self.labels = tuple(FINDINGS.values())
        if task == "progression":
            self.answers, self.scored = ListedAnswer("The finding is {}.", PROGRESSIONS), PROGRESSIONS
        else:
            self.answers, self.scored = ListedAnswer("The disease of this patient is {}.", self.labels), self.labels

    def annotations(self) -> Sequence[Path]:
        """See `Dataset.annotations`."""
        check_folder(self.root)
        return (find_ms_cxr_t(self.root),)

    def read(self, intake: Intake) -> Iterator[Sample]:
        """See `Dataset.read`."""
        table, images = find_ms_cxr_t(self.root), Images.find(self.root) or Images(self.root / "files")
        file = table.relative_to(self.root).as_posix()
        pairs = self._pairs(table, file, intake)
        subjects = {pair.current.subject for _, pair in pairs}
        labels = Counter(finding for _, pair in pairs for finding in pair.progressions)
        intake.details |= {
            "task": self._task,
            "protocol": PROTOCOL[self._task],
            "annotated_labels": {**labels, "all": labels.total(), "published": PUBLISHED_LABELS},
            "subjects": len(subjects),
            "subjects_in_mimic_cxr_training": self._in_training(subjects),
        }
        for row, pair in pairs if self._task == "progression" else _by_image(pairs):
            with intake.record(file, row):
                shown = (pair.previous, pair.current) if self._task == "progression" else (pair.current,)
                refs = tuple(intake.image(images.path(s.subject, s.study, s.dicom)) for s in shown)
                origin = Provenance(self.name, file, str(row), self._access)
                if self._task == "progression":
                    yield from (self._progression(pair, finding, refs, origin) for finding in pair.progressions)
                else:
                    yield self._presence(pair, refs, origin)

    def _pairs(self, table: Path, file: str, intake: Intake) -> list[tuple[int, ImagePair]]:
        """Every sound row with its line; a thousand of them at most."""
        pairs, seen, intake.records = list[tuple[int, ImagePair]](), set[tuple[Shot, Shot, str]](), 0
        for row, cells in read_rows(table, file=file, quarantine=intake.quarantine):
            intake.records += 1
            intake.found += [cells["study_id"], cells["previous_study_id"]]
            with intake.record(file, row):
                pair = image_pair(cells)
                if not pair.progressions:
                    raise ExcludedError("no finding annotated")
                annotated = {(pair.previous, pair.current, finding) for finding in pair.progressions}
                if annotated & seen:
                    raise DamagedError("a finding of this image pair was annotated before")
                seen |= annotated
                pairs.append((row, pair))
        intake.records += sum(q.reason.startswith("number of cells") for q in intake.quarantine.records)
        return pairs

    def _progression(
        self, pair: ImagePair, finding: str, images: tuple[ImageRef, ...], provenance: Provenance
    ) -> Sample:
        results = (pair.progressions[finding],)
        return Sample(
            id=f"{pair.current.study}-{provenance.row}-{finding.lower().replace(' ', '_')}",
            group=pair.current.subject,
            split="test",
            images=images,
            prompt=self._prompt.replace("{}", finding.lower()),
            factual=Trajectory("", self.answers.write(results)),
            labels=self._states({finding}),
            results=results,
            metadata={"finding": finding, "label_quality": pair.qualities[finding]},
            provenance=provenance,
        )

    def _presence(self, pair: ImagePair, images: tuple[ImageRef, ...], provenance: Provenance) -> Sample:
        results = tuple(finding for finding in self.labels if finding in pair.progressions)
        return Sample(
            id=f"{pair.current.study}-{provenance.row}",
            group=pair.current.subject,
            split="test",
            images=images,
            prompt=self._prompt,
            factual=Trajectory("", self.answers.write(results)),
            labels=self._states(set(results)),
            results=results,
            metadata={f"{finding} label_quality": pair.qualities[finding] for finding in results},
            provenance=provenance,
        )

    def _states(self, present: set[str]) -> dict[str, LabelState]:
        return {f: LabelState.PRESENT if f in present else LabelState.UNMENTIONED for f in self.labels}

    def _in_training(self, subjects: set[str]) -> int | str:
        """Patients that MIMIC-CXR's own split trains on, or why that is not known."""
        try:
            release = Release.find(self.root, "chexpert", texts=False)
            studies = release.read_studies(Quarantine(self.name, 1))
        except DataError:
            return "not known: no tables of MIMIC-CXR-JPG at this root"
        return len(subjects & {study.subject for study in studies if study.split == "train"})


def _by_image(pairs: Sequence[tuple[int, ImagePair]]) -> list[tuple[int, ImagePair]]:
    """One entry per later image, with the findings of all its rows: an image may be compared with several."""
    merged: dict[Shot, tuple[int, ImagePair]] = {}
    for row, pair in pairs:
        first, known = merged.get(pair.current, (row, pair))
        found = replace(
            known,
            progressions={**pair.progressions, **known.progressions},
            qualities={**pair.qualities, **known.qualities},
        )
        merged[pair.current] = (first, found)
    return list(merged.values())
