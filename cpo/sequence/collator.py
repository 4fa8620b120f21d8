"""From preference pairs to a `PairBatch`: the one way into every forward pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch

from cpo.errors import DataError, ShapeError
from cpo.records import PreferencePair, Sample
from cpo.sequence.encode import EncodedImage, Encoder
from cpo.sequence.layouts import Branch, Layout
from cpo.tensors import PairBatch, StreamInfo


def as_pairs(samples: Iterable[Sample]) -> list[PreferencePair]:
    """Samples as pairs without a rejected trajectory (K = 0): what supervised fine-tuning reads."""
    return [PreferencePair(sample, sample.factual, (), time) for time, sample in enumerate(samples)]


def stream_info(pairs: Sequence[PreferencePair]) -> StreamInfo:
    """What losses may know of a stream of pairs as a whole."""
    perception = sum(pair.source == "perception" for pair in pairs)
    return StreamInfo(1 + max((pair.time for pair in pairs), default=-1), perception / max(len(pairs), 1))


class Collator:
    """Encodes pairs and lays them out.

    Args:
        encoder: Tokens and pixels.
        layout: How branches become rows.
        max_length: Longest allowed prompt + completion, in tokens; nothing is ever cut.
        with_rejected: False leaves rejected branches out, for losses that do not read them.
    """

    def __init__(self, encoder: Encoder, layout: Layout, *, max_length: int, with_rejected: bool = True) -> None:
        self.encoder, self.layout = encoder, layout
        self.max_length, self.with_rejected = max_length, with_rejected

    def __call__(self, pairs: Sequence[PreferencePair]) -> PairBatch:
        """The batch of these pairs, in their order.

        Raises:
            ShapeError: The pairs differ in K.
            DataError: A pair is too long, or one of its images or texts cannot be encoded.
        """
        images_rejected = {int(self._has_image_rejected(pair)) for pair in pairs}
        if len(images_rejected) != 1:
            raise ShapeError(
                got="pairs with and without a rejected image in one batch",
                wanted="one for all or for none",
                remedy="pairing=text_and_image makes every pair of a run alike",
            )
        branches, places = [self.branches(pair) for pair in pairs], [place_of(pair) for pair in pairs]
        batch = self.assemble(branches, places, images_rejected=images_rejected.pop())
        return replace(
            batch,
            weight=torch.tensor([pair.weight for pair in pairs], dtype=torch.float32),
            time=torch.tensor([pair.time for pair in pairs]),
            source=torch.tensor([int(pair.source == "perception") for pair in pairs]),
        )

    def assemble(
        self, per_pair: Sequence[Sequence[Branch]], ids: Sequence[str], *, images_rejected: int = 0
    ) -> PairBatch:
        """The batch of branches that stand for pairs, of weight 1 and time 0.

        Args:
            per_pair: For each pair its chosen branch, its K rejected ones, and that under a rejected image.
            ids: Name of each pair, for messages.
            images_rejected: 1 if the pairs have that last branch, else 0.

        Raises:
            ShapeError: The pairs differ in K.
        """
        if len({len(branches) for branches in per_pair}) != 1:
            raise ShapeError(
                got=f"pairs with {sorted({len(b) - 1 for b in per_pair})} rejected trajectories in one batch",
                wanted="the same number for all",
                remedy="pairing=k_negatives makes every pair of a run alike",
            )
        branches = [branch for some in per_pair for branch in some]
        laid_out = self.layout(branches, pad_token_id=self.encoder.pad_token_id)
        images: dict[str, EncodedImage] = {i.key: i for branch in branches for i in branch.prompt.images}
        index = {key: n for n, key in enumerate(images)}
        lengths = [len(branch.completion) for branch in branches]
        return PairBatch(
            input_ids=laid_out.input_ids,
            attention_mask=laid_out.attention_mask,
            position_ids=laid_out.position_ids,
            pixel_values=_patches(list(images.values())),
            image_grid_thw=torch.tensor([i.grid for i in images.values()], dtype=torch.long).reshape(-1, 3),
            image_index=torch.tensor([index[key] for key in laid_out.image_keys], dtype=torch.long),
            score_row=laid_out.score_row,
            score_position=laid_out.score_position,
            score_target=torch.tensor([token for branch in branches for token in branch.completion]),
            score_branch=torch.arange(len(branches)).repeat_interleave(torch.tensor(lengths)),
            score_slot=torch.cat([torch.arange(n) for n in lengths]),
            lengths=torch.tensor(lengths),
            weight=torch.ones(len(per_pair)),
            time=torch.zeros(len(per_pair), dtype=torch.long),
            source=torch.zeros(len(per_pair), dtype=torch.long),
            negatives=len(per_pair[0]) - 1 - images_rejected,
            images_rejected=images_rejected,
            ids=tuple(ids),
            prompt_index=laid_out.prompt_index,
            branch_index=laid_out.branch_index,
            branch_number=laid_out.branch_number,
            keys=tuple(branch.prompt.key(branch.completion) for branch in branches),
            image_keys=tuple(image.content for image in images.values()),
        )

    def branches(self, pair: PreferencePair) -> list[Branch]:
        """The chosen branch and, if wanted, the rejected ones; they share the prompt unless the image differs."""
        try:
            prompt = self.encoder.prompt(pair.sample)
        except DataError as error:
            raise DataError(got=f"{error.got}, of {place_of(pair)}", wanted=error.wanted, remedy=error.remedy) from None
        branches = [Branch(prompt, self.encoder.completion(pair.chosen))]
        for rejected in pair.rejected if self.with_rejected else ():
            other = prompt if rejected.images is None else self.encoder.prompt(pair.sample, rejected.images)
            branches.append(Branch(other, self.encoder.completion(rejected.trajectory)))
        if self._has_image_rejected(pair):
            branches.append(Branch(self.encoder.prompt(pair.sample, pair.image_rejected), branches[0].completion))
        longest = max(len(branch.prompt.ids) + len(branch.completion) for branch in branches)
        if longest > self.max_length:
            raise DataError(
                got=f"{longest} tokens of prompt and completion in {place_of(pair)}",
                wanted=f"at most policy.max_length={self.max_length}",
                remedy="raise policy.max_length, or lower the image budget; nothing is truncated",
            )
        return branches

    def _has_image_rejected(self, pair: PreferencePair) -> bool:
        return self.with_rejected and pair.image_rejected is not None


def place_of(pair: PreferencePair) -> str:
    """Where the pair's record stands, for messages: never an id, which may be a patient's."""
    return f"{pair.sample.provenance.file}:{pair.sample.provenance.row}"


def _patches(images: Sequence[EncodedImage]) -> torch.Tensor:
    if not images:
        return torch.empty(0, 0)
    return torch.from_numpy(np.concatenate([image.patches for image in images]))
