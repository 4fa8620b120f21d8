"""Every tensor that crosses a stage border: shape, dtype, unit, once.

Shape letters: `B` pairs, `K` rejected trajectories per pair, `R = B(1+K)` branches (branch `b(1+K)` is pair b's chosen
one, the K after it its rejected ones), `N` rows of the forward pass, `L` tokens of a row, `S` scored tokens, `T`
tokens of the longest completion, `G` distinct prompts, `A` tokens of the longest prompt, `M` of the longest set of
completions behind one prompt, `I` distinct images, `P` patches of all images, `V` vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import torch
from torch import Tensor


class _Movable:
    """Tensors that go to a device together, as Lightning asks of a batch."""

    def to(self, device: torch.device | str, *args: Any, **kwargs: Any) -> Self:
        moved = {
            f.name: value.to(device, *args, **kwargs)
            for f in fields(self)  # type: ignore[arg-type]
            if isinstance(value := getattr(self, f.name), Tensor)
        }
        return replace(self, **moved)  # type: ignore[type-var]


@dataclass(frozen=True)
class PairBatch(_Movable):
    """A batch of pairs, laid out for one forward pass.

    The layout decides N and L; the scored tokens are flat, so that every layout is read out by one function.

    Args:
        input_ids: int64 [N, L].
        attention_mask: int64 [N, L], 1 = token, 0 = padding behind a row's last token.
        position_ids: int64 [3, N, L], multimodal rotary positions (temporal, height, width).
        pixel_values: float32 [P, C], patches of the distinct images, one image after another; empty without images.
        image_grid_thw: int64 [I, 3], patches of each distinct image in time, height, width.
        image_index: int64 [J], for each image placeholder of `input_ids` in row-major order its distinct image.
        score_row: int64 [S], row of the hidden state that predicts a scored token.
        score_position: int64 [S], its position in that row.
        score_target: int64 [S], the scored token.
        score_branch: int64 [S], branch the token belongs to, in [0, R).
        score_slot: int64 [S], index of the token in its completion, in [0, T).
        lengths: int64 [R], tokens of each completion, end token included.
        weight: float32 [B], weight of each pair in the loss.
        time: int64 [B], position of each pair in the stream.
        source: int64 [B], 0 where the rejected side differs in text (thinking), 1 where in image (perception).
        negatives: K.
        images_rejected: 1 if each pair has one more branch, its last: the chosen trajectory under a rejected image;
            else 0.
        ids: where each pair's record stands (`file:row`), for messages.
        prompt_index: int64 [G, A], where each token of each prompt stands, as row · L + position; −1 behind its end.
            [0, 0] for plain rows, which need no more than causal attention.
        branch_index: int64 [G, M], where the completions behind each prompt stand, in a row; −1 behind the last.
        branch_number: int64 [G, M], which of its prompt's completions a token belongs to, from 0; −1 behind the last.
        branch_sees: int64 [G, M], how many tokens of its prompt's first completion a token sees too, when later ones
            continue it from some place on; [0, 0] where none does.
        keys: For each branch a fingerprint of what is scored: pixels, prompt and completion as the policy gets them.
        image_keys: For each distinct image a fingerprint of its pixels as the vision tower gets them.
    """

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    pixel_values: Tensor
    image_grid_thw: Tensor
    image_index: Tensor
    score_row: Tensor
    score_position: Tensor
    score_target: Tensor
    score_branch: Tensor
    score_slot: Tensor
    lengths: Tensor
    weight: Tensor
    time: Tensor
    source: Tensor
    negatives: int
    images_rejected: int = 0
    ids: tuple[str, ...] = ()
    prompt_index: Tensor = field(default_factory=lambda: torch.empty(0, 0, dtype=torch.long))
    branch_index: Tensor = field(default_factory=lambda: torch.empty(0, 0, dtype=torch.long))
    branch_number: Tensor = field(default_factory=lambda: torch.empty(0, 0, dtype=torch.long))
    branch_sees: Tensor = field(default_factory=lambda: torch.empty(0, 0, dtype=torch.long))
    keys: tuple[str, ...] = ()
    image_keys: tuple[str, ...] = ()

    @property
    def pairs(self) -> int:
        """B."""
        return len(self.weight)

    @property
    def branches(self) -> int:
        """R / B: branches of each pair, its chosen one first."""
        return 1 + self.negatives + self.images_rejected

    def info(self, stream: StreamInfo) -> PairInfo:
        """What a loss may know of these pairs and of the stream they come from."""
        return PairInfo(self.weight, self.time, self.source, stream.length, stream.perception_share)


@dataclass(frozen=True)
class Logps(_Movable):
    """Log-probabilities of a batch's completions, summed over their tokens, in nats.

    Args:
        chosen: float32 [B].
        rejected: float32 [B, K].
        chosen_length: int64 [B], tokens summed over.
        rejected_length: int64 [B, K].
        token_logps: [R, T], 0 beyond a completion's end.
        completion_mask: bool [R, T], True where a token is scored.
        embedding: float32 [B, H], hidden state of the last prompt token of each pair, detached; None where unknown.
        image_rejected: float32 [B], the chosen completion under the pair's rejected image; None for pairs without one.
    """

    chosen: Tensor
    rejected: Tensor
    chosen_length: Tensor
    rejected_length: Tensor
    token_logps: Tensor | None = None
    completion_mask: Tensor | None = None
    image_rejected: Tensor | None = None
    embedding: Tensor | None = None

    def detach(self) -> Logps:
        """The same numbers without gradients, as rewards and references want them."""
        return replace(
            self,
            chosen=self.chosen.detach(),
            rejected=self.rejected.detach(),
            token_logps=None if self.token_logps is None else self.token_logps.detach(),
            image_rejected=None if self.image_rejected is None else self.image_rejected.detach(),
        )


@dataclass(frozen=True)
class StreamInfo:
    """What a loss may know of the whole stream of pairs.

    Args:
        length: Samples in the stream, up to the last one that is in a pair; 0 where it is not known.
        perception_share: Share of pairs whose rejected side is another image, in [0, 1].
    """

    length: int = 0
    perception_share: float = 0.0


@dataclass(frozen=True)
class PairInfo:
    """What a loss may know of the pairs beyond their log-probs.

    Args:
        weight: float32 [B].
        time: int64 [B], position in the stream, in [0, length).
        source: int64 [B], 0 thinking, 1 perception; None where all are thinking.
        length: See `StreamInfo`.
        perception_share: See `StreamInfo`.
    """

    weight: Tensor
    time: Tensor
    source: Tensor | None = None
    length: int = 0
    perception_share: float = 0.0


@dataclass(frozen=True)
class LossOutput:
    """A loss and what is worth logging of it.

    Args:
        loss: Scalar, the weighted mean over pairs.
        per_pair: [B], unweighted.
        chosen_rewards: [B], β·(policy − reference) in nats, detached; None for losses without a reward.
        rejected_rewards: [B, K], likewise.
        parts: Named summands of the loss, detached scalars.
    """

    loss: Tensor
    per_pair: Tensor
    chosen_rewards: Tensor | None = None
    rejected_rewards: Tensor | None = None
    parts: dict[str, Tensor] = field(default_factory=dict)

    @property
    def margins(self) -> Tensor | None:
        """Reward margins [B, K]: chosen reward − rejected reward, in nats."""
        if self.chosen_rewards is None or self.rejected_rewards is None:
            return None
        return self.chosen_rewards[:, None] - self.rejected_rewards
