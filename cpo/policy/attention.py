"""Attention over prompts that several branches share, without a dense mask over whole rows.

Everything but attention works on each token by itself, so rows of any make-up go through the language model as they
are. Attention then needs two calls per layer: prompts among themselves, plainly causal, and the branches of each prompt
over the prompt and themselves. That is what a key-value cache of the prompt would compute, in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from cpo.tensors import PairBatch

NAME = "shared_prefix"
"""Under which the function stands in transformers' registry; on plain masks it is `sdpa`."""


@dataclass(frozen=True)
class SharedPrefix:
    """Which tokens attend to which, given to each layer in the mask's place.

    Args:
        prompt: int64 [G, A], places of prompt tokens among the N · L; behind a prompt's end its first token.
        branch: int64 [G, M], likewise of the tokens of its branches.
        mask: bool [G, 1, M, A + M], what a branch token may attend to: its prompt, its own branch up to itself, and of
            the prompt's first branch as much as the batch lets it see.
        order: int64 [N · L], for each place its row among the G · A prompt and then G · M branch outputs.
    """

    prompt: Tensor
    branch: Tensor
    mask: Tensor
    order: Tensor

    @classmethod
    def of(cls, batch: PairBatch) -> SharedPrefix:
        """Of a batch whose layout shares prompts."""
        number = batch.branch_number
        branch = (number[:, :, None] == number[:, None, :]).tril()
        if batch.branch_sees.numel():
            first = (number == 0)[:, None, :] & (
                torch.arange(number.shape[1], device=number.device) < batch.branch_sees[..., None]
            )
            branch = branch | first
        visible = (batch.prompt_index >= 0)[:, None, :].expand(-1, number.shape[1], -1)
        places = torch.cat([batch.prompt_index.flatten(), batch.branch_index.flatten()])
        order = torch.zeros(batch.input_ids.numel(), dtype=torch.long, device=places.device)
        order[places[places >= 0]] = (places >= 0).nonzero()[:, 0]
        mask = torch.cat([visible, branch], dim=2)[:, None]
        # filled up from the same prompt: a weight of 0 times another sample's NaN would be NaN
        prompt, branch_at = (
            torch.where(index >= 0, index, batch.prompt_index[:, :1])
            for index in (batch.prompt_index, batch.branch_index)
        )
        return cls(prompt, branch_at, mask, order)


def shared_prefix_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Scaled dot-product attention by `SharedPrefix`, or `sdpa` where the mask is an ordinary one.

    Args:
        module: The attention layer.
        query: [N, heads, L, D].
        key: [N, key-value heads, L, D].
        value: [N, key-value heads, L, D].
        attention_mask: A `SharedPrefix`, or what `sdpa` takes.
        dropout: On attention weights.
        scaling: Of the products before the softmax.
        **kwargs: Passed on to `sdpa`.

    Returns:
        [N, L, heads, D]; 0-th prompt token's output at padding, which nothing reads.
    """
    if not isinstance(attention_mask, SharedPrefix):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    shape, places = query.shape, attention_mask
    groups: int = query.shape[1] // key.shape[1]

    def at(states: Tensor, index: Tensor) -> Tensor:
        """States [G, heads, tokens, D] at places [G, tokens]."""
        flat = states.transpose(1, 2).reshape(-1, states.shape[1] * states.shape[3])
        picked = flat.index_select(0, index.flatten())
        return picked.view(*index.shape, states.shape[1], states.shape[3]).transpose(1, 2)

    prompt_key, prompt_value = at(key, places.prompt), at(value, places.prompt)
    branch_key = torch.cat([prompt_key, at(key, places.branch)], dim=2)
    branch_value = torch.cat([prompt_value, at(value, places.branch)], dim=2)
    # tokens behind a prompt's end come after all of its own, so causality already hides them
    prompts = scaled_dot_product_attention(
        at(query, places.prompt),
        repeat_kv(prompt_key, groups),
        repeat_kv(prompt_value, groups),
        dropout_p=dropout,
        scale=scaling,
        is_causal=True,
    )
    branches = scaled_dot_product_attention(
        at(query, places.branch),
        repeat_kv(branch_key, groups),
        repeat_kv(branch_value, groups),
        attn_mask=places.mask,
        dropout_p=dropout,
        scale=scaling,
    )
    width = shape[1] * shape[3]
    outputs = [out.transpose(1, 2).reshape(-1, width) for out in (prompts, branches)]
    return torch.cat(outputs).index_select(0, places.order).view(shape[0], shape[2], shape[1], shape[3]), None


def use_shared_prefix(language_model: Any) -> None:
    """Makes a language model attend by `shared_prefix_attention` from now on; ordinary masks work as before."""
    if language_model.config._attn_implementation != NAME:
        AttentionInterface.register(NAME, shared_prefix_attention)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        language_model.set_attn_implementation(NAME)
