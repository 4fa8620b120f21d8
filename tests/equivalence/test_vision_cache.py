"""Remembered vision features are those that the tower would compute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cpo.errors import ConfigError
from cpo.policy.logps import compute_logps, unwrap
from cpo.policy.vision_cache import VisionCache
from cpo.records import PreferencePair
from cpo.sequence.collator import Collator
from cpo.sequence.layouts import PrefixShared
from cpo.tensors import PairBatch

Pairs = Callable[..., list[PreferencePair]]


@pytest.fixture
def batches(encoder: Any, make_pairs: Pairs) -> list[PairBatch]:
    """Of two batches, the second shows one image that the first showed and one that it did not."""
    pairs, collate = make_pairs(n=3), Collator(encoder, PrefixShared(), max_length=512)
    return [collate(pairs[:2]), collate(pairs[1:])]


class Calls:
    """Counts the images that the tower looks at."""

    def __init__(self, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.images: list[int] = []
        base = unwrap(model).model
        original = base.get_image_features

        def counted(pixels: Any, grid: Any, **kwargs: Any) -> Any:
            self.images.append(len(grid))
            return original(pixels, grid, **kwargs)

        monkeypatch.setattr(base, "get_image_features", counted)


@pytest.mark.parametrize("vision", ["memory", "disk"])
def test_log_probs_are_the_same_and_each_image_is_looked_at_once(
    vision: str, policy: Any, batches: list[PairBatch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy.float()
    plain = [compute_logps(policy, batch).rejected for batch in batches]
    calls = Calls(policy, monkeypatch)
    VisionCache(vision=vision, vision_mb=8).attach(unwrap(policy).model.visual, tmp_path)
    for batch, expected in zip([*batches, *batches], [*plain, *plain], strict=True):
        torch.testing.assert_close(compute_logps(policy, batch).rejected, expected, rtol=1e-6, atol=0)
    assert calls.images == [2, 1]
    assert len(list(tmp_path.rglob("*.pt"))) == (3 if vision == "disk" else 0)
    if vision == "disk":  # another run
        VisionCache(vision=vision, vision_mb=8).attach(unwrap(policy).model.visual, tmp_path)
        torch.testing.assert_close(compute_logps(policy, batches[0]).rejected, plain[0], rtol=1e-6, atol=0)
        assert calls.images == [2, 1]


def test_a_tower_that_is_trained_is_looked_through_each_time(
    policy: Any, batches: list[PairBatch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy.float()
    tower = unwrap(policy).model.visual
    VisionCache(vision="memory", vision_mb=8).attach(tower, tmp_path)
    tower.requires_grad_(True)
    calls = Calls(policy, monkeypatch)
    for _ in range(2):
        compute_logps(policy, batches[0]).chosen.sum().backward()
    assert calls.images == [2, 2]
    assert all(p.grad is not None for p in tower.merger.parameters())


def test_features_beyond_the_memory_are_computed_again(
    policy: Any, batches: list[PairBatch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy.float()
    cache = VisionCache(vision="memory", vision_mb=1)
    monkeypatch.setattr(cache, "vision_mb", 1e-6)
    cache.attach(unwrap(policy).model.visual, tmp_path)
    calls = Calls(policy, monkeypatch)
    for batch in (batches[0], batches[1], batches[0]):
        compute_logps(policy, batch)
    assert sum(calls.images) > 3


@pytest.mark.parametrize("knobs", [{"vision": "gpu", "vision_mb": 1}, {"vision": "memory", "vision_mb": 0}])
def test_a_knob_out_of_range_is_refused(knobs: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"cache\.vision"):
        VisionCache(**knobs)
