"""Records in groups (a patient's studies, a drive's scenes), and groups in splits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_SIZES = (0.55, 0.25, 0.12, 0.08)
"""Probability that a group has one, two, three, four records."""


def draw_sizes(rng: np.random.Generator, records: int) -> list[int]:
    """Sizes of groups, one to four each, that add up to `records`."""
    sizes: list[int] = []
    left = records
    while left > 0:
        sizes.append(min(left, 1 + int(rng.choice(len(_SIZES), p=_SIZES))))
        left -= sizes[-1]
    return sizes


def draw_splits(rng: np.random.Generator, sizes: Sequence[int], test: int, validate: int) -> list[str]:
    """The split of every group: no group is in two.

    Args:
        rng: Random numbers.
        sizes: Records of each group.
        test: Records that the test split reaches, by at most three more.
        validate: The same for the validation split.
    """
    splits = ["train"] * len(sizes)
    order = iter(rng.permutation(len(sizes)))
    for name, wanted in (("test", test), ("validate", validate)):
        held = 0
        while held < wanted:
            group = next(order)
            splits[group] = name
            held += sizes[group]
    return splits
