"""The policy's own mistakes: trajectories that the SFT model samples, kept when their answer is readable and wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Literal, get_args

import numpy as np

from cpo.answers import CLOSE, OPEN, AnswerFormat, Malformed
from cpo.counterfactual.base import (
    CounterfactualMethod,
    CounterfactualSet,
    Need,
    Proposer,
    Rejection,
    may_be_true,
)
from cpo.counterfactual.validity import format_broken
from cpo.errors import ConfigError
from cpo.records import Counterfactual, Generator, Sample, Trajectory

OfMalformed = Literal["reject", "keep"]


class Unusable(StrEnum):
    """Why a sampled trajectory is no counterfactual, beside the common reasons."""

    UNREADABLE = "answer cannot be read"
    RIGHT = "answer is right, or names nothing that is false"
    REPEATED = "same as an earlier draw"


class OnPolicy(CounterfactualMethod):
    """Trajectories that the policy itself writes and that argue for a false result.

    The target is the first false result that the answer names, in the order of the dataset. Findings are whatever the
    policy writes: on-policy negatives are hard because they are likely, not because they are consistent.

    Args:
        negatives: Trajectories per sample, ≥ 1.
        draws: Trajectories drawn for each sample, ≥ negatives; where fewer are wrong, the sample has fewer.
        temperature: Of the sampling, > 0.
        max_new_tokens: Longest trajectory, ≥ 1; a longer one is cut off and seldom readable, which is counted.
        malformed: What is done about a text whose answer cannot be read: `reject`, or `keep` it as it stands, without
            a target, so that its form is rejected with it.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Rejected trajectories from the model being tuned, as in on-policy DPO; not in the papers.
    """

    needs: Need = "generator"

    def __init__(
        self, *, negatives: int, draws: int, temperature: float, max_new_tokens: int, malformed: OfMalformed
    ) -> None:
        super().__init__("on_policy", negatives)
        rules = {
            f"malformed one of {', '.join(get_args(OfMalformed))}": malformed in get_args(OfMalformed),
            f"draws ≥ negatives={negatives}": draws >= negatives,
            "temperature > 0": temperature > 0,
            "max_new_tokens ≥ 1": max_new_tokens >= 1,
        }
        if broken := [rule for rule, holds in rules.items() if not holds]:
            raise ConfigError(
                got=f"counterfactual=on_policy that breaks: {', '.join(broken)}",
                wanted=", ".join(rules),
                remedy="set counterfactual.KNOB=VALUE within its range",
            )
        self.draws, self.temperature, self.max_new_tokens = draws, temperature, max_new_tokens
        self.malformed = malformed
        self._generator: Generator | None = None
        self._answers: AnswerFormat | None = None
        self._seed = 0

    def use(self, policy: Generator, *, identity: str) -> None:
        """See `CounterfactualMethod.use`."""
        self._generator = policy

    def read_by(self, answers: AnswerFormat) -> None:
        """See `CounterfactualMethod.read_by`."""
        self._answers = answers

    def make(self, samples: Sequence[Sample], *, seed: int) -> CounterfactualSet:
        """See `CounterfactualMethod.make`; the seed also decides what the policy draws."""
        self._seed = seed
        return super().make(samples, seed=seed)

    def proposer(self, pool: Sequence[Sample]) -> Proposer:
        """Has the policy write for every sample of the pool at once; see `CounterfactualMethod.proposer`.

        Raises:
            ConfigError: No policy was handed in.
        """
        if self._generator is None or self._answers is None:
            raise ConfigError(
                got="counterfactual=on_policy without a policy",
                wanted="the model that the preference stage starts from",
                remedy="run it in train.py, or pass run=DIR of a run to cpo counterfactual make",
            )
        asked = [sample for sample in pool for _ in range(self.draws)]
        written = self._generator.generate(
            asked, max_new_tokens=self.max_new_tokens, temperature=self.temperature, seed=self._seed
        )
        texts: dict[str, list[str]] = {sample.id: [] for sample in pool}
        for sample, text in zip(asked, written, strict=True):
            texts[sample.id].append(text)

        def propose(sample: Sample, rng: np.random.Generator) -> Iterator[Counterfactual | StrEnum]:
            drawn = texts[sample.id]
            for number, text in enumerate(drawn):
                yield Unusable.REPEATED if text in drawn[:number] else self._judged(sample, text)

        return propose

    def _judged(self, sample: Sample, text: str) -> Counterfactual | StrEnum:
        """The counterfactual that a text is, or why it is none."""
        assert self._answers is not None
        named = self._answers.read_completion(text, thinking=bool(sample.factual.thinking))
        if isinstance(named, Malformed):
            usable = self.malformed == "keep" and text and "<|" not in text
            return Counterfactual(sample.id, self.name, "", Trajectory("", text)) if usable else Unusable.UNREADABLE
        target = next((r for r in self._answers.results if r in named and not may_be_true(sample, r)), None)
        if target is None:
            return Unusable.RIGHT
        thinking, _, answer = text.removeprefix(OPEN).rpartition(CLOSE)
        trajectory = Trajectory(thinking.strip(), answer.strip())
        if sample.factual.thinking and format_broken(trajectory):
            return Rejection.FORMAT_BROKEN
        return Counterfactual(sample.id, self.name, target, trajectory)
