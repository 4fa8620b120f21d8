"""Losses against numbers and identities worked out by hand; tests/contract/test_losses.py has what all share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from cpo.errors import ConfigError
from cpo.losses.base import Loss
from cpo.losses.bco import BCO
from cpo.losses.cdpo import CDPO
from cpo.losses.cpo_plus import CPOPlus
from cpo.losses.dpo import DPO
from cpo.losses.exo import EXO
from cpo.losses.hinge import Hinge
from cpo.losses.ipo import IPO
from cpo.losses.mdpo import MDPO
from cpo.losses.nca import NCA
from cpo.losses.ns_dpo import NSDPO
from cpo.losses.orpo import ORPO
from cpo.losses.plackett_luce import PlackettLuce
from cpo.losses.robust_dpo import RobustDPO
from cpo.losses.sft import SFT
from cpo.losses.simpo import SimPO
from cpo.losses.softmax_dpo import SoftmaxDPO
from cpo.losses.sppo import SPPO
from cpo.losses.sw_dpo import SWDPO
from cpo.losses.weighted_sum import WeightedSum
from cpo.tensors import Logps
from tests.fixtures.numbers import info, logps, random_logps

LN2 = math.log(2)


@pytest.mark.parametrize(
    ("loss", "value"),
    [
        (DPO(beta=0.1, nll_weight=0.0), LN2),
        (CDPO(beta=0.1, label_smoothing=0.2), LN2),  # (1 − ε + ε) ln 2
        (RobustDPO(beta=0.1, label_smoothing=0.2), LN2),  # (1 − ε − ε) ln 2 / (1 − 2ε)
        (Hinge(beta=0.1), 1.0),
        (IPO(beta=0.1), 25.0),  # 1/(2β)²
        (EXO(beta=0.1, label_smoothing=0.1), -LN2 - 0.5 * math.log(0.09)),  # ½[ln ½ − ln 0.9] + ½[ln ½ − ln 0.1]
        (NCA(beta=0.1), 2 * LN2),
        (BCO(beta=0.1, delta=0.0), 2 * LN2),
        (SPPO(beta=0.1), 50.0),  # twice 1/(2β)²
        (SoftmaxDPO(beta=0.1), math.log(4)),  # 1 of 1 + K
        (PlackettLuce(beta=0.1), math.log(24)),  # 1 of 4! rankings
        (MDPO(beta=0.1, delta=0.0), 3 * LN2),
        (NSDPO(beta=0.1, discount=0.9, time_steps=10, normalise=False), LN2),  # all pairs are in the last time step
        (SWDPO(beta=0.1, window=5, time_steps=10, normalise=True), 2 * LN2),  # half of the stream, each weighing 2
        (CPOPlus(beta=0.1, nll_weight=0.0, thinking_weight=2.0, perception_weight=1.0), LN2),  # thinking pairs only
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Loss) else "",
)
def test_the_value_at_policy_equal_to_reference_is_the_one_known_on_paper(loss: Loss, value: float) -> None:
    policy = random_logps(negatives=3)
    assert loss.initial_value(policy, info(5)) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("loss", [SoftmaxDPO(beta=0.3), PlackettLuce(beta=0.3)], ids=["softmax", "plackett_luce"])
def test_several_negatives_reduce_to_dpo_at_k_1(loss: Loss) -> None:
    policy, reference = random_logps(negatives=1), random_logps(negatives=1, seed=1)
    pairwise = DPO(beta=0.3, nll_weight=0.0)(policy, reference, info(5)).per_pair
    torch.testing.assert_close(loss(policy, reference, info(5)).per_pair, pairwise)


@pytest.mark.parametrize(
    "loss",
    [
        DPO(beta=0.3, nll_weight=0.2),
        CDPO(beta=0.3, label_smoothing=0.1),
        RobustDPO(beta=0.3, label_smoothing=0.1),
        Hinge(beta=0.3),
        IPO(beta=0.3),
        EXO(beta=0.3, label_smoothing=0.1),
        BCO(beta=0.3, delta=0.5),
        SPPO(beta=0.3),
        MDPO(beta=0.3, delta=0.0),
        SimPO(beta=2.0, target_margin=1.0),
        ORPO(beta=0.3),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_a_pairwise_loss_of_k_negatives_is_the_mean_over_its_k_pairs(loss: Loss) -> None:
    policy, reference = random_logps(negatives=3), random_logps(negatives=3, seed=1)

    def only(of: Logps, k: int) -> Logps:
        return logps(of.chosen, of.rejected[:, k : k + 1], image_rejected=of.image_rejected)

    each = [loss(only(policy, k), only(reference, k), info(5)).per_pair for k in range(3)]
    torch.testing.assert_close(loss(policy, reference, info(5)).per_pair, torch.stack(each).mean(dim=0))


def test_nca_weighs_every_trajectory_as_noise_alike() -> None:
    """With K = 3 equal negatives: −log σ(1) − ¼·log σ(−1) − ¾·log σ(0)."""
    cost = NCA(beta=1.0).of_rewards(torch.tensor([1.0]), torch.zeros(1, 3)).item()
    assert cost == pytest.approx(0.313262 + 0.25 * 1.313262 + 0.75 * 0.693147, abs=1e-5)


def test_softmax_dpo_pulls_on_the_hardest_negative_most() -> None:
    policy = random_logps(pairs=1, negatives=3)
    reference = logps([0.0], [[0.0, 0.0, 0.0]])
    SoftmaxDPO(beta=1.0)(policy, reference, info(1)).loss.backward()
    assert policy.rejected.grad is not None
    assert policy.rejected.grad.argmax() == policy.rejected.argmax()


def test_plackett_luce_is_minus_the_log_probability_of_the_ranking() -> None:
    chosen = torch.tensor([0.3], dtype=torch.float64)
    rejected = torch.tensor([[-0.2, 0.9]], dtype=torch.float64)
    weights = [math.exp(x) for x in (0.3, -0.2, 0.9)]
    probability = weights[0] / sum(weights) * weights[1] / (weights[1] + weights[2])
    cost = PlackettLuce(beta=1.0).of_rewards(chosen, rejected).item()
    assert cost == pytest.approx(-math.log(probability), rel=1e-12)


def test_plackett_luce_reads_the_order_of_the_rejected_and_softmax_does_not() -> None:
    chosen, rejected = torch.tensor([0.0]), torch.tensor([[1.0, -1.0]])
    ranking, top = PlackettLuce(beta=1.0), SoftmaxDPO(beta=1.0)
    assert ranking.of_rewards(chosen, rejected) < ranking.of_rewards(chosen, rejected.flip(1))
    assert top.of_rewards(chosen, rejected) == top.of_rewards(chosen, rejected.flip(1))


def test_cdpo_exo_and_ipo_have_their_minimum_where_their_papers_say() -> None:
    """log((1 − ε)/ε) for a smoothed label, 1/(2β) per token for IPO: the slope there is 0."""
    at = math.log(0.9 / 0.1)
    for loss in (CDPO(beta=1.0, label_smoothing=0.1), EXO(beta=1.0, label_smoothing=0.1)):
        margin = torch.tensor([at], dtype=torch.float64, requires_grad=True)
        loss.of_rewards(margin, torch.zeros(1, 1, dtype=torch.float64)).sum().backward()
        assert margin.grad is not None
        assert margin.grad.item() == pytest.approx(0.0, abs=1e-9)
    reached = logps([4 * 2.5], [[0.0]])  # four tokens, each 1/(2 · 0.2) = 2.5 nats above the reference
    assert IPO(beta=0.2)(reached, logps([0.0], [[0.0]]), info(1)).loss.item() == 0.0


def test_robust_dpo_is_dpo_on_average_over_flipped_labels() -> None:
    chosen, rejected = torch.tensor([0.7]).double(), torch.tensor([[-0.4]]).double()
    loss, plain = RobustDPO(beta=1.0, label_smoothing=0.2), DPO(beta=1.0, nll_weight=0.0)
    right, flipped = loss.of_rewards(chosen, rejected), loss.of_rewards(rejected[:, 0], chosen[:, None])
    torch.testing.assert_close(0.8 * right + 0.2 * flipped, plain.of_rewards(chosen, rejected))


@pytest.mark.parametrize("make", [CDPO, RobustDPO], ids=["cdpo", "robust"])
def test_without_flipped_labels_the_noise_aware_losses_are_dpo(make: Callable[..., Any]) -> None:
    policy, reference = random_logps(), random_logps(seed=1)
    plain = DPO(beta=0.3, nll_weight=0.0)(policy, reference, info(5)).loss
    torch.testing.assert_close(make(beta=0.3, label_smoothing=0.0)(policy, reference, info(5)).loss, plain)


def test_bco_measures_both_rewards_from_its_boundary() -> None:
    """1 above δ and 0 below it: −log σ(1) − log σ(0)."""
    cost = BCO(beta=1.0, delta=0.5).of_rewards(torch.tensor([1.5]), torch.tensor([[0.5]])).item()
    assert cost == pytest.approx(0.313262 + LN2, abs=1e-6)


def test_bco_bounds_dpo_from_above() -> None:
    policy, reference = random_logps(), random_logps(seed=1)
    plain = DPO(beta=0.3, nll_weight=0.0)(policy, reference, info(5)).per_pair
    assert (BCO(beta=0.3, delta=0.4)(policy, reference, info(5)).per_pair > plain).all()


def test_a_completion_s_length_counts_for_means_and_not_for_sums() -> None:
    short, long = logps([-2.0], [[-3.0]], length=1), logps([-2.0], [[-3.0]], length=10)
    reference = logps([0.0], [[0.0]])
    for loss in (IPO(beta=0.5), SimPO(beta=2.0, target_margin=0.5), ORPO(beta=0.5)):
        assert loss(short, reference, info(1)).loss != loss(long, reference, info(1)).loss
    assert (
        DPO(beta=0.5, nll_weight=0.0)(short, reference, info(1)).loss
        == DPO(beta=0.5, nll_weight=0.0)(long, reference, info(1)).loss
    )


def test_orpo_is_finite_and_has_a_slope_where_a_token_is_certain() -> None:
    policy = logps(torch.zeros(1, requires_grad=True), torch.tensor([[-1e4]], requires_grad=True))
    output = ORPO(beta=1.0)(policy, None, info(1))
    output.loss.backward()
    assert output.loss.item() == pytest.approx(0.0)
    assert policy.chosen.grad is not None
    assert torch.isfinite(policy.chosen.grad).all()


def test_mdpo_is_the_sum_of_text_image_and_anchor() -> None:
    """Rewards 1, 0 and −1 for chosen, rejected and rejected image: −log σ(1) − log σ(2) − log σ(1 − ½)."""
    policy, zero = logps([1.0], [[0.0]], image_rejected=[-1.0]), logps([0.0], [[0.0]], image_rejected=[0.0])
    output = MDPO(beta=1.0, delta=0.5)(policy, zero, info(1))
    assert output.loss.item() == pytest.approx(0.313262 + 0.126928 + 0.474077, abs=1e-5)
    assert {name: round(value.item(), 4) for name, value in output.parts.items()} == {
        "preference": 0.3133,
        "nll": -0.25,
        "image": 0.1269,
        "anchor": 0.4741,
    }


def test_mdpo_without_a_rejected_image_is_refused_with_a_remedy() -> None:
    policy = logps([1.0], [[0.0]])
    with pytest.raises(ConfigError, match="remedy: pass counterfactual=thinking_and_perception pairing=text_and_image"):
        MDPO(beta=1.0, delta=0.0)(policy, policy, info(1))


def test_dpo_plus_sft_as_a_weighted_sum_is_dpo_with_its_likelihood_term() -> None:
    policy, reference = random_logps(), random_logps(seed=1)
    both = WeightedSum(losses={"dpo": DPO(beta=0.3, nll_weight=0.0), "sft": SFT()}, weights={"dpo": 1.0, "sft": 0.7})(
        policy, reference, info(5)
    )
    one = DPO(beta=0.3, nll_weight=0.7)(policy, reference, info(5))
    torch.testing.assert_close(both.loss, one.loss)
    torch.testing.assert_close(both.per_pair, one.per_pair)
    assert both.margins is not None
    assert one.margins is not None
    torch.testing.assert_close(both.margins, one.margins)
    torch.testing.assert_close(both.parts["sft"], one.parts["nll"])


def test_a_weighted_sum_reads_what_any_summand_reads() -> None:
    sft, aged = SFT(), NSDPO(beta=0.1, discount=0.9, time_steps=10, normalise=True)
    free = WeightedSum(losses={"a": sft}, weights={"a": 1.0})
    full = WeightedSum(losses={"a": sft, "b": aged}, weights={"a": 1.0, "b": 1.0})
    assert (free.requires_reference, free.requires_rejected, free.reads_time) == (False, False, False)
    assert (full.requires_reference, full.requires_rejected, full.reads_time) == (True, True, True)
    assert not full.is_margin_only


@pytest.mark.parametrize(
    ("make", "knobs", "name"),
    [
        (DPO, {"beta": 0.1, "nll_weight": -0.1}, "nll_weight"),
        (CDPO, {"beta": 0.1, "label_smoothing": 0.5}, "label_smoothing"),
        (RobustDPO, {"beta": 0.1, "label_smoothing": -0.1}, "label_smoothing"),
        (EXO, {"beta": 0.1, "label_smoothing": 0.0}, "label_smoothing"),
        (IPO, {"beta": 0.0}, "beta"),
        (BCO, {"beta": 0.1, "delta": math.inf}, "delta"),
        (MDPO, {"beta": 0.1, "delta": math.nan}, "delta"),
        (SimPO, {"beta": -2.0, "target_margin": 1.0}, "beta"),
        (SimPO, {"beta": 2.0, "target_margin": -1.0}, "target_margin"),
        (ORPO, {"beta": 0.0}, "beta"),
        (NSDPO, {"beta": 0.1, "discount": 1.0, "time_steps": 10, "normalise": True}, "discount"),
        (NSDPO, {"beta": 0.1, "discount": 0.9, "time_steps": 0, "normalise": True}, "time_steps"),
        (SWDPO, {"beta": 0.1, "window": 11, "time_steps": 10, "normalise": True}, "window"),
        (CPOPlus, {"beta": 0.1, "nll_weight": 0.0, "thinking_weight": -1.0, "perception_weight": 1.0}, "thinking"),
        (WeightedSum, {"losses": {}, "weights": {}}, "at least one loss"),
        (WeightedSum, {"losses": {"a": SFT()}, "weights": {"b": 1.0}}, "one weight for each"),
        (WeightedSum, {"losses": {"a": SFT()}, "weights": {"a": 0.0}}, "weights.a"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_knob_out_of_its_range_is_refused_by_name(make: Callable[..., Any], knobs: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        make(**knobs)
