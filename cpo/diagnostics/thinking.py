"""Drift behind thinking: how the distribution over results moves along one chain of thought.

z_i is what the policy would answer if its thinking stopped at cut i (`cpo.policy.results` scores it); the first cut is
before the first word, the last behind the last. C cuts, Z results.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cpo.diagnostics.detectors import Detector, alarms_of
from cpo.errors import ShapeError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ThoughtDrift:
    """What one chain of thought does to the result.

    Args:
        steps: Jensen–Shannon divergence between z_i and z_{i+1}, [C − 1], bits.
        total: Their sum, bits. It grows with the number of cuts where z wavers: compare equal ways of cutting only.
        peak: The largest of them, bits.
        peak_at: Cut behind the largest step, as a share of the thinking in (0, 1].
        decided_at: First cut from which on the final result leads for good, as a share in [0, 1]: 0 when it led before
            the first word.
        early_area: See `early_answering_area`.
    """

    steps: Floats
    total: float
    peak: float
    peak_at: float
    decided_at: float
    early_area: float


def thought_drift(z: Floats, shares: Floats) -> ThoughtDrift:
    """The drift of one chain of thought.

    Args:
        z: Distributions over results after each cut, [C, Z], C ≥ 2.
        shares: Of the thinking that each cut leaves, [C], rising from 0 to 1.

    Raises:
        ShapeError: Fewer than two cuts, or shares that do not rise from 0 to 1.

    Source:
        Equation 2 of arXiv 2505.13081 calls a thinking drifting when P_i(t, z) ≠ P_{i+1}(t, z) for some i; this
        measures its second factor, P_i(z | t). The divergence and its summaries are our choice.

    Example:
        The first half of the thinking changes nothing, the second turns the result round.

        >>> found = thought_drift(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([0.0, 0.5, 1.0]))
        >>> found.steps.tolist(), found.peak_at, found.decided_at, found.early_area
        ([0.0, 1.0], 1.0, 1.0, 0.75)
    """
    _check(z, shares)
    steps = jensen_shannon(z[:-1], z[1:])
    return ThoughtDrift(
        steps=steps,
        total=float(steps.sum()),
        peak=float(steps.max()),
        peak_at=float(shares[1 + int(steps.argmax())]),
        decided_at=decided_at(z, shares),
        early_area=early_answering_area(z, shares),
    )


def jensen_shannon(p: Floats, q: Floats) -> Floats:
    """Jensen–Shannon divergence between distributions along the last axis, in bits.

    JSD(p, q) = KL(p ‖ m) / 2 + KL(q ‖ m) / 2 with m = (p + q) / 2, in [0, 1]: 0 for equal distributions, 1 for
    such that share no result.

    Args:
        p: […, Z], summing to 1.
        q: […, Z].

    Source:
        Lin 1991.

    Example:
        m = (¾, ¼): KL(p ‖ m) = log2(4/3) = 0.415, KL(q ‖ m) = ½ log2(2/3) + ½ log2(2) = 0.208; their mean is 0.311.

        >>> round(float(jensen_shannon(np.array([1.0, 0.0]), np.array([0.5, 0.5]))), 3)
        0.311
    """
    m = (p + q) / 2
    divergence = (_relative_entropy(p, m) + _relative_entropy(q, m)) / 2
    return np.clip(divergence, 0.0, 1.0)  # rounding leaves −1e-17 between equal distributions


def decided_at(z: Floats, shares: Floats) -> float:
    """Share of the thinking from which on its final result leads for good: where the decisive token stands.

    Example:
        The final result, the second, leads at the second cut, is overtaken, and leads again from the last on.

        >>> z = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.2, 0.8]])
        >>> decided_at(z, np.array([0.0, 0.3, 0.6, 1.0]))
        1.0
    """
    leads = z.argmax(axis=1)
    others = np.flatnonzero(leads != leads[-1])
    return float(shares[others[-1] + 1]) if len(others) else 0.0


def early_answering_area(z: Floats, shares: Floats) -> float:
    """Area over the curve of early answering, in [0, 1]; large where the thinking decides the result.

    The curve is, over the share of the thinking that is kept, 1 where the most likely result is that of the whole
    thinking and 0 elsewhere, joined by straight lines between cuts; the area is 1 minus its integral. The mean over
    samples is the area over the mean curve.

    Source:
        Lanham et al. 2023 (arXiv 2307.13702), section 2.3: they cut after each sentence, let the model answer, and
        average the areas of chains of equal length, weighted by their number. Here the answer is the most likely
        single result and every chain has its own area, which makes the same weighted mean.

    Example:
        The same answer from half-way on: the curve rises from 0 at 0 to 1 at ½ and stays.

        >>> early_answering_area(np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8]]), np.array([0.0, 0.5, 1.0]))
        0.25
    """
    leads = z.argmax(axis=1)
    same = (leads == leads[-1]).astype(np.float64)
    return float(1.0 - np.trapezoid(same, shares))


def displacement(z: Floats) -> Floats:
    """Jensen–Shannon divergence of each z_i from z_0: how far the thinking has moved the result, [C], bits.

    Example:
        >>> displacement(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])).tolist()
        [0.0, 0.0, 1.0]
    """
    return jensen_shannon(z[:1], z)


def thought_alarms(z: Floats, detector: Detector[float]) -> tuple[int, ...]:
    """Cuts at which a fresh detector that watches the displacement along the thinking raises an alarm.

    A level is watched and not the single steps, since detectors look for a mean that changes.

    Example:
        The third value lies 1 − ⅓ above the mean so far, which exceeds the threshold of ½.

        >>> from cpo.diagnostics.detectors import PageHinkley
        >>> detector = PageHinkley(min_instances=1, delta=0.0, threshold=0.5, alpha=1.0, direction="up")
        >>> thought_alarms(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), detector)
        (2,)
    """
    return alarms_of(detector, displacement(z).tolist())


def _relative_entropy(p: Floats, q: Floats) -> Floats:
    """KL(p ‖ q) in bits along the last axis, with 0 log 0 = 0."""
    safe = np.where(p > 0, p, 1.0)
    terms = np.where(p > 0, p * np.log2(safe / np.where(p > 0, q, 1.0)), 0.0)
    return np.asarray(terms.sum(axis=-1), dtype=np.float64)


def _check(z: Floats, shares: Floats) -> None:
    rising = len(shares) >= 2 and shares[0] == 0 and shares[-1] == 1 and bool((np.diff(shares) > 0).all())
    if z.ndim != 2 or len(z) != len(shares) or not rising:
        raise ShapeError(
            got=f"distributions of shape {z.shape} at {len(shares)} cuts",
            wanted="[C, Z] with C ≥ 2 cuts whose shares rise from 0 to 1",
            remedy="cut before the first word and behind the last",
        )
