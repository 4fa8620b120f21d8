"""DriveLM-nuScenes: questions about six camera images, as a graph from perception to behaviour. One sample each."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from cpo.answers import FreeAnswer
from cpo.dataset.base import Dataset, one_of
from cpo.dataset.drivelm_release import (
    CAMERAS,
    TAGS,
    TASKS,
    Counts,
    Question,
    find_file,
    find_images,
    load,
    raw_questions,
    read_question,
)
from cpo.dataset.intake import DamagedError, ExcludedError, Intake, Media
from cpo.errors import ConfigError
from cpo.records import Access, ImageRef, Provenance, Sample, Trajectory

Split = Literal["derived", "train", "validate", "test"]


class DriveLM(Dataset):
    """Reads one annotation file of a copy: the train format, the test format with its tags, or the LLaMA format.

    The six cameras are shown in one order; questions keep the tags of their objects and their choices. There is no
    thinking. A scene and all that is asked about it are one group. The release publishes the answers of its training
    scenes alone, so by default these are shared out to three splits by a hash of the scene.

    A file whose answers are not published gives samples to generate for, which cannot be trained on or scored;
    metadata tell them by `reference`.

    Args:
        name: See `Dataset`.
        root: Folder of the release's repository or of its `data`, or the folder that holds the file.
        access: `open` or `credentialed`.
        prompt: What is asked, with `{}` where the release's question stands.
        file: Name of the annotation file; empty for the newest official one.
        split: `derived`, or the one split that the whole file is.
        validate_share: Share of the scenes in the derived validation split, in [0, 1).
        test_share: Share in the derived test split, in [0, 1); both together below 1.
        tasks: Stages of the question graph to read; the LLaMA format does not tell them.
        media: See `Dataset`.
        quarantine_limit: See `Dataset`.
        index: See `Dataset`.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Sima et al., DriveLM: Driving with Graph Visual Question Answering (arXiv 2312.14150).
    """

    labels = ()
    scored = ()

    def __init__(
        self,
        *,
        name: str,
        root: str,
        access: Access = "open",
        prompt: str = "{}",
        file: str = "",
        split: Split = "derived",
        validate_share: float = 0.05,
        test_share: float = 0.1,
        tasks: Sequence[str] = TASKS,
        media: Media = "required",
        quarantine_limit: float = 0.01,
        index: str = "",
    ) -> None:
        one_of("split", split, get_args(Split))
        for task in tasks:
            one_of("tasks", task, TASKS)
        if prompt.count("{}") != 1 or not tasks or Path(file).name != file:
            raise ConfigError(
                got=f"prompt={prompt!r}, tasks={tasks!r}, file={file!r}",
                wanted="a prompt with one {}, at least one task, and a file name without folders",
                remedy="pass 'dataset.tasks=[planning,behavior]', or leave them as they are",
            )
        if min(validate_share, test_share) < 0 or validate_share + test_share >= 1:
            raise ConfigError(
                got=f"validate_share={validate_share}, test_share={test_share}",
                wanted="shares of at least 0, together below 1",
                remedy="pass dataset.validate_share=0.05 dataset.test_share=0.1",
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
                "file": file,
                "split": split,
                "shares": [validate_share, test_share],
                "tasks": sorted(tasks),
            },
        )
        self.answers = FreeAnswer()
        self._prompt, self._file, self._split, self._tasks = prompt, file, split, frozenset(tasks)
        self._validate, self._test = validate_share, test_share

    def annotations(self) -> Sequence[Path]:
        """See `Dataset.annotations`."""
        return (find_file(self.root, self._file),)

    def read(self, intake: Intake) -> Iterator[Sample]:
        """See `Dataset.read`."""
        path = find_file(self.root, self._file)
        file, counts, tags, seen = path.relative_to(self.root).as_posix(), Counts(), Counter[str](), set[str]()
        records = list(raw_questions(load(path), counts))
        blank, images = not any(map(_has_answer, records)), _LastFrame(find_images(self.root), intake)
        for row, raw in enumerate(records, start=1):
            with intake.record(file, row):
                question = read_question(raw)
                counts.questions[question.task] = counts.questions.get(question.task, 0) + 1
                tags.update(TAGS[tag] for tag in question.tags)
                if question.id in seen:
                    raise DamagedError("question listed before")
                seen.add(question.id)
                if question.task and question.task not in self._tasks:
                    raise ExcludedError(f"task not among {', '.join(sorted(self._tasks))}")
                if not blank and not question.answer:
                    raise DamagedError("blank reference")
                yield self._sample(question, images.of(question), blank, file, row)
        intake.records = len(records)
        intake.details |= {
            "file": path.name,
            "scenes": counts.scenes,
            "key_frames": counts.key_frames,
            "key_objects": counts.key_objects,
            "questions": {task or "untold": n for task, n in counts.questions.items()},
            "tags": dict(tags),
            "splits": "by a hash of the scene" if self._split == "derived" and not blank else "the file is one split",
            "blank_references": [self._one_split] if blank else [],
        }

    @property
    def _one_split(self) -> str:
        """The split of a file that is not shared out."""
        return "test" if self._split == "derived" else self._split

    def _sample(self, question: Question, images: tuple[ImageRef, ...], blank: bool, file: str, row: int) -> Sample:
        return Sample(
            id=question.id,
            group=question.scene,
            split=self._one_split if blank or self._split != "derived" else self._derived(question.scene),
            images=images,
            prompt=self._prompt.replace("{}", question.text),
            factual=Trajectory("", question.answer),
            labels={},
            results=(),
            metadata={
                "frame": question.frame,
                "task": question.task,
                "position": str(question.position),
                "tag": ",".join(map(str, question.tags)),
                "reference": "blank" if blank else "given",
            },
            provenance=Provenance(self.name, file, str(row), self._access),
        )

    def _derived(self, scene: str) -> str:
        place = int.from_bytes(hashlib.sha256(scene.encode()).digest()[:8], "big") / 2**64
        if place < self._test:
            return "test"
        return "validate" if place < self._test + self._validate else "train"


class _LastFrame:
    """The images of the frame last asked about, looked at once: tens of questions share them."""

    def __init__(self, folder: Path, intake: Intake) -> None:
        self._folder, self._intake = folder, intake
        self._files: tuple[str, ...] = ()
        self._found: tuple[ImageRef, ...] | DamagedError = ()

    def of(self, question: Question) -> tuple[ImageRef, ...]:
        files = tuple(question.images[camera] for camera in CAMERAS)
        if files != self._files:
            self._files = files
            try:
                self._found = tuple(self._intake.image(self._folder / file) for file in files)
            except DamagedError as error:
                self._found = error
        if isinstance(self._found, DamagedError):
            raise self._found
        return self._found


def _has_answer(raw: Any) -> bool:
    try:
        return bool(read_question(raw).answer)
    except DamagedError:
        return False
