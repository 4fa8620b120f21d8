"""What is logged of a batch: drift of both log-probs from the reference, its divergence, the spread of margins."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cpo.losses.dpo import DPO
from cpo.losses.sft import SFT
from cpo.records import Counterfactual, PreferencePair, Trajectory
from cpo.sequence.collator import Collator, stream_info
from cpo.sequence.layouts import PrefixShared
from cpo.tensors import Logps, StreamInfo
from cpo.training.module import step_metrics
from tests.fixtures.numbers import info, logps

BATCH: Any = SimpleNamespace(time=torch.tensor([3, 5]))


def with_tokens(of: Logps, tokens: list[list[float]], lengths: list[int]) -> Logps:
    mask = torch.arange(len(tokens[0])) < torch.tensor(lengths)[:, None]
    return replace(of, token_logps=torch.tensor(tokens, dtype=torch.float64), completion_mask=mask)


def test_drift_is_measured_on_both_sides_against_the_reference() -> None:
    policy, reference = logps([-1.0, -3.0], [[-9.0], [-7.0]]), logps([-2.0, -3.0], [[-4.0], [-4.0]])
    output = DPO(beta=0.5, nll_weight=0.0)(policy, reference, info(2))
    metrics = step_metrics(policy, reference, output, BATCH)
    assert metrics["logps/chosen"].item() == -2.0
    assert metrics["logps/rejected"].item() == -8.0
    assert metrics["logratios/chosen"].item() == 0.5
    assert metrics["logratios/rejected"].item() == -4.0
    assert metrics["rewards/margins"].item() == 2.25  # β times 0.5 − (−4)
    assert metrics["stream/position"].item() == 4.0
    assert "kl/chosen" not in metrics, "a divergence needs log-probs of tokens, and only sums are known"


def test_margins_are_logged_by_quantiles() -> None:
    policy = logps([0.0], [[-float(k) for k in range(11)]])
    output = DPO(beta=1.0, nll_weight=0.0)(policy, logps([0.0], [[0.0] * 11]), info(1))
    metrics = step_metrics(policy, logps([0.0], [[0.0] * 11]), output, BATCH)
    assert [metrics[f"margins/{q}"].item() for q in ("q10", "q50", "q90")] == pytest.approx([1.0, 5.0, 9.0])


def test_divergence_is_estimated_on_the_tokens_of_the_chosen_alone() -> None:
    """d = 1 and 0 on the two chosen tokens: (e − 2 + 0) / 2; the rejected row and the padding do not count."""
    policy = with_tokens(logps([-2.0], [[-1.0]]), [[-1.0, -1.0, 0.0], [-1.0, 0.0, 0.0]], [2, 1])
    reference = with_tokens(logps([-3.0], [[-9.0]]), [[-2.0, -1.0, -5.0], [-9.0, 0.0, 0.0]], [2, 1])
    output = DPO(beta=1.0, nll_weight=0.0)(policy, reference, info(1))
    assert step_metrics(policy, reference, output, BATCH)["kl/chosen"].item() == pytest.approx((math.e - 2) / 2)
    same = step_metrics(policy, policy, DPO(beta=1.0, nll_weight=0.0)(policy, policy, info(1)), BATCH)
    assert same["kl/chosen"] == 0


def test_a_loss_without_reference_logs_neither_rewards_nor_drift() -> None:
    policy = Logps(torch.tensor([-2.0]), torch.empty(1, 0), torch.tensor([2]), torch.empty(1, 0))
    metrics = step_metrics(policy, None, SFT()(policy, None, info(1)), BATCH)
    assert set(metrics) == {"loss", "logps/chosen", "stream/position"}


def test_a_stream_knows_its_length_and_its_share_of_perception_pairs() -> None:
    def pair(time: int, source: Any) -> PreferencePair:
        thought = Trajectory("", "")
        return PreferencePair(None, thought, (Counterfactual("", "", "", thought),), time, source=source)  # type: ignore[arg-type]

    pairs = [pair(0, "thinking"), pair(0, "perception"), pair(4, "thinking"), pair(7, "thinking")]
    assert stream_info(pairs) == StreamInfo(length=8, perception_share=0.25)
    assert stream_info([]) == StreamInfo(length=0, perception_share=0.0)


def test_a_batch_says_which_pairs_differ_in_image(encoder: Any, make_pairs: Any) -> None:
    first, second = make_pairs(n=2)
    second = replace(
        second,
        rejected=(replace(second.rejected[0], images=first.sample.images, trajectory=second.chosen),),
        source="perception",
    )
    batch = Collator(encoder, PrefixShared(), max_length=512)([first, second])
    about = batch.info(stream_info([first, second]))
    assert about.source is not None
    assert about.source.tolist() == [0, 1]
    assert (about.length, about.perception_share) == (2, 0.5)
    assert about.time.tolist() == [0, 1]
