"""What every benchmark is: a policy and held-out data in, named results with intervals per concept out."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from rich.console import Console
from rich.progress import track

from cpo.answers import AnswerFormat
from cpo.errors import DataError
from cpo.policy.loaded import LoadedPolicy
from cpo.preference.pairing import PairSet
from cpo.records import Access, Sample

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
        acknowledged: The user answers for credentialed texts that go to a judge elsewhere (`privacy=acknowledged`).
    """

    seed: int
    folder: Path
    progress: bool = False
    acknowledged: bool = False


class Benchmark(ABC):
    """A way to judge a policy. A new one is one file with a subclass and one YAML that names it."""

    protocol: ClassVar[str]
    """What is measured and how, in one sentence; stands beside the numbers."""
    reads_pairs: ClassVar[bool] = False
    """Whether it judges preference pairs, and not samples alone."""

    def refuse_unless_allowed(self, access: Access, *, acknowledged: bool) -> None:  # noqa: B027 - most send nothing
        """Refuses data that would be sent where it may not go, before anything is spent.

        Raises:
            PrivacyError: Naming the rule.
        """

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


def merged(found: Mapping[str, Scores]) -> tuple[Scores, dict[str, list[str]]]:
    """The scores of several benchmarks by concept, and the metrics of each benchmark.

    A metric that an earlier benchmark has too is called `<benchmark>_<metric>`.

    Example:
        >>> merged({"a": {"all": {"accuracy": {}}}, "b": {"all": {"accuracy": {}, "bleu": {}}}})[1]
        {'a': ['accuracy'], 'b': ['b_accuracy', 'bleu']}
    """
    scores: Scores = {}
    measures: dict[str, list[str]] = {}
    for benchmark, by_concept in found.items():
        taken = {name for names in measures.values() for name in names}
        own = dict.fromkeys(name for metrics in by_concept.values() for name in metrics)
        names = {name: f"{benchmark}_{name}" if name in taken else name for name in own}
        measures[benchmark] = list(names.values())
        for concept, metrics in by_concept.items():
            scores.setdefault(concept, {}).update({names[name]: value for name, value in metrics.items()})
    return scores, measures


UNFINISHED = "unfinished"


@contextmanager
def unfinished(folder: Path) -> Iterator[None]:
    """Marks a judgement's folder until the block has ended well."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / UNFINISHED).touch()
    yield
    (folder / UNFINISHED).unlink()


def begin_anew(folder: Path) -> None:
    """Removes a finished judgement; what an interrupted one made stays, to be gone on with."""
    if not (folder / UNFINISHED).is_file():
        shutil.rmtree(folder, ignore_errors=True)


def flat_values(scores: Scores, prefix: str) -> dict[str, float]:
    """The values of scores as metrics `prefix/<concept>/<metric>`; how many replies a judge's score lacks, beside it.

    Example:
        >>> flat_values({"all": {"match": {"value": 7.0, "judge": "m", "unparsed": 2}}}, "eval")
        {'eval/all/match': 7.0, 'eval/all/match/unparsed': 2.0}
    """
    found = {}
    for concept, metrics in scores.items():
        for name, value in metrics.items():
            if value.get("value") is not None:
                found[f"{prefix}/{concept}/{name}"] = value["value"]
                if "unparsed" in value:
                    found[f"{prefix}/{concept}/{name}/unparsed"] = float(value["unparsed"])
    return found
