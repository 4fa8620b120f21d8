"""Independent random generators from one seed, one for each purpose."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A generator that depends on the seed and the purpose alone, so that one draw more here moves nothing there.

    Args:
        seed: Any integer ≥ 0.
        purpose: What it draws.

    Example:
        >>> int(generator(0, "plan").integers(1000)) == int(generator(0, "plan").integers(1000))
        True
        >>> int(generator(0, "plan").integers(1000)) == int(generator(0, "pool").integers(1000))
        False
    """
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(purpose.encode())]))
