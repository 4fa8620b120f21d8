"""What every dataset is: an official release in a folder, read into samples once, indexed, counted and checked."""

from __future__ import annotations

import hashlib
import json
import shutil
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, get_args

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cpo.answers import AnswerFormat
from cpo.dataset.generated import prove_generated
from cpo.dataset.index import MEMORY, Index
from cpo.dataset.intake import Intake, Media
from cpo.dataset.quarantine import Quarantine
from cpo.errors import ConfigError, DataError
from cpo.files import build_directory
from cpo.records import Access, DataQuality, LabelState, Provenance, Quarantined, Sample, fingerprint

CONSOLE = Console(stderr=True)


class Dataset(ABC):
    """A reader of one official release. A new one is one file with a subclass and one YAML that names it.

    A copy is read when something of it is first asked for, into an index that later runs open at once. The index is
    found by the knobs and by size and time of the annotation files; the files of some of its samples are looked at
    each time, and it is made anew when one has changed.

    Args:
        name: Name of the dataset's config.
        root: Folder of the copy.
        access: Whether its records may leave this machine.
        media: `required`: a record without its image is damaged; `optional`: it is kept, and its absence counted.
        quarantine_limit: Largest tolerated share of damaged records among those not excluded, in [0, 1].
        index: Folder of indices; empty to read the copy anew each time and keep it in memory.
        knobs: What else decides the samples.

    Raises:
        ConfigError: A knob out of its range.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "validate", "test")
    version: ClassVar[int] = 2
    """Raised whenever the same files and knobs give other samples."""
    must_prove_open: ClassVar[bool] = False
    """True for credentialed releases and what derives from them: only a generated world in their layout is open."""
    published: ClassVar[Mapping[str, int]] = {}
    """Sizes that the release's authors give, for the doctor: `records`, `samples`, or the name of a split. Those that
    depend on the copy or its knobs go to the intake's details, as `published`."""

    answers: AnswerFormat
    """How its answers name results."""
    scored: tuple[str, ...]
    """The results that are scored, in the order to list them."""
    labels: tuple[str, ...]
    """Names of the labels, in the release's order."""

    def __init__(
        self,
        *,
        name: str,
        root: str,
        access: Access,
        media: Media,
        quarantine_limit: float,
        index: str,
        knobs: Mapping[str, Any],
    ) -> None:
        one_of("access", access, get_args(Access))
        one_of("media", media, get_args(Media))
        Quarantine(name, quarantine_limit)  # refuses a limit out of range now, not on first use
        self.name, self.root = name, Path(root).expanduser().absolute()
        self._access, self._media, self.quarantine_limit = access, media, quarantine_limit
        self._index_folder, self._knobs = index, {**knobs, "media": media, "access": access, "name": name}

    @property
    def access(self) -> Access:
        """Whether the records may leave this machine; for a credentialed release `open` only once it is proved."""
        if self._access == "open" and self.must_prove_open:
            _ = self._opened  # reading proves it
        return self._access

    @property
    def results(self) -> tuple[str, ...]:
        """Every result that an answer may name."""
        return self.answers.results

    @property
    def fingerprint(self) -> str:
        """Of the ordered content: texts, labels, metadata, splits and the sizes of the media files."""
        return str(self._about["fingerprint"])

    def samples(self, split: str) -> Sequence[Sample]:
        """The samples of a split, in the release's order.

        Raises:
            ConfigError: No such split.
            DataError: Too many damaged records, no sample at all, or a group in two splits.
        """
        one_of("split", split, self.splits)
        self._check()
        index, about = self._opened
        return index.samples(split, about["sizes"].get(split, 0))

    def check_references(self, split: str) -> None:
        """Refuses a split whose references its authors have left blank: it can be generated for, and nothing else.

        Raises:
            DataError: It is one.
        """
        if split in self.quality().details.get("blank_references", ()):
            raise DataError(
                got=f"blank references throughout the {split} split of {self.name}",
                wanted="references to train on or to score against",
                remedy="fetch the release that has them, or judge another split with held_out=validate",
            )

    def quality(self) -> DataQuality:
        """What was read, left out and quarantined, however bad it is."""
        about = self._about["quality"]
        return DataQuality(**{**about, "quarantined": tuple(Quarantined(*q) for q in about["quarantined"])})

    @abstractmethod
    def annotations(self) -> Sequence[Path]:
        """The annotation files of the copy.

        Raises:
            DataError: No copy of this release there.
        """

    @abstractmethod
    def read(self, intake: Intake) -> Iterator[Sample]:
        """Every sample, in the release's order; what is left out or damaged goes to the intake."""

    @property
    def _about(self) -> dict[str, Any]:
        return self._opened[1]

    @cached_property
    def _opened(self) -> tuple[Index, dict[str, Any]]:
        files = self.annotations()
        if not self._index_folder:
            index = Index(MEMORY, write=True)
            self._build(index)
            return index, index.about()
        stamps = [[str(f), f.stat().st_size, f.stat().st_mtime_ns] for f in files]
        kind = f"{type(self).__module__}.{type(self).__name__}"
        key = fingerprint([kind, self.version, str(self.root), self._knobs, stamps])
        folder = Path(self._index_folder).expanduser().absolute() / f"{self.name}-{key}"
        for _ in range(2):
            build_directory(folder, self._build_in)
            index = Index(folder / "samples.sqlite")
            about = index.about()
            changed = index.changed(about["sizes"])
            if not changed:
                break
            CONSOLE.print(f"{self.name}: {changed} has changed since it was indexed; reading the copy anew")
            index.close()
            shutil.rmtree(folder)
        return index, about

    def _build_in(self, folder: Path) -> None:
        index = Index(folder / "samples.sqlite", write=True)
        self._build(index)
        index.close()

    def _build(self, index: Index) -> None:
        intake = Intake(self.root, Quarantine(self.name, self.quarantine_limit), self._media)
        summary = Summary(self.scored)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=CONSOLE, transient=True, disable=not CONSOLE.is_terminal) as progress:
            task = progress.add_task(f"reading {self.name}", total=None)
            for count, sample in enumerate(self.read(intake), start=1):
                summary.add(sample, [source.size for source in intake.sources()])
                index.add(sample, intake.sources())
                if count % 500 == 0:
                    progress.update(task, description=f"reading {self.name}: {count:,} samples")
        if self._access == "open" and self.must_prove_open:
            prove_generated(self.root, intake.found)
        quality = summary.quality(self.name, intake, self.splits, self.labels)
        index.finish({"quality": asdict_of(quality), "fingerprint": summary.digest(), "crossing": summary.crossing})

    def _check(self) -> None:
        quality, quarantine = self.quality(), Quarantine(self.name, self.quarantine_limit)
        for record in quality.quarantined:
            quarantine.add(record.file, int(record.row), record.reason)
        quarantine.check(kept=quality.samples)
        if not quality.samples:
            raise DataError(
                got=f"no sample left of {quality.records} records of {self.name}: {dict(quality.excluded)}",
                wanted="records that the release's own rules keep",
                remedy="check the dataset's knobs, and that its files belong together: cpo data check",
            )
        if self._about["crossing"]:
            raise DataError(
                got=self._about["crossing"][0],
                wanted="each group (patient, clip, scene) in one split, or held-out results mean nothing",
                remedy="use the release's own split file, unedited",
            )


