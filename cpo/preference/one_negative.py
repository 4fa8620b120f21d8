"""One counterfactual per pair, K = 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from cpo.preference.balance import BalanceName, balance_of
from cpo.preference.pairing import Drop, Pairing
from cpo.records import Counterfactual


class OneNegative(Pairing):
    """Each counterfactual against its factual trajectory: a sample with two of them gives two pairs in a row.

    Args:
        balance: `none`, or `conflict` for a fixed share of pairs that contradict a tie (`ConflictBalance`).
        cause: What the tie ties: `key=value` of the metadata, a result, or an attribute of the graph.
        effect: The result that it is tied to.
        share: Share of pairs that contradict it, in (0, 1).
        graph: Knows the attributes, where the cause is one.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        arXiv 2505.13081 trains on every (report, counterfactual) pair of its two targets per study; the released
        script takes only the first.
    """

    def __init__(
        self,
        *,
        balance: BalanceName = "none",
        cause: str = "",
        effect: str = "",
        share: float = 0.5,
        graph: str = "chest",
    ) -> None:
        self.balance = balance_of(balance, cause=cause, effect=effect, share=share, graph=graph)

    def pick(
        self, counterfactuals: tuple[Counterfactual, ...], dropped: Counter[str]
    ) -> Iterator[tuple[Counterfactual, ...]]:
        """See `Pairing.pick`."""
        if not counterfactuals:
            dropped[Drop.NO_COUNTERFACTUAL.value] += 1
        for counterfactual in counterfactuals:
            yield (counterfactual,)
