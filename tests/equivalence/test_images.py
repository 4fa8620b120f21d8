"""Samples with one image, several, none, and frames of a video, all in one batch, up to the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from cpo.losses.dpo import DPO
from cpo.policy.logps import compute_logps
from cpo.policy.reference import AdapterOff
from cpo.records import ImageRef, PreferencePair
from cpo.sequence.collator import Collator
from cpo.sequence.edits import box_edit
from cpo.sequence.layouts import Packed, Padded, PrefixShared
from cpo.tensors import PairBatch, StreamInfo

LAYOUTS = [Padded(), PrefixShared(), Packed(max_tokens=300), Packed(max_tokens=10_000)]


def clip(path: Path) -> Path:
    """Two seconds that get brighter from frame to frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=4)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for level in range(30, 230, 25):
            pixels = np.full((64, 64, 3), level, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def shown(pair: PreferencePair, *images: ImageRef) -> PreferencePair:
    return replace(pair, sample=replace(pair.sample, images=images))


@pytest.fixture
def pairs(make_pairs: Callable[..., list[PreferencePair]], tmp_path: Path) -> list[PreferencePair]:
    """One image, two and six, two frames of a video, and an image with a box drawn into it."""
    one, two, six, of_video, boxed = make_pairs(n=5, images=(1, 2, 6, 0, 1))
    video = str(clip(tmp_path / "clip.mp4"))
    of_video = shown(of_video, ImageRef(video, 0.3), ImageRef(video, 1.6))
    return [one, two, six, of_video, shown(boxed, replace(boxed.sample.images[0], edits=(box_edit(5, 5, 20, 20),)))]


def batch_of(encoder: Any, pairs: list[PreferencePair], layout: Any) -> PairBatch:
    batch = Collator(encoder, layout, max_length=512)(pairs)
    return replace(batch, pixel_values=batch.pixel_values.double())


def loss_and_gradients(policy: Any, batch: PairBatch) -> tuple[torch.Tensor, torch.Tensor]:
    policy.zero_grad()
    reference = AdapterOff(cache="none").logps(policy, batch)
    dpo = DPO(beta=0.1, nll_weight=0.0)
    output = dpo(compute_logps(policy, batch), reference, batch.info(StreamInfo(length=5, perception_share=0.0)))
    output.loss.backward()
    return output.per_pair, torch.cat([p.grad.flatten() for p in policy.parameters() if p.grad is not None])


def test_every_layout_gives_the_same_loss_and_gradients_for_any_number_of_images(
    policy: Any, encoder: Any, pairs: list[PreferencePair]
) -> None:
    assert [len(pair.sample.images) for pair in pairs] == [1, 2, 6, 2, 1]
    oracle, gradients = loss_and_gradients(policy, batch_of(encoder, pairs, LAYOUTS[0]))
    assert oracle.shape == (5,)
    for layout in LAYOUTS[1:]:
        losses, others = loss_and_gradients(policy, batch_of(encoder, pairs, layout))
        torch.testing.assert_close(losses, oracle, rtol=0, atol=1e-9)
        assert (others - gradients).norm() <= 1e-7 * gradients.norm()


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: type(layout).__name__)
def test_a_pair_in_a_batch_is_scored_as_if_it_were_alone(
    policy: Any, encoder: Any, pairs: list[PreferencePair], layout: Any
) -> None:
    together = compute_logps(policy, batch_of(encoder, pairs, layout))
    for place, pair in enumerate(pairs):
        alone = compute_logps(policy, batch_of(encoder, [pair], layout))
        torch.testing.assert_close(together.chosen[place], alone.chosen[0], rtol=0, atol=1e-9)
        torch.testing.assert_close(together.rejected[place], alone.rejected[0], rtol=0, atol=1e-9)


def test_order_time_and_edits_of_images_change_what_is_scored(
    policy: Any, encoder: Any, pairs: list[PreferencePair]
) -> None:
    """Guards the tests above: each image is seen, in its place."""
    two, six, of_video, boxed = pairs[1:]
    changed = [
        shown(two, *reversed(two.sample.images)),
        shown(six, *six.sample.images[:5], six.sample.images[0]),
        shown(of_video, of_video.sample.images[0], replace(of_video.sample.images[1], time_s=0.8)),
        shown(boxed, replace(boxed.sample.images[0], edits=())),
    ]
    for layout in LAYOUTS:
        before = compute_logps(policy, batch_of(encoder, pairs[1:], layout)).chosen
        after = compute_logps(policy, batch_of(encoder, changed, layout)).chosen
        assert ((before - after).abs() > 1e-9).all()
