"""NIH ChestX-ray14: films with findings mined from their reports; one sample per film."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, get_args

from cpo.answers import ListedAnswer
from cpo.dataset.base import one_of
from cpo.dataset.intake import DamagedError, ExcludedError, Intake, Media
from cpo.dataset.labelled import PROMPT, LabelledImages, check_shares, listed, split_of
from cpo.dataset.mimic_cxr import ANSWER, NO_FINDING
from cpo.dataset.nih_release import FINDINGS, Entries, Line, Release, TestList, age_in_years, findings_of, patient_of
from cpo.dataset.tables import read_table
from cpo.records import Access, LabelState, Sample

COLUMNS = ("Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Gender", "View Position")

TEST_SIZES = {"official": 25_596, "chexnet": 22_433}
"""Names on each test list, as its authors give them."""


class ChestXray14(LabelledImages):
    """Reads the entry table and a list of test images, the official one or CheXNet's.

    Both keep a patient's films together. Validation is a part of the others, by a hash of the patient.

    Args:
        name: See `Dataset`.
        root: Folder with the entry table, the lists and the films.
        access: See `Dataset`.
        prompt: The user's text, the same for every sample.
        entries: Version of the entry table, `2017` or `v2020` (corrected ages); `auto` for the newer one there.
        test_list: `official`, or `chexnet` for the list with 14 columns that arnoweng/CheXNet and CARZero use; with
            it every other image is for training.
        validate_share: Expected share of the training patients that validate, in [0, 1].
        media: See `Dataset`.
        quarantine_limit: See `Dataset`.
        index: See `Dataset`.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Wang et al., ChestX-ray8, CVPR 2017.
    """

    labels = (*FINDINGS, NO_FINDING)
    scored = diseases = FINDINGS
    answers = ListedAnswer(ANSWER, (*FINDINGS, NO_FINDING))
    published: ClassVar = {"records": 112_120}

    def __init__(
        self,
        *,
        name: str,
        root: str,
        access: Access,
        prompt: str = PROMPT,
        entries: Entries = "auto",
        test_list: TestList = "official",
        validate_share: float = 0.1,
        media: Media = "required",
        quarantine_limit: float = 0.01,
        index: str = "",
    ) -> None:
        one_of("entries", entries, get_args(Entries))
        one_of("test_list", test_list, get_args(TestList))
        self._shares = {"validate": validate_share}
        check_shares(self._shares)
        super().__init__(
            name=name,
            root=root,
            access=access,
            prompt=prompt,
            media=media,
            quarantine_limit=quarantine_limit,
            index=index,
            knobs={"entries": entries, "test_list": test_list, **self._shares},
        )
        self._entries, self._test_list = entries, test_list

    def annotations(self) -> Sequence[Path]:
        """See `Dataset.annotations`."""
        release = self._release()
        return [path for path in (release.entries, release.tests, release.trains) if path is not None]

    def read(self, intake: Intake) -> Iterator[Sample]:
        """See `Dataset.read`."""
        release, seen = self._release(), set[str]()
        lines, images, file = release.read_lists(intake.quarantine), release.images(), release.entries.name
        counts, kept = Counter[str](ages_impossible=0, labels_unlike_test_list=0), 0
        for row, cells in read_table(release.entries, COLUMNS, file=file, quarantine=intake.quarantine):
            with intake.record(file, row):
                name, findings, number, age, sex, view = cells
                if name in seen:
                    raise DamagedError("image listed before")
                seen.add(name)
                patient, found, years = patient_of(name, number), findings_of(findings), age_in_years(age)
                counts["ages_impossible"] += not years
                counts["labels_unlike_test_list"] += name in lines and lines[name].findings not in (None, {*found})
                state = LabelState.ABSENT if found else LabelState.PRESENT
                sample = self._sample(
                    record=name,
                    group=patient,
                    split=self._split(patient, lines.get(name)),
                    images=[intake.image(images.get(name, self.root / "images" / name))],
                    labels=listed(found, FINDINGS, normal=not found) | {NO_FINDING: state},
                    metadata={"age": years, "sex": sex, "view": view},
                    at=(file, row),
                )
                kept += 1
                yield sample
        # of the entry table alone: a line of a list is no record
        intake.records = kept + intake.excluded.total() + sum(q.file == file for q in intake.quarantine.records)
        for line in (line for name, line in lines.items() if name not in seen):
            intake.quarantine.add(line.file, line.row, "listed image has no row in the entry table")
        intake.details |= {
            "entries": file,
            "test_list": f"{self._test_list} ({self._file_name(release.tests)})",
            "test_list_images": sum(line.part == "test" for line in lines.values()),
            "published": {"test": TEST_SIZES[self._test_list]},
            "boxes": release.count_boxes(intake.quarantine),
            **counts,
        }

    def _release(self) -> Release:
        return Release.find(self.root, self._entries, self._test_list)

    def _split(self, patient: str, line: Line | None) -> str:
        if line is not None and line.part == "test":
            return "test"
        if line is None and self._test_list == "official":
            raise ExcludedError("on neither list")
        return split_of(patient, self._shares, "train")
