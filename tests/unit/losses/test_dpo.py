"""DPO's numbers, gradients and limits, against its formula and against PyTorch's own functions."""

from __future__ import annotations

import math

import pytest
import torch

from cpo.errors import ConfigError
from cpo.losses.dpo import DPO
from cpo.losses.sft import SFT
from tests.fixtures.numbers import info, logps, random_logps


def test_policy_equal_to_reference_costs_ln_2_and_has_no_margin() -> None:
    policy = random_logps()
    loss = DPO(beta=0.1, nll_weight=0.0)
    output = loss(policy, policy.detach(), info(5))
    assert output.loss.item() == pytest.approx(math.log(2), abs=1e-12)
    assert output.margins is not None
    assert output.margins.abs().max() == 0
    assert loss.initial_value(policy, info(5)) == pytest.approx(math.log(2))


def test_swapping_chosen_and_rejected_negates_the_margin() -> None:
    policy, reference = random_logps(negatives=1), random_logps(negatives=1, seed=1)
    loss = DPO(beta=0.3, nll_weight=0.0)
    swapped_policy = logps(policy.rejected[:, 0], policy.chosen[:, None])
    swapped_reference = logps(reference.rejected[:, 0], reference.chosen[:, None])
    margins = loss(policy, reference, info(5)).margins
    swapped = loss(swapped_policy, swapped_reference, info(5)).margins
    assert margins is not None
    assert swapped is not None
    torch.testing.assert_close(swapped, -margins)


def test_gradient_raises_the_chosen_and_lowers_every_rejected_log_prob() -> None:
    policy = random_logps()
    DPO(beta=0.1, nll_weight=0.0)(policy, random_logps(seed=1).detach(), info(5)).loss.backward()
    assert policy.chosen.grad is not None
    assert policy.rejected.grad is not None
    assert (policy.chosen.grad < 0).all()
    assert (policy.rejected.grad > 0).all()


def test_gradients_pass_float64_gradcheck() -> None:
    policy, reference = random_logps(), random_logps(seed=1).detach()

    def loss(chosen: torch.Tensor, rejected: torch.Tensor) -> torch.Tensor:
        return DPO(beta=0.2, nll_weight=0.5)(logps(chosen, rejected), reference, info(5)).loss

    assert torch.autograd.gradcheck(loss, (policy.chosen, policy.rejected))


def test_extreme_log_probs_stay_finite() -> None:
    for sign in (1.0, -1.0):
        policy = logps(torch.tensor([sign * 1e4]), torch.tensor([[-sign * 1e4]]))
        zero = logps(torch.zeros(1), torch.zeros(1, 1))
        loss = DPO(beta=1.0, nll_weight=0.0)(policy, zero, info(1)).loss
        assert torch.isfinite(loss)
        assert loss.item() == pytest.approx(0.0 if sign > 0 else 2e4)


def test_pair_weights_scale_each_pair_and_nothing_else() -> None:
    policy, reference = random_logps(pairs=2), random_logps(pairs=2, seed=1).detach()
    loss = DPO(beta=0.1, nll_weight=0.1)
    per_pair = loss(policy, reference, info(2)).per_pair
    weighted = loss(policy, reference, info(2, weight=[3.0, 0.0])).loss
    assert weighted.item() == pytest.approx(3 * per_pair[0].item() / 2)


def test_nll_term_is_the_sft_loss() -> None:
    policy, reference = random_logps(), random_logps(seed=1).detach()
    without = DPO(beta=0.1, nll_weight=0.0)(policy, reference, info(5)).loss
    with_nll = DPO(beta=0.1, nll_weight=0.7)(policy, reference, info(5)).loss
    sft = SFT()(policy, None, info(5)).loss
    torch.testing.assert_close(with_nll, without + 0.7 * sft)


@pytest.mark.parametrize("beta", [0.0, -1.0, float("nan")])
def test_a_beta_that_is_not_positive_is_refused_with_a_remedy(beta: float) -> None:
    with pytest.raises(ConfigError, match=r"remedy: pass loss\.beta=0\.1"):
        DPO(beta=beta, nll_weight=0.0)
