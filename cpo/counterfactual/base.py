"""What every counterfactual method is: samples and a seed in, a counted set of counterfactuals out."""

from __future__ import annotations

import hashlib
import statistics
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

import numpy as np

from cpo.answers import AnswerFormat
from cpo.counterfactual.edits import edited_words
from cpo.errors import ConfigError, DataError
from cpo.records import Access, Counterfactual, LabelState, Sample, fingerprint


class Rejection(StrEnum):
    """Why a candidate was not kept. Every candidate that a method proposes is either kept or counted under one."""

    ALREADY_TRUE = "target is already true of the sample"
    TARGET_NOT_SHOWN = "target not shown"
    FACTUAL_NOT_GONE = "factual result not gone"
    KEPT_RESULT_LOST = "kept result lost"
    OTHER_RESULT_SHOWN = "a third result shown"
    EXCLUSION_BROKEN = "exclusion broken"
    EQUAL_TO_CHOSEN = "equal to the chosen trajectory"
    FORMAT_BROKEN = "format broken"
    EDITED_TOO_MUCH = "edited too much"
    NOT_REACHABLE = "no licensed edit reaches the target"
    ANSWER_NOT_NAMED = "answer sentence does not name the result"
    REPLY_CUT_OFF = "reply cut off at its longest"
    REPLY_DECLINED = "reply declined by the model"
    NO_REPLY = "no reply"
    NONE_RELEASED = "nothing released with the sample"


Proposer = Callable[[Sample, np.random.Generator], Iterator[Counterfactual | StrEnum]]
"""Candidates of one sample, the best first: checked counterfactuals, and reasons for those that failed.

It is given the sample and a generator of the sample's own, and is asked no further than needed. A reason is a
`Rejection`, or one of the method's own.
"""

Need = Literal["generator", "scorer"]
"""What a method may ask of a policy: to write, or to score."""


@dataclass(frozen=True)
class CounterfactualSet:
    """The counterfactuals of a set of samples, and what became of the candidates that are not among them.

    Args:
        method: Name of the method's config.
        by_sample: Counterfactuals of each sample asked for, the nearest first; an empty tuple where none was found.
        rejected: Candidates not kept, by reason.
        short: Samples with fewer counterfactuals than asked for.
        stats: Measurements of the making: `per_second` (kept counterfactuals, validity checks included),
            `valid_share` (kept / proposed), `edited_words_median` (ratio of `edited_words` of the thinking);
            nan where nothing was proposed, or no thinking. A method may add its own (`CounterfactualMethod.account`).
    """

    method: str
    by_sample: Mapping[str, tuple[Counterfactual, ...]]
    rejected: Mapping[str, int]
    short: int
    stats: Mapping[str, float]

    @property
    def all(self) -> tuple[Counterfactual, ...]:
        """Every counterfactual, in the samples' order."""
        return tuple(c for found in self.by_sample.values() for c in found)

    @cached_property
    def fingerprint(self) -> str:
        """Of the ordered content, not of the measurements."""
        return fingerprint(
            [
                [c.sample_id, c.method, c.target, c.trajectory.thinking, c.trajectory.answer]
                + ([c.chosen.thinking, c.chosen.answer] if c.chosen else [])
                + [i.fingerprint for i in c.images or ()]
                for c in self.all
            ]
        )


