"""Raking: one joint distribution for several shifts that select samples at the same time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cpo.drift.schedule import FloatArray

ROUNDS = 1000
CLOSE = 1e-9


def rake(table: FloatArray, margins: Sequence[FloatArray]) -> FloatArray | None:
    """The joint distribution with given margins that is closest to a table: what is between the margins stays.

    Args:
        table: Joint shares in the pool, one axis for each margin, ≥ 0.
        margins: Wanted shares along each axis, each summing to 1.

    Returns:
        Of the shape of `table`, 0 where it is 0; None if there is none, because the margins contradict each other or
        the table lacks what they ask for.

    Source:
        Iterative proportional fitting (Deming & Stephan 1940): of all distributions with these margins it has the
        least Kullback-Leibler divergence from the table.

    Example:
        >>> pool = np.array([[0.4, 0.1], [0.1, 0.4]])
        >>> rake(pool, [np.array([0.5, 0.5]), np.array([0.5, 0.5])]).tolist()  # nothing to do
        [[0.4, 0.1], [0.1, 0.4]]
        >>> rake(pool, [np.array([1.0, 0.0]), np.array([0.2, 0.8])]).round(6).tolist()
        [[0.2, 0.8], [0.0, 0.0]]
        >>> rake(np.eye(2) / 2, [np.array([0.5, 0.5]), np.array([0.2, 0.8])]) is None  # two names of one thing
        True
    """
    joint: FloatArray = table / table.sum()
    for _ in range(ROUNDS):
        for axis, margin in enumerate(margins):
            found = _margin(joint, axis)
            scale = np.divide(margin, found, out=np.zeros_like(margin), where=found > 0)
            joint = joint * np.expand_dims(scale, [other for other in range(joint.ndim) if other != axis])
        if all(np.abs(_margin(joint, axis) - margin).max() < CLOSE for axis, margin in enumerate(margins)):
            return joint
    return None


def _margin(joint: FloatArray, axis: int) -> FloatArray:
    margin: FloatArray = joint.sum(axis=tuple(other for other in range(joint.ndim) if other != axis))
    return margin
