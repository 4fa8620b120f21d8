"""MIMIC-CXR reports with MIMIC-CXR-JPG images, or a generated world in the same layout: one sample per study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from cpo.dataset.generated import prove_generated
from cpo.dataset.mimic_release import LABELS, SPLITS, Release, Study
from cpo.dataset.quarantine import Quarantine
from cpo.dataset.sections import findings
from cpo.dataset.split import check_groups
from cpo.errors import ConfigError, DataError
from cpo.records import (
    Access,
    DataQuality,
    ImageRef,
    LabelState,
    Provenance,
    Sample,
    Trajectory,
    fingerprint,
)

Labeler = Literal["chexpert", "negbio"]
Uncertain = Literal["absent", "present"]

ANSWER = "The disease of this patient is {}."
"""The papers' answer sentence; several results are joined by commas."""

NO_FINDING = "No Finding"
NOT_SCORED = (NO_FINDING, "Support Devices")


class MimicCXR:
    """Reads a copy of the official release: findings as thinking, labels as the answer, the first frontal image.

    One sample per study. The release's own rules leave out studies without a frontal image, without a label row or
    without a findings section; they are counted in `quality().excluded`. Damaged records are quarantined. The copy is
    read once, when something of it is first asked for.

    `results` of a sample are its present labels; No Finding is among them exactly when none of the 12 diseases is, so
    that every answer names something (labels that are all blank included).

    Args:
        name: Name of the dataset's config.
        root: Folder with `mimic-cxr/<version>` and `mimic-cxr-jpg/<version>`, or with the contents of both.
        access: `credentialed`, or `open` for a generated world, which proves itself by the truth beside it.
        prompt: The user's text, the same for every sample.
        labels: The labeler whose table is read, `chexpert` or `negbio`.
        uncertain: What a label of state uncertain counts as in `results`, `absent` or `present`.
        views: ViewPosition values that count as frontal.
        quarantine_limit: Largest tolerated share of damaged records among those not excluded, in [0, 1].

    Raises:
        ConfigError: A knob out of its range.
        DataError: On first use: no copy of the release there, a damaged table, too many damaged records, no sample
            left, or a patient in two splits.
        PrivacyError: On first use: `open` without proof.

    Source:
        Johnson et al., MIMIC-CXR and MIMIC-CXR-JPG 2.0.0 and 2.1.0 (PhysioNet). Findings as thinking and the answer
        sentence follow arXiv 2505.13081; the prompt is our own.
    """

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
        quarantine_limit: float = 0.01,
    ) -> None:
        _one_of("access", access, get_args(Access))
        _one_of("labels", labels, get_args(Labeler))
        _one_of("uncertain", uncertain, get_args(Uncertain))
        if not prompt.strip() or isinstance(views, str) or not views:
            raise ConfigError(
                got=f"prompt={prompt!r}, views={views!r}",
                wanted="a prompt and a list of views that are not empty",
                remedy="pass 'dataset.views=[AP,PA]', or leave both as they are",
            )
        Quarantine(name, quarantine_limit)  # refuses a limit out of range now, not on first use
        self.name, self.results = name, LABELS
        self.diseases = tuple(label for label in LABELS if label not in NOT_SCORED)
        self._root, self._access, self._prompt = Path(root).expanduser().absolute(), access, prompt
        self._labels, self._uncertain, self._views = labels, uncertain, frozenset(views)
        self._limit = quarantine_limit

    @property
    def access(self) -> Access:
        """Whether the records may leave this machine; `open` only once it is proved, which reads the copy."""
        return self._access if self._access == "credentialed" else self._copy.access

    @property
    def fingerprint(self) -> str:
        """Of the ordered content: texts, labels, metadata, splits and the sizes of the image files."""
        return self._copy.fingerprint

    def samples(self, split: str) -> tuple[Sample, ...]:
        """The samples of a split, in the order of the split table.

        Args:
            split: `train`, `validate` or `test`.

        Raises:
            ConfigError: No such split.
        """
        _one_of("split", split, SPLITS)
        return self._copy.samples[split]

    def quality(self) -> DataQuality:
        """What was read, left out and quarantined; samples, exclusions and quarantined records add up to `records`."""
        return self._copy.quality

    @cached_property
    def _copy(self) -> _Copy:
        return self._read()

    def _read(self) -> _Copy:
        release = Release.find(self._root, self._labels)
        quarantine = Quarantine(self.name, self._limit)
        studies = release.read_studies(quarantine)
        if self._access == "open":
            prove_generated(self._root, (s.id for s in studies))
        metadata, labels = release.read_metadata(quarantine), release.read_labels(quarantine)
        samples, sizes, excluded = list[Sample](), list[int](), Counter[str]()
        file = release.name(release.split)
        for study in studies:
            try:
                sample, size = self._sample(release, study, metadata, labels.get(study.id))
            except _ExcludedError as reason:
                excluded[str(reason)] += 1
            except _DamagedError as reason:
                quarantine.add(file, study.row, str(reason))
            else:
                samples.append(sample)
                sizes.append(size)
        quarantine.check(kept=len(samples))
        if not samples:
            raise DataError(
                got=f"no sample left of {len(studies)} studies of {self.name}: {dict(excluded)}",
                wanted="studies with a frontal image, labels and findings",
                remedy="check dataset.views, and that the tables and reports belong together",
            )
        check_groups(samples)
        return _Copy.of(self.name, self._access, samples, sizes, excluded, quarantine)

    def _sample(
        self,
        release: Release,
        study: Study,
        metadata: Mapping[str, Mapping[str, str]],
        labels: Mapping[str, LabelState] | None,
    ) -> tuple[Sample, int]:
        """A study's sample and the size of its image file in bytes."""
        if any(dicom not in metadata for dicom in study.dicoms):
            raise _DamagedError("image without a metadata row")
        frontal = next((d for d in study.dicoms if metadata[d]["view"] in self._views), None)
        if frontal is None:
            raise _ExcludedError(f"no image of view {', '.join(sorted(self._views))}")
        if labels is None:
            raise _ExcludedError("no label row")
        thinking = findings(_read_report(release.report(study)))
        if not thinking:
            raise _ExcludedError("no findings section")
        image = release.image(study, frontal)
        size = _size(image)
        results = self._results(labels)
        return Sample(
            id=study.id,
            group=study.subject,
            split=study.split,
            images=(ImageRef(str(image)),),
            prompt=self._prompt,
            factual=Trajectory(thinking, ANSWER.format(", ".join(results))),
            labels=labels,
            results=results,
            metadata=metadata[frontal],
            provenance=Provenance(self.name, release.name(release.split), str(study.row), self._access),
        ), size

    def _results(self, labels: Mapping[str, LabelState]) -> tuple[str, ...]:
        counted = {LabelState.PRESENT} | ({LabelState.UNCERTAIN} if self._uncertain == "present" else set())
        present = {name for name, state in labels.items() if state in counted} - {NO_FINDING}
        if not present.intersection(self.diseases):
            present.add(NO_FINDING)
        return tuple(name for name in self.results if name in present)


