"""A cached reference says what the live one says, and each kind what the policy said before its first step."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cpo.errors import ConfigError, DataError
from cpo.policy import reference_cache
from cpo.policy.logps import compute_logps
from cpo.policy.reference import AdapterOff, AdapterSnapshot, FrozenCopy, Reference
from cpo.records import PreferencePair
from cpo.sequence.collator import Collator
from cpo.sequence.layouts import Packed, Padded, PrefixShared

Pairs = Callable[..., list[PreferencePair]]
KINDS = [AdapterOff, AdapterSnapshot, FrozenCopy]


def collator(encoder: Any, layout: Any = None) -> Collator:
    return Collator(encoder, layout or PrefixShared(), max_length=512)


def prepare(
    reference: Reference, policy: Any, pairs: list[PreferencePair], collate: Collator, where: Path | None
) -> None:
    reference.prepare(policy, pairs, collate, directory=where, batch_size=2, progress=False)


def move(policy: Any) -> None:
    """As training would: adapter weights only."""
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if "lora_" in name:
                parameter.add_(0.3)


@pytest.fixture
def policy(policy: Any) -> Any:
    return policy.float()


@pytest.mark.parametrize("kind", KINDS)
def test_cached_equals_live_before_and_after_the_policy_moves(
    kind: Any, policy: Any, encoder: Any, make_pairs: Pairs, tmp_path: Path
) -> None:
    pairs = make_pairs(n=5, negatives=2)
    batch = collator(encoder)(pairs[1:4])
    live, cached = kind(cache="none"), kind(cache="disk")
    prepare(live, policy, pairs, collator(encoder), tmp_path)
    prepare(cached, policy, pairs, collator(encoder), tmp_path)
    assert len(list(tmp_path.rglob("*.npz"))) == 1, "only the one with cache=disk writes"
    start = compute_logps(policy, batch)
    move(policy)
    after, found = live.logps(policy, batch), cached.logps(policy, batch)
    torch.testing.assert_close(found.token_logps, after.token_logps, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.rejected, after.rejected, rtol=1e-6, atol=1e-4)
    assert not found.chosen.requires_grad
    assert (compute_logps(policy, batch).chosen - start.chosen).abs().min() > 1e-3, "the policy has moved"
    if kind is not AdapterOff:
        torch.testing.assert_close(after.chosen, start.chosen.detach(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_asking_the_reference_leaves_the_policy_and_its_gradients_alone(
    kind: Any, policy: Any, encoder: Any, make_pairs: Pairs
) -> None:
    pairs = make_pairs(n=2)
    batch, reference = collator(encoder)(pairs), kind(cache="none")
    prepare(reference, policy, pairs, collator(encoder), None)
    move(policy)

    def gradients(ask: bool) -> list[torch.Tensor]:
        policy.zero_grad()
        logps = compute_logps(policy.train(), batch)
        if ask:
            reference.logps(policy, batch)
        logps.chosen.sum().backward()
        assert policy.training
        return [p.grad.clone() for p in policy.parameters() if p.grad is not None]

    for asked, alone in zip(gradients(True), gradients(False), strict=True):
        assert torch.equal(asked, alone)


def test_a_second_job_computes_nothing_whatever_its_layout(
    policy: Any, encoder: Any, make_pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = make_pairs(n=6)
    prepare(AdapterOff(cache="disk"), policy, pairs, collator(encoder, Padded()), tmp_path)
    second = AdapterOff(cache="disk")
    monkeypatch.setattr(reference_cache, "VERIFIED", 2)
    calls: list[int] = []
    monkeypatch.setattr(
        second, "live", lambda model, batch: calls.append(batch.pairs) or AdapterOff.live(second, model, batch)
    )
    prepare(second, policy, pairs, collator(encoder, Packed(max_tokens=500)), tmp_path)
    assert calls == [1, 1], "two pairs are verified, none is computed"
    live = AdapterOff(cache="none").logps(policy, collator(encoder)(pairs))
    torch.testing.assert_close(second.logps(policy, collator(encoder)(pairs)).chosen, live.chosen, rtol=1e-6, atol=1e-4)


def test_a_killed_pass_goes_on_where_it_was(
    policy: Any, encoder: Any, make_pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference_cache, "SHARD", 1)
    pairs = make_pairs(n=6)
    first, calls = AdapterOff(cache="disk"), [0]

    def killed(model: Any, batch: Any) -> Any:
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        return AdapterOff.live(first, model, batch)

    monkeypatch.setattr(first, "live", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare(first, policy, pairs, collator(encoder), tmp_path)
    assert len(list(tmp_path.rglob("*.npz"))) == 2, "what was done is kept"
    second, done = AdapterOff(cache="disk"), []
    monkeypatch.setattr(second, "live", lambda m, b: done.append(b.pairs) or AdapterOff.live(second, m, b))
    prepare(second, policy, pairs, collator(encoder), tmp_path)
    assert done[0] == 2, "the third batch"
    assert len(list(tmp_path.rglob("*.npz"))) == 3


def test_rows_of_another_model_are_refused(policy: Any, encoder: Any, make_pairs: Pairs, tmp_path: Path) -> None:
    pairs = make_pairs(n=4)
    prepare(AdapterOff(cache="disk"), policy, pairs, collator(encoder), tmp_path)
    (right,) = (path for path in tmp_path.iterdir() if path.is_dir())
    with torch.no_grad():
        policy.get_base_model().model.language_model.norm.weight.mul_(1.5)
    other = AdapterOff(cache="disk")
    name = other.fingerprint(policy)
    assert name != right.name, "other weights, another directory"
    shutil.copytree(right, tmp_path / name)
    with pytest.raises(DataError, match="of another model, or damaged"):
        prepare(other, policy, pairs, collator(encoder), tmp_path)


def test_a_row_that_was_not_prepared_is_refused(policy: Any, encoder: Any, make_pairs: Pairs, tmp_path: Path) -> None:
    reference = AdapterOff(cache="disk")
    prepare(reference, policy, make_pairs(n=2), collator(encoder), tmp_path)
    with pytest.raises(DataError, match=r"4 of 4 rows .* lacks"):
        reference.logps(policy, collator(encoder)(make_pairs(n=2, seed=7)))


def test_a_damaged_shard_is_named(policy: Any, encoder: Any, make_pairs: Pairs, tmp_path: Path) -> None:
    pairs = make_pairs(n=2)
    prepare(AdapterOff(cache="disk"), policy, pairs, collator(encoder), tmp_path)
    (shard,) = tmp_path.rglob("*.npz")
    shard.write_bytes(shard.read_bytes()[:40])
    with pytest.raises(DataError, match=shard.name):
        prepare(AdapterOff(cache="disk"), policy, pairs, collator(encoder), tmp_path)


def test_a_sample_that_gives_no_number_is_named(policy: Any, encoder: Any, make_pairs: Pairs, tmp_path: Path) -> None:
    """Its companions in the batch keep their numbers."""
    pairs = make_pairs(n=3)
    images = [pair.sample.images[0] for pair in pairs]
    good = compute_logps(policy, collator(encoder)([pairs[0], pairs[2]]))
    encoder.image(images[1]).patches[:] = np.nan
    bad = compute_logps(policy, collator(encoder)(pairs))
    assert bad.chosen[1].isnan()
    torch.testing.assert_close(bad.chosen[[0, 2]], good.chosen, rtol=1e-5, atol=0)
    with pytest.raises(DataError, match=r"no numbers, on \['none:1'\]"):
        prepare(AdapterOff(cache="disk"), policy, pairs, collator(encoder), tmp_path)


def test_the_fingerprint_is_the_same_with_and_without_an_adapter_and_after_a_forward_pass(
    policy: Any, encoder: Any, make_pairs: Pairs, backbone: Any, directory: Path
) -> None:
    before = AdapterOff(cache="none").fingerprint(policy)
    compute_logps(policy, collator(encoder)(make_pairs(n=1)))
    move(policy)
    assert AdapterOff(cache="none").fingerprint(policy) == before
    from cpo.policy.weights import weights_fingerprint

    assert weights_fingerprint(backbone.load_model(directory)) == before


def test_an_unknown_kind_of_cache_is_refused() -> None:
    with pytest.raises(ConfigError, match="disk or none"):
        AdapterOff(cache="memory")
