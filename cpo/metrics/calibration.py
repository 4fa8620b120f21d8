"""Whether preferences are as sure as they are right: the expected calibration error of pairwise decisions.

R resamples, N pairs, K rejected trajectories of each.
"""

from __future__ import annotations

import numpy as np

from cpo.metrics.intervals import Array, ratio


def calibration_errors(preferred: Array, weights: Array, *, bins: int) -> Array:
    """Expected calibration error and mean confidence of decisions between a chosen and a rejected trajectory.

    A decision goes to the side that is held likelier to be preferred; its confidence is that probability. Per bin of
    confidence the error is |mean confidence − share of right decisions|, and bins count by their size:
    ECE = Σ_b |Σ_{i∈b} (confidence_i − right_i)| / n. An undecided pair (p = ½) is half right.

    Args:
        preferred: Probability p of preferring the chosen trajectory `[N, K]`, in [0, 1].
        weights: Multiplicities `[R, N]` of the pairs.
        bins: Equally wide, from ½ to 1.

    Returns:
        `[R, 2]`; nan without pairs.

    Source:
        Guo et al. 2017 (arXiv 1706.04599), equation 3, with two classes.

    Example:
        Two sure and right decisions, one less sure and wrong: (|1.9 − 2| + |0.6 − 0|) / 3.

        >>> found = calibration_errors(np.array([[0.95], [0.95], [0.4]]), np.ones((1, 3)), bins=5)
        >>> found.round(4).tolist()
        [[0.2333, 0.8333]]
    """
    confidence = np.maximum(preferred, 1 - preferred)
    right = np.where(preferred == 0.5, 0.5, preferred > 0.5)
    place = np.minimum(((confidence - 0.5) * 2 * bins).astype(int), bins - 1)
    gaps = [weights @ np.where(place == b, confidence - right, 0.0).mean(axis=1) for b in range(bins)]
    total = weights.sum(axis=1)
    error, sure = np.abs(np.column_stack(gaps)).sum(axis=1), weights @ confidence.mean(axis=1)
    return np.column_stack([ratio(error, total), ratio(sure, total)])
