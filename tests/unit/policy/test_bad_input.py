"""What goes wrong on the way through the policy is said, or stays with the sample it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from cpo.errors import ConfigError, ShapeError
from cpo.policy.logps import compute_logps, hidden_states, token_logps, unwrap
from cpo.policy.lora import LANGUAGE_MODEL_LINEARS, LoRA
from cpo.policy.pretrained import PretrainedQwenVL
from cpo.records import PreferencePair
from cpo.sequence.collator import Collator
from cpo.sequence.layouts import Layout, Packed, Padded, PrefixShared

Pairs = Callable[..., list[PreferencePair]]


def test_image_tokens_and_features_that_disagree_are_refused(policy: Any, encoder: Any, make_pairs: Pairs) -> None:
    batch = Collator(encoder, PrefixShared(), max_length=512)(make_pairs(n=2))
    places = (batch.input_ids == encoder.image_token_id).nonzero()
    ids = batch.input_ids.clone()
    ids[tuple(places[0])] = encoder.end_token_id
    with pytest.raises(ShapeError, match=rf"{len(places) - 1} image tokens and {len(places)} vision features"):
        hidden_states(policy.float(), replace(batch, input_ids=ids))


@pytest.mark.parametrize(
    "layout", [Padded(), PrefixShared(), Packed(max_tokens=10_000)], ids=["padded", "shared", "packed"]
)
@pytest.mark.parametrize("bad", [0, 1, 2])
def test_a_sample_that_gives_no_number_harms_no_other(
    policy: Any, encoder: Any, make_pairs: Pairs, layout: Layout, bad: int
) -> None:
    """Also where all share one row."""
    policy, pairs = policy.float(), make_pairs(n=3, negatives=2)
    with torch.no_grad():
        whole = compute_logps(policy, Collator(encoder, layout, max_length=512)(pairs))
        encoder.image(pairs[bad].sample.images[0]).patches[:] = float("nan")
        broken = compute_logps(policy, Collator(encoder, layout, max_length=512)(pairs))
    assert not broken.chosen[bad].isfinite()
    assert not broken.rejected[bad].isfinite().any()
    for n in {0, 1, 2} - {bad}:
        torch.testing.assert_close(broken.chosen[n], whole.chosen[n])
        torch.testing.assert_close(broken.rejected[n], whole.rejected[n])


def test_float16_is_refused() -> None:
    lora = LoRA(r=4, alpha=8, dropout=0.0, target_modules=LANGUAGE_MODEL_LINEARS)
    with pytest.raises(ConfigError, match="float16 gives NaN rewards"):
        PretrainedQwenVL(path="x", dtype="float16", image_size=112, max_length=64, lora=lora, sft_lora=lora)


def test_the_head_never_makes_the_logits_of_all_tokens(
    policy: Any, encoder: Any, make_pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what the head gives out, the largest is one chunk of scored tokens, in both passes."""
    monkeypatch.setattr("cpo.policy.logps.HEAD_CHUNK", 8)
    batch = Collator(encoder, PrefixShared(), max_length=512)(make_pairs(n=4, negatives=2))
    head, sizes = unwrap(policy.float()).lm_head, list[tuple[int, ...]]()
    hook = head.register_forward_hook(lambda module, given, logits: sizes.append(tuple(logits.shape)))
    try:
        logps = compute_logps(policy, batch)
        forward = len(sizes)
        logps.chosen.sum().backward()
    finally:
        hook.remove()
    scored, vocabulary = int(batch.lengths.sum()), head.out_features
    assert scored > 5 * 8, "several chunks"
    assert max(sizes) == (8, vocabulary)
    assert sum(rows for rows, _ in sizes[:forward]) == scored < batch.input_ids.numel()
    assert sum(rows for rows, _ in sizes[forward:]) == scored, "each chunk is made again, one at a time"


def test_chunks_of_the_head_do_not_change_log_probs_or_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    head, target = torch.nn.Linear(6, 11, dtype=torch.float64), torch.randint(0, 11, (10,))
    hidden = torch.randn(10, 6, dtype=torch.float64, requires_grad=True)
    found = []
    for chunk in (4096, 3):
        monkeypatch.setattr("cpo.policy.logps.HEAD_CHUNK", chunk)
        logps = token_logps(head, hidden, target)
        found.append((logps, *torch.autograd.grad((logps * torch.arange(10)).sum(), [hidden, head.weight])))
    for whole, chunked in zip(*found, strict=True):
        torch.testing.assert_close(chunked, whole, rtol=1e-12, atol=1e-12)
