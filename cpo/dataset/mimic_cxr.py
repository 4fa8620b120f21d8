"""MIMIC-CXR reports with MIMIC-CXR-JPG images, or a generated world in the same layout: one sample per study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, get_args

from cpo.answers import ListedAnswer
from cpo.dataset.base import Dataset, one_of
from cpo.dataset.intake import DamagedError, ExcludedError, Intake, Media
from cpo.dataset.mimic_release import LABELS, Release, Study
from cpo.dataset.ms_cxr_t_release import find_ms_cxr_t, read_subjects
from cpo.dataset.sections import findings, findings_only
from cpo.errors import ConfigError
from cpo.records import Access, LabelState, Provenance, Sample, Trajectory

Labeler = Literal["chexpert", "negbio"]
Uncertain = Literal["absent", "present"]
Sections = Literal["official", "findings_only"]

ANSWER = "The disease of this patient is {}."
"""The papers' answer sentence; several results are joined by commas."""

NO_FINDING = "No Finding"
NOT_SCORED = (NO_FINDING, "Support Devices")


class MimicCXR(Dataset):
    """Reads a copy of the official release: findings as thinking, labels as the answer, the first frontal image.

    One sample per study. The release's own rules leave out studies without a frontal image, without a label row or
    without findings.

    `results` of a sample are its present labels; No Finding is among them exactly when none of the 12 diseases is, so
    that every answer names something (labels that are all blank included).

    Args:
        name: See `Dataset`.
        root: Folder with `mimic-cxr/<version>` and `mimic-cxr-jpg/<version>`, or with the contents of both; or the
            flat tree that the papers' scripts read, with the tables at its root.
        access: `credentialed`, or `open` for a generated world, which proves itself by the truth beside it.
        prompt: The user's text, the same for every sample.
        labels: The labeler whose table is read, `chexpert` or `negbio`.
        uncertain: What a label of state uncertain counts as in `results`, `absent` or `present`.
        views: ViewPosition values that count as frontal.
        sections: How findings are found: `official`, by the release's own rules, where the last paragraph stands in
            for them in a report with neither findings nor impression; `findings_only`, as the papers' script does.
        exclude_subjects_of: MS-CXR-T's table of image pairs, or a folder that holds it: its patients are left out of
            training, since they are judged on. Empty to keep them.
        media: See `Dataset`.
        quarantine_limit: See `Dataset`.
        index: See `Dataset`.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Johnson et al., MIMIC-CXR and MIMIC-CXR-JPG 2.0.0 and 2.1.0 (PhysioNet). Findings as thinking and the answer
        sentence follow arXiv 2505.13081; the prompt is our own.
    """

    version = 3
    must_prove_open = True
    labels = LABELS
    scored = tuple(label for label in LABELS if label not in NOT_SCORED)
    published: ClassVar = {"records": 227_835, "train": 222_758, "validate": 1_808, "test": 3_269}

    def __init__(
        self,
        *,
        name: str,
        root: str,
        access: Access,
        prompt: str = "Describe the findings of this chest radiograph, then name the disease of this patient.",
        labels: Labeler = "chexpert",
        uncertain: Uncertain = "absent",
        views: Sequence[str] = ("AP", "PA"),
        sections: Sections = "official",
        exclude_subjects_of: str = "",
        media: Media = "required",
        quarantine_limit: float = 0.01,
        index: str = "",
    ) -> None:
        one_of("labels", labels, get_args(Labeler))
        one_of("uncertain", uncertain, get_args(Uncertain))
        one_of("sections", sections, get_args(Sections))
        if not prompt.strip() or isinstance(views, str) or not views:
            raise ConfigError(
                got=f"prompt={prompt!r}, views={views!r}",
                wanted="a prompt and a list of views that are not empty",
                remedy="pass 'dataset.views=[AP,PA]', or leave both as they are",
            )
        super().__init__(
            name=name,
            root=root,
            access=access,
            media=media,
            quarantine_limit=quarantine_limit,
            index=index,
            knobs={
                "prompt": prompt,
                "labels": labels,
                "uncertain": uncertain,
                "views": sorted(views),
                "sections": sections,
                "exclude_subjects_of": exclude_subjects_of,
            },
        )
        self.answers = ListedAnswer(ANSWER, LABELS)
        self._prompt, self._labels, self._uncertain, self._views = prompt, labels, uncertain, frozenset(views)
        self._findings = findings if sections == "official" else findings_only
        self._judged_on = Path(exclude_subjects_of).expanduser().absolute() if exclude_subjects_of else None

    def annotations(self) -> Sequence[Path]:
        """See `Dataset.annotations`."""
        release = self._release()
        judged_on = (find_ms_cxr_t(self._judged_on),) if self._judged_on else ()
        return release.split, release.metadata, release.labels, release.reports, *judged_on

    def read(self, intake: Intake) -> Iterator[Sample]:
        """See `Dataset.read`."""
        release = self._release()
        studies = release.read_studies(intake.quarantine)
        intake.found = [study.id for study in studies]
        metadata, labels = release.read_metadata(intake.quarantine), release.read_labels(intake.quarantine)
        judged_on = read_subjects(find_ms_cxr_t(self._judged_on)) if self._judged_on else frozenset()
        if self._judged_on:
            known = {study.subject for study in studies}
            intake.details["subjects_of_ms_cxr_t"] = {"named": len(judged_on), "here": len(known & judged_on)}
        file = release.name(release.split)
        for study in studies:
            if labels.get(study.id) == {}:
                continue  # counted already: its row of labels is in quarantine
            with intake.record(file, study.row):
                if study.split == "train" and study.subject in judged_on:
                    raise ExcludedError("training study of a patient of MS-CXR-T")
                yield self._sample(release, study, metadata, labels.get(study.id), intake)

    def _release(self) -> Release:
        return Release.find(self.root, self._labels)

    def _sample(
        self,
        release: Release,
        study: Study,
        metadata: Mapping[str, Mapping[str, str]],
        labels: Mapping[str, LabelState] | None,
        intake: Intake,
    ) -> Sample:
        if any(dicom not in metadata for dicom in study.dicoms):
            raise DamagedError("image without a metadata row")
        frontal = next((d for d in study.dicoms if metadata[d]["view"] in self._views), None)
        if frontal is None:
            raise ExcludedError(f"no image of view {', '.join(sorted(self._views))}")
        if labels is None:
            raise ExcludedError("no label row")
        thinking = self._findings(intake.text(release.report(study), "report"))
        if not thinking:
            raise ExcludedError("no findings section")
        image = intake.image(release.image(study, frontal))
        results = self._results(labels)
        return Sample(
            id=study.id,
            group=study.subject,
            split=study.split,
            images=(image,),
            prompt=self._prompt,
            factual=Trajectory(thinking, self.answers.write(results)),
            labels=labels,
            results=results,
            metadata=metadata[frontal],
            provenance=Provenance(self.name, release.name(release.split), str(study.row), self._access),
        )

    def _results(self, labels: Mapping[str, LabelState]) -> tuple[str, ...]:
        counted = {LabelState.PRESENT} | ({LabelState.UNCERTAIN} if self._uncertain == "present" else set())
        present = {name for name, state in labels.items() if state in counted} - {NO_FINDING}
        if not present.intersection(self.scored):
            present.add(NO_FINDING)
        return tuple(name for name in self.results if name in present)
