"""K counterfactuals per pair, for losses over several negatives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from cpo.errors import ConfigError
from cpo.preference.pairing import Drop, Pairing
from cpo.records import Counterfactual


class KNegatives(Pairing):
    """The first K counterfactuals of a sample, together against its factual trajectory: at most one pair per sample.

    Args:
        k: Negatives per pair, ≥ 1.

    Raises:
        ConfigError: `k` below 1.

    Source:
        Several negatives under one chosen trajectory: softmax DPO (arXiv 2406.09215), and the Plackett–Luce
        objective of APO (arXiv 2510.04142).
    """

    def __init__(self, *, k: int) -> None:
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
