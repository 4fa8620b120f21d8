"""Another sample's trajectory: the rejected side of the DPO baseline that counterfactuals are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from cpo.counterfactual.base import CounterfactualMethod, Proposer, Rejection, may_be_true
from cpo.counterfactual.validity import format_broken
from cpo.records import Counterfactual, Sample


class RandomTrajectory(CounterfactualMethod):
    """Trajectories of other samples, drawn evenly from those of another group that argue for another result.

    The target is the first of the other sample's results that neither holds of this sample nor is left open by it
    (which may be "No Finding"). Report and answer are taken whole, so several results may differ at once.

    Args:
        negatives: Trajectories per sample, all different samples', ≥ 1.

    Raises:
        ConfigError: `negatives` below 1.

    Source:
        The DPO baseline of arXiv 2505.13081 (Table 2): another patient's report as the rejected trajectory. The
        paper does not ask for another result; without that the "rejected" answer would sometimes be true.
    """

    def __init__(self, *, negatives: int) -> None:
        super().__init__("random", negatives)

    def proposer(self, pool: Sequence[Sample]) -> Proposer:
        """See `CounterfactualMethod.proposer`."""

        def propose(sample: Sample, rng: np.random.Generator) -> Iterator[Counterfactual | Rejection]:
            for index in shuffled(len(pool), rng):
                other = pool[index]
                target = next((r for r in other.results if not may_be_true(sample, r)), None)
                if target is None or other.group == sample.group:
                    continue
                if format_broken(other.factual):
                    yield Rejection.FORMAT_BROKEN
                    continue
                yield Counterfactual(sample.id, self.name, target, other.factual)

        return propose


def shuffled(n: int, rng: np.random.Generator) -> Iterator[int]:
    """The numbers 0 … n−1 in random order, at a cost per number drawn (most samples need one or two of them).

    Fisher–Yates that stores only the places already swapped.
    """
    moved: dict[int, int] = {}
    for i in range(n):
        j = int(rng.integers(i, n))
        yield moved.get(j, j)
        moved[j] = moved.get(i, i)
