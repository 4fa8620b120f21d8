"""The chosen text under a rejected image, scored in one pass with its pair, is what it is scored alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cpo.errors import DataError, ShapeError
from cpo.losses.mdpo import MDPO
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.logps import compute_logps
from cpo.policy.reference import AdapterOff
from cpo.policy.score import branches_of, read_pair_file
from cpo.records import PreferencePair
from cpo.sequence.collator import Collator, stream_info
from cpo.sequence.layouts import Layout, Packed, Padded, PrefixShared
from cpo.sequence.pair_file import pair_row

Make = Callable[..., list[PreferencePair]]


@pytest.fixture
def pairs(make_pairs: Make) -> list[PreferencePair]:
    """Pairs with K = 2, each with the next one's image as the rejected one."""
    made = make_pairs(3, negatives=2)
    return [replace(p, image_rejected=other.sample.images) for p, other in zip(made, made[1:] + made[:1], strict=True)]


@pytest.mark.parametrize("layout", [Padded(), PrefixShared(), Packed(max_tokens=2048)])
def test_one_pass_gives_the_log_probs_of_separate_ones(
    layout: Layout, pairs: list[PreferencePair], policy: Any, encoder: Any
) -> None:
    batch = Collator(encoder, layout, max_length=512)(pairs)
    found = compute_logps(policy, batch)
    alone = Collator(encoder, Padded(), max_length=512)
    plain = [replace(pair, image_rejected=None) for pair in pairs]
    own = compute_logps(policy, alone(plain))
    swapped = [
        replace(p, rejected=(), image_rejected=None, sample=replace(p.sample, images=p.image_rejected or ()))
        for p in pairs
    ]
    other = compute_logps(policy, alone(swapped))
    assert found.image_rejected is not None
    assert own.image_rejected is None
    torch.testing.assert_close(found.image_rejected, other.chosen, rtol=0, atol=1e-9)
    torch.testing.assert_close(found.chosen, own.chosen, rtol=0, atol=1e-9)
    torch.testing.assert_close(found.rejected, own.rejected, rtol=0, atol=1e-9)
    assert (found.image_rejected - found.chosen).abs().max() > 1e-3


def test_mdpo_starts_at_three_times_ln_2_and_pulls_the_image_down(
    pairs: list[PreferencePair], policy: Any, encoder: Any
) -> None:
    batch = Collator(encoder, Packed(max_tokens=2048), max_length=512)(pairs)
    loss, reference = MDPO(beta=0.1, delta=0.0), AdapterOff(cache="none").live(policy, batch)
    frozen = replace(reference, chosen=reference.chosen)
    assert math.isclose(
        loss(frozen, reference, batch.info(stream_info(pairs))).loss.item(), 3 * math.log(2), abs_tol=1e-6
    )
    own = compute_logps(policy, batch)
    assert own.image_rejected is not None
    own.image_rejected.retain_grad()
    loss(own, reference, batch.info(stream_info(pairs))).loss.backward()
    assert own.image_rejected.grad is not None
    assert (own.image_rejected.grad > 0).all()


def test_a_cached_reference_knows_the_branch(
    pairs: list[PreferencePair], policy: Any, encoder: Any, tmp_path: Path
) -> None:
    collate = Collator(encoder, Packed(max_tokens=2048), max_length=512)
    reference = AdapterOff(cache="disk")
    reference.prepare(policy, pairs, collate, directory=tmp_path, batch_size=2, progress=False)
    batch = collate(pairs)
    kept, live = reference.logps(policy, batch), reference.live(policy, batch)
    assert kept.image_rejected is not None
    assert live.image_rejected is not None
    torch.testing.assert_close(kept.image_rejected, live.image_rejected, rtol=0, atol=1e-6, check_dtype=False)


def test_losses_without_rejected_branches_leave_it_out(pairs: list[PreferencePair], encoder: Any) -> None:
    batch = Collator(encoder, Padded(), max_length=512, with_rejected=False)(pairs)
    assert (batch.negatives, batch.images_rejected, batch.branches) == (0, 0, 1)


def test_pairs_with_and_without_one_do_not_go_together(pairs: list[PreferencePair], encoder: Any) -> None:
    with pytest.raises(ShapeError, match="with and without a rejected image"):
        Collator(encoder, Padded(), max_length=512)([pairs[0], replace(pairs[1], image_rejected=None)])


def test_a_pair_file_keeps_other_images_and_is_scored_under_them(
    pairs: list[PreferencePair], policy: Any, encoder: Any, directory: Path, tmp_path: Path
) -> None:
    seen = [replace(r, trajectory=p.chosen, images=p.image_rejected) for p in pairs for r in p.rejected[:1]]
    pair = replace(pairs[0], rejected=(seen[0], pairs[0].rejected[1]), image_rejected=None)
    file = tmp_path / "pairs.jsonl"
    file.write_text(json.dumps(pair_row(pair)) + "\n")
    (row,) = read_pair_file(file)
    found = branches_of(LoadedPolicy(policy, encoder, Padded(), 512, directory), row)
    expected = Collator(encoder, Padded(), max_length=512).branches(pair)
    assert [b.prompt.key(b.completion) for b in found] == [b.prompt.key(b.completion) for b in expected]
    assert found[0].prompt.images != found[1].prompt.images

    file.write_text(json.dumps({**row, "rejected_images": [None]}) + "\n")
    with pytest.raises(DataError, match="rejected_images"):
        read_pair_file(file)
