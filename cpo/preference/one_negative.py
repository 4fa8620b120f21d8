"""One counterfactual per pair, K = 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from cpo.preference.pairing import Drop, Pairing
from cpo.records import Counterfactual


class OneNegative(Pairing):
    """Each counterfactual against its factual trajectory: a sample with two of them gives two pairs in a row.

    Source:
        arXiv 2505.13081 trains on every (report, counterfactual) pair of its two targets per study; the released
        script takes only the first.
    """

    def pick(
        self, counterfactuals: tuple[Counterfactual, ...], dropped: Counter[str]
    ) -> Iterator[tuple[Counterfactual, ...]]:
        """See `Pairing.pick`."""
        if not counterfactuals:
            dropped[Drop.NO_COUNTERFACTUAL.value] += 1
        for counterfactual in counterfactuals:
            yield (counterfactual,)
