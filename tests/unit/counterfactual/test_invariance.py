"""Both sides are edited alike; only the rejected one denies the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from cpo.counterfactual.answers import flip_result
from cpo.counterfactual.invariance import Invariance
from cpo.counterfactual.validity import lexicon_judge
from cpo.errors import ConfigError, DataError
from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph, Relation
from cpo.losses.sft import SFT
from cpo.preference.one_negative import OneNegative
from cpo.records import Concept, Counterfactual, DriftTruth, LabelState, Sample, Stream
from cpo.sequence.collator import Collator
from cpo.sequence.layouts import Padded

MakeSample = Callable[..., Sample]
KNOBS: dict[str, Any] = {
    "graph": "chest",
    "phrases": "chest",
    "edited": "phrase",
    "swapped": "view",
    "effect": "Cardiomegaly",
    "rejected": "answer",
    "targets": 1,
}
HEART = "Portable chest radiograph. The heart is mildly enlarged. There is no lung nodule."
LUNG = "Upright chest radiograph. The heart size is normal. The left lung contains a nodule."


def made(sample: Sample, **knobs: Any) -> tuple[Counterfactual, ...]:
    return Invariance(**{**KNOBS, **knobs}).make([sample], seed=0).by_sample[sample.id]


def test_a_phrase_is_swapped_on_both_sides_and_the_effect_denied_on_one(make_sample: MakeSample) -> None:
    for thinking, swapped, said, answer in (
        (HEART, "Portable chest radiograph.", {"PA"}, "The disease of this patient is No Finding."),
        (LUNG, "Upright chest radiograph.", {"AP"}, "The disease of this patient is Cardiomegaly, Lung Lesion."),
    ):
        sample = make_sample(thinking)
        (found,) = made(sample)
        assert found.chosen is not None
        assert found.chosen.thinking == found.trajectory.thinking
        assert found.chosen.thinking != thinking
        assert found.chosen.thinking.endswith(thinking.removeprefix(swapped))
        book = Invariance(**KNOBS).book
        first = found.chosen.thinking.removesuffix(thinking.removeprefix(swapped))
        assert {book.tells(first)["view"]} == said
        assert found.chosen.answer == sample.factual.answer
        assert (found.target, found.trajectory.answer) == ("Cardiomegaly", answer)


def test_without_an_effect_a_true_result_is_replaced_by_one_that_is_like_it(make_sample: MakeSample) -> None:
    found = made(make_sample(HEART), effect="", targets=2)
    assert len({c.target for c in found}) == 2
    for c in found:
        assert c.trajectory.answer == f"The disease of this patient is {c.target}."


def test_the_findings_may_contradict_the_truth_as_well(make_sample: MakeSample) -> None:
    sample = make_sample(LUNG)
    (found,) = made(sample, rejected="findings")
    judge = lexicon_judge(Lexicon(ConceptGraph.load("chest")))
    assert found.chosen is not None
    assert found.chosen.thinking.endswith("The heart size is normal. The left lung contains a nodule.")
    assert judge(found.trajectory.thinking)["enlarged heart"] is LabelState.PRESENT
    assert found.trajectory.thinking.split(". ")[0] == found.chosen.thinking.split(". ")[0]
    assert "Cardiomegaly" in found.trajectory.answer


def test_an_attribute_that_decides_nothing_is_edited_and_no_label_changes(
    make_pool: Callable[[int, int], Sequence[Sample]],
) -> None:
    graph = ConceptGraph.load("chest")
    judge = lexicon_judge(Lexicon(graph))
    pool = make_pool(60, 1)
    kept = Invariance(**{**KNOBS, "edited": "attribute", "effect": ""}).make(pool, seed=0)
    assert len(kept.all) > 50
    for sample in pool:
        for c in kept.by_sample[sample.id]:
            assert c.chosen is not None
            (intervention,) = c.interventions
            before, after = judge(sample.factual.thinking), judge(c.chosen.thinking)
            assert graph.labels(before) == graph.labels(after)
            assert all(
                graph.relation(d, intervention.attribute) is Relation.IRRELEVANCE
                for d in sample.results
                if d in graph.diseases
            )
            assert {a for a in {*before, *after} if before.get(a) is not after.get(a)} == {intervention.attribute}


def test_a_report_without_a_phrase_is_counted(make_sample: MakeSample) -> None:
    kept = Invariance(**KNOBS).make([make_sample("The heart is mildly enlarged.")], seed=0)
    assert kept.all == ()
    assert kept.rejected == {"nothing in the thinking that may be edited": 1}


def test_an_effect_that_is_left_open_is_not_denied(make_sample: MakeSample) -> None:
    doubted = make_sample("Portable chest radiograph. There may be mild enlargement of the heart.")
    assert doubted.labels["Cardiomegaly"] is LabelState.UNCERTAIN
    assert made(doubted) == ()


def test_pairs_prefer_the_edited_text_with_the_true_answer(make_sample: MakeSample) -> None:
    samples = (make_sample(HEART, id="a"), make_sample(LUNG, id="b"))
    kept = Invariance(**KNOBS).make(samples, seed=0)
    pairs = OneNegative().make(Stream(samples, DriftTruth((Concept(0, "all"),), (0, 0))), kept)
    for pair in pairs.pairs:
        assert pair.chosen is pair.rejected[0].chosen
        assert pair.chosen.thinking == pair.rejected[0].trajectory.thinking != pair.sample.factual.thinking
        assert pair.chosen.answer == pair.sample.factual.answer != pair.rejected[0].trajectory.answer


def test_the_chosen_side_is_in_the_fingerprint(make_sample: MakeSample) -> None:
    one, other = (Invariance(**{**KNOBS, "swapped": by}).make([make_sample(HEART)], seed=0) for by in ("view", "site"))
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == Invariance(**KNOBS).make([make_sample(HEART)], seed=0).fingerprint


def test_answers_that_list_otherwise_are_not_flipped() -> None:
    order = ("Edema", "Fracture", "No Finding")
    about: dict[str, Any] = {"diseases": order[:2], "default": "No Finding"}
    assert flip_result("It is Edema and Fracture.", order[:2], "Edema", order, **about) is None
    assert flip_result("It is a mass.", ("Edema",), "Edema", order, **about) is None
    assert flip_result("It is Edema.", ("Edema",), "Mass", order, **about) is None
    assert flip_result("It is Edema, Fracture!", order[:2], "Fracture", order, **about) == "It is Edema!"


def test_mistakes_are_refused() -> None:
    for wrong in ({"edited": "word"}, {"rejected": "image"}, {"effect": "Gout"}, {"targets": 0}):
        with pytest.raises(ConfigError):
            Invariance(**{**KNOBS, **wrong})
    with pytest.raises(DataError, match="site, view"):
        Invariance(**{**KNOBS, "swapped": "night"})


def test_sft_trains_on_the_edited_text(make_sample: MakeSample, encoder: Any) -> None:
    sample = replace(make_sample(HEART), images=())
    kept = Invariance(**KNOBS).make([sample], seed=0)
    (pair,) = OneNegative().make(Stream((sample,), DriftTruth((Concept(0, "all"),), (0,))), kept).pairs
    collator = Collator(encoder, Padded(), max_length=2048, with_rejected=SFT().requires_rejected)
    (branch,) = collator.branches(pair)
    assert branch.completion == encoder.completion(pair.chosen)
    assert branch.completion != encoder.completion(sample.factual)
