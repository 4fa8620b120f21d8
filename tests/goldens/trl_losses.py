"""Losses of fixed pairs by TRL's own code: written to `trl_losses.json`, which the ordinary tests read.

Run in an environment with the `peers` extra: `python tests/goldens/trl_losses.py`. Every pair is a batch of its own, so
that TRL's batch mean is the loss of a pair. TRL's loss methods are called on a bare object that holds the attributes
they read, and on a stand-in for the model that answers with given log-probabilities.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

FILE = Path(__file__).with_suffix(".json")
BETA, SMOOTHING, ALPHA, GAMMA = 0.3, 0.1, 0.7, 0.5

PAIRS: list[dict[str, Any]] = [
    {"chosen": [-0.5, -1.0], "rejected": [-2.0], "ref_chosen": -2.5, "ref_rejected": -1.0},
    {"chosen": [-3.0], "rejected": [-0.25, -0.75, -1.5], "ref_chosen": -2.0, "ref_rejected": -4.0},
    {"chosen": [-0.1, -0.2, -0.3, -4.0], "rejected": [-1.0, -6.0], "ref_chosen": -4.6, "ref_rejected": -7.0},
    {"chosen": [-2.0, -2.5, -0.01], "rejected": [-0.02, -0.03], "ref_chosen": -30.0, "ref_rejected": -0.5},
    {"chosen": [-9.0, -8.0], "rejected": [-7.0, -0.5, -0.125, -1.0], "ref_chosen": -1.5, "ref_rejected": -25.0},
]

DPO_TRAINER: dict[str, dict[str, Any]] = {
    "dpo": {"loss_types": ["sigmoid"]},
    "rpo": {"loss_types": ["sigmoid", "sft"], "loss_weights": [1.0, ALPHA]},
    "sft": {"loss_types": ["sft"]},
    "robust_dpo": {"loss_types": ["robust"]},
    "hinge": {"loss_types": ["hinge"]},
    "ipo": {"loss_types": ["ipo"]},
    "exo": {"loss_types": ["exo_pair"]},
    "nca": {"loss_types": ["nca_pair"]},
    "bco": {"loss_types": ["bco_pair"]},
    "sppo": {"loss_types": ["sppo_hard"]},
}


def dpo_trainer(pair: dict[str, Any], settings: dict[str, Any]) -> dict[str, float]:
    """Loss of a pair by `DPOTrainer`, and its gradients by the summed log-probs."""
    import torch
    from trl import DPOTrainer

    longest = max(len(pair["chosen"]), len(pair["rejected"]))
    log_probs = torch.zeros(2, longest, dtype=torch.float64)  # one token of prompt stands before the completions
    mask = torch.zeros(2, 1 + longest, dtype=torch.long)
    for row, side in enumerate(("chosen", "rejected")):
        log_probs[row, : len(pair[side])] = torch.tensor(pair[side], dtype=torch.float64)
        mask[row, 1 : 1 + len(pair[side])] = 1
    log_probs.requires_grad_()

    def model(**_: Any) -> SimpleNamespace:
        nothing = torch.zeros_like(log_probs)
        return SimpleNamespace(log_probs=log_probs, entropy=nothing, mean_logits=nothing, is_top1=nothing.bool())

    accelerator = SimpleNamespace(device=torch.device("cpu"), gather=lambda x: x, gather_for_metrics=lambda x: x)
    trainer = SimpleNamespace(
        model=SimpleNamespace(training=True),
        accelerator=accelerator,
        aux_loss_enabled=False,
        ld_alpha=None,
        precompute_ref_logps=True,
        f_divergence_type="reverse_kl",
        use_weighting=False,
        beta=BETA,
        label_smoothing=SMOOTHING,
        _metrics=defaultdict(lambda: defaultdict(list)),
        _total_train_tokens=0,
        _tp_size=1,
        **{"loss_weights": [1.0], **settings},
    )
    inputs = {
        "input_ids": torch.zeros_like(mask),
        "attention_mask": torch.ones_like(mask),
        "completion_mask": mask,
        "ref_chosen_logps": torch.tensor([pair["ref_chosen"]], dtype=torch.float64),
        "ref_rejected_logps": torch.tensor([pair["ref_rejected"]], dtype=torch.float64),
    }
    loss = DPOTrainer._compute_loss(trainer, model, inputs, False)
    (gradient,) = torch.autograd.grad(loss, log_probs)
    # every token of a completion has the gradient of its sum
    return {"loss": loss.item(), "chosen": gradient[0, 0].item(), "rejected": gradient[1, 0].item()}


def of_numbers(chosen: float, rejected: float, method: Any, trainer: SimpleNamespace) -> dict[str, float]:
    """Loss of one pair of numbers by a method that takes them as they are, and its gradients by these numbers."""
    import torch

    sides = [torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in (chosen, rejected)]
    loss = method(trainer, *sides)[0].sum()
    gradients = torch.autograd.grad(loss, sides)
    return {"loss": loss.item(), "chosen": gradients[0].item(), "rejected": gradients[1].item()}


def compute() -> dict[str, Any]:
    """Everything that the file holds."""
    from trl.experimental.cpo import CPOTrainer
    from trl.experimental.orpo import ORPOTrainer

    losses = {name: [dpo_trainer(pair, settings) for pair in PAIRS] for name, settings in DPO_TRAINER.items()}
    knobs = {"beta": BETA, "alpha": 0.0, "accelerator": SimpleNamespace(device="cpu")}
    conservative = SimpleNamespace(loss_type="sigmoid", label_smoothing=SMOOTHING, **knobs)
    simple = SimpleNamespace(loss_type="simpo", label_smoothing=0.0, simpo_gamma=GAMMA, **knobs)
    for name in ("cdpo", "simpo", "orpo_odds_ratio"):
        losses[name] = []
    for pair in PAIRS:
        sums = sum(pair["chosen"]), sum(pair["rejected"])
        means = sums[0] / len(pair["chosen"]), sums[1] / len(pair["rejected"])
        ratios = sums[0] - pair["ref_chosen"], sums[1] - pair["ref_rejected"]
        # DPOTrainer has no conservative loss any more; CPOTrainer's, on log-ratios, is the same formula
        losses["cdpo"].append(of_numbers(*ratios, CPOTrainer.cpo_loss, conservative))
        losses["simpo"].append(of_numbers(*means, CPOTrainer.cpo_loss, simple))
        # the weighted log σ of the log odds ratio, which TRL subtracts from the NLL
        losses["orpo_odds_ratio"].append(of_numbers(*means, ORPOTrainer.odds_ratio_loss, SimpleNamespace(**knobs)))
    return {
        "made_by": {"trl": version("trl"), "torch": version("torch").split("+")[0]},
        "knobs": {"beta": BETA, "label_smoothing": SMOOTHING, "nll_weight": ALPHA, "target_margin": GAMMA},
        "pairs": PAIRS,
        "losses": losses,
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(compute(), indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{FILE}\n")