class Summary:
    """What is counted over all samples of a copy.

    Args:
        scored: The results that count as diseases (or actions) of a group.
    """

    def __init__(self, scored: Sequence[str]) -> None:
        self._scored = frozenset(scored)
        self._digest = hashlib.sha256()
        self._splits, self._states = Counter[str](), Counter[tuple[str, str]]()
        self._groups: dict[str, tuple[str, Provenance, set[str]]] = {}
        self.crossing: list[str] = []

    def add(self, sample: Sample, sizes: Sequence[int]) -> None:
        """One sample and the sizes of its files in bytes."""
        content = [*sample.content, sample.split, sample.group, dict(sample.labels), dict(sample.metadata), list(sizes)]
        self._digest.update(json.dumps(content, ensure_ascii=False, sort_keys=True).encode())
        self._splits[sample.split] += 1
        self._states.update((name, state.value) for name, state in sample.labels.items())
        split, origin, results = self._groups.setdefault(sample.group, (sample.split, sample.provenance, set()))
        results.update(self._scored.intersection(sample.results))
        if split != sample.split:
            places = ((split, origin), (sample.split, sample.provenance))
            rows = [f"{part} ({place.file} row {place.row})" for part, place in places]
            named = f"group {sample.group!r}" if sample.provenance.access == "open" else "one group"
            self.crossing.append(f"{named} is in {rows[0]} and in {rows[1]}")

    def digest(self) -> str:
        """16 hex digits of the ordered content."""
        return self._digest.hexdigest()[:16]

    def quality(self, name: str, intake: Intake, splits: Sequence[str], labels: Sequence[str]) -> DataQuality:
        """The counts as a record."""
        samples, quarantined = sum(self._splits.values()), intake.quarantine.records
        seen = samples + sum(intake.excluded.values()) + len(quarantined)
        per_group = Counter(min(len(results), 3) for *_, results in self._groups.values())
        return DataQuality(
            dataset=name,
            records=seen if intake.records is None else intake.records,
            samples=samples,
            excluded=dict(intake.excluded),
            quarantined=quarantined,
            by_split={split: self._splits[split] for split in splits},
            labels={label: {s.value: self._states[label, s.value] for s in LabelState} for label in labels},
            details={
                **intake.details,
                "media_absent": intake.absent,
                "groups": len(self._groups),
                "groups_in_two_splits": len(self.crossing),
                "groups_by_results": {str(n) if n < 3 else "3 or more": per_group[n] for n in range(4)},
            },
        )


def asdict_of(quality: DataQuality) -> dict[str, Any]:
    """A quality record as JSON."""
    return asdict(quality) | {"quarantined": [[q.file, q.row, q.reason] for q in quality.quarantined]}


def one_of(knob: str, value: str, allowed: Sequence[str]) -> None:
    """Refuses a value that is not among those allowed.

    Raises:
        ConfigError: It is not.
    """
    if value not in allowed:
        raise ConfigError(
            got=f"{knob}={value}", wanted=f"one of {', '.join(allowed)}", remedy=f"pass dataset.{knob}={allowed[0]}"
        )
