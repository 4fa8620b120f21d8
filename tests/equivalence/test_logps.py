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
from cpo.sequence.layouts import Packed, Padded, PrefixShared
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


SHARED = [PrefixShared(), Packed(max_tokens=200), Packed(max_tokens=10_000)]
"""Layouts that are compared with the padded one: rows of one prompt, of some, of all."""


def layout_name(layout: Any) -> str:
    return type(layout).__name__ + str(getattr(layout, "max_tokens", ""))


@pytest.mark.parametrize("layout", SHARED, ids=layout_name)
@pytest.mark.parametrize("negatives", [1, 2, 4])
@pytest.mark.parametrize("images", [(1,), (0, 2, 1)])
def test_shared_prompts_equal_padded_in_log_probs_and_gradients(
    policy: Any, encoder: Any, make_pairs: Pairs, negatives: int, images: tuple[int, ...], layout: Any
) -> None:
    pairs = make_pairs(n=3, negatives=negatives, images=images)
    plain, plain_gradients = logps_and_gradients(policy, batch_of(encoder, pairs, Padded()))
    shared, shared_gradients = logps_and_gradients(policy, batch_of(encoder, pairs, layout))
    assert plain.shape == (3, 1 + negatives)
    torch.testing.assert_close(shared, plain, rtol=0, atol=1e-9)
    assert plain_gradients
    for ours, oracle in zip(shared_gradients, plain_gradients, strict=True):
        assert (ours - oracle).norm() <= 1e-7 * oracle.norm()


@pytest.mark.parametrize("layout", SHARED, ids=layout_name)
def test_in_float32_tokens_agree_to_1e_5_and_gradients_to_1e_4(
    policy: Any, encoder: Any, make_pairs: Pairs, layout: Any
) -> None:
    policy.float()
    collated = [Collator(encoder, each, max_length=512)(make_pairs(n=3, negatives=2)) for each in (Padded(), layout)]
    tokens = [compute_logps(policy, batch).token_logps for batch in collated]
    assert tokens[0] is not None
    assert tokens[1] is not None
    torch.testing.assert_close(tokens[1], tokens[0], rtol=0, atol=1e-5)
    (_, plain), (_, shared) = (logps_and_gradients(policy, batch) for batch in collated)
    for ours, oracle in zip(shared, plain, strict=True):
        assert (ours - oracle).norm() <= 1e-4 * oracle.norm()


@pytest.mark.parametrize("layout", SHARED, ids=layout_name)
def test_an_image_side_pair_equals_padded_in_gradients(
    policy: Any, encoder: Any, make_pairs: Pairs, layout: Any
) -> None:
    """The text is the same and the image another, so the branches share no prompt."""
    first, second = make_pairs(n=2)
    same = replace(first.rejected[0], images=second.sample.images, trajectory=first.chosen)
    pairs = [replace(first, rejected=(same,), source="perception"), second]
    plain, plain_gradients = logps_and_gradients(policy, batch_of(encoder, pairs, Padded()))
    shared, shared_gradients = logps_and_gradients(policy, batch_of(encoder, pairs, layout))
    assert abs(plain[0, 0] - plain[0, 1]) > 1e-6, "another image, another log-prob"
    torch.testing.assert_close(shared, plain, rtol=0, atol=1e-9)
    for ours, oracle in zip(shared_gradients, plain_gradients, strict=True):
        assert (ours - oracle).norm() <= 1e-7 * oracle.norm()


def test_two_pairs_of_one_sample_share_its_prompt_and_its_chosen_branch(
    policy: Any, encoder: Any, make_pairs: Pairs
) -> None:
    pair = make_pairs(n=1, negatives=2)[0]
    pairs = [replace(pair, rejected=(rejected,)) for rejected in pair.rejected]
    batch = batch_of(encoder, pairs, PrefixShared())
    prompt, completions = encoder.prompt(pair.sample), [encoder.completion(pair.chosen)]
    completions += [encoder.completion(r.trajectory) for r in pair.rejected]
    assert batch.input_ids.shape == (1, len(prompt.ids) + sum(map(len, completions)))
    plain, plain_gradients = logps_and_gradients(policy, batch_of(encoder, pairs, Padded()))
    shared, shared_gradients = logps_and_gradients(policy, batch)
    torch.testing.assert_close(shared, plain, rtol=0, atol=1e-9)
    ours, oracle = (torch.cat([g.flatten() for g in some]) for some in (shared_gradients, plain_gradients))
    # of the whole gradient: norms run in float32, where one sum of two gradients rounds otherwise than two do
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
    for layout in (Padded(), *SHARED):
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
    reference = AdapterOff(cache="none").logps(policy, batch)
    with torch.no_grad():
        base = compute_logps(backbone.load_model(directory).double().eval(), batch)
    assert torch.equal(reference.chosen, base.chosen)
    assert torch.equal(reference.rejected, base.rejected)
    assert not torch.allclose(compute_logps(policy, batch).chosen, base.chosen)
