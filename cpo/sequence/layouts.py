"""How the branches of a batch are laid out for the forward pass. All layouts give the same log-probs.

`Padded` is the plain way and the oracle: one row per branch, the prompt repeated. `PrefixShared` has one row per
prompt: the prompt once, then its branches side by side, each seeing the prompt and itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cpo.sequence.encode import EncodedPrompt


@dataclass(frozen=True)
class Branch:
    """One completion behind one prompt; branches of a pair usually share the prompt object."""

    prompt: EncodedPrompt
    completion: tuple[int, ...]


@dataclass(frozen=True)
class LaidOut:
    """The part of a `PairBatch` that a layout decides; `cpo.tensors` says what each field is."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    position_ids: torch.Tensor
    score_row: torch.Tensor
    score_position: torch.Tensor
    image_keys: list[str]


@dataclass(frozen=True)
class _Row:
    """A prompt and the indices of the branches that follow it."""

    prompt: EncodedPrompt
    members: list[int]


class Layout(ABC):
    """Lays out branches as rows. Subclasses decide which branches share a row."""

    @abstractmethod
    def rows(self, branches: Sequence[Branch]) -> list[_Row]:
        """Groups branch indices into rows."""

    def __call__(self, branches: Sequence[Branch], *, pad_token_id: int) -> LaidOut:
        """Builds the tensors of one forward pass; scored tokens come in branch order.

        Args:
            branches: R branches, pair by pair, chosen first.
            pad_token_id: Fills rows behind their last token.
        """
        rows = self.rows(branches)
        length = max(len(r.prompt.ids) + sum(len(branches[m].completion) for m in r.members) for r in rows)
        ids = np.full((len(rows), length), pad_token_id, dtype=np.int64)
        segment = np.full((len(rows), length), -1, dtype=np.int64)  # -1 padding, 0 prompt, 1… branches
        positions = np.zeros((3, len(rows), length), dtype=np.int64)
        score: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = [(np.empty(0, np.int64),) * 2] * len(branches)
        for n, row in enumerate(rows):
            at = len(row.prompt.ids)
            ids[n, :at], segment[n, :at], positions[:, n, :at] = row.prompt.ids, 0, row.prompt.positions
            for number, member in enumerate(row.members, start=1):
                completion = branches[member].completion
                end = at + len(completion)
                ids[n, at:end], segment[n, at:end] = completion, number
                positions[:, n, at:end] = row.prompt.next_position + np.arange(end - at)
                # the last prompt token predicts the first token of every branch
                predictors = np.concatenate([[len(row.prompt.ids) - 1], np.arange(at, end - 1)])
                score[member] = (np.full(end - at, n), predictors)
                at = end
        return LaidOut(
            input_ids=torch.from_numpy(ids),
            attention_mask=_attention_mask(segment, single=all(len(r.members) == 1 for r in rows)),
            position_ids=torch.from_numpy(positions),
            score_row=torch.from_numpy(np.concatenate([s[0] for s in score])),
            score_position=torch.from_numpy(np.concatenate([s[1] for s in score])),
            image_keys=[image.key for row in rows for image in row.prompt.images],
        )


def _attention_mask(segment: NDArray[np.int64], *, single: bool) -> torch.Tensor:
    """2-D where each row holds one branch (any attention kernel takes it), else the block mask [N, 1, L, L]."""
    token = torch.from_numpy(segment)
    if single:
        return (token >= 0).long()
    query, key = token[:, :, None], token[:, None, :]
    causal = torch.ones(token.shape[1], token.shape[1], dtype=torch.bool).tril()
    mask = causal & ((key == 0) | (key == query)) & (key >= 0)
    # padding attends to itself: a row of the mask without any True would give NaN
    return (mask | torch.eye(token.shape[1], dtype=torch.bool))[:, None]


class Padded(Layout):
    """One row per branch: prompt and completion, padded on the right. The oracle of the other layouts."""

    def rows(self, branches: Sequence[Branch]) -> list[_Row]:
        """Every branch alone."""
        return [_Row(branch.prompt, [index]) for index, branch in enumerate(branches)]


class PrefixShared(Layout):
    """One row per prompt: the prompt once, then all its branches, each blind to the others."""

    def rows(self, branches: Sequence[Branch]) -> list[_Row]:
        """Branches grouped by their prompt; one with another image has another prompt and so its own row."""
        grouped: dict[int, _Row] = {}
        for index, branch in enumerate(branches):
            grouped.setdefault(id(branch.prompt), _Row(branch.prompt, [])).members.append(index)
        return list(grouped.values())
