"""Losses and their gradients equal TRL's, pair by pair; `tests/goldens/trl_losses.py` made the numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from cpo.losses.base import Loss
from cpo.losses.bco import BCO
from cpo.losses.cdpo import CDPO
from cpo.losses.dpo import DPO
from cpo.losses.exo import EXO
from cpo.losses.hinge import Hinge
from cpo.losses.ipo import IPO
from cpo.losses.nca import NCA
from cpo.losses.orpo import ORPO
from cpo.losses.plackett_luce import PlackettLuce
from cpo.losses.robust_dpo import RobustDPO
from cpo.losses.sft import SFT
from cpo.losses.simpo import SimPO
from cpo.losses.softmax_dpo import SoftmaxDPO
from cpo.losses.sppo import SPPO
from cpo.tensors import Logps, PairInfo
from tests.goldens.trl_losses import FILE, compute

GOLDEN: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
ONE = PairInfo(torch.ones(1, dtype=torch.float64), torch.zeros(1))
BETA, SMOOTHING = GOLDEN["knobs"]["beta"], GOLDEN["knobs"]["label_smoothing"]

OURS: dict[str, list[Loss]] = {
    "dpo": [DPO(beta=BETA, nll_weight=0.0), SoftmaxDPO(beta=BETA), PlackettLuce(beta=BETA)],
    "rpo": [DPO(beta=BETA, nll_weight=GOLDEN["knobs"]["nll_weight"])],
    "sft": [SFT()],
    "cdpo": [CDPO(beta=BETA, label_smoothing=SMOOTHING)],
    "robust_dpo": [RobustDPO(beta=BETA, label_smoothing=SMOOTHING)],
    "hinge": [Hinge(beta=BETA)],
    "ipo": [IPO(beta=BETA)],
    "exo": [EXO(beta=BETA, label_smoothing=SMOOTHING)],
    "nca": [NCA(beta=BETA)],
    "bco": [BCO(beta=BETA, delta=0.0)],
    "sppo": [SPPO(beta=BETA)],
    "simpo": [SimPO(beta=BETA, target_margin=GOLDEN["knobs"]["target_margin"])],
    "orpo_odds_ratio": [ORPO(beta=BETA)],
}
TAKES_MEANS = {"simpo", "orpo_odds_ratio"}
"""TRL's methods that were given log-probs per token: their gradients are by these."""


def one_pair(pair: dict[str, Any]) -> tuple[Logps, Logps]:
    chosen_length, rejected_length = torch.tensor([len(pair["chosen"])]), torch.tensor([[len(pair["rejected"])]])

    def logps(chosen: float, rejected: float) -> Logps:
        sides = torch.tensor([chosen], dtype=torch.float64), torch.tensor([[rejected]], dtype=torch.float64)
        return Logps(sides[0].requires_grad_(), sides[1].requires_grad_(), chosen_length, rejected_length)

    return logps(sum(pair["chosen"]), sum(pair["rejected"])), logps(pair["ref_chosen"], pair["ref_rejected"]).detach()


def test_every_golden_loss_is_compared() -> None:
    assert set(OURS) == set(GOLDEN["losses"])
    assert all(len(values) == len(GOLDEN["pairs"]) == 5 for values in GOLDEN["losses"].values())


@pytest.mark.parametrize(
    ("name", "loss"), [pytest.param(n, x, id=f"{n}-{type(x).__name__}") for n, some in OURS.items() for x in some]
)
def test_loss_and_gradients_are_trl_s(name: str, loss: Loss) -> None:
    for pair, theirs in zip(GOLDEN["pairs"], GOLDEN["losses"][name], strict=True):
        policy, reference = one_pair(pair)
        output = loss(policy, reference, ONE)
        ours = output.loss
        if name == "orpo_odds_ratio":  # TRL gives λ log σ, which it subtracts from an NLL that counts the prompt too
            ours = SFT()(policy, None, ONE).loss - ours
        gradients = torch.autograd.grad(ours, [policy.chosen, policy.rejected], allow_unused=True)
        lengths = (len(pair["chosen"]), len(pair["rejected"])) if name in TAKES_MEANS else (1, 1)
        found = [
            ours.item(),
            *(0.0 if g is None else g.sum().item() * n for g, n in zip(gradients, lengths, strict=True)),
        ]
        # ORPO and the ε of EXO are float32 in TRL
        tolerance = 1e-5 if name in ("orpo_odds_ratio", "exo") else 1e-12
        expected = [theirs["loss"], theirs["chosen"], theirs["rejected"]]
        assert found == pytest.approx(expected, rel=tolerance, abs=tolerance)


@pytest.mark.peer
def test_the_goldens_are_what_trl_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trl")
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    again = compute()
    assert again["pairs"] == GOLDEN["pairs"]
    assert set(again["losses"]) == set(GOLDEN["losses"])
    for name, values in again["losses"].items():
        for now, golden in zip(values, GOLDEN["losses"][name], strict=True):
            assert now == pytest.approx(golden, rel=1e-6, abs=1e-9), f"{name} by TRL {again['made_by']['trl']}"
