"""BDD-X: what a car does and why, or a generated world in the same layout. One sample per segment of a video."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import ClassVar

from cpo.answers import PhrasedAnswer
from cpo.dataset.base import Dataset
from cpo.dataset.bdd_x_release import (
    CLIP_SECONDS,
    LISTS,
    Row,
    Segment,
    find_table,
    read_lists,
    read_rows,
    read_segment,
    split_of,
)
from cpo.dataset.driving_words import ACTIONS, DONE, KEEP_GOING, action_labels, actions_named, circumstances
from cpo.dataset.intake import Intake, Media
from cpo.errors import ConfigError
from cpo.records import Access, ImageRef, Provenance, Sample, Trajectory

ANSWER = "The car {}."


class BddX(Dataset):
    """Reads a copy of the official release: the justification as thinking, the action as answer, frames as images.

    A row has up to 15 segments with holes between them; each complete one is a sample. 1,000 videos are annotated
    twice, in rows of different numbers, and both count. The release's own rules leave out blank rows, rows in no split
    file and incomplete slots. A video and all that is said of it are one group.

    Args:
        name: See `Dataset`.
        root: Folder with the table and the split files, or with a `BDD-X-Dataset` that has them.
        access: `open` or `credentialed`.
        prompt: The user's text, the same for every sample.
        frames: Images per segment, evenly within it, in [1, 64].
        videos: Folder of the `.mov` or `.mp4` files, below the root or absolute.
        media: See `Dataset`.
        quarantine_limit: See `Dataset`.
        index: See `Dataset`.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Kim et al., Textual Explanations for Self-Driving Vehicles (arXiv 1807.11546), BDD-X-Dataset v1; the numbering
        of rows is that of its preprocessing script.
    """

    labels = ACTIONS
    scored = tuple(name for name in ACTIONS if name != KEEP_GOING)
    published: ClassVar = {"records": 12_997}

    def __init__(
        self,
        *,
        name: str,
        root: str,
        access: Access = "open",
        prompt: str = "Explain what decides how this car has to drive, then say what it does.",
        frames: int = 4,
        videos: str = "videos",
        media: Media = "required",
        quarantine_limit: float = 0.01,
        index: str = "",
    ) -> None:
        if not 1 <= frames <= 64 or not prompt.strip() or not videos:
            raise ConfigError(
                got=f"frames={frames}, prompt={prompt!r}, videos={videos!r}",
                wanted="frames in [1, 64], a prompt and a folder that are not empty",
                remedy="pass dataset.frames=4, or leave all three as they are",
            )
        super().__init__(
            name=name,
            root=root,
            access=access,
            media=media,
            quarantine_limit=quarantine_limit,
            index=index,
            knobs={"prompt": prompt, "frames": frames, "videos": videos},
        )
        self.answers = PhrasedAnswer(ANSWER, DONE)
        self._prompt, self._frames, self._videos = prompt, frames, self.root / Path(videos).expanduser()

    def annotations(self) -> Sequence[Path]:
        """See `Dataset.annotations`."""
        table = find_table(self.root)
        return [table, *(path for name in LISTS.values() if (path := table.with_name(name)).is_file())]

    def read(self, intake: Intake) -> Iterator[Sample]:
        """See `Dataset.read`."""
        table = find_table(self.root)
        file = table.relative_to(self.root).as_posix()
        folder = file.removesuffix(table.name)
        lists = read_lists(table.parent, folder, intake.quarantine)
        split, damaged = split_of(lists), len(intake.quarantine.records)
        rows = list(read_rows(table, file, intake.quarantine))
        intake.records = len(rows) + len(intake.quarantine.records) - damaged
        self._match(lists, folder, {row.id for _, row in rows if isinstance(row, Row)}, intake)
        intake.details |= {"segments": dict.fromkeys(LISTS, 0), "ends_after_the_video": 0}
        for _, row in rows:
            if isinstance(row, str) or row.id not in split:
                intake.excluded[row if isinstance(row, str) else "row in no split file"] += 1
            else:
                intake.details["segments"][split[row.id]] += row.complete
                yield from self._segments(file, row, split[row.id], intake)

    def _match(self, lists: Mapping[str, Mapping[str, int]], folder: str, ids: Set[str], intake: Intake) -> None:
        """Counts the listed ids that the table's rows have; the others were numbered by another rule or table."""
        intake.details["split_ids_matched"] = {name: len(ids & set(listed)) for name, listed in lists.items()}
        for name, listed in lists.items():
            for item, line in listed.items():
                if item not in ids:
                    intake.quarantine.add(folder + LISTS[name], line, "listed, but no row of the table has this number")

    def _segments(self, file: str, row: Row, split: str, intake: Intake) -> Iterator[Sample]:
        for slot, cells in enumerate(row.slots, start=1):
            with intake.record(file, row.line):
                segment = read_segment(cells)
                if segment is not None:
                    intake.details["ends_after_the_video"] += segment.end > CLIP_SECONDS
                    yield self._sample(file, row, slot, segment, split, intake)

    def _sample(self, file: str, row: Row, slot: int, segment: Segment, split: str, intake: Intake) -> Sample:
        video = intake.image(self._video(row.stem)).path
        results = actions_named(self.answers, segment.action)
        return Sample(
            id=f"{row.id}#{slot}",
            group=row.stem,
            split=split,
            images=tuple(ImageRef(video, time) for time in segment.times(self._frames)),
            prompt=self._prompt,
            factual=Trajectory(segment.justification, segment.action),
            labels=action_labels(results),
            results=results,
            metadata={
                "slot": str(slot),
                "start": str(segment.start),
                "end": str(segment.end),
                "source": row.source,
                **circumstances(segment.justification, segment.action),
            },
            provenance=Provenance(self.name, file, str(row.line), self._access),
        )

    def _video(self, stem: str) -> Path:
        released, other = (self._videos / f"{stem}{kind}" for kind in (".mov", ".mp4"))
        return other if other.is_file() and not released.is_file() else released
