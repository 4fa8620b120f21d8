"""What every benchmark is: a policy and held-out data in, named results with intervals per concept out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from rich.console import Console
from rich.progress import track

from cpo.answers import AnswerFormat
from cpo.errors import DataError
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
        samples: Every held-out sample, each followed by what the stream's concepts make of it, if they change samples.
        concepts: Per concept of the stream the indices into `samples` that follow its distribution; under `all` the
            samples as they are, where others stand between them.
        pairs: Held-out preference pairs, made like those of training.
        answers: How answers name results.
        scored: The results that are scored, diseases or actions.
    """

    samples: Sequence[Sample]
    concepts: Mapping[str, Sequence[int]]
    pairs: PairSet
    answers: AnswerFormat
    scored: tuple[str, ...]

    def judged(self, limit: int) -> tuple[list[Sample], dict[str, list[int]]]:
        """The first samples up to a limit, and for each concept, `all` before the others, the places of its own.

        Args:
            limit: How many; −1 for all.
        """
        samples = list(self.samples if limit == -1 else self.samples[:limit])
        concepts = {"all": range(len(samples)), **self.concepts}
        return samples, {name: [i for i in indices if i < len(samples)] for name, indices in concepts.items()}


@dataclass(frozen=True)
class Session:
    """One judgement of one policy by one benchmark.

    Args:
        seed: Of the bootstrap and of any shuffling.
        folder: Where the benchmark keeps what it makes (completions, curves): it stays in the run directory, may hold
            texts, and no tracker sees it.
        progress: Show progress bars.
    """

    seed: int
    folder: Path
    progress: bool = False


class Benchmark(ABC):
    """A way to judge a policy. A new one is one file with a subclass and one YAML that names it."""

    protocol: ClassVar[str]
    """What is measured and how, in one sentence; stands beside the numbers."""

    @abstractmethod
    def evaluate(self, policy: LoadedPolicy | None, held_out: HeldOut, session: Session) -> Scores:
        """Scores per concept.

        Args:
            policy: To be judged; None when only what an earlier judgement kept is to be scored again.
            held_out: What to judge it on.
            session: How, and where to keep what is made.
        """


def needs_policy(policy: LoadedPolicy | None, benchmark: str) -> LoadedPolicy:
    """The policy of a benchmark that scores rather than generates.

    Raises:
        DataError: There is none.
    """
    if policy is None:
        raise DataError(
            got=f"benchmark={benchmark} from=predictions",
            wanted="the policy: its scores are log-probs, which are not kept",
            remedy="leave from=predictions out, or choose benchmarks that read completions",
        )
    return policy


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