@dataclass(frozen=True, slots=True)
class _Copy:
    """What one reading of a copy gives."""

    access: Access
    samples: Mapping[str, tuple[Sample, ...]]
    quality: DataQuality
    fingerprint: str

    @classmethod
    def of(
        cls,
        name: str,
        access: Access,
        samples: Sequence[Sample],
        sizes: Sequence[int],
        excluded: Mapping[str, int],
        quarantine: Quarantine,
    ) -> _Copy:
        by_split = {split: tuple(s for s in samples if s.split == split) for split in SPLITS}
        states = Counter((label, state) for s in samples for label, state in s.labels.items())
        quality = DataQuality(
            dataset=name,
            records=len(samples) + sum(excluded.values()) + len(quarantine.records),
            samples=len(samples),
            excluded=dict(excluded),
            quarantined=quarantine.records,
            by_split={split: len(found) for split, found in by_split.items()},
            labels={label: {state.value: states[label, state] for state in LabelState} for label in LABELS},
        )
        content = [
            [*s.content, s.split, s.group, s.labels, s.metadata, size] for s, size in zip(samples, sizes, strict=True)
        ]
        return cls(access, by_split, quality, fingerprint(content))


class _ExcludedError(Exception):
    """A study that the release's own rules leave out."""


class _DamagedError(Exception):
    """A study that belongs to the release and cannot be read."""


def _read_report(path: Path) -> str:
    try:
        report = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _DamagedError("report file missing") from None
    except UnicodeDecodeError:
        raise _DamagedError("report not UTF-8") from None
    if not report.strip():
        raise _DamagedError("report empty")
    return report


def _size(image: Path) -> int:
    try:
        size = image.stat().st_size
    except FileNotFoundError:
        raise _DamagedError("image file missing") from None
    if not size:
        raise _DamagedError("image file empty")
    return size


def _one_of(knob: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ConfigError(
            got=f"{knob}={value}", wanted=f"one of {', '.join(allowed)}", remedy=f"pass dataset.{knob}={allowed[0]}"
        )
