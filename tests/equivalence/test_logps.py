"""All layouts give the same log-probs and gradients, and those are Hugging Face's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from cpo.policy.logps import compute_logps, unwrap
from cpo.policy.reference import AdapterOff
from cpo.records import PreferencePair, Trajectory
from cpo.sequence.collator import Collator
from cpo.sequence.layouts import Padded, PrefixShared
from cpo.tensors import PairBatch

Pairs = Callable[..., list[PreferencePair]]


def batch_of(encoder: Any, pairs: list[PreferencePair], layout: Any) -> PairBatch:
    batch = Collator(encoder, layout, max_length=512)(pairs)
    return replace(batch, pixel_values=batch.pixel_values.double())


def logps_and_gradients(policy: Any, batch: PairBatch) -> tuple[torch.Tensor, list[torch.Tensor]]:
    policy.zero_grad()
    logps = compute_logps(policy, batch)
    table = torch.cat([logps.chosen[:, None], logps.rejected], dim=1)
    (table * torch.arange(1.0, table.numel() + 1).view_as(table)).sum().backward()
    return table.detach(), [p.grad.clone() for p in policy.parameters() if p.grad is not None]


@pytest.mark.parametrize("negatives", [1, 2, 4])
@pytest.mark.parametrize("images", [(1,), (0, 2, 1)])
def test_prefix_shared_equals_padded_in_log_probs_and_gradients(
    policy: Any, encoder: Any, make_pairs: Pairs, negatives: int, images: tuple[int, ...]
) -> None:
    pairs = make_pairs(n=3, negatives=negatives, images=images)
    plain, plain_gradients = logps_and_gradients(policy, batch_of(encoder, pairs, Padded()))
    shared, shared_gradients = logps_and_gradients(policy, batch_of(encoder, pairs, PrefixShared()))
    assert plain.shape == (3, 1 + negatives)
    torch.testing.assert_close(shared, plain, rtol=0, atol=1e-9)
    assert plain_gradients
    for ours, oracle in zip(shared_gradients, plain_gradients, strict=True):
        assert (ours - oracle).norm() <= 1e-7 * oracle.norm()


def test_a_rejected_branch_with_another_image_gets_that_image(policy: Any, encoder: Any, make_pairs: Pairs) -> None:
    first, second = make_pairs(n=2)
    other = replace(first.rejected[0], images=second.sample.images)
    pair = replace(first, rejected=(other,))
    plain = compute_logps(policy, batch_of(encoder, [pair], Padded()))
    shared = compute_logps(policy, batch_of(encoder, [pair], PrefixShared()))
    alone = replace(first, sample=replace(first.sample, images=second.sample.images), chosen=other.trajectory)
    oracle = compute_logps(policy, batch_of(encoder, [replace(alone, rejected=())], Padded()))
    for logps in (plain, shared):
        torch.testing.assert_close(logps.rejected[0], oracle.chosen, rtol=0, atol=1e-9)


def test_identical_and_one_token_completions_are_scored_alike_in_both_layouts(
    policy: Any, encoder: Any, make_pairs: Pairs
) -> None:
    pair = make_pairs(n=1)[0]
    one = Trajectory("", "a")
    pair = replace(pair, chosen=one, rejected=(replace(pair.rejected[0], trajectory=one),))
    for layout in (Padded(), PrefixShared()):
        logps = compute_logps(policy, batch_of(encoder, [pair], layout))
        assert logps.chosen_length.tolist() == [2]  # the end token is scored too
        torch.testing.assert_close(logps.chosen, logps.rejected[:, 0], rtol=0, atol=1e-9)


def test_log_probs_equal_hugging_face_loss_on_the_whole_sequence(policy: Any, encoder: Any, make_pairs: Pairs) -> None:
    """Σ token_logps = −n · loss, where transformers itself computes positions, features and loss."""
    pair = make_pairs(n=1, images=(2,))[0]
    batch = batch_of(encoder, [pair], Padded())
    ours = compute_logps(policy, batch)
    prompt, completion = encoder.prompt(pair.sample), encoder.completion(pair.chosen)
    ids = torch.tensor([[*prompt.ids, *completion]])
    labels = torch.tensor([[-100] * len(prompt.ids) + list(completion)])
    theirs = unwrap(policy)(
        input_ids=ids,
        labels=labels,
        attention_mask=torch.ones_like(ids),
        mm_token_type_ids=(ids == encoder.image_token_id).int(),
        pixel_values=batch.pixel_values,
        image_grid_thw=batch.image_grid_thw,
    )
    # transformers computes its loss in float32 whatever the model's dtype
    torch.testing.assert_close(ours.chosen.float(), -theirs.loss.float()[None] * len(completion), rtol=1e-6, atol=0)


def test_positions_equal_those_of_transformers(policy: Any, encoder: Any, make_pairs: Pairs) -> None:
    for images in (0, 1, 3):
        prompt = encoder.prompt(make_pairs(n=1, images=(images,), seed=images)[0].sample)
        ids = torch.tensor([prompt.ids])
        grids = torch.tensor([image.grid for image in prompt.images]).reshape(-1, 3)
        theirs, _ = unwrap(policy).model.get_rope_index(ids, (ids == encoder.image_token_id).int(), grids)
        assert torch.equal(torch.from_numpy(prompt.positions), theirs[:, 0])


def test_wrong_positions_change_the_log_probs(policy: Any, encoder: Any, make_pairs: Pairs) -> None:
    """Guards the tests above: with plain positions the numbers differ, so equality is not vacuous."""
    batch = batch_of(encoder, make_pairs(n=1), Padded())
    plain = torch.arange(batch.input_ids.shape[1]).expand(3, *batch.input_ids.shape)
    right, wrong = compute_logps(policy, batch), compute_logps(policy, replace(batch, position_ids=plain))
    assert (right.chosen - wrong.chosen).abs().max() > 1e-4


def test_adapter_off_is_the_model_without_adapter(
    policy: Any, encoder: Any, make_pairs: Pairs, backbone: Any, directory: Any
) -> None:
    batch = batch_of(encoder, make_pairs(), Padded())
    reference = AdapterOff().logps(policy, batch)
    with torch.no_grad():
        base = compute_logps(backbone.load_model(directory).double().eval(), batch)
    assert torch.equal(reference.chosen, base.chosen)
    assert torch.equal(reference.rejected, base.rejected)
    assert not torch.allclose(compute_logps(policy, batch).chosen, base.chosen)
