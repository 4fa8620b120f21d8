"""Losses that read where in the stream a pair stands, or which stream it is from."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cpo.errors import ConfigError
from cpo.losses.cpo_plus import CPOPlus
from cpo.losses.dpo import DPO
from cpo.losses.ns_dpo import NSDPO
from cpo.losses.sw_dpo import SWDPO
from cpo.tensors import PairInfo
from tests.fixtures.numbers import info, random_logps


def test_ns_dpo_discounts_by_age_in_time_steps() -> None:
    """Stream of 8 samples in 4 time steps: ages 3, 3, 2, 2, 1, 1, 0, 0."""
    loss = NSDPO(beta=0.1, discount=0.5, time_steps=4, normalise=False)
    weight = loss.pair_weight(info(8, time=range(8), length=8))
    assert weight.tolist() == [0.125, 0.125, 0.25, 0.25, 0.5, 0.5, 1.0, 1.0]


def test_sw_dpo_keeps_the_pairs_of_the_window() -> None:
    loss = SWDPO(beta=0.1, window=1, time_steps=4, normalise=False)
    assert loss.pair_weight(info(8, time=range(8), length=8)).tolist() == [0, 0, 0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    "loss",
    [
        NSDPO(beta=0.1, discount=0.7, time_steps=10, normalise=True),
        SWDPO(beta=0.1, window=3, time_steps=10, normalise=True),
    ],
    ids=["ns_dpo", "sw_dpo"],
)
def test_normalised_weights_have_mean_1_over_the_stream(loss: Any) -> None:
    assert loss.pair_weight(info(50, time=range(50), length=50)).mean().item() == pytest.approx(1.0, rel=1e-12)


def test_a_window_of_the_whole_stream_is_dpo() -> None:
    policy, reference = random_logps(), random_logps(seed=1)
    whole = SWDPO(beta=0.3, window=10, time_steps=10, normalise=True)
    at = info(5, time=[0, 20, 50, 70, 99])
    torch.testing.assert_close(
        whole(policy, reference, at).loss, DPO(beta=0.3, nll_weight=0.0)(policy, reference, at).loss
    )


def test_a_stream_of_unknown_length_is_refused_by_losses_that_read_time() -> None:
    policy = random_logps()
    with pytest.raises(ConfigError, match="length is not known"):
        NSDPO(beta=0.1, discount=0.9, time_steps=10, normalise=True)(
            policy, policy, PairInfo(torch.ones(5), torch.zeros(5))
        )


def test_cpo_plus_weighs_sources_with_mean_1_over_the_stream() -> None:
    """A quarter of the pairs is perception: 3/(¾·1 + ¼·3) = 2 for each, 1/1.5 = ⅔ for the others."""
    loss = CPOPlus(beta=0.1, nll_weight=0.0, thinking_weight=1.0, perception_weight=3.0)
    weight = loss.pair_weight(info(4, source=torch.tensor([0, 1, 0, 0]), perception_share=0.25))
    assert weight.tolist() == pytest.approx([2 / 3, 2.0, 2 / 3, 2 / 3])
    assert weight.mean().item() == pytest.approx(1.0)


def test_cpo_plus_with_one_source_or_equal_weights_is_dpo() -> None:
    policy, reference = random_logps(), random_logps(seed=1)
    plain = DPO(beta=0.3, nll_weight=0.1)
    one = CPOPlus(beta=0.3, nll_weight=0.1, thinking_weight=5.0, perception_weight=1.0)
    equal = CPOPlus(beta=0.3, nll_weight=0.1, thinking_weight=5.0, perception_weight=5.0)
    both = info(5, source=torch.tensor([0, 1, 0, 1, 1]), perception_share=0.6)
    expected = plain(policy, reference, info(5)).loss
    torch.testing.assert_close(one(policy, reference, info(5)).loss, expected)
    torch.testing.assert_close(equal(policy, reference, both).loss, expected)


def test_cpo_plus_without_any_weighted_pair_is_refused() -> None:
    policy = random_logps()
    loss = CPOPlus(beta=0.3, nll_weight=0.1, thinking_weight=0.0, perception_weight=1.0)
    with pytest.raises(ConfigError, match="0% perception pairs"):
        loss(policy, policy, info(5))
