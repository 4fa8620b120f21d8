"""How the branches of a batch are laid out for the forward pass. All layouts give the same log-probs.

`Padded` is the plain way and the oracle: one row per branch, the prompt repeated. `PrefixShared` has one row per
prompt: the prompt once, then its branches side by side, each seeing the prompt and itself. `Packed` puts several such
prompts with their branches into one row, so that rows differ less in length and little is padded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cpo.errors import ConfigError
from cpo.sequence.encode import EncodedPrompt

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Branch:
    """One completion behind one prompt; branches with equal prompts may share it."""

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
    prompt_index: torch.Tensor
    branch_index: torch.Tensor
    branch_number: torch.Tensor


@dataclass(frozen=True)
class Group:
    """A prompt and the completions that follow it, each with the indices of the branches it stands for."""

    prompt: EncodedPrompt
    completions: dict[tuple[int, ...], list[int]]

    @property
    def tokens(self) -> int:
        """Tokens of the prompt and of its completions."""
        return len(self.prompt.ids) + sum(map(len, self.completions))


class Layout(ABC):
    """Lays out branches as rows. Subclasses decide which branches share a prompt, and which prompts a row."""

    shared = True
    """Whether a row may hold more than one branch, which then must not see one another."""

    @abstractmethod
    def rows(self, branches: Sequence[Branch]) -> list[list[Group]]:
        """The prompts of each row, each with its completions."""

    def __call__(self, branches: Sequence[Branch], *, pad_token_id: int) -> LaidOut:
        """Builds the tensors of one forward pass; scored tokens come in branch order.

        Args:
            branches: R branches, pair by pair, chosen first.
            pad_token_id: Fills rows behind their last token.
        """
        rows = self.rows(branches)
        length = max(sum(group.tokens for group in row) for row in rows)
        ids = np.full((len(rows), length), pad_token_id, dtype=np.int64)
        mask = np.zeros((len(rows), length), dtype=np.int64)
        positions = np.zeros((3, len(rows), length), dtype=np.int64)
        score: list[tuple[Ints, Ints]] = [(np.empty(0, np.int64),) * 2] * len(branches)
        places: list[tuple[Ints, Ints, Ints]] = []
        for n, row in enumerate(rows):
            at = 0
            for group in row:
                start, at = at, at + len(group.prompt.ids)
                behind = at
                ids[n, start:at], positions[:, n, start:at] = group.prompt.ids, group.prompt.positions
                for completion, members in group.completions.items():
                    end = at + len(completion)
                    ids[n, at:end] = completion
                    positions[:, n, at:end] = group.prompt.next_position + np.arange(end - at)
                    # the last prompt token predicts the first token of every branch
                    predictors = np.concatenate([[behind - 1], np.arange(at, end - 1)])
                    for member in members:
                        score[member] = (np.full(end - at, n), predictors)
                    at = end
                numbers = np.arange(len(group.completions)).repeat([len(c) for c in group.completions])
                places.append((n * length + np.arange(start, behind), n * length + np.arange(behind, at), numbers))
            mask[n, :at] = 1
        prompt_index, branch_index, branch_number = (
            _table([place[i] for place in places] if self.shared else []) for i in range(3)
        )
        return LaidOut(
            input_ids=torch.from_numpy(ids),
            attention_mask=torch.from_numpy(mask),
            position_ids=torch.from_numpy(positions),
            score_row=torch.from_numpy(np.concatenate([s[0] for s in score])),
            score_position=torch.from_numpy(np.concatenate([s[1] for s in score])),
            image_keys=[image.key for row in rows for group in row for image in group.prompt.images],
            prompt_index=prompt_index,
            branch_index=branch_index,
            branch_number=branch_number,
        )


def _table(rows: Sequence[Ints]) -> torch.Tensor:
    """Rows of unequal length as one table, filled up with −1."""
    table = np.full((len(rows), max(map(len, rows), default=0)), -1, dtype=np.int64)
    for n, row in enumerate(rows):
        table[n, : len(row)] = row
    return torch.from_numpy(table)


def by_prompt(branches: Sequence[Branch]) -> list[Group]:
    """Branches grouped by their prompt, in order of first appearance; another image makes another prompt.

    Equal branches, such as the chosen ones of two pairs of one sample, are laid out once.
    """
    grouped: dict[tuple[tuple[int, ...], tuple[str, ...]], Group] = {}
    for index, branch in enumerate(branches):
        key = (branch.prompt.ids, tuple(image.key for image in branch.prompt.images))
        group = grouped.setdefault(key, Group(branch.prompt, {}))
        group.completions.setdefault(branch.completion, []).append(index)
    return list(grouped.values())


class Padded(Layout):
    """One row per branch: prompt and completion, padded on the right. The oracle of the other layouts."""

    shared = False

    def rows(self, branches: Sequence[Branch]) -> list[list[Group]]:
        """Every branch alone."""
        return [[Group(branch.prompt, {branch.completion: [index]})] for index, branch in enumerate(branches)]


class PrefixShared(Layout):
    """One row per prompt: the prompt once, then all its branches, each blind to the others."""

    def rows(self, branches: Sequence[Branch]) -> list[list[Group]]:
        """One prompt a row."""
        return [[group] for group in by_prompt(branches)]


class Packed(Layout):
    """Rows of several prompts, each with its branches, filled up to a budget of tokens.

    Prompts are put into rows by best fit, the longest first; those of other rows and other prompts of the same row are
    invisible. One prompt whose branches alone exceed the budget has a row to itself: the budget decides how rows are
    filled, `policy.max_length` what is too long.

    Args:
        max_tokens: Budget of a row, in tokens, ≥ 1.

    Raises:
        ConfigError: `max_tokens` below 1.
    """

    def __init__(self, *, max_tokens: int) -> None:
        if max_tokens < 1:
            raise ConfigError(
                got=f"layout.max_tokens={max_tokens}",
                wanted="at least 1 token per row",
                remedy="pass layout.max_tokens=16384",
            )
        self.max_tokens = max_tokens

    def rows(self, branches: Sequence[Branch]) -> list[list[Group]]:
        """Prompts packed into as few rows as best fit finds."""
        packed: list[list[Group]] = []
        left: list[int] = []
        for group in sorted(by_prompt(branches), key=lambda g: -g.tokens):
            fitting = [row for row, room in enumerate(left) if group.tokens <= room]
            if fitting:
                row = min(fitting, key=lambda r: left[r])
                packed[row].append(group)
                left[row] -= group.tokens
            else:
                packed.append([group])
                left.append(self.max_tokens - group.tokens)
        return packed
