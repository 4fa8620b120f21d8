"""Without thinking: the answers of the concept-graph method on both sides, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cpo.counterfactual.concept_graph import ConceptGraphCounterfactual
from cpo.counterfactual.label_only import LabelOnly
from cpo.preference.one_negative import OneNegative
from cpo.records import Concept, DriftTruth, Sample, Stream, Trajectory

Pool = Callable[[int, int], Sequence[Sample]]
KNOBS: dict[str, Any] = {
    "graph": "chest",
    "targets": 2,
    "choice": "nearest",
    "healthy_target": False,
    "max_edit_ratio": 0.6,
}


def test_targets_and_answers_are_those_of_the_concept_graph(make_pool: Pool) -> None:
    pool = make_pool(40, 0)
    bare, whole = LabelOnly(**KNOBS).make(pool, seed=3), ConceptGraphCounterfactual(**KNOBS).make(pool, seed=3)
    assert [(c.sample_id, c.target, c.trajectory.answer) for c in bare.all] == [
        (c.sample_id, c.target, c.trajectory.answer) for c in whole.all
    ]
    assert bare.rejected == whole.rejected
    assert len(bare.all) > 40


def test_neither_side_of_a_pair_has_a_thinking(make_pool: Pool) -> None:
    pool = make_pool(10, 1)
    stream = Stream(tuple(pool), DriftTruth((Concept(0, "all"),), (0,) * len(pool)))
    pairs = OneNegative().make(stream, LabelOnly(**KNOBS).make(pool, seed=0)).pairs
    assert pairs
    for pair in pairs:
        assert pair.chosen == Trajectory("", pair.sample.factual.answer)
        assert pair.rejected[0].trajectory.thinking == ""
        assert pair.rejected[0].trajectory.answer != pair.chosen.answer


def test_edits_of_absent_thinkings_are_not_measured(make_pool: Pool) -> None:
    median = LabelOnly(**KNOBS).make(make_pool(5, 2), seed=0).stats["edited_words_median"]
    assert median != median
