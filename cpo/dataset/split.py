"""Splits by group: no patient, clip or scene on both sides of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from cpo.errors import ConfigError, DataError
from cpo.records import Sample


def split_groups(samples: Sequence[Sample], share: float, seed: int) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Two parts of the samples that have no group in common, such as the SFT stage's own patients and the rest.

    Groups are shuffled and given to the first part until the next one would take it further from its share of the
    samples. Which groups these are does not depend on the order of the samples; each part keeps their order.

    Args:
        samples: Samples to divide.
        share: Wanted share of the samples in the first part, in [0, 1].
        seed: Any integer ≥ 0.

    Returns:
        The first part and the rest.

    Raises:
        ConfigError: `share` outside [0, 1].
        DataError: A share strictly between 0 and 1 leaves one of the parts empty, as with a single group.
    """
    if not 0 <= share <= 1:
        raise ConfigError(got=f"a share of {share}", wanted="a share in [0, 1]", remedy="pass a share such as 0.5")
    sizes = Counter(s.group for s in samples)
    names = sorted(sizes)
    order = np.random.default_rng(seed).permutation(len(names))
    # filled[k]: samples in the first part when it holds the first k of the shuffled groups
    filled = np.cumsum([0, *(sizes[names[i]] for i in order)])
    cut = int(np.argmin(np.abs(filled - share * len(samples))))
    chosen = {names[i] for i in order[:cut]}
    first = tuple(s for s in samples if s.group in chosen)
    rest = tuple(s for s in samples if s.group not in chosen)
    if 0 < share < 1 and not (first and rest):
        raise DataError(
            got=f"{len(samples)} samples in {len(names)} groups, of which {share:.0%} leaves one part empty",
            wanted="samples on both sides",
            remedy="use more samples, or a share nearer to 0.5",
        )
    return first, rest
