"""Log-probs of a batch's completions under a policy, the same for every layout."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from cpo.errors import ShapeError
from cpo.policy.attention import SharedPrefix, use_shared_prefix
from cpo.policy.vision_cache import image_features
from cpo.tensors import Logps, PairBatch

HEAD_CHUNK = 4096
"""Scored tokens per pass of the LM head: bounds the logits at HEAD_CHUNK · V numbers."""


def unwrap(model: Any) -> Any:
    """The transformers model inside a PEFT wrapper, adapter layers still in place."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def hidden_states(model: Any, batch: PairBatch) -> Tensor:
    """Last hidden states [N, L, H] of the language model.

    The vision tower runs once per distinct image, whatever number of rows shows it, and without gradients if it is
    frozen.

    Raises:
        ShapeError: Image tokens and vision features disagree.
    """
    base = unwrap(model).model
    embeddings = base.get_input_embeddings()(batch.input_ids)
    if len(batch.image_index):
        features = image_features(base, batch)
        placed = torch.cat([features[n] for n in batch.image_index.tolist()]).to(embeddings.dtype)
        where = batch.input_ids == base.config.image_token_id
        if int(where.sum()) != len(placed):
            raise ShapeError(
                got=f"{int(where.sum())} image tokens and {len(placed)} vision features",
                wanted="as many of one as of the other",
                remedy="use the tokenizer and image processor of the same model directory",
            )
        embeddings = embeddings.masked_scatter(where[..., None], placed)
    attention: Any = batch.attention_mask
    if batch.prompt_index.numel():
        use_shared_prefix(base.language_model)
        attention = {"full_attention": SharedPrefix.of(batch)}
    return base.language_model(
        inputs_embeds=embeddings,
        attention_mask=attention,
        position_ids=batch.position_ids,
        use_cache=False,
    ).last_hidden_state


def compute_logps(model: Any, batch: PairBatch) -> Logps:
    """Σ log π(token | prompt, tokens before) per completion, in nats, summed in float32 (float64 for float64 models).

    The LM head runs on the hidden states that predict scored tokens and on no others, in chunks.

    Args:
        model: A Qwen-VL model, with or without adapter.
        batch: Any layout.
    """
    hidden = hidden_states(model, batch)[batch.score_row, batch.score_position]
    per_token = token_logps(unwrap(model).lm_head, hidden, batch.score_target)
    shape = len(batch.lengths), int(batch.lengths.max())
    # the first token of a chosen completion is predicted behind its prompt
    first = (batch.score_slot == 0) & (batch.score_branch % batch.branches == 0)
    table = per_token.new_zeros(shape).index_put((batch.score_branch, batch.score_slot), per_token)
    return replace(as_logps(table, batch), embedding=hidden[first].detach())


def as_logps(table: Tensor, batch: PairBatch) -> Logps:
    """Token log-probs of a batch, summed per completion and told apart as chosen and rejected.

    Args:
        table: [R, T], 0 beyond a completion's end.
        batch: The batch they are of.
    """
    mask = torch.arange(table.shape[1], device=table.device) < batch.lengths[:, None]
    sums = table.sum(dim=1).view(-1, batch.branches)
    lengths = batch.lengths.view(-1, batch.branches)
    rejected = slice(1, 1 + batch.negatives)
    return Logps(
        sums[:, 0],
        sums[:, rejected],
        lengths[:, 0],
        lengths[:, rejected],
        table,
        mask,
        image_rejected=sums[:, -1] if batch.images_rejected else None,
    )


def token_logps(head: torch.nn.Module, hidden: Tensor, target: Tensor) -> Tensor:
    """Log-probability [S] of each target token, at least float32.

    Args:
        head: The LM head, H → V.
        hidden: [S, H].
        target: int64 [S].
    """

    def chunk(states: Tensor, tokens: Tensor) -> Tensor:
        logits = head(states)
        return -cross_entropy(logits if logits.dtype == torch.float64 else logits.float(), tokens, reduction="none")

    pieces = list(zip(hidden.split(HEAD_CHUNK), target.split(HEAD_CHUNK), strict=True))
    if len(pieces) == 1 or not torch.is_grad_enabled():
        return torch.cat([chunk(states, tokens) for states, tokens in pieces])
    # recomputing a chunk's logits in the backward pass keeps one chunk alive instead of all
    return torch.cat([checkpoint(chunk, states, tokens, use_reentrant=False) for states, tokens in pieces])
