"""The records that travel from a dataset to a preference pair, and the protocols a stage may be handed. No torch here.

Every record is frozen: a stage that changes something makes a new record with `dataclasses.replace`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

Access = Literal["open", "credentialed"]


def fingerprint(content: Any) -> str:
    """16 hex digits of the SHA-256 of `content` as canonical JSON: equal content, equal fingerprint, on any machine.

    Args:
        content: Anything `json` can write; tuples count as lists, keys are sorted.

    Example:
        >>> fingerprint({"b": 1, "a": (2, 3)}) == fingerprint({"a": [2, 3], "b": 1})
        True
    """
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class LabelState(StrEnum):
    """What a report says of a finding. Unmentioned is not absent (MIMIC-CXR's blank cell)."""

    PRESENT = "present"
    ABSENT = "absent"
    UNCERTAIN = "uncertain"
    UNMENTIONED = "unmentioned"


@dataclass(frozen=True, slots=True)
class Label:
    """One finding and its state."""

    name: str
    state: LabelState


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit of an image, applied where pixels first appear (the collator).

    Args:
        name: What is done: `noise`, `fog`, `crop`, `box`, …
        params: Its named numbers, as sorted pairs so that the edit can be hashed.
    """

    name: str
    params: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image by reference: pixels are read in the collator, never before.

    Args:
        path: The image or video file.
        time_s: For a video, the time of the frame in seconds.
        edits: Applied in order after decoding.
    """

    path: str
    time_s: float | None = None
    edits: tuple[Edit, ...] = ()

    @property
    def fingerprint(self) -> str:
        """A key for caches of this machine: path, frame time and edits (not the content of the file)."""
        return fingerprint([self.path, self.time_s, [[e.name, e.params] for e in self.edits]])


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a record comes from, and whether it may leave this machine.

    Args:
        dataset: Name of the dataset's config.
        file: File the record was read from, relative to the dataset's root.
        row: Its place there, as a number; of credentialed data never an id.
        access: `credentialed` data never leaves the machine by default (docs/datasets.md).
    """

    dataset: str
    file: str
    row: str
    access: Access


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A completion: the thinking between `<think>` and `</think>`, and the answer after it."""

    thinking: str
    answer: str


@dataclass(frozen=True, slots=True)
class Released:
    """A counterfactual that came with the data.

    Args:
        target: The result it argues for; empty where the release does not say.
        trajectory: The counterfactual thinking and answer.
        images: Other images; None where it is about the sample's own.
    """

    target: str
    trajectory: Trajectory
    images: tuple[ImageRef, ...] | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One example: image(s) and prompt, the factual trajectory, and what is known about it.

    Args:
        id: Unique within the dataset.
        group: What must never cross a split: the patient, the driving clip, the scene.
        split: `train`, `validate` or `test`.
        images: Shown to the policy before the prompt's text, in order.
        prompt: The user's text, without image placeholders.
        factual: The true trajectory: report and answer.
        labels: State of each finding, by name.
        results: The true results that `factual.answer` names (diagnoses, driving actions), in the dataset's order.
        metadata: What else the release says of the record (`view`, `site`, …), as strings.
        provenance: Where it comes from.
        counterfactuals: Those that came with the data, in its order; most releases have none.
    """

    id: str
    group: str
    split: str
    images: tuple[ImageRef, ...]
    prompt: str
    factual: Trajectory
    labels: Mapping[str, LabelState]
    results: tuple[str, ...]
    metadata: Mapping[str, str]
    provenance: Provenance
    counterfactuals: tuple[Released, ...] = ()

    @property
    def content(self) -> list[Any]:
        """What decides a training run, for fingerprints; image bytes are covered by the dataset's own fingerprint."""
        released = [
            [c.target, c.trajectory.thinking, c.trajectory.answer, c.images and _edits(c.images)]
            for c in self.counterfactuals
        ]
        own = [self.id, self.prompt, self.factual.thinking, self.factual.answer, list(self.results)]
        return [*own, _edits(self.images), *([released] if released else [])]


def _edits(images: Sequence[ImageRef]) -> list[Any]:
    return [[[e.name, e.params] for e in i.edits] for i in images]


@dataclass(frozen=True, slots=True)
class Intervention:
    """One edited attribute: what the report said of it, and what the counterfactual says."""

    attribute: str
    before: LabelState
    after: LabelState


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """A trajectory (or image) that argues for another result.

    Args:
        sample_id: The sample it was made from.
        method: Name of the counterfactual's config.
        target: The result it argues for.
        trajectory: The counterfactual thinking and answer.
        interventions: The edited attributes, where the method knows them.
        images: Other images, for counterfactual perception; None keeps the sample's own.
        chosen: The chosen side that the rejected one is to be held against; None for the factual trajectory.
    """

    sample_id: str
    method: str
    target: str
    trajectory: Trajectory
    interventions: tuple[Intervention, ...] = ()
    images: tuple[ImageRef, ...] | None = None
    chosen: Trajectory | None = None


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """One chosen trajectory against K rejected ones, at one time of the stream.

    Args:
        sample: Gives images and prompt.
        chosen: The preferred trajectory.
        rejected: K counterfactuals; K is the same for all pairs of a run.
        time: Position in the stream, from 0; side streams share the time of their sample.
        concept: Index of the stream's concept at that time.
        source: `thinking` (another text) or `perception` (another image).
        weight: Weight in the loss.
        image_rejected: Images under which the chosen trajectory is rejected too, for losses that also compare images;
            None for none.
    """

    sample: Sample
    chosen: Trajectory
    rejected: tuple[Counterfactual, ...]
    time: int
    concept: int = 0
    source: Literal["thinking", "perception"] = "thinking"
    weight: float = 1.0
    image_rejected: tuple[ImageRef, ...] | None = None


@dataclass(frozen=True, slots=True)
class Concept:
    """A stationary distribution that the stream visits."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class DriftTruth:
    """The known truth of a drifting stream.

    Args:
        concepts: The distributions, in order of first appearance by the schedule.
        concept_at: Index of the concept behind each position, one per sample of the stream.
        changes: For each drift `(start, end)`, in samples: P(new concept) is 0 before `start` and 1 from `end` on.
        shifts: What changes: each shift with its parameters, for the record.
        left_out: Samples of the source that a selection shift did not use.
    """

    concepts: tuple[Concept, ...]
    concept_at: tuple[int, ...]
    changes: tuple[tuple[int, int], ...] = ()
    shifts: tuple[Mapping[str, Any], ...] = ()
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Stream:
    """Samples in the order in which training meets them, with the truth about their drift."""

    samples: tuple[Sample, ...]
    truth: DriftTruth

    @property
    def fingerprint(self) -> str:
        """Of the ordered content."""
        return fingerprint([[s.content for s in self.samples], list(self.truth.concept_at)])


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A damaged record that was set aside: where it stands and why."""

    file: str
    row: str
    reason: str


@dataclass(frozen=True, slots=True)
class DataQuality:
    """What a reader saw: what training gets, what the release's own rules leave out, what is damaged.

    Args:
        records: Annotation rows, files or reports as the release counts them.
        samples: Samples that training would see.
        excluded: Left out by the release's own rules, by reason.
        quarantined: Damaged records.
        by_split: Samples per split.
        labels: For each label the number of samples in each state.
        details: What else there is to say of this dataset, as JSON.
    """

    dataset: str
    records: int
    samples: int
    excluded: Mapping[str, int] = field(default_factory=dict)
    quarantined: tuple[Quarantined, ...] = ()
    by_split: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


class Generator(Protocol):
    """Writes completions: what a stage without torch is handed when it needs a policy's own words."""

    def generate(
        self, samples: Sequence[Sample], *, max_new_tokens: int = 1024, temperature: float = 0.0, seed: int = 0
    ) -> list[str]:
        """One completion text per sample, its special tokens removed and `<think>` kept.

        Args:
            samples: Their images and prompts are read; one that stands there twice is drawn for twice.
            max_new_tokens: Longest completion.
            temperature: Of the sampling, ≥ 0; 0 is greedy.
            seed: Of the draws; what a sample gets depends on its id and place, not on the batch it is in.
        """
        ...


class Scorer(Protocol):
    """Scores given completions of a sample under a policy."""

    def score(self, samples: Sequence[Sample], completions: Sequence[Trajectory]) -> list[float]:
        """Log-probability of each completion behind its own sample's images and prompt, summed over tokens, in nats."""
        ...


@runtime_checkable
class Tracker(Protocol):
    """Where metrics go. `metrics.jsonl` in the run directory is the source of truth, every tracker a view of it."""

    def log(self, metrics: Mapping[str, float], *, stage: str, step: int) -> None:
        """Scalars at an optimiser step of a stage (`sft`, `control`, `train`, …); each stage counts from 0."""
        ...

    def rewind(self, *, stage: str, step: int) -> None:
        """Forgets what a stage logged beyond a step, where that is possible: it is about to be logged again."""
        ...

    def summary(self, values: Mapping[str, Any]) -> None:
        """Values of the run as a whole, merged key by key with those given before."""
        ...

    def finish(self) -> None:
        """Flush and close; called exactly once, also after an error."""
        ...


@dataclass(frozen=True, slots=True)
class Exhibits:
    """What a finished run has to show beside its metrics, already without what may not leave this machine.

    Args:
        figures: By title, as Plotly's plain data: `{"data": …, "layout": …}`.
        tables: By name, each its columns and its rows.
        concepts: The stream's stretches `(start, end, concept)`, in samples.
    """

    figures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tables: Mapping[str, tuple[Sequence[str], Sequence[Sequence[Any]]]] = field(default_factory=dict)
    concepts: Sequence[tuple[int, int, int]] = ()


@runtime_checkable
class Exhibitor(Protocol):
    """A tracker that can show more than numbers."""

    def exhibit(self, exhibits: Exhibits) -> None:
        """Takes what a finished run has to show; called once, before `finish`."""
        ...
