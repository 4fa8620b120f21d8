from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cpo.answers import FreeAnswer
from cpo.errors import ConfigError
from cpo.evaluation.benchmark import HeldOut, Session
from cpo.evaluation.items import read_items
from cpo.evaluation.preference import Asked, Preference
from cpo.policy.loaded import LoadedPolicy
from cpo.preference.pairing import PairSet
from cpo.records import PreferencePair
from cpo.sequence.layouts import PrefixShared

Pairs = Callable[..., list[PreferencePair]]
KNOBS: dict[str, Any] = {
    "limit": -1, "batch_size": 2, "reference": True, "beta": 0.1, "bins": 10, "resamples": 20, "interval": "percentile",
}  # fmt: skip
OF_THE_REFERENCE = {"logratio_chosen", "logratio_rejected", "calibration_error", "confidence"}


def held_out(pairs: list[PreferencePair]) -> HeldOut:
    samples = [pair.sample for pair in pairs]
    return HeldOut(samples, {"first": [0, 1], "none": []}, PairSet(tuple(pairs), {}), FreeAnswer(), ())


def loaded(model: Any, encoder: Any, directory: Path) -> LoadedPolicy:
    return LoadedPolicy(model, encoder, PrefixShared(), 512, directory)


def test_log_ratios_are_against_the_model_under_the_adapter(
    tmp_path: Path, policy: Any, encoder: Any, directory: Path, make_pairs: Pairs
) -> None:
    pairs = make_pairs(n=3, negatives=2)
    scores = Preference(**KNOBS).evaluate(loaded(policy, encoder, directory), held_out(pairs), Session(0, tmp_path))
    with policy.disable_adapter():
        (under,) = loaded(policy, encoder, directory).logps(pairs, batch_size=3)
    (tuned,) = loaded(policy, encoder, directory).logps(pairs, batch_size=3)
    moved = tuned.chosen - under.chosen
    assert scores["all"]["logratio_chosen"]["value"] == pytest.approx(moved.mean().item(), rel=1e-6)
    against = 0.1 * (moved[:, None] - (tuned.rejected - under.rejected))
    sure = torch.sigmoid(against.abs()).mean().item()
    assert scores["all"]["confidence"]["value"] == pytest.approx(sure, rel=1e-6)
    q10, q50, q90 = (scores["all"][f"margin_q{q}"]["value"] for q in (10, 50, 90))
    assert q10 <= q50 <= q90
    assert scores["first"]["margin"]["n"] == 2
    assert scores["none"]["calibration_error"]["value"] is None
    items = read_items(tmp_path)
    assert items is not None
    assert items.values["logratio_chosen"].mean() == pytest.approx(moved.mean().item(), rel=1e-6)


def test_a_policy_without_adapter_has_no_reference(
    tmp_path: Path, backbone: Any, encoder: Any, directory: Path, make_pairs: Pairs
) -> None:
    bare = loaded(backbone.load_model(directory).double(), encoder, directory)
    scores = Preference(**KNOBS).evaluate(bare, held_out(make_pairs(n=2)), Session(0, tmp_path))
    assert scores["all"].keys() == {"pair_accuracy", "margin", "margin_q10", "margin_q50", "margin_q90"}


def test_an_untouched_adapter_has_not_drifted_and_is_undecided(
    tmp_path: Path, policy: Any, encoder: Any, directory: Path, make_pairs: Pairs
) -> None:
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:
                parameter.zero_()
    fresh = loaded(policy, encoder, directory)
    scores = Preference(**KNOBS).evaluate(fresh, held_out(make_pairs(n=2)), Session(0, tmp_path))["all"]
    assert scores["logratio_chosen"]["value"] == scores["logratio_rejected"]["value"] == 0
    assert (scores["calibration_error"]["value"], scores["confidence"]["value"]) == (0, 0.5)
    without = {**KNOBS, "reference": False}
    scores = Preference(**without).evaluate(fresh, held_out(make_pairs(n=2)), Session(0, tmp_path))["all"]
    assert not OF_THE_REFERENCE & scores.keys()


def test_bca_is_had_on_request(tmp_path: Path, policy: Any, encoder: Any, directory: Path, make_pairs: Pairs) -> None:
    bca = Preference(**{**KNOBS, "interval": "bca"})
    scores = bca.evaluate(loaded(policy, encoder, directory), held_out(make_pairs(n=3)), Session(0, tmp_path))
    assert scores["all"]["margin"]["method"] == "bca"


def test_the_fitted_probability_is_the_logistic_of_beta_times_the_margin() -> None:
    zeros = np.zeros((1, 1))
    asked = Asked(zeros, zeros, np.array([[3.0]]), np.array([[-800.0]]))
    assert asked.preferred(1.0) == pytest.approx(1.0)
    assert asked.preferred(0.001) == pytest.approx(1 / (1 + np.exp(-0.803)))


@pytest.mark.parametrize("knob", [{"limit": 0}, {"batch_size": 0}, {"beta": 0.0}, {"bins": 0}, {"interval": "t"}])
def test_a_knob_out_of_range_is_refused(knob: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(knob))):
        Preference(**{**KNOBS, **knob})
