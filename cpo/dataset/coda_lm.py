"""CODA-LM: corner cases of driving, or a generated world in the same layout. One sample per image or per region."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from cpo.answers import AnswerFormat, FreeAnswer, ListedAnswer, PhrasedAnswer
from cpo.dataset.base import Dataset, one_of
from cpo.dataset.coda_release import (
    EXPLAINED,
    PROMPTS,
    PUBLISHED,
    TASKS,
    Language,
    Region,
    Scene,
    Task,
    check_language,
    find_texts,
    image_of,
    read_region,
    read_scene,
)
from cpo.dataset.documents import lines, parse_line, words
from cpo.dataset.driving_words import ACTIONS, ADVISED, KEEP_GOING, action_labels, actions_named, circumstances
from cpo.dataset.intake import DamagedError, ExcludedError, Intake, Media
from cpo.errors import DataError
from cpo.records import Access, ImageRef, Provenance, Sample, Trajectory
from cpo.sequence.edits import box_edit

Annotations = Literal["json", "vqa"]
Answers = Literal["phrased", "listed"]

ANSWER = "The ego car should {}."

IMAGE = re.compile(r"(val|test)/images(?:_w_bb?oxes)?/(\w+?)(?:_object_(\d+))?\.jpg", re.ASCII)


class CodaLM(Dataset):
    """Reads a copy of the official release, as its annotation files or as the questions made from them.

    For driving suggestions the general perception is the thinking and the suggestion the answer; the two perception
    tasks have an answer alone. A region is shown by a red box drawn into the image. The release says nothing about
    clips, so each image is a group of its own.

    A split whose references are blank (the test split, until October 2024) gives samples to generate for, which
    cannot be trained on or scored; metadata tell them by `reference`.

    Args:
        name: See `Dataset`.
        root: Folder with `CODA-LM` (or `CODA-LM-chinese`) and the image folders, or with a `CODA` that has them.
        access: `open` or `credentialed`.
        task: `driving_suggestion`, `general_perception` or `region_perception`.
        language: `english` or `chinese`.
        annotations: `json` for the annotation files, `vqa` for the questions in `vqa_anno/<task>.jsonl`.
        mini: Read Mini's images as the validation split, instead of all of Val, whose part they are.
        answers: How suggestions name actions: `phrased` finds them in free English text (see `driving_words`),
            `listed` reads the one sentence that a generated world writes.
        prompt: The user's text; empty for our own words for the task, or the question of a jsonl line.
        media: See `Dataset`.
        quarantine_limit: See `Dataset`.
        index: See `Dataset`.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Li et al., Automated Evaluation of Large Vision-Language Models on Self-driving Corner Cases (CODA-LM,
        arXiv 2404.10595).
    """

    def __init__(
        self,
        *,
        name: str,
        root: str,
        access: Access = "open",
        task: Task = "driving_suggestion",
        language: Language = "english",
        annotations: Annotations = "json",
        mini: bool = False,
        answers: Answers = "phrased",
        prompt: str = "",
        media: Media = "required",
        quarantine_limit: float = 0.01,
        index: str = "",
    ) -> None:
        one_of("task", task, TASKS)
        one_of("language", language, get_args(Language))
        one_of("annotations", annotations, get_args(Annotations))
        one_of("answers", answers, get_args(Answers))
        super().__init__(
            name=name,
            root=root,
            access=access,
            media=media,
            quarantine_limit=quarantine_limit,
            index=index,
            knobs={
                "task": task,
                "language": language,
                "annotations": annotations,
                "mini": mini,
                "answers": answers,
                "prompt": prompt,
            },
        )
        self.answers = _answer_format(task, answers)
        self.labels = ACTIONS if task == "driving_suggestion" else ()
        self.scored = tuple(name for name in self.labels if name != KEEP_GOING)
        self._task, self._language, self._annotations = task, language, annotations
        self._prompt = prompt.strip() or PROMPTS[language][task]
        self._own_prompt = bool(prompt.strip())
        self._folders = {"train": "Train", "validate": "Mini" if mini else "Val", "test": "Test"}

    def annotations(self) -> Sequence[Path]:
        """See `Dataset.annotations`."""
        kind = "*.json" if self._annotations == "json" else "vqa_anno/*.jsonl"
        found = [path for folder in self._folders.values() for path in sorted((self._texts / folder).glob(kind))]
        if not found:
            raise DataError(
                got=f"no {kind} in {', '.join(self._folders.values())} of {self._texts}",
                wanted="annotation files of CODA-LM, or for annotations=vqa those of its script convert2vqa.py",
                remedy="pass dataset.annotations=json (or vqa), or finish the download; see docs/datasets.md",
            )
        return found

    def read(self, intake: Intake) -> Iterator[Sample]:
        """See `Dataset.read`."""
        intake.records = 0
        intake.details |= {"files": {}, "blank_references": [], "regions": 0}
        intake.details |= dict.fromkeys(("files_with_gaps", "files_without_regions", "files_lacking_categories"), 0)
        if self._annotations == "json" or self._task != "region_perception":  # nobody gives the number of regions
            intake.details["published"] = {"records": sum(PUBLISHED[folder] for folder in self._folders.values())}
        for split in self.splits:
            yield from (self._scenes if self._annotations == "json" else self._questions)(split, intake)

    @cached_property
    def _texts(self) -> Path:
        return find_texts(self.root, self._language)

    def _scenes(self, split: str, intake: Intake) -> Iterator[Sample]:
        files = sorted((self._texts / self._folders[split]).glob("*.json"))
        intake.details["files"][split] = len(files)
        intake.records = (intake.records or 0) + len(files)
        blank = bool(files) and not any(map(self._has_reference, files))
        if blank:
            intake.details["blank_references"].append(split)
        for file in files:
            scene = None
            with intake.record(self._name(file), 1):
                scene = read_scene(intake.text(file, "annotation"))
                _count(scene, intake.details)
                if self._task != "region_perception":
                    yield self._of_scene(file, scene, split, blank, intake)
                elif not scene.regions:
                    raise ExcludedError("no region")
            if scene is not None and self._task == "region_perception":
                for place, (key, content) in enumerate(scene.regions.items(), start=1):
                    with intake.record(self._name(file), place):
                        intake.text(file, "annotation")
                        yield self._of_region(file, key, read_region(key, content), split, place, blank, intake)

    def _of_scene(self, file: Path, scene: Scene, split: str, blank: bool, intake: Intake) -> Sample:
        suggests = self._task == "driving_suggestion"
        thinking, answer = (scene.description, scene.suggestion) if suggests else ("", scene.description)
        if not blank and not (answer and (thinking or not suggests)):
            raise DamagedError("blank reference")
        image = intake.image(image_of(self._texts, self._folders[split], file.stem))
        counts = {name.replace(" ", "_"): str(count) for name, count in scene.objects.items()}
        about = counts | circumstances(scene.description, scene.suggestion)
        return self._sample(file.stem, split, image, Trajectory(thinking, answer), about, blank, self._name(file), 1)

    def _of_region(
        self, file: Path, key: str, region: Region, split: str, place: int, blank: bool, intake: Intake
    ) -> Sample:
        if not blank and not region.description:
            raise DamagedError("blank reference")
        image = intake.image(image_of(self._texts, self._folders[split], file.stem))
        boxed = ImageRef(image.path, edits=(box_edit(*region.box),))
        about = {"region": key, "category": region.category, "super_class": region.super_class}
        factual = Trajectory("", region.description)
        return self._sample(
            f"{file.stem}#{key}", split, boxed, factual, about, blank, self._name(file), place, group=file.stem
        )

    def _questions(self, split: str, intake: Intake) -> Iterator[Sample]:
        file = self._texts / self._folders[split] / "vqa_anno" / f"{self._task}.jsonl"
        if not file.is_file():
            intake.details["files"][split] = 0
            return
        descriptions = self._descriptions(file.with_name("general_perception.jsonl"))
        rows = list(lines(file))
        intake.details["files"][split] = 1
        intake.records = (intake.records or 0) + len(rows)
        blank = not any(map(_has_answer, (line for _, line in rows)))
        if blank:
            intake.details["blank_references"].append(split)
        seen = set[object]()
        for row, line in rows:
            with intake.record(self._name(file), row):
                question = parse_line(line)
                number = question.get("question_id")
                if not isinstance(number, int) or number in seen:
                    raise DamagedError("question_id is no number, or listed before")
                sample = self._of_question(file, row, question, split, blank, descriptions, intake)
                if sample.id in seen:
                    raise DamagedError("image asked about before")
                seen |= {number, sample.id}
                yield sample

    def _of_question(
        self,
        file: Path,
        row: int,
        question: Mapping[str, Any],
        split: str,
        blank: bool,
        descriptions: Mapping[str, str],
        intake: Intake,
    ) -> Sample:
        shown = words(question.get("image"), "image")
        named = IMAGE.fullmatch(shown)
        if named is None:
            raise DamagedError("image is not <image folder>/images/<image>.jpg")
        stem = f"{named[1]}_{named[2]}"
        image_of(self._texts, self._folders[split], stem)  # refuses the image folder of another split
        prompt, answer = words(question.get("question"), "question"), words(question.get("answer", ""), "answer")
        if not prompt or not (answer or blank):
            raise DamagedError("blank reference" if prompt else "blank question")
        thinking = descriptions.get(shown, "") if self._task == "driving_suggestion" else ""
        image = intake.image(self._texts.parent / shown)
        key = named[3]
        intake.details["regions"] += key is not None
        about = {"region": key} if key else circumstances(thinking, answer)
        sample_id = f"{stem}#{key}" if key else stem
        factual = Trajectory(thinking, answer)
        return self._sample(
            sample_id, split, image, factual, about, blank, self._name(file), row, group=stem, prompt=prompt
        )

    def _sample(
        self,
        name: str,
        split: str,
        image: ImageRef,
        factual: Trajectory,
        about: Mapping[str, str],
        blank: bool,
        file: str,
        row: int,
        *,
        group: str = "",
        prompt: str = "",
    ) -> Sample:
        for text in (factual.thinking, factual.answer):
            check_language(text, self._language)
        suggests = self._task == "driving_suggestion"
        results = actions_named(self.answers, factual.answer) if suggests else ()
        return Sample(
            id=f"{self._folders[split]}/{name}",
            group=group or name,
            split=split,
            images=(image,),
            prompt=prompt if prompt and not self._own_prompt else self._prompt,
            factual=Trajectory("", "") if blank else factual,
            labels=action_labels(results) if suggests else {},
            results=results,
            metadata={**about, "reference": "blank" if blank else "given"},
            provenance=Provenance(self.name, file, str(row), self._access),
        )

    def _has_reference(self, file: Path) -> bool:
        try:
            scene = read_scene(file.read_text(encoding="utf-8-sig"))
        except (DamagedError, OSError, UnicodeDecodeError):
            return False
        if self._task != "region_perception":
            return bool(scene.suggestion if self._task == "driving_suggestion" else scene.description)
        return any(isinstance(r, dict) and r.get(EXPLAINED) for r in scene.regions.values())

    def _descriptions(self, file: Path) -> dict[str, str]:
        """The general perception of each image, where its jsonl file is there and can be read."""
        found = dict[str, str]()
        for _, line in lines(file) if file.is_file() else ():
            try:
                question = parse_line(line)
                found[words(question.get("image"), "image")] = words(question.get("answer", ""), "answer")
            except DamagedError:
                continue  # quarantined where it is a record of its own
        return found

    def _name(self, file: Path) -> str:
        return file.relative_to(self.root).as_posix()


def _answer_format(task: Task, answers: Answers) -> AnswerFormat:
    if task != "driving_suggestion":
        return FreeAnswer()
    return PhrasedAnswer(ANSWER, ADVISED) if answers == "phrased" else ListedAnswer(ANSWER, ACTIONS)


def _has_answer(line: bytes) -> bool:
    try:
        return bool(words(parse_line(line).get("answer", ""), "answer"))
    except DamagedError:
        return False


def _count(scene: Scene, details: dict[str, Any]) -> None:
    details["regions"] += len(scene.regions)
    details["files_with_gaps"] += scene.has_gaps
    details["files_without_regions"] += not scene.regions
    details["files_lacking_categories"] += len(scene.objects) < 7
