"""Many continuations of one completion, each from another place on: prompt and completion are laid out once.

A *trunk* is a prompt with a completion behind it, and branches that leave it at *cuts*: a branch sees the prompt, the
trunk's tokens before its cut, and itself. So all results after all prefixes of one thought are scored in one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cpo.errors import ShapeError
from cpo.sequence.encode import EncodedImage, EncodedPrompt
from cpo.tensors import PairBatch

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Trunk:
    """A prompt, the tokens behind it, and the branches that leave them.

    Args:
        prompt: With its images.
        tokens: Token ids of the trunk, at least one.
        branches: Each a cut, in [0, len(tokens)], and the token ids that follow it.

    Raises:
        ShapeError: A cut outside the trunk, or nothing to follow it.
    """

    prompt: EncodedPrompt
    tokens: tuple[int, ...]
    branches: tuple[tuple[int, tuple[int, ...]], ...]

    def __post_init__(self) -> None:
        if not self.tokens or not all(0 <= cut <= len(self.tokens) and ids for cut, ids in self.branches):
            raise ShapeError(
                got=f"cuts {sorted({cut for cut, _ in self.branches})} of a trunk of {len(self.tokens)} tokens",
                wanted="cuts within the trunk, each followed by at least one token",
                remedy="cut where the trunk's own tokens end",
            )


def lay_out(trunks: Sequence[Trunk], *, pad_token_id: int) -> PairBatch:
    """One row per trunk: the prompt, the trunk, its branches side by side. Every branch is scored as a pair of its own.

    Args:
        trunks: At least one, each with at least one branch.
        pad_token_id: Fills rows behind their last token.

    Returns:
        A batch of B = all branches, in order, without rejected ones.
    """
    length = max(len(t.prompt.ids) + len(t.tokens) + sum(len(ids) for _, ids in t.branches) for t in trunks)
    ids = np.full((len(trunks), length), pad_token_id, dtype=np.int64)
    mask = np.zeros((len(trunks), length), dtype=np.int64)
    positions = np.zeros((3, len(trunks), length), dtype=np.int64)
    rows: list[tuple[Ints, Ints, Ints, Ints]] = []
    scored: list[tuple[int, Ints]] = []
    for n, trunk in enumerate(trunks):
        behind, following = len(trunk.prompt.ids), trunk.prompt.next_position
        at = behind + len(trunk.tokens)
        ids[n, :behind], positions[:, n, :behind] = trunk.prompt.ids, trunk.prompt.positions
        ids[n, behind:at], positions[:, n, behind:at] = trunk.tokens, following + np.arange(len(trunk.tokens))
        numbers, sees = [np.zeros(at - behind, dtype=np.int64)], [np.zeros(at - behind, dtype=np.int64)]
        for number, (cut, branch) in enumerate(trunk.branches, start=1):
            end = at + len(branch)
            ids[n, at:end], positions[:, n, at:end] = branch, following + cut + np.arange(len(branch))
            # the token before the cut predicts the first token of the branch
            scored.append((n, np.concatenate([[behind + cut - 1], np.arange(at, end - 1)])))
            numbers.append(np.full(len(branch), number))
            sees.append(np.full(len(branch), cut))
            at = end
        mask[n, :at] = 1
        start = n * length
        places = start + np.arange(behind), start + np.arange(behind, at)
        rows.append((*places, np.concatenate(numbers), np.concatenate(sees)))
    images: dict[str, EncodedImage] = {image.key: image for trunk in trunks for image in trunk.prompt.images}
    index = {key: n for n, key in enumerate(images)}
    branches = [branch for trunk in trunks for _, branch in trunk.branches]
    lengths = [len(branch) for branch in branches]
    return PairBatch(
        input_ids=torch.from_numpy(ids),
        attention_mask=torch.from_numpy(mask),
        position_ids=torch.from_numpy(positions),
        pixel_values=_patches(list(images.values())),
        image_grid_thw=torch.tensor([image.grid for image in images.values()], dtype=torch.long).reshape(-1, 3),
        image_index=torch.tensor([index[i.key] for trunk in trunks for i in trunk.prompt.images], dtype=torch.long),
        score_row=torch.from_numpy(np.concatenate([np.full(len(at), n) for n, at in scored])),
        score_position=torch.from_numpy(np.concatenate([at for _, at in scored])),
        score_target=torch.tensor([token for branch in branches for token in branch]),
        score_branch=torch.arange(len(branches)).repeat_interleave(torch.tensor(lengths)),
        score_slot=torch.cat([torch.arange(n) for n in lengths]),
        lengths=torch.tensor(lengths),
        weight=torch.ones(len(branches)),
        time=torch.zeros(len(branches), dtype=torch.long),
        source=torch.zeros(len(branches), dtype=torch.long),
        negatives=0,
        prompt_index=_table([row[0] for row in rows], -1),
        branch_index=_table([row[1] for row in rows], -1),
        branch_number=_table([row[2] for row in rows], -1),
        branch_sees=_table([row[3] for row in rows], 0),
        image_keys=tuple(image.content for image in images.values()),
    )


def _table(rows: Sequence[Ints], filler: int) -> torch.Tensor:
    table = np.full((len(rows), max(map(len, rows))), filler, dtype=np.int64)
    for n, row in enumerate(rows):
        table[n, : len(row)] = row
    return torch.from_numpy(table)


def _patches(images: Sequence[EncodedImage]) -> torch.Tensor:
    if not images:
        return torch.empty(0, 0)
    return torch.from_numpy(np.concatenate([image.patches for image in images]))