class CounterfactualMethod(ABC):
    """A way to make counterfactuals. A new one is one file with a subclass and one YAML that names it.

    Args:
        name: Name of its config, recorded in every counterfactual.
        targets_per_sample: Counterfactuals wanted for each sample, ≥ 1.

    Raises:
        ConfigError: `targets_per_sample` below 1.
    """

    needs: Need | None = None
    """What it asks of the policy that the preference stage starts from; such a method waits until there is one."""

    def __init__(self, name: str, targets_per_sample: int) -> None:
        if targets_per_sample < 1:
            raise ConfigError(
                got=f"{targets_per_sample} counterfactuals per sample for counterfactual={name}",
                wanted="at least 1",
                remedy="raise it, or train without pairs with loss=sft",
            )
        self.name, self.targets_per_sample = name, targets_per_sample

    def make(self, samples: Sequence[Sample], *, seed: int) -> CounterfactualSet:
        """Counterfactuals of each sample, deterministic in the samples and the seed.

        Each sample draws from its own generator, seeded by its id.

        Args:
            samples: Distinct samples; the pool whose statistics and texts a method may use.
            seed: Any integer ≥ 0.

        Raises:
            DataError: Two samples share an id.
        """
        refuse_repeated_ids(samples)
        started = time.perf_counter()
        propose = self.proposer(samples)
        kept: dict[str, tuple[Counterfactual, ...]] = {}
        rejected: Counter[str] = Counter()
        for sample in samples:
            found: list[Counterfactual] = []
            for proposal in propose(sample, sample_generator(sample.id, seed)):
                if not isinstance(proposal, Counterfactual):
                    rejected[proposal.value] += 1
                    continue
                found.append(proposal)
                if len(found) == self.targets_per_sample:
                    break
            kept[sample.id] = tuple(found)
        seconds = time.perf_counter() - started
        return CounterfactualSet(
            method=self.name,
            by_sample=kept,
            rejected=dict(sorted(rejected.items())),
            short=sum(len(found) < self.targets_per_sample for found in kept.values()),
            stats={**measure(samples, kept, sum(rejected.values()), seconds), **self.account()},
        )

    def use(self, policy: Any, *, identity: str) -> None:  # noqa: B027 - most need none
        """Hands in the policy that a method with `needs` asks for, before `make`.

        Args:
            policy: A `Generator` or `Scorer` of `cpo.records`, as `needs` says.
            identity: Tells its weights from others.
        """

    def read_by(self, answers: AnswerFormat) -> None:  # noqa: B027 - most read no answers of a policy
        """Tells how the dataset's answers name results."""

    def account(self) -> Mapping[str, float]:
        """What else there is to say of the last making, for the `stats` of its set; nothing in most methods."""
        return {}

    def refuse_unless_allowed(self, access: Access, *, acknowledged: bool) -> None:  # noqa: B027 - nothing to refuse
        """Refuses data that the method would send where it may not go; to be called before a dataset is opened.

        Most methods send nothing anywhere.

        Args:
            access: Of the dataset.
            acknowledged: The user took responsibility (`privacy=acknowledged`).

        Raises:
            PrivacyError: Before a byte is sent.
        """

    @abstractmethod
    def proposer(self, pool: Sequence[Sample]) -> Proposer:
        """Reads the pool once (its prevalences, habits or texts) and returns what proposes for one sample of it."""


def may_be_true(sample: Sample, result: str) -> bool:
    """Whether the report asserts a result or leaves it open, so that arguing for it would not be false."""
    return result in sample.results or sample.labels.get(result) in (LabelState.PRESENT, LabelState.UNCERTAIN)


def sample_generator(sample_id: str, seed: int) -> np.random.Generator:
    """A generator of the sample's own: what it draws does not depend on which other samples there are."""
    digest = hashlib.sha256(sample_id.encode()).digest()
    return np.random.default_rng(np.random.SeedSequence([seed, int.from_bytes(digest[:8], "big")]))


def refuse_repeated_ids(samples: Sequence[Sample]) -> None:
    """Raises when two samples would share an entry of the set.

    Raises:
        DataError: Two samples share an id.
    """
    repeated = len(samples) - len({s.id for s in samples})
    if repeated:
        # ids are not quoted: they may be those of credentialed records
        raise DataError(
            got=f"{repeated} of {len(samples)} samples repeat the id of another",
            wanted="distinct samples",
            remedy="make counterfactuals once per sample, and repeat samples only when batches are drawn",
        )


def measure(
    samples: Sequence[Sample], kept: Mapping[str, tuple[Counterfactual, ...]], rejected: int, seconds: float
) -> dict[str, float]:
    """The `stats` of a `CounterfactualSet`."""
    made = sum(len(found) for found in kept.values())
    ratios = [
        edited_words((c.chosen or sample.factual).thinking, c.trajectory.thinking).ratio
        for sample in samples
        for c in kept[sample.id]
        if c.trajectory.thinking and c.images is None
    ]
    return {
        "per_second": made / seconds if made else float("nan"),
        "valid_share": made / (made + rejected) if made + rejected else float("nan"),
        "edited_words_median": statistics.median(ratios) if ratios else float("nan"),
    }
