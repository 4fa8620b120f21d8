"""The doctor: what is wrong with a copy of a release, before anything is spent on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from cpo.dataset.base import Dataset
from cpo.dataset.generated import MARKER
from cpo.errors import CPOError, DataError
from cpo.records import DataQuality, Quarantined, Sample
from cpo.sequence.pixels import read_image


class Verdict(IntEnum):
    """How usable a copy is; the value is the command's exit status."""

    USABLE = 0
    QUARANTINED = 1
    UNUSABLE = 2

    @property
    def words(self) -> str:
        """As it is told."""
        return ("usable", "usable with quarantined records", "unusable")[self]


@dataclass(frozen=True)
class Examination:
    """What the doctor found.

    Args:
        verdict: How usable the copy is.
        quality: The reader's counts; those of an empty copy when it could not be read.
        problems: What makes the copy unusable, in words.
        remarks: What a user should know and may live with.
        decoded: Images and frames that were decoded.
        unreadable: Samples with one that could not be.
    """

    verdict: Verdict
    quality: DataQuality
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    decoded: int = 0
    unreadable: tuple[Quarantined, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As `--json` writes it."""
        quality = self.quality
        reasons = Counter(q.reason for q in (*quality.quarantined, *self.unreadable))
        return {
            "dataset": quality.dataset,
            "verdict": self.verdict.words,
            "records": quality.records,
            "samples": quality.samples,
            "excluded": dict(quality.excluded),
            "quarantined": dict(reasons),
            "by_split": dict(quality.by_split),
            "labels": {name: dict(states) for name, states in quality.labels.items()},
            "details": {
                **quality.details,
                "media_decoded": self.decoded,
                "problems": list(self.problems),
                "remarks": list(self.remarks),
            },
        }


def examine(dataset: Dataset, *, decode: int) -> Examination:
    """Reads a copy and says what is wrong with it.

    Args:
        dataset: Its reader, best without an index so that every file is looked at now.
        decode: Samples, evenly spaced, whose images are decoded too; −1 for all.
    """
    try:
        quality = dataset.quality()
    except CPOError as error:
        return Examination(Verdict.UNUSABLE, DataQuality(dataset.name, 0, 0), (str(error),))
    problems: list[str] = []
    looked_at, decoded, unreadable = 0, 0, list[Quarantined]()
    try:
        for sample in _spaced(dataset, decode):
            looked_at += 1
            count, fault = _decode(sample)
            decoded += count
            if fault:
                unreadable.append(Quarantined(sample.provenance.file, sample.provenance.row, fault))
        if len(unreadable) > dataset.quarantine_limit * looked_at:
            problems.append(f"{len(unreadable)} of {looked_at} samples looked at have images that cannot be decoded")
    except CPOError as error:
        problems.append(str(error))
    damaged = bool(quality.quarantined or unreadable)
    verdict = Verdict.UNUSABLE if problems else Verdict.QUARANTINED if damaged else Verdict.USABLE
    remarks = tuple(_remarks(dataset, quality))
    return Examination(verdict, quality, tuple(problems), remarks, decoded, tuple(unreadable))


def _spaced(dataset: Dataset, decode: int) -> Iterator[Sample]:
    """Evenly spaced samples of all splits; asking for them also applies the reader's own refusals."""
    parts = [dataset.samples(split) for split in dataset.splits]
    total = sum(map(len, parts))
    step = 1 if decode == -1 else max(1, total // max(decode, 1))
    if decode:
        for part in parts:
            for place in range(0, len(part), step):
                yield part[place]


def _decode(sample: Sample) -> tuple[int, str]:
    """How many images of a sample could be decoded, and why the first other one could not."""
    decoded, fault = 0, ""
    for ref in sample.images:
        if not Path(ref.path).is_file():
            continue  # the reader has judged its absence
        try:
            read_image(ref)
        except DataError as error:
            fault = fault or error.got
        else:
            decoded += 1
    return decoded, fault


def _remarks(dataset: Dataset, quality: DataQuality) -> Iterator[str]:
    found = {"records": quality.records, "samples": quality.samples, **quality.by_split}
    # a generated world has the size that was asked for
    generated = (dataset.root / MARKER).is_file()
    published = {} if generated else {**dataset.published, **quality.details.get("published", {})}
    for name, wanted in published.items():
        if found.get(name) not in (None, wanted):
            yield f"{name}: {found[name]:,} here, {wanted:,} published"
    if blank := quality.details.get("blank_references"):
        yield f"blank references in {', '.join(blank)}: to generate for, not to train on or to score against"
    if absent := quality.details.get("media_absent"):
        yield f"{absent:,} images or videos are not there"
