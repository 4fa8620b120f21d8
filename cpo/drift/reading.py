"""What shifts read of samples, refused with a reason where a dataset does not say it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from cpo.errors import DataError
from cpo.records import Sample

BoolArray = npt.NDArray[np.bool_]
SHOWN = 20
"""Known names that an error lists at most."""


def has_result(samples: Sequence[Sample], result: str, *, shift: str) -> BoolArray:
    """Which samples have a result `[N]`.

    Args:
        samples: The pool.
        result: Its name.
        shift: Name of the shift that asks, for the error.

    Raises:
        DataError: None or all of them have it: nothing can be selected by it.
    """
    has = np.array([result in s.results for s in samples], dtype=np.bool_)
    check_varies(has, f"result {result!r}", {name for s in samples for name in s.results}, shift)
    return has


def has_value(samples: Sequence[Sample], key: str, value: str, *, shift: str) -> BoolArray:
    """Which samples have a metadata value `[N]`.

    Args:
        samples: The pool.
        key: Key of the metadata.
        value: The value.
        shift: Name of the shift that asks, for the error.

    Raises:
        DataError: A sample without the key; a value that none or all of them have.
    """
    lacking = sum(key not in s.metadata for s in samples)
    if lacking:
        keys = sorted(set[str]().union(*(s.metadata for s in samples)) - {key})
        raise DataError(
            got=f"{lacking} of {len(samples)} samples have no metadata {key!r}",
            wanted=f"a key that every sample has; there are {', '.join(keys) or 'none'}",
            remedy=f"pass shift.{shift}.attribute=KEY, or use another dataset",
        )
    has = np.array([s.metadata[key] == value for s in samples], dtype=np.bool_)
    # metadata of credentialed records stays out of messages
    is_open = all(s.provenance.access == "open" for s in samples)
    check_varies(has, f"{key} {value!r}", {s.metadata[key] for s in samples} if is_open else (), shift)
    return has


def check_varies(has: BoolArray, what: str, known: Collection[str], shift: str) -> None:
    """Refuses what no sample or every sample has.

    Raises:
        DataError: Naming it, and what there is instead.
    """
    if has.any() and not has.all():
        return
    raise DataError(
        got=f"{'every one' if has.any() else 'none'} of {len(has)} samples has {what}",
        wanted="samples with and without it" + (f"; there are {', '.join(sorted(known)[:SHOWN])}" if known else ""),
        remedy=f"name another in shift.{shift}, or use more samples",
    )


def rate(part: float, whole: float) -> float:
    """Share of a whole; nan of nothing."""
    return float(part / whole) if whole else float("nan")
