"""K counterfactuals per pair, for losses over several negatives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from cpo.errors import ConfigError
from cpo.preference.balance import BalanceName, balance_of
from cpo.preference.pairing import Drop, Pairing
from cpo.records import Counterfactual


class KNegatives(Pairing):
    """The first K counterfactuals of a sample, together against its factual trajectory: at most one pair per sample.

    Args:
        k: Negatives per pair, ≥ 1.
        balance: `none`, or `conflict` for a fixed share of pairs that contradict a tie (`ConflictBalance`).
        cause: What the tie ties: `key=value` of the metadata, a result, or an attribute of the graph.
        effect: The result that it is tied to.
        share: Share of pairs that contradict it, in (0, 1).
        graph: Knows the attributes, where the cause is one.

    Raises:
        ConfigError: `k` below 1, or another knob out of its range.

    Source:
        Several negatives under one chosen trajectory: softmax DPO (arXiv 2406.09215), and the Plackett–Luce
        objective of APO (arXiv 2510.04142).
    """

    def __init__(
        self,
        *,
        k: int,
        balance: BalanceName = "none",
        cause: str = "",
        effect: str = "",
        share: float = 0.5,
        graph: str = "chest",
    ) -> None:
        self.balance = balance_of(balance, cause=cause, effect=effect, share=share, graph=graph)
        if k < 1:
            raise ConfigError(got=f"pairing.k={k}", wanted="k ≥ 1", remedy="pass pairing.k=2")
        self.k = k

    def pick(
        self, counterfactuals: tuple[Counterfactual, ...], dropped: Counter[str]
    ) -> Iterator[tuple[Counterfactual, ...]]:
        """See `Pairing.pick`."""
        if len(counterfactuals) < self.k:
            dropped[(Drop.TOO_FEW if counterfactuals else Drop.NO_COUNTERFACTUAL).value] += 1
            return
        dropped[Drop.SURPLUS.value] += len(counterfactuals) - self.k
        yield counterfactuals[: self.k]
