from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cpo.answers import ListedAnswer
from cpo.errors import ConfigError, DataError
from cpo.evaluation.benchmark import HeldOut, Session, flat_values
from cpo.evaluation.zero_shot_auc import ZeroShotAUC
from cpo.policy.loaded import LoadedPolicy
from cpo.preference.pairing import PairSet
from cpo.records import PreferencePair, Trajectory
from cpo.sequence.layouts import Packed

ANSWERS = ListedAnswer("It is {}.", ("large", "small", "clear"))
SESSION = Session(0, Path("unused"))
KNOBS: dict[str, Any] = {
    "limit": -1,
    "batch_size": 3,
    "thinking": "none",
    "max_new_tokens": 8,
    "normalise": False,
    "resamples": 20,
}


@pytest.fixture
def held_out(make_pairs: Callable[..., list[PreferencePair]]) -> HeldOut:
    truth = [("large",), ("small",), ("large", "small"), (), ("clear",), ("small",)]
    samples = [replace(pair.sample, results=said) for pair, said in zip(make_pairs(n=6), truth, strict=True)]
    return HeldOut(samples, {"first": [0, 1, 2]}, PairSet((), {}), ANSWERS, ("large", "small"))


@pytest.fixture
def loaded(policy: Any, encoder: Any, directory: Path) -> LoadedPolicy:
    return LoadedPolicy(policy.float(), encoder, Packed(max_tokens=2048), 512, directory)


def test_the_score_of_a_label_is_the_log_prob_of_its_answer(loaded: LoadedPolicy, held_out: HeldOut) -> None:
    found = ZeroShotAUC(**KNOBS).evaluate(loaded, held_out, SESSION)
    samples = held_out.samples
    expected = []
    for name in held_out.scored:
        scores = loaded.score(samples, [Trajectory("", ANSWERS.write([name]))] * len(samples))
        expected.append(roc_auc_score([name in sample.results for sample in samples], scores))
        assert found["all"]["labels"][name]["auroc"]["value"] == pytest.approx(expected[-1])
    assert found["all"]["auroc"]["value"] == pytest.approx(np.mean(expected))
    assert set(found) == {"all", "first"}
    assert {"eval/all/auroc", "eval/first/auprc"} <= set(flat_values(found, "eval"))


@pytest.mark.parametrize("thinking", ["none", "generated"])
def test_scores_can_be_normalised_and_taken_behind_the_policys_own_thinking(
    loaded: LoadedPolicy, held_out: HeldOut, thinking: str
) -> None:
    benchmark = ZeroShotAUC(**{**KNOBS, "thinking": thinking, "normalise": True, "limit": 4})
    found = benchmark.evaluate(loaded, held_out, SESSION)
    assert 0 <= found["all"]["auroc"]["value"] <= 1
    assert found["all"]["auroc"]["n"] == 4


def test_mistakes_are_refused(loaded: LoadedPolicy, held_out: HeldOut) -> None:
    with pytest.raises(ConfigError, match="limit=0"):
        ZeroShotAUC(**{**KNOBS, "limit": 0})
    with pytest.raises(DataError, match="no labels"):
        ZeroShotAUC(**KNOBS).evaluate(loaded, replace(held_out, scored=()), SESSION)
