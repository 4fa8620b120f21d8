"""Causal effects of interventions on a thinking: how far forcing each of them moves the distribution over results.

ATE_c(r) = E[z_r(do(T := edited by c)) − z_r(T)], with z the policy's distribution over results behind a whole thinking.
It is the effect under intervention c, and says nothing of why the policy thinks what it thinks.

N samples, M interventions, Z results, S statistics, R resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cpo.errors import ShapeError

Floats = NDArray[np.float64]
BENEFICIAL, DETRIMENTAL, RATIO = "beneficial_sensitivity", "detrimental_sensitivity", "sensitivity_ratio"


@dataclass(frozen=True)
class Effects:
    """What M interventions did to the distribution over results.

    Args:
        sample: Sample that each was made on, `[M]`, from 0.
        kind: Kind of each, M names.
        licensed: Whether the graph licenses each to move results, `[M]`.
        before: Distribution behind the factual thinking, `[M, Z]`; rows sum to 1.
        after: The same behind the edited one.
        kept: Results whose odds are compared, `[M, Z]`: distributions are conditioned on them.
        own: The result that a licensed intervention should move, `[M]`; −1 for none.

    Raises:
        ShapeError: The arrays do not fit together.
    """

    sample: NDArray[np.int64]
    kind: Sequence[str]
    licensed: NDArray[np.bool_]
    before: Floats
    after: Floats
    kept: NDArray[np.bool_]
    own: NDArray[np.int64]

    def __post_init__(self) -> None:
        rows = {len(self.sample), len(self.kind), len(self.licensed), len(self.own)}
        if len(rows) > 1 or not self.before.shape == self.after.shape == self.kept.shape == (*rows, self.kept.shape[1]):
            raise ShapeError(
                got=f"{sorted(rows)} rows, distributions {self.before.shape} and {self.after.shape}, {self.kept.shape}",
                wanted="[M] and [M, Z]",
                remedy="give every intervention one row in each array",
            )

    @property
    def differences(self) -> Floats:
        """z(edited) − z(factual) among the kept results, `[M, Z]`; nan for the others, and where none has any mass."""
        return conditioned(self.after, self.kept) - conditioned(self.before, self.kept)

    @property
    def moved(self) -> Floats:
        """Total variation between the two distributions among the kept results, `[M]`, in [0, 1]."""
        return total_variation(conditioned(self.before, self.kept), conditioned(self.after, self.kept))


def total_variation(one: Floats, other: Floats) -> Floats:
    """Total variation distance along the last axis: the largest difference in probability of any set of results.

    A result that is nan in both is left out; where all are, so is the distance.

    Example:
        >>> float(total_variation(np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.5, 0.25])))
        0.25
    """
    gaps = np.abs(one - other)
    found: Floats = np.where(np.isnan(gaps).all(axis=-1), np.nan, np.nansum(gaps, axis=-1) / 2)
    return found


def conditioned(z: Floats, kept: NDArray[np.bool_]) -> Floats:
    """Distributions given that the result is among the kept ones; nan for the others.

    Example:
        >>> conditioned(np.array([0.375, 0.125, 0.5]), np.array([True, True, False])).tolist()
        [0.75, 0.25, nan]
    """
    mass = np.where(kept, z, 0.0).sum(axis=-1, keepdims=True)
    out: Floats = np.full(z.shape, np.nan)
    np.divide(z, mass, out=out, where=kept & (mass > 0))
    return out


def per_sample(effects: Effects, n: int, results: Sequence[str]) -> dict[str, Floats]:
    """What each sample contributes to every mean, `[N]` by name; nan where it has no such intervention.

    - `beneficial_sensitivity`: mean total variation under its licensed interventions,
    - `detrimental_sensitivity`: under its unlicensed ones,
    - `<kind>_sensitivity`: under those of one kind,
    - `<kind>_own_effect`: change of the result that a licensed kind should move,
    - `effects/<kind>/<result>`: change of each result.

    Args:
        effects: Of all samples.
        n: Samples.
        results: Names of the Z results.

    Example:
        Denying a sign takes 0.5 from the first result; a paraphrase moves 0.1 of another sample.

        >>> z = np.array([[0.75, 0.25], [0.75, 0.25]])
        >>> after = np.array([[0.25, 0.75], [0.85, 0.15]])
        >>> every = np.ones((2, 2), dtype=bool)
        >>> kinds, licensed = ["denied", "paraphrase"], np.array([True, False])
        >>> effects = Effects(np.arange(2), kinds, licensed, z, after, every, own=np.array([0, -1]))
        >>> found = per_sample(effects, 2, ["a", "b"])
        >>> found["beneficial_sensitivity"].tolist(), found["denied_own_effect"].tolist()
        ([0.5, nan], [-0.5, nan])
        >>> found["detrimental_sensitivity"].round(3).tolist()
        [nan, 0.1]
    """
    moved, differences = effects.moved, effects.differences
    kinds = np.array(effects.kind)
    table = {
        BENEFICIAL: _means(moved, effects.licensed, effects.sample, n),
        DETRIMENTAL: _means(moved, ~effects.licensed, effects.sample, n),
    }
    for kind in dict.fromkeys(effects.kind):
        table[f"{kind}_sensitivity"] = _means(moved, kinds == kind, effects.sample, n)
        owned = (kinds == kind) & (effects.own >= 0)
        if owned.any():
            change = differences[np.arange(len(kinds)), effects.own]
            table[f"{kind}_own_effect"] = _means(change, owned, effects.sample, n)
    for kind in dict.fromkeys(effects.kind):
        for column, result in enumerate(results):
            table[f"effects/{kind}/{result}"] = _means(differences[:, column], kinds == kind, effects.sample, n)
    return table


def statistics_of(table: Mapping[str, Floats]) -> tuple[tuple[str, ...], Callable[[Floats], Floats]]:
    """Names, and the means over samples with the ratio of the two sensitivities, as a function of multiplicities.

    The ratio is detrimental / beneficial, of the means: 0 for a policy that only what decides can move, 1 for one that
    any change of words moves as much; nan where nothing licensed moves it.

    Args:
        table: What each sample contributes, as from `per_sample`.

    Returns:
        S + 1 names, and a function of multiplicities `[R, N]` to values `[R, S + 1]`; nan where no sample contributes.
    """
    others = [name for name in table if name not in (BENEFICIAL, DETRIMENTAL)]
    columns = np.column_stack([table[name] for name in (BENEFICIAL, DETRIMENTAL, *others)])
    present = ~np.isnan(columns)
    filled = np.where(present, columns, 0.0)

    def statistic(weights: Floats) -> Floats:
        means = _ratio(weights @ filled, weights @ present.astype(np.float64))
        return np.insert(means, 2, _ratio(means[:, 1], means[:, 0]), axis=1)

    return (BENEFICIAL, DETRIMENTAL, RATIO, *others), statistic


def _means(values: Floats, chosen: NDArray[np.bool_], sample: NDArray[np.int64], n: int) -> Floats:
    """Mean of the chosen, defined values of each sample; nan without any."""
    use = chosen & ~np.isnan(values)
    sums = np.bincount(sample[use], weights=values[use], minlength=n)
    return _ratio(sums.astype(np.float64), np.bincount(sample[use], minlength=n).astype(np.float64))


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    out: Floats = np.full(numerator.shape, np.nan)
    return np.divide(numerator, denominator, out=out, where=denominator != 0)
