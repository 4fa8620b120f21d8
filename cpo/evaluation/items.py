"""One value per judged item and metric, kept so that two runs can be compared on the very same items."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cpo.errors import DataError
from cpo.files import write_text
from cpo.metrics.comparison import Paired, holm, paired_permutation
from cpo.metrics.intervals import Array
from cpo.records import fingerprint

FILE = "items.json"


@dataclass(frozen=True)
class Items:
    """The items of one judgement.

    Args:
        ids: Fingerprint of each item: what was shown and what is true.
        groups: Fingerprint of its patient (or scene).
        values: For each metric one value per item, whose mean is the metric.
    """

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    values: Mapping[str, Array]


def keep_items(
    folder: Path, contents: Sequence[Any], groups: Sequence[str], values: Mapping[str, Sequence[float] | Array]
) -> None:
    """Writes the values of a judgement's items into its folder.

    Args:
        folder: Of the judgement.
        contents: What each item is, as JSON: equal contents are the same item.
        groups: Patient (or scene) of each.
        values: For each metric one value per item.
    """
    content = {
        "ids": [fingerprint(content) for content in contents],
        "groups": [fingerprint(group) for group in groups],
        "values": {
            name: [None if math.isnan(v) else v for v in np.asarray(some, dtype=np.float64).tolist()]
            for name, some in values.items()
        },
    }
    write_text(folder / FILE, json.dumps(content))


def read_items(folder: Path) -> Items | None:
    """The items of a judgement, or None if it kept none."""
    if not (folder / FILE).is_file():
        return None
    content = json.loads((folder / FILE).read_text(encoding="utf-8"))
    values = {
        name: np.array([math.nan if v is None else v for v in some], dtype=np.float64)
        for name, some in content["values"].items()
    }
    return Items(tuple(content["ids"]), tuple(content["groups"]), values)


def compare_items(first: Items, second: Items, *, seed: int) -> dict[str, tuple[float, float, Paired]]:
    """Each metric of two judgements on the items that both have: their means and the paired difference.

    Items on which either value is undefined are left out of that metric.

    Raises:
        DataError: They have no item in common.
    """
    place = {id_: n for n, id_ in enumerate(second.ids)}
    both = [(n, place[id_]) for n, id_ in enumerate(first.ids) if id_ in place]
    if not both:
        raise DataError(
            got="two runs that were judged on different items",
            wanted="the same dataset and held-out split for both",
            remedy="judge one of them again with the other's dataset=… held_out=…",
        )
    at = np.array(both)
    found = {}
    for name in first.values:
        if name not in second.values:
            continue
        one, other = first.values[name][at[:, 0]], second.values[name][at[:, 1]]
        kept = ~(np.isnan(one) | np.isnan(other))
        groups = [first.groups[n] for n in at[kept, 0]]
        test = paired_permutation(one[kept], other[kept], groups, seed=seed)
        found[name] = (float(one[kept].mean()), float(other[kept].mean()), test) if kept.any() else (
            math.nan, math.nan, test,
        )  # fmt: skip
    return found


def corrected(tests: Mapping[str, tuple[float, float, Paired]]) -> dict[str, float]:
    """Holm's adjusted p-value of each metric."""
    return holm({name: test.p_value for name, (_, _, test) in tests.items()})
