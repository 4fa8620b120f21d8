"""The counterfactuals that came with the data: CXR-CounterFact's, or anyone's own pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, get_args

import numpy as np

from cpo.counterfactual.base import CounterfactualMethod, Proposer, Rejection, may_be_true
from cpo.counterfactual.validity import has_markup
from cpo.errors import ConfigError
from cpo.records import Counterfactual, Released, Sample

Doubtful = Literal["keep", "reject"]


class ReleasedCounterfactual(CounterfactualMethod):
    """A sample's own released counterfactuals, in the release's order, word for word.

    They are not judged against a concept graph, only refused where they could not be trained on: a target that the
    factual answer names, an empty answer, marks of the chat template, or nothing that differs from the factual
    trajectory and its images.

    Args:
        targets: Counterfactuals per sample, ≥ 1; the first so many that stand.
        doubtful: What is done about a target that the sample's labels call present or uncertain although its answer
            does not name it: `keep`, as released, or `reject`, as the other methods do.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        CXR-CounterFact has two per record; the script of arXiv 2505.13081 takes the first alone (`targets=1`).
    """

    def __init__(self, *, targets: int, doubtful: Doubtful) -> None:
        super().__init__("released", targets)
        if doubtful not in get_args(Doubtful):
            raise ConfigError(
                got=f"counterfactual.doubtful={doubtful}",
                wanted=f"one of {', '.join(get_args(Doubtful))}",
                remedy="pass counterfactual.doubtful=keep",
            )
        self._true = may_be_true if doubtful == "reject" else _named

    def proposer(self, pool: Sequence[Sample]) -> Proposer:
        """See `CounterfactualMethod.proposer`; the pool is not read."""

        def propose(sample: Sample, rng: np.random.Generator) -> Iterator[Counterfactual | Rejection]:
            if not sample.counterfactuals:
                yield Rejection.NONE_RELEASED
            for released in sample.counterfactuals:
                made = Counterfactual(
                    sample.id, self.name, released.target, released.trajectory, images=released.images
                )
                yield self._rejection(sample, released) or made

        return propose

    def _rejection(self, sample: Sample, released: Released) -> Rejection | None:
        trajectory = released.trajectory
        if self._true(sample, released.target):
            return Rejection.ALREADY_TRUE
        if not trajectory.answer.strip() or has_markup(trajectory.thinking) or has_markup(trajectory.answer):
            return Rejection.FORMAT_BROKEN
        if trajectory == sample.factual and released.images in (None, sample.images):
            return Rejection.EQUAL_TO_CHOSEN
        return None


def _named(sample: Sample, result: str) -> bool:
    return result in sample.results
