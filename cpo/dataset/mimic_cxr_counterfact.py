"""CXR-CounterFact beside a copy of MIMIC-CXR-JPG: reports with their ready-made counterfactuals."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, get_args

from cpo.answers import ListedAnswer, Malformed
from cpo.dataset.base import Dataset, one_of
from cpo.dataset.documents import mapping, words
from cpo.dataset.intake import DamagedError, Intake, Media
from cpo.dataset.json_array import array_elements
from cpo.dataset.mimic_cxr import ANSWER, NOT_SCORED, Labeler
from cpo.dataset.mimic_release import LABELS, Release, Study
from cpo.errors import ConfigError, DataError
from cpo.records import Access, LabelState, Provenance, Released, Sample, Trajectory

FILE = "mimic-counterfact.json"
FOLDERS = ("", "CXR-CounterFact", "cxr-counterfact", "counterfact")
"""Where the file is looked for, below the root."""
SENTENCES = re.compile(r"(?<=\.)\s*(?=The disease )")


@dataclass(frozen=True)
class Tables:
    """What MIMIC-CXR-JPG says of studies and images, by id."""

    release: Release
    studies: Mapping[str, Study]
    metadata: Mapping[str, Mapping[str, str]]
    labels: Mapping[str, Mapping[str, LabelState]]


class MimicCXRCounterFact(Dataset):
    """Reads the JSON list of records: report as thinking, diagnosis as answer, and counterfactual reports.

    All counterfactuals of a record are kept, in its order; `counterfactual=released` makes pairs of them
    (`counterfactual.targets=1` takes the first alone, as the papers' script does). Splits, labels and images are
    MIMIC-CXR-JPG's: a record whose image is not in its table is damaged.

    Args:
        name: See `Dataset`.
        root: Folder of MIMIC-CXR-JPG, in either tree that `mimic_cxr` reads; the reports are not needed.
        access: `credentialed`, or `open` for a generated world.
        file: The JSON file, absolute or relative to the root; empty to look for `mimic-counterfact.json` in the root
            and in `CXR-CounterFact/`.
        prompt: The user's text, the same for every sample.
        labels: The labeler whose table says in which state each label is, `chexpert` or `negbio`.
        media: See `Dataset`.
        quarantine_limit: See `Dataset`.
        index: See `Dataset`.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        CXR-CounterFact of arXiv 2505.13081, as its script `reason-drift.py` reads it. `results` are what `diagnose`
        names; the answer of a counterfactual is the same sentence with its disease. A diagnosis in several sentences
        is joined into one, and counted.
    """

    must_prove_open = True
    labels = LABELS
    scored = tuple(label for label in LABELS if label not in NOT_SCORED)
    published: ClassVar = {"records": 160_208}

    def __init__(
        self,
        *,
        name: str,
        root: str,
        access: Access,
        file: str = "",
        prompt: str = "This is a patient's chest DR image. Please help me determine the patient's disease.",
        labels: Labeler = "chexpert",
        media: Media = "required",
        quarantine_limit: float = 0.01,
        index: str = "",
    ) -> None:
        one_of("labels", labels, get_args(Labeler))
        if not prompt.strip():
            raise ConfigError(got=f"prompt={prompt!r}", wanted="a prompt that is not empty", remedy="leave it as it is")
        super().__init__(
            name=name,
            root=root,
            access=access,
            media=media,
            quarantine_limit=quarantine_limit,
            index=index,
            knobs={"file": file, "prompt": prompt, "labels": labels},
        )
        self.answers = ListedAnswer(ANSWER, LABELS)
        self._file, self._prompt, self._labeler = file, prompt, labels

    def annotations(self) -> Sequence[Path]:
        """See `Dataset.annotations`."""
        release = Release.find(self.root, self._labeler, texts=False)
        return self._records(), release.split, release.metadata, release.labels

    def read(self, intake: Intake) -> Iterator[Sample]:
        """See `Dataset.read`."""
        release = Release.find(self.root, self._labeler, texts=False)
        studies = {study.id: study for study in release.read_studies(intake.quarantine)}
        tables = Tables(
            release, studies, release.read_metadata(intake.quarantine), release.read_labels(intake.quarantine)
        )
        path, seen, per_record, intake.records = self._records(), set[str](), Counter[int](), 0
        intake.details["answers_of_several_sentences_joined"] = 0
        file = path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.name
        for row, element in array_elements(path, file):
            intake.records += 1
            with intake.record(file, row):
                record = mapping(element, "record")
                intake.found.append(str(record.get("sid")))
                sample = self._sample(record, tables, Provenance(self.name, file, str(row), self._access), intake)
                if sample.id in seen:
                    raise DamagedError("image described before")
                seen.add(sample.id)
                per_record[len(sample.counterfactuals)] += 1
                yield sample
        intake.details["records_by_counterfactuals"] = {str(n): per_record[n] for n in sorted(per_record)}

    def _sample(self, record: Mapping[str, Any], tables: Tables, provenance: Provenance, intake: Intake) -> Sample:
        dicom, report, diagnose = (words(record.get(key), key) for key in ("dicom_id", "report", "diagnose"))
        if not report:
            raise DamagedError("report blank")
        study = tables.studies.get(_id(record, "sid", "s"))
        if study is None or dicom not in study.dicoms or study.subject != _id(record, "pid", "p"):
            raise DamagedError("image, study and patient are not together in the split table")
        named = self._diagnosed(diagnose)
        results = tuple(name for name in self.results if name in named)
        if self.answers.read(diagnose) != named:
            diagnose = self.answers.write(results)
            intake.details["answers_of_several_sentences_joined"] += 1
        return Sample(
            id=dicom,
            group=study.subject,
            split=study.split,
            images=(intake.image(tables.release.image(study, dicom)),),
            prompt=self._prompt,
            factual=Trajectory(report, diagnose),
            labels=tables.labels.get(study.id) or dict.fromkeys(LABELS, LabelState.UNMENTIONED),
            results=results,
            metadata=tables.metadata.get(dicom, {}),
            provenance=provenance,
            counterfactuals=tuple(self._counterfactuals(record)),
        )

    def _diagnosed(self, diagnose: str) -> frozenset[str]:
        """The results that the answer names, in one sentence or in several."""
        read = [self.answers.read(sentence) for sentence in SENTENCES.split(diagnose)]
        named = frozenset[str]().union(*(names for names in read if not isinstance(names, Malformed)))
        if any(isinstance(names, Malformed) for names in read):
            raise DamagedError("diagnose is not the answer sentence with known names")
        return named

    def _counterfactuals(self, record: Mapping[str, Any]) -> Iterator[Released]:
        for target, text in mapping(record.get("counterfact"), "counterfact").items():
            if target not in self.results:
                raise DamagedError("counterfact for a disease that is none of the 14 labels")
            thinking = words(text, "counterfactual report")
            if not thinking:
                raise DamagedError("counterfactual report blank")
            yield Released(target, Trajectory(thinking, self.answers.write([target])))

    def _records(self) -> Path:
        places = [self.root / folder / FILE for folder in FOLDERS] if not self._file else [self.root / self._file]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise DataError(
                got=f"no {self._file or FILE} of CXR-CounterFact in {self.root}",
                wanted=f"the JSON list of records, in the root or in {FOLDERS[1]}/",
                remedy="pass dataset.file=PATH; docs/datasets.md says where to get it",
            )
        return found


def _id(record: Mapping[str, Any], key: str, letter: str) -> str:
    """An id as the tables write it: digits alone, whether the record has it as a number or with its letter."""
    return str(record.get(key)).strip().removeprefix(letter)
