"""What every loss keeps. Losses are found in conf/loss/: a new one is held to this without being named here."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor

from cpo import config
from cpo.losses.base import Loss
from cpo.tensors import Logps, LossOutput, PairInfo
from tests.fixtures.numbers import info, logps, random_logps

CONF = Path(__file__).parents[2] / "conf"
NAMES = sorted(file.stem for file in (CONF / "loss").glob("*.yaml"))


def build(name: str) -> Loss:
    config.register_schemas()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loss = config.build(compose("train", overrides=[f"loss={name}"]).loss)
    assert isinstance(loss, Loss)
    return loss


LOSSES = {name: build(name) for name in NAMES}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


def call(loss: Loss, policy: Logps, reference: Logps, about: PairInfo) -> LossOutput:
    """A loss is given what the training step gives it: nothing that it does not ask for."""
    if not loss.requires_rejected:
        policy = replace(policy, rejected=policy.rejected[:, :0], rejected_length=policy.rejected_length[:, :0])
    if not loss.requires_image_rejected:
        policy, reference = replace(policy, image_rejected=None), replace(reference, image_rejected=None)
    return loss(policy, reference if loss.requires_reference else None, about)


def gradients(of: Tensor, policy: Logps) -> tuple[Tensor | None, ...]:
    assert policy.image_rejected is not None
    leaves = [policy.chosen, policy.rejected, policy.image_rejected]
    return torch.autograd.grad(of, leaves, allow_unused=True)


def shifted(policy: Logps, nats: float) -> Logps:
    """All branches more likely by as much."""
    assert policy.image_rejected is not None
    return logps(policy.chosen + nats, policy.rejected + nats, image_rejected=policy.image_rejected + nats)


def test_every_loss_there_is_is_checked_here() -> None:
    assert {f"{name}.yaml" for name in NAMES} == set(os.listdir(CONF / "loss"))
    assert len(NAMES) >= 20


@every_loss
def test_flags_say_what_a_loss_reads(loss: Loss) -> None:
    policy, reference, other = random_logps(), random_logps(seed=1), random_logps(seed=2)
    here = call(loss, policy, reference, info(5)).loss
    assert loss.requires_reference == bool(here != call(loss, policy, other, info(5)).loss)
    _, rejected, image = gradients(here, policy)
    assert loss.requires_rejected == (rejected is not None and bool(rejected.any()))
    assert loss.requires_image_rejected == (image is not None and bool(image.any()))
    early = call(loss, policy, reference, info(5, time=[0] * 5)).loss
    assert loss.reads_time == bool(here != early)
    moved = call(loss, shifted(policy, -0.7), reference, info(5)).loss
    assert loss.is_margin_only == torch.allclose(here, moved, rtol=1e-12)


@every_loss
@pytest.mark.parametrize("negatives", [1, 3])
def test_output_has_a_cost_per_pair_and_rewards_per_branch_without_gradients(loss: Loss, negatives: int) -> None:
    policy, reference = random_logps(negatives=negatives), random_logps(negatives=negatives, seed=1)
    output = call(loss, policy, reference, info(5))
    assert output.loss.shape == ()
    assert output.loss.requires_grad
    assert output.per_pair.shape == (5,)
    if loss.requires_rejected:
        assert output.margins is not None
        assert output.margins.shape == (5, negatives)
    for tensor in (output.per_pair, output.chosen_rewards, output.rejected_rewards, *output.parts.values()):
        assert tensor is None or not tensor.requires_grad


@every_loss
def test_where_policy_is_reference_the_value_is_known_and_margins_are_0(loss: Loss) -> None:
    policy = random_logps()
    about = info(5, time=[60, 70, 80, 90, 99], weight=[1.0, 2.0, 0.5, 1.0, 3.0])
    output = call(loss, policy, policy.detach(), about)
    known = loss.initial_value(policy, about)
    assert output.loss.item() == pytest.approx(known, rel=1e-12)
    if loss.requires_reference:
        assert output.margins is not None
        assert output.margins.abs().max() == 0


@every_loss
def test_the_first_step_raises_the_chosen_and_lowers_the_rejected(loss: Loss) -> None:
    """In sum over the rejected: a ranking may raise one of them against the next."""
    policy = random_logps()
    chosen, rejected, image = gradients(call(loss, policy, policy.detach(), info(5)).loss, policy)
    assert chosen is not None
    assert (chosen < 0).all()
    if loss.requires_rejected:
        assert rejected is not None
        assert (rejected.sum(dim=1) > 0).all()
        assert (rejected[:, -1] > 0).all()
    if loss.requires_image_rejected:
        assert image is not None
        assert (image > 0).all()


@every_loss
def test_gradients_pass_float64_gradcheck(loss: Loss) -> None:
    policy, reference = random_logps(), random_logps(seed=1).detach()

    def of(chosen: Tensor, rejected: Tensor, image: Tensor) -> Tensor:
        return call(loss, logps(chosen, rejected, image_rejected=image), reference, info(5)).loss

    assert torch.autograd.gradcheck(of, (policy.chosen, policy.rejected, policy.image_rejected))


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("chosen", "rejected"), [(0.0, -1e4), (-1e4, 0.0), (-1e4, -1e4), (0.0, 0.0)])
def test_log_probs_of_0_and_minus_10_000_keep_loss_and_gradients_finite(
    loss: Loss, dtype: torch.dtype, chosen: float, rejected: float
) -> None:
    """Against a reference at −5,000 the log-ratios are ±5,000; against one at the other end ±10,000."""
    sides = [torch.full(shape, at, dtype=dtype) for shape, at in (((2,), chosen), ((2, 2), rejected), ((2,), rejected))]
    policy = logps(sides[0].requires_grad_(), sides[1].requires_grad_(), image_rejected=sides[2].requires_grad_())
    for middle in (
        logps(torch.full((2,), -5e3), torch.full((2, 2), -5e3), image_rejected=torch.full((2,), -5e3)),
        logps(-1e4 - sides[0].detach(), -1e4 - sides[1].detach(), image_rejected=-1e4 - sides[2].detach()),
    ):
        loss_here = call(loss, policy, middle, info(2)).loss
        assert torch.isfinite(loss_here)
        for gradient in gradients(loss_here, policy):
            assert gradient is None or torch.isfinite(gradient).all()


@every_loss
def test_swapping_chosen_and_rejected_negates_the_margin(loss: Loss) -> None:
    def swapped(of: Logps) -> Logps:
        return logps(of.rejected[:, 0], of.chosen[:, None], image_rejected=of.image_rejected)

    policy, reference = random_logps(negatives=1), random_logps(negatives=1, seed=1)
    margins = call(loss, policy, reference, info(5)).margins
    other = call(loss, swapped(policy), swapped(reference), info(5)).margins
    assert (margins is None) == (other is None) == (not loss.requires_rejected)
    if margins is not None and other is not None:
        torch.testing.assert_close(other, -margins)


@every_loss
def test_a_batch_costs_the_mean_of_its_pairs(loss: Loss) -> None:
    """So one batch of 8 and 8 accumulated batches of 1 are the same step: nothing is remembered, nothing is shared."""
    policy, reference = random_logps(), random_logps(seed=1)

    def pair(of: Logps, i: int) -> Logps:
        assert of.image_rejected is not None
        return logps(of.chosen[i : i + 1], of.rejected[i : i + 1], image_rejected=of.image_rejected[i : i + 1])

    times = [60, 70, 80, 90, 99]
    whole = call(loss, policy, reference, info(5, time=times)).loss
    each = [call(loss, pair(policy, i), pair(reference, i), info(1, time=times[i : i + 1])).loss for i in range(5)]
    torch.testing.assert_close(torch.stack(each).mean(), whole)


@every_loss
def test_a_pair_counts_in_proportion_to_its_weight(loss: Loss) -> None:
    policy, reference = random_logps(pairs=2), random_logps(pairs=2, seed=1)
    one, two, both = (call(loss, policy, reference, info(2, weight=w)).loss for w in ([3, 0], [0, 0.5], [3, 0.5]))
    torch.testing.assert_close(one + two, both)
    assert call(loss, policy, reference, info(2, weight=[0, 0])).loss == 0


@every_loss
def test_a_loss_cites_its_source_and_shows_an_example(loss: Loss) -> None:
    text = type(loss).__doc__ or ""
    assert ">>> " in text
    assert "Source:" in text or type(loss).__name__ in ("SFT", "WeightedSum")
