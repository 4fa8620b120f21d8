from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cpo.answers import ListedAnswer
from cpo.diagnostics.causal import Floats, per_sample, statistics_of
from cpo.errors import ConfigError, DataError
from cpo.evaluation.benchmark import HeldOut, Session, flat_values
from cpo.evaluation.causal_effect import CausalEffect, measure_effects
from cpo.evaluation.items import read_items
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.results import ResultScorer, Thought
from cpo.preference.pairing import PairSet
from cpo.records import LabelState, PreferencePair, Sample, Trajectory
from cpo.sequence.layouts import Packed

RESULTS = ("Cardiomegaly", "Lung Lesion", "Pneumothorax", "No Finding")
ANSWERS = ListedAnswer("It is {}.", RESULTS)
KNOBS: dict[str, Any] = {
    "graph": "chest",
    "phrases": "chest",
    "swapped": "view",
    "limit": -1,
    "batch_size": 4,
    "resamples": 20,
}
TEXTS = {
    "Portable chest radiograph. The heart is mildly enlarged. There is no lung nodule.": "Cardiomegaly",
    "Upright chest radiograph. The heart size is normal. There is no lung nodule.": "No Finding",
    "Bedside film of the chest. The heart is severely enlarged. There is no pneumothorax.": "Cardiomegaly",
}


@pytest.fixture
def held_out(make_pairs: Callable[..., list[PreferencePair]]) -> HeldOut:
    samples = [
        replace(
            pair.sample,
            factual=Trajectory(text, ANSWERS.write([result])),
            results=(result,),
            labels=dict.fromkeys(RESULTS, LabelState.ABSENT) | {result: LabelState.PRESENT},
        )
        for pair, (text, result) in zip(make_pairs(n=3), TEXTS.items(), strict=True)
    ]
    return HeldOut(samples, {"first": [0, 1]}, PairSet((), {}), ANSWERS, RESULTS[:3])


@pytest.fixture
def loaded(policy: Any, encoder: Any, directory: Path) -> LoadedPolicy:
    return LoadedPolicy(policy, encoder, Packed(max_tokens=2048), 512, directory)


class Scripted:
    """Half on Cardiomegaly where the heart is said to be enlarged; a quarter on Pneumothorax where it says bedside."""

    results = RESULTS

    def distributions(self, thoughts: Sequence[Thought], *, batch_size: int) -> Iterator[Floats]:
        for thought in thoughts:
            heart = 0.5 * any(word in thought.thinking for word in ("enlarged", "enlargement"))
            heart *= "not enlarged" not in thought.thinking
            air = 0.25 * any(word in thought.thinking for word in ("ortable", "edside", "AP "))
            yield np.array([[heart, 0.0, air, 1 - heart - air]])


def test_effects_of_a_scripted_policy_are_those_of_its_script(held_out: HeldOut) -> None:
    samples = held_out.samples
    made = CausalEffect(**KNOBS).moves(samples, RESULTS, seed=0)
    effects = measure_effects(Scripted(), samples, made, batch_size=2)
    found = per_sample(effects, len(samples), RESULTS)
    # denying the heart takes its half away from the first and third; nothing true is decided in the second
    np.testing.assert_allclose(found["denied_sensitivity"], [0.5, np.nan, 0.5])
    np.testing.assert_allclose(found["denied_own_effect"], [-0.5, np.nan, -0.5])
    # a swapped view takes the quarter away, or brings it to the second
    np.testing.assert_allclose(found["phrase_sensitivity"], [0.25, 0.25, 0.25])
    np.testing.assert_allclose(found["effects/phrase/Pneumothorax"], [-0.25, 0.25, -0.25])
    np.testing.assert_allclose(found["paraphrase_sensitivity"], [0, 0, 0], atol=1e-12)
    # the nodule is asserted: among heart and air, whose odds it leaves, nothing moves
    np.testing.assert_allclose(found["irrelevant_sensitivity"], [0, np.nan, 0], atol=1e-12)
    names, statistic = statistics_of(found)
    value = dict(zip(names, statistic(np.ones((1, 3)))[0], strict=True))
    expected = np.nanmean([found["beneficial_sensitivity"]])
    assert value["sensitivity_ratio"] == pytest.approx(value["detrimental_sensitivity"] / expected)


def test_scores_are_those_of_the_distributions_behind_each_text(
    loaded: LoadedPolicy, held_out: HeldOut, tmp_path: Path
) -> None:
    benchmark = CausalEffect(**KNOBS)
    found = benchmark.evaluate(loaded, held_out, Session(0, tmp_path))
    assert set(found) == {"all", "first"}
    scorer = ResultScorer(loaded, ANSWERS)
    made = benchmark.moves(held_out.samples, RESULTS, seed=0)
    by_hand = []
    for sample, moves in zip(held_out.samples, made, strict=True):
        for move in moves:
            if move.kind == "phrase":
                texts = (sample.factual.thinking, move.thinking)
                one, other = scorer.distributions([Thought(sample, text, (len(text),)) for text in texts])
                by_hand.append(np.abs(one - other).sum() / 2)
    assert found["all"]["phrase_sensitivity"]["value"] == pytest.approx(np.mean(by_hand), rel=1e-5)
    assert found["all"]["interventions"]["phrase"] == 3
    assert found["first"]["interventions"]["denied"] == 1
    assert set(found["all"]["effects"]["phrase"]) == set(RESULTS)
    assert {"eval/all/beneficial_sensitivity", "eval/first/detrimental_sensitivity"} <= set(flat_values(found, "eval"))


def test_interventions_and_items_are_kept_beside_the_scores(
    loaded: LoadedPolicy, held_out: HeldOut, tmp_path: Path
) -> None:
    CausalEffect(**KNOBS).evaluate(loaded, held_out, Session(0, tmp_path))
    rows = [json.loads(line) for line in (tmp_path / "interventions.jsonl").read_text().splitlines()]
    made = CausalEffect(**KNOBS).moves(held_out.samples, RESULTS, seed=0)
    assert [(row["id"], row["kind"]) for row in rows] == [
        (sample.id, move.kind) for sample, moves in zip(held_out.samples, made, strict=True) for move in moves
    ]
    assert all(sum(row["before"].values()) == pytest.approx(1, abs=1e-4) for row in rows)
    items = read_items(tmp_path)
    assert items is not None
    assert items.values["denied_sensitivity"].shape == (3,)
    assert "sensitivity_ratio" not in items.values


def test_mistakes_are_refused(loaded: LoadedPolicy, held_out: HeldOut, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="limit=0"):
        CausalEffect(**{**KNOBS, "limit": 0})
    with pytest.raises(DataError, match="swapped='weather'"):
        CausalEffect(**{**KNOBS, "swapped": "weather"})
    with pytest.raises(DataError, match="from=predictions"):
        CausalEffect(**KNOBS).evaluate(None, held_out, Session(0, tmp_path))
    wordless: list[Sample] = [replace(s, factual=Trajectory("Nothing to say.", "It is so.")) for s in held_out.samples]
    with pytest.raises(DataError, match="no sentence of the graph"):
        CausalEffect(**KNOBS).evaluate(loaded, replace(held_out, samples=wordless), Session(0, tmp_path))
