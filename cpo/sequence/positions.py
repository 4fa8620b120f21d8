"""Multimodal rotary positions (M-RoPE) of a prompt, computed once per prompt instead of once per row.

Without them Qwen2.5-VL falls back to plain positions and says nothing, so every layout passes them explicitly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cpo.errors import ShapeError


def mrope_positions(
    ids: Sequence[int], grids: Sequence[tuple[int, int, int]], *, image_token_id: int, merge: int
) -> NDArray[np.int64]:
    """Positions of a prompt of text and still images.

    A text token advances all three axes by one. An image keeps time fixed and counts rows and columns of its merged
    patches from the current position; the text after it goes on behind the larger side.

    Args:
        ids: P token ids, image placeholders already expanded to one per merged patch.
        grids: Per image its patches in time, height and width.
        image_token_id: Id of the placeholder.
        merge: Patches per side that the vision tower merges into one token.

    Returns:
        int64 [3, P]: temporal, height, width. The next position is the maximum plus one.

    Raises:
        ShapeError: Placeholders and grids disagree.

    Source:
        Qwen2-VL (arXiv 2409.12191), section 2.1; equal to transformers' `get_rope_index` (tests/equivalence).

    Example:
        >>> mrope_positions([7, 9, 9, 7], [(1, 2, 4)], image_token_id=9, merge=2)[2].tolist()  # 1 × 2 merged patches
        [0, 1, 2, 3]
    """
    token = np.asarray(ids, dtype=np.int64)
    sizes = [t * (h // merge) * (w // merge) for t, h, w in grids]
    if int((token == image_token_id).sum()) != sum(sizes):
        raise ShapeError(
            got=f"{int((token == image_token_id).sum())} image tokens in the prompt",
            wanted=f"{sum(sizes)}, one per merged patch of its {len(grids)} image(s)",
            remedy="do not cut or edit a prompt after its placeholders were expanded",
        )
    out = np.empty((3, len(token)), dtype=np.int64)
    at, following = 0, 0
    for (t, h, w), size in zip(grids, sizes, strict=True):
        start = at + int(np.argmax(token[at:] == image_token_id))
        out[:, at:start] = following + np.arange(start - at)
        following += start - at
        time, row, column = np.meshgrid(np.arange(t), np.arange(h // merge), np.arange(w // merge), indexing="ij")
        out[:, start : start + size] = following + np.stack([time.ravel(), row.ravel(), column.ravel()])
        following += max(h, w) // merge
        at = start + size
    out[:, at:] = following + np.arange(len(token) - at)
    return out
