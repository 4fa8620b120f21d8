"""A language model is told what the graph knows of both results, and the same task is told in the same words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from cpo.counterfactual.concept_graph import ConceptGraphCounterfactual
from cpo.counterfactual.llm.instruction import instruction
from cpo.counterfactual.llm.targets import Targets
from cpo.counterfactual.planning import Plan
from cpo.counterfactual.validity import Judge, lexicon_judge
from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph
from cpo.records import LabelState, Sample

Pool = Callable[[int, int], Sequence[Sample]]
FLUID = "There is a moderate amount of fluid in the left pleural space."
DEVICE = "A pacemaker is in place."
HEART = "The heart is severely enlarged."


@pytest.fixture(scope="module")
def judge(lexicon: Lexicon) -> Judge:
    return lexicon_judge(lexicon)


def plan_of(graph: ConceptGraph, judge: Judge, sample: Sample, target: str) -> Plan:
    plans = Targets(graph, judge, [sample], wanted=12).plans(sample)
    return next(plan for plan in plans if plan.target == target)


def test_it_holds_the_findings_word_for_word_and_what_bears_on_both_results(
    graph: ConceptGraph, judge: Judge, make_sample: Any
) -> None:
    sample = make_sample(f"{DEVICE} {FLUID}")
    told = instruction(graph, sample, plan_of(graph, judge, sample, "Atelectasis"), "json_schema")
    assert f"Findings:\n{sample.factual.thinking}\n" in told
    assert "to argue for Atelectasis in place of Pleural Effusion.\n" in told
    lines = {line.split(":")[0]: line for line in told.splitlines() if line.startswith("- ")}
    decides = lines["- Decides for Atelectasis; assert at least one, and deny none"]
    for hallmark in graph.hallmarks("Atelectasis"):
        assert hallmark in decides
    assert "fluid meniscus" in lines["- Must not be asserted or suspected any more"]
    assert "hyperinflation" in lines["- Ruled out by Atelectasis; must not be asserted"]
    assert "{" not in told.replace('{"findings": "…"}', "")


def test_what_stays_true_is_named(graph: ConceptGraph, judge: Judge, make_sample: Any) -> None:
    sample = make_sample(f"{HEART} {FLUID}")
    told = instruction(graph, sample, plan_of(graph, judge, sample, "Pleural Other"), "text")
    assert "Pleural Other in place of Pleural Effusion. They go on arguing for Cardiomegaly.\n" in told


def test_it_asks_for_the_form_that_is_read(graph: ConceptGraph, judge: Judge, make_sample: Any) -> None:
    sample = make_sample(FLUID)
    plan = plan_of(graph, judge, sample, "Atelectasis")
    assert instruction(graph, sample, plan, "json_schema").endswith('{"findings": "…"}, and nothing else.')
    assert "JSON" not in instruction(graph, sample, plan, "text")


def test_reasons_of_rejection_are_told_in_their_order(graph: ConceptGraph, judge: Judge, make_sample: Any) -> None:
    sample = make_sample(FLUID)
    plan = plan_of(graph, judge, sample, "Atelectasis")
    told = instruction(graph, sample, plan, "text", ["target not shown", "edited too much"])
    assert "- attempt 1: target not shown\n- attempt 2: edited too much\n" in told
    assert "attempt" not in instruction(graph, sample, plan, "text")


def test_targets_are_those_of_the_concept_graph_method(graph: ConceptGraph, judge: Judge, make_pool: Pool) -> None:
    pool = make_pool(60, 0)
    by_rule = ConceptGraphCounterfactual(
        graph="chest", targets=12, choice="nearest", healthy_target=False, max_edit_ratio=1.0
    ).make(pool, seed=0)
    targets = Targets(graph, judge, pool, wanted=12)
    for sample in pool:
        made = [c.target for c in by_rule.by_sample[sample.id]]
        planned = [plan.target for plan in targets.plans(sample)]
        assert [target for target in planned if target in made] == made
        assert len(planned) >= len(made) >= 2
        assert targets.plans(sample)[:2] == Targets(graph, judge, pool, wanted=2).plans(sample)


def test_free_words_have_targets_where_a_judge_can_read_them(graph: ConceptGraph, make_sample: Any) -> None:
    sample = make_sample(FLUID)
    targets = Targets(graph, lambda _: {"fluid meniscus": LabelState.PRESENT}, [sample], wanted=2)
    assert len(targets.plans(sample)) == 2
    assert targets.plans(sample)[0].gone >= {"fluid meniscus"}
    assert Targets(graph, lambda _: {}, [sample], wanted=2).plans(sample) == []
