"""What every benchmark is: a policy and held-out data in, named results with intervals per concept out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from rich.console import Console
from rich.progress import track

from cpo.answers import AnswerFormat
from cpo.policy.loaded import LoadedPolicy
from cpo.preference.pairing import PairSet
from cpo.records import Sample

CONSOLE = Console()
T = TypeVar("T")
Scores = dict[str, dict[str, Any]]
"""Concept → metric → interval (`value`, `low`, `high`, …) or counts."""


@dataclass(frozen=True)
class HeldOut:
    """Held-out data of a run.

    Args:
        samples: Every held-out sample, once.
        concepts: Per concept of the stream the indices into `samples` that follow its distribution; `all` holds all.
        pairs: Held-out preference pairs, made like those of training.
        answers: How answers name results.
        scored: The results that are scored, diseases or actions.
    """

    samples: Sequence[Sample]
    concepts: Mapping[str, Sequence[int]]
    pairs: PairSet
    answers: AnswerFormat
    scored: tuple[str, ...]


class Benchmark(ABC):
    """A way to judge a policy. A new one is one file with a subclass and one YAML that names it."""

    protocol: ClassVar[str]
    """What is measured and how, in one sentence; stands beside the numbers."""

    @abstractmethod
    def evaluate(self, policy: LoadedPolicy, held_out: HeldOut, *, seed: int, progress: bool) -> Scores:
        """Scores per concept.

        Args:
            policy: To be judged.
            held_out: What to judge it on.
            seed: Of the bootstrap and of any shuffling.
            progress: Show a progress bar.
        """


def in_batches(batches: Iterator[T], *, total: int, what: str, progress: bool) -> Iterable[T]:
    """The batches, under a progress bar if wanted and if there is a terminal to draw it in."""
    return track(batches, description=what, total=total, transient=True, disable=not (progress and CONSOLE.is_terminal))


def flat_values(scores: Scores, prefix: str) -> dict[str, float]:
    """The values of scores as metrics `prefix/<concept>/<metric>`."""
    return {
        f"{prefix}/{concept}/{name}": value["value"]
        for concept, metrics in scores.items()
        for name, value in metrics.items()
        if value.get("value") is not None
    }
