"""Counts over a pool, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cpo.counterfactual.habits import EDGE, OTHER, Habits, draw
from cpo.counterfactual.statements import read_statements
from cpo.graph.lexicon import Lexicon, Mention
from cpo.records import LabelState


@pytest.fixture(scope="module")
def habits(make_sample: Any, lexicon: Lexicon) -> Habits:
    texts = (
        "Portable view. There is a small dense lobar opacity on the left. There is no pleural effusion.",
        "Portable view. There is no pleural effusion.",
        "There is a large amount of fluid in the right pleural space. There is no lung nodule.",
        "There is no lung nodule.",
    )
    samples = [make_sample(text, id=text) for text in texts]
    return Habits.of((s, read_statements(lexicon, s.factual.thinking)) for s in samples)


def test_prevalence_and_negation_are_shares_of_the_pool(habits: Habits) -> None:
    assert habits.prevalence("Consolidation") == 1.5 / 5
    assert habits.prevalence("No Finding") == 2.5 / 5
    assert habits.prevalence("Fracture") == 0.5 / 5
    assert habits.negation_rate("fluid meniscus") == 2 / 3
    assert habits.negation_rate("dense lobar opacity") == 0


def test_weights_count_reports_of_the_result(habits: Habits) -> None:
    assert habits.weight("fluid meniscus", "Pleural Effusion") == 1.5
    assert habits.weight("fluid meniscus", "Consolidation") == 0.5


def test_steps_follow_the_order_of_topics(habits: Habits) -> None:
    assert habits.follows[EDGE] == {OTHER: 2, "fluid meniscus": 1, "nodule": 1}
    assert habits.follows["fluid meniscus"] == {EDGE: 2, "nodule": 1}
    between = habits.odds("dense lobar opacity", "fluid meniscus", EDGE)
    assert between > 10 * habits.odds(EDGE, "fluid meniscus", OTHER)
    assert habits.tells("nodule")
    assert not habits.tells("mass")


def test_side_and_severity_are_inherited_before_they_are_drawn(habits: Habits) -> None:
    rng = np.random.default_rng(0)
    like = Mention("mass", LabelState.PRESENT, side="left")
    assert habits.mention("fluid meniscus", like, "right", rng).side == "left"
    assert habits.mention("fluid meniscus", like, "right", rng).severity == "severe"
    assert habits.mention("fluid meniscus", None, "left", rng).side == "left"
    assert habits.mention("fluid meniscus", None, None, rng).side == "right"
    assert {habits.mention("volume loss", None, None, rng).severity for _ in range(50)} == {
        "mild",
        "moderate",
        "severe",
    }


def test_attributes_clash_only_when_chance_would_have_brought_them_together(habits: Habits) -> None:
    assert not habits.clash("fluid meniscus", "dense lobar opacity")
    many = Habits(100, {}, {"a": 30, "b": 30, "c": 10}, {}, {}, {("a", "c"): 1}, {}, {})
    assert many.clash("a", "b")
    assert many.clash("b", "a")
    assert not many.clash("c", "a")
    assert not many.clash("b", "c")


def test_draws_follow_the_weights_whatever_their_order() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw({"a": 1.0, "b": 3.0}, rng) for _ in range(2000)]
    assert drawn.count("b") == pytest.approx(1500, abs=60)
    weights = {"x": 1.0, "y": 2.0, "z": 0.5}
    for seed in range(20):
        turned = dict(reversed(weights.items()))
        assert draw(weights, np.random.default_rng(seed)) == draw(turned, np.random.default_rng(seed))
