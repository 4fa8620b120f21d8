"""What every pairing is: a stream and the counterfactuals of its samples in, a counted set of preference pairs out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Literal, Protocol

from cpo.errors import DataError
from cpo.preference.balance import ConflictBalance
from cpo.records import Counterfactual, PreferencePair, Sample, Stream, fingerprint


class Drop(StrEnum):
    """Why a sample or counterfactual of the stream is in no pair. The unit counted is the first word."""

    NO_COUNTERFACTUAL = "sample without a counterfactual"
    TOO_FEW = "sample with fewer than K counterfactuals"
    SURPLUS = "counterfactual beyond the first K"
    EQUAL = "counterfactual equal to the chosen trajectory"


class Counterfactuals(Protocol):
    """The part of a counterfactual set that pairing reads."""

    @property
    def by_sample(self) -> Mapping[str, tuple[Counterfactual, ...]]:
        """Counterfactuals of each sample, the nearest first."""


@dataclass(frozen=True)
class PairSet:
    """The preference pairs of a stream, in its order, and what is in none of them.

    Args:
        pairs: All with the same number K of rejected trajectories.
        dropped: Samples and counterfactuals in no pair, by reason.
        balance: What balancing did: pairs by kind, repeated, left out; empty without it.
    """

    pairs: tuple[PreferencePair, ...]
    dropped: Mapping[str, int]
    balance: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        """Of the ordered content of all pairs."""
        return fingerprint([pair_content(pair) for pair in self.pairs])


class Pairing(ABC):
    """A way to pair. A new one is one file with a subclass and one YAML that names it."""

    balance: ConflictBalance | None = None
    """Mixes the pairs of training anew; None leaves them in the stream's order."""
    rejects_images: bool = False
    """Whether its pairs hold a rejected image too, for losses that read one."""

    def for_training(self, stream: Stream, counterfactuals: Counterfactuals) -> PairSet:
        """The pairs of a stream as training meets them: balanced, if so wished; see `make`."""
        made = self.make(stream, counterfactuals)
        if self.balance is None:
            return made
        pairs, counts = self.balance(made.pairs)
        return PairSet(pairs, made.dropped, counts)

    def make(self, stream: Stream, counterfactuals: Counterfactuals) -> PairSet:
        """The pairs of a stream; each carries the position and the concept of its sample.

        Args:
            stream: Samples in the order in which training meets them.
            counterfactuals: A set made from these samples (it may hold others too).

        Raises:
            DataError: The set was made from other samples, or no pair is left.
        """
        missing = sum(sample.id not in counterfactuals.by_sample for sample in stream.samples)
        if missing:
            raise DataError(
                got=f"{missing} of {len(stream.samples)} samples of the stream are unknown to the counterfactuals",
                wanted="counterfactuals made from the samples of this stream",
                remedy="make them again from the stream's samples",
            )
        pairs: list[PreferencePair] = []
        dropped: Counter[str] = Counter()
        for time, (sample, concept) in enumerate(zip(stream.samples, stream.truth.concept_at, strict=True)):
            found = counterfactuals.by_sample[sample.id]
            usable = tuple(c for c in found if c.trajectory != (c.chosen or sample.factual) or c.images is not None)
            dropped[Drop.EQUAL.value] += len(found) - len(usable)
            for rejected in self.pick(usable, dropped):
                pairs.append(self.pair(sample, rejected, time, concept))
        if not pairs:
            raise DataError(
                got=f"no pair from {len(stream.samples)} samples ({describe(dropped)})",
                wanted="at least one preference pair",
                remedy="ask the counterfactual method for more per sample, or pair with pairing=one_negative",
            )
        return PairSet(tuple(pairs), {reason: n for reason, n in sorted(dropped.items()) if n})

    @abstractmethod
    def pick(
        self, counterfactuals: tuple[Counterfactual, ...], dropped: Counter[str]
    ) -> Iterator[tuple[Counterfactual, ...]]:
        """The rejected sides of one sample's pairs; what it leaves out it counts in `dropped`."""

    def pair(self, sample: Sample, rejected: tuple[Counterfactual, ...], time: int, concept: int) -> PreferencePair:
        """The pair of one rejected side; see `make_pair`."""
        return make_pair(sample, rejected, time, concept)


def make_pair(sample: Sample, rejected: tuple[Counterfactual, ...], time: int, concept: int) -> PreferencePair:
    """One pair; its source is `perception` when the rejected side differs in image.

    Raises:
        DataError: Some of the rejected trajectories differ in image and others do not, or they are to be held against
            different chosen ones.
    """
    chosen = {c.chosen or sample.factual for c in rejected}
    if len(chosen) > 1:
        raise DataError(
            got=f"{len(rejected)} rejected trajectories to be held against {len(chosen)} chosen ones",
            wanted="one chosen trajectory per pair",
            remedy="pair each by itself, with pairing=one_negative",
        )
    sources: set[Literal["thinking", "perception"]] = {
        "thinking" if c.images is None else "perception" for c in rejected
    }
    if len(sources) > 1:
        raise DataError(
            got="rejected trajectories of one pair with the sample's own image and with other images",
            wanted="one source per pair: thinking or perception",
            remedy="pair the two sources separately, with pairing=one_negative",
        )
    return PreferencePair(sample, chosen.pop(), rejected, time, concept, source=sources.pop())


def pair_content(pair: PreferencePair) -> list[object]:
    """What decides a training run, for fingerprints."""
    rejected = [
        [c.trajectory.thinking, c.trajectory.answer, [i.fingerprint for i in c.images or ()]] for c in pair.rejected
    ]
    chosen = [pair.chosen.thinking, pair.chosen.answer]
    content = [pair.sample.content, chosen, rejected, pair.time, pair.concept, pair.source, pair.weight]
    return [*content, *([[i.fingerprint for i in pair.image_rejected]] if pair.image_rejected is not None else [])]


def describe(dropped: Mapping[str, int]) -> str:
    """The non-zero counts as words."""
    return ", ".join(f"{reason}: {n}" for reason, n in sorted(dropped.items()) if n) or "nothing dropped"
