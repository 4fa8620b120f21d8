"""Preference pairs of your own, in the files of ms-swift, TRL or LLaMA-Factory."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from cpo.answers import AnswerFormat, FreeAnswer, ListedAnswer, Malformed
from cpo.dataset.base import Dataset, one_of
from cpo.dataset.documents import lines, mapping, parse_line
from cpo.dataset.intake import DamagedError, Intake, Media
from cpo.dataset.json_array import array_elements
from cpo.dataset.preference_formats import Format, PairRow, detect, read_pair, trajectory
from cpo.errors import ConfigError, DataError, PrivacyError
from cpo.files import read_json
from cpo.records import Access, ImageRef, Provenance, Released, Sample, fingerprint

SPLIT_FILES = {"train": "train", "validate": "validate", "validation": "validate", "val": "validate", "test": "test"}
"""File names, without their ending, that say which split a file is."""

ABOUT = ".about.json"
"""Beside an exported file: what it holds, and whether it may leave this machine."""


class PreferenceJson(Dataset):
    """Reads pairs as they are: the chosen completion is factual, the rejected one a released counterfactual.

    Rows in a row that share prompt, images and chosen completion are one sample with several counterfactuals;
    `counterfactual=released` makes pairs of them again. What a sample cannot hold exactly is excluded with its
    reason: several turns, a system prompt, tools, videos, rows without a rejected side. Text between think tags is
    the thinking; without tags all of a completion is the answer.

    Files named train, validate (val) or test are that split; the samples of others are shared out by their group.

    Args:
        name: See `Dataset`.
        root: A `.json` or `.jsonl` file, or a folder of them; an array or one record per line, whatever the ending.
        access: `credentialed` unless nothing in the pairs has to stay here: nobody else can know. `open` is refused
            for files exported from credentialed data.
        format: `auto` to tell by the keys of each record, or `ms_swift`, `trl`, `llamafactory`, `llamafactory_v1`.
        images: Folder that relative image paths start from; empty for that of the file.
        group: Regular expression with one group, whose match in the first image's path is the sample's group, such as
            a patient; empty to take the path itself, or the prompt where there is no image.
        validate_share: Share of the groups in the validate split, in [0, 1).
        test_share: Share in the test split; together below 1.
        sentence: Answer sentence with `{}` where results stand; empty for answers that name no result.
        results: The results it may name.
        media: See `Dataset`.
        quarantine_limit: See `Dataset`.
        index: See `Dataset`.

    Raises:
        ConfigError: A knob out of its range.
    """

    labels = ()

    def __init__(
        self,
        *,
        name: str,
        root: str,
        access: Access,
        format: Literal["auto"] | Format = "auto",  # the knob's name
        images: str = "",
        group: str = "",
        validate_share: float = 0.05,
        test_share: float = 0.1,
        sentence: str = "",
        results: Sequence[str] = (),
        media: Media = "required",
        quarantine_limit: float = 0.01,
        index: str = "",
    ) -> None:
        one_of("format", format, ("auto", *get_args(Format)))
        if not (min(validate_share, test_share) >= 0 and validate_share + test_share < 1):
            raise ConfigError(
                got=f"validate_share={validate_share}, test_share={test_share}",
                wanted="shares in [0, 1) that leave some for training",
                remedy="pass dataset.test_share=0.1",
            )
        if bool(sentence) != bool(results):
            raise ConfigError(
                got=f"sentence={sentence!r} with {len(results)} results",
                wanted="both, or neither",
                remedy="pass \"dataset.sentence='It is {}.'\" 'dataset.results=[a,b]', or none of them",
            )
        shares = {"validate_share": validate_share, "test_share": test_share}
        super().__init__(
            name=name,
            root=root,
            access=access,
            media=media,
            quarantine_limit=quarantine_limit,
            index=index,
            knobs={"format": format, "images": images, "group": group, "sentence": sentence, "results": list(results)}
            | shares,
        )
        self.answers: AnswerFormat = ListedAnswer(sentence, results) if sentence else FreeAnswer()
        self.scored = self.answers.results
        self._format, self._group, self._shares = format, _pattern(group), shares
        self._images = Path(images).expanduser().absolute() if images else None

    def annotations(self) -> Sequence[Path]:
        """See `Dataset.annotations`."""
        if self.root.is_file():
            return (self.root,)
        found = [path for path in sorted(self.root.glob("*.json*")) if path.suffix in (".json", ".jsonl")]
        found = [path for path in found if not path.name.endswith((ABOUT, "dataset_info.json"))]
        if not found:
            raise DataError(
                got=f"{self.root}: no such file, or a folder without .json or .jsonl",
                wanted="preference pairs of ms-swift, TRL or LLaMA-Factory",
                remedy="pass dataset.root=FILE; docs/datasets.md shows a row of each format",
            )
        return found

    def read(self, intake: Intake) -> Iterator[Sample]:
        """See `Dataset.read`."""
        notes, intake.records = Counter[str](), 0
        for path in self.annotations():
            self._refuse_to_open(path)
            file = path.name
            for members in self._members(path, file, intake, notes):
                with intake.record(file, members[0][0]):
                    origin = Provenance(self.name, file, str(members[0][0]), self._access)
                    yield self._sample([row for _, row in members], path, origin, intake)
        intake.details["notes"] = dict(notes)

    def _members(
        self, path: Path, file: str, intake: Intake, notes: Counter[str]
    ) -> Iterator[list[tuple[int, PairRow]]]:
        """Rows in a row that prefer the same completion, with their places."""
        members: list[tuple[int, PairRow]] = []
        for place, element in _elements(path, file):
            intake.records = (intake.records or 0) + 1
            sound = list[PairRow]()
            with intake.record(file, place):
                sound.append(self._row(element))
            for row in sound:
                notes.update(row.notes)
                if members and not row.shares_chosen(members[0][1]):
                    yield members
                    members = []
                members.append((place, row))
        if members:
            yield members

    def _row(self, element: Any) -> PairRow:
        record = parse_line(element) if isinstance(element, bytes) else mapping(element, "record")
        row = read_pair(record, detect(record) if self._format == "auto" else self._format)
        trajectory(row.chosen), trajectory(row.rejected)  # damaged now, rather than with the rows that share its sample
        return row

    def _sample(self, rows: Sequence[PairRow], path: Path, origin: Provenance, intake: Intake) -> Sample:
        first = rows[0]
        images = self._refs(first.images, path, intake)
        factual = trajectory(first.chosen)
        results = self._named(factual.answer)
        released = [
            Released(
                next((name for name in self._named(against.answer) if name not in results), ""),
                against,
                None if row.rejected_images is None else self._refs(row.rejected_images, path, intake),
            )
            for row in rows
            for against in (trajectory(row.rejected),)
        ]
        group = self._group_of(first)
        return Sample(
            id=f"{origin.file}:{origin.row}",
            group=group,
            split=SPLIT_FILES.get(path.stem) or self._split_of(group),
            images=images,
            prompt=first.prompt,
            factual=factual,
            labels={},
            results=results,
            metadata={},
            provenance=origin,
            counterfactuals=tuple(released),
        )

    def _refs(self, paths: Sequence[str], file: Path, intake: Intake) -> tuple[ImageRef, ...]:
        folder = self._images or file.parent
        try:
            return tuple(intake.image(folder / path) for path in paths)
        except ValueError:  # a path with a null character
            raise DamagedError("image file cannot be opened") from None

    def _named(self, answer: str) -> tuple[str, ...]:
        named = self.answers.read(answer)
        if isinstance(named, Malformed):
            raise DamagedError("answer is not the sentence with known results")
        return tuple(name for name in self.results if name in named)

    def _group_of(self, row: PairRow) -> str:
        if not row.images:
            return row.prompt
        if self._group is None:
            return row.images[0]
        found = self._group.search(row.images[0])
        if found is None:
            raise DamagedError("no group in the path of the first image")
        return found[1]

    def _split_of(self, group: str) -> str:
        place = int(fingerprint(group), 16) / 16**16
        if place < self._shares["test_share"]:
            return "test"
        return "validate" if place < sum(self._shares.values()) else "train"

    def _refuse_to_open(self, path: Path) -> None:
        about = read_json(path.with_name(path.name + ABOUT))
        if self._access == "open" and about.get("access") == "credentialed":
            raise PrivacyError(
                got=f"access=open for {path.name}, which was exported from credentialed data",
                wanted="access=credentialed, as of the data it comes from",
                remedy="pass dataset.access=credentialed",
            )


def _pattern(group: str) -> re.Pattern[str] | None:
    try:
        pattern = re.compile(group)
        if not group or pattern.groups == 1:
            return pattern if group else None
    except re.error:
        pass
    raise ConfigError(
        got=f"group={group!r}", wanted="a regular expression with one group", remedy=r"pass 'dataset.group=(p\d{8})'"
    )


def _elements(path: Path, file: str) -> Iterator[tuple[int, Any]]:
    """The records of a file with their places: elements of one array, or lines, still to be parsed."""
    with path.open("rb") as opened:
        start = opened.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
    return array_elements(path, file) if start.startswith(b"[") else lines(path)
