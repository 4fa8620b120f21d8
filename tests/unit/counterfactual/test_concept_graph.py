"""The concept-graph method edits what the graph licenses, argues for another result, and leaves the rest alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpo.counterfactual.concept_graph import ConceptGraphCounterfactual
from cpo.errors import ConfigError, DataError
from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph, Relation
from cpo.records import Counterfactual, LabelState, Sample, Trajectory

Pool = Callable[[int, int], Sequence[Sample]]
EFFUSION = "There is a moderate amount of fluid in the left pleural space."
DEVICE = "A pacemaker is in place."


def method(**knobs: Any) -> ConceptGraphCounterfactual:
    defaults: dict[str, Any] = {
        "graph": "chest",
        "targets": 2,
        "choice": "nearest",
        "healthy_target": False,
        "max_edit_ratio": 1.0,
    }
    return ConceptGraphCounterfactual(**defaults | knobs)


def all_of(sample: Sample, **knobs: Any) -> dict[str, Counterfactual]:
    """Every counterfactual that the graph allows of a sample, by target."""
    return {c.target: c for c in method(targets=12, **knobs).make([sample], seed=0).all}


def read(lexicon: Lexicon, text: str) -> dict[str, LabelState]:
    return {m.attribute: m.state for s in lexicon.split_sentences(text) for m in lexicon.mentions(s)}


def test_the_decisive_sentence_is_replaced_in_its_place_with_its_side_and_severity(make_sample: Any) -> None:
    sample = make_sample(f"Portable view. {EFFUSION} {DEVICE}")
    made = all_of(sample)["Consolidation"]
    first, edited, last = (f"{s}." for s in made.trajectory.thinking.rstrip(".").split(". "))
    assert (first, last) == ("Portable view.", DEVICE)
    assert "left" in edited
    assert "moderate" in edited
    assert made.trajectory.answer == "The disease of this patient is Consolidation."
    assert [(i.attribute, i.before.value, i.after.value) for i in made.interventions] == [
        ("dense lobar opacity", "unmentioned", "present"),
        ("fluid meniscus", "present", "unmentioned"),
    ]


def test_a_report_without_disease_gets_one_sentence_and_loses_none(make_sample: Any, lexicon: Lexicon) -> None:
    sample = make_sample(f"Portable view. The costophrenic angles are sharp. {DEVICE}", devices=True)
    assert sample.factual.answer == "The disease of this patient is No Finding, Support Devices."
    made = all_of(sample)["Fracture"]
    sentences = list(lexicon.split_sentences(made.trajectory.thinking))
    assert len(sentences) == 4
    sentences.remove(next(s for s in sentences if "left" in s or "right" in s))
    assert sentences == list(lexicon.split_sentences(sample.factual.thinking))
    assert made.trajectory.answer == "The disease of this patient is Fracture, Support Devices."


def test_a_negation_that_contradicts_the_target_is_turned_where_it_stands(make_sample: Any) -> None:
    sample = make_sample(f"There is no pleural effusion. The ribs are intact. {DEVICE}")
    made = all_of(sample)["Pleural Effusion"]
    turned, *rest = made.trajectory.thinking.split(". ")
    assert rest == ["The ribs are intact", DEVICE]
    assert "no" not in turned.lower().split()
    assert made.interventions[0].before is LabelState.ABSENT
    assert made.interventions[0].after is LabelState.PRESENT


def test_several_negations_that_contradict_the_target_do_not_survive(make_sample: Any, lexicon: Lexicon) -> None:
    sample = make_sample("There is no pulmonary edema. There are no septal lines. The hila are sharply defined.")
    states = read(lexicon, all_of(sample)["Edema"].trajectory.thinking)
    assert set(states.values()) == {LabelState.PRESENT}


def test_with_several_diseases_one_is_replaced_and_the_others_stay(make_sample: Any) -> None:
    heart = "The heart is severely enlarged."
    sample = make_sample(f"{heart} {EFFUSION} {DEVICE}")
    assert sample.results == ("Cardiomegaly", "Pleural Effusion")
    made = all_of(sample)
    assert made["Edema"].trajectory.answer == "The disease of this patient is Edema, Pleural Effusion."
    assert EFFUSION in made["Edema"].trajectory.thinking
    assert made["Pleural Other"].trajectory.answer == "The disease of this patient is Cardiomegaly, Pleural Other."
    assert heart in made["Pleural Other"].trajectory.thinking


def test_a_sign_that_a_kept_disease_or_the_target_explains_stays(make_sample: Any) -> None:
    angle = "The left costophrenic angle is blunted."
    sample = make_sample(f"{EFFUSION} {angle} {DEVICE}")
    made = all_of(sample)
    assert angle in made["Pleural Other"].trajectory.thinking
    assert angle not in made["Fracture"].trajectory.thinking


def test_a_sign_that_the_report_denies_is_not_told_elsewhere(make_sample: Any, lexicon: Lexicon) -> None:
    denial = "There is no fluid in the fissures."
    sample = make_sample(f"The heart is severely enlarged. The cardiac apex points down and to the left. {denial}")
    made = [method(targets=12).make([sample], seed=seed).all for seed in range(20)]
    texts = [c.trajectory.thinking for found in made for c in found if c.target in ("Edema", "Pleural Effusion")]
    assert len(texts) == 40
    for text in texts:
        assert read(lexicon, text)["fissural fluid"] is LabelState.ABSENT
        assert text.count("fissure") == 1


def test_results_that_hold_or_are_left_open_are_never_targets(make_sample: Any) -> None:
    sample = make_sample(f"{EFFUSION} Possible round nodule in the left lung. {DEVICE}")
    assert sample.labels["Lung Lesion"] is LabelState.UNCERTAIN
    assert set(all_of(sample)).isdisjoint({"Pleural Effusion", "Lung Lesion"})


def test_what_a_kept_disease_excludes_is_never_argued_for(make_sample: Any, graph: ConceptGraph) -> None:
    sample = make_sample("There is mild volume loss in the left lung. There is a cortical break of a left rib.")
    assert sample.results == ("Atelectasis", "Fracture")
    made = all_of(sample)
    # pneumothorax excludes volume loss: it can only take the place of atelectasis, never of the fracture
    assert made["Pneumothorax"].trajectory.answer == "The disease of this patient is Fracture, Pneumothorax."
    excluded = graph.attributes_of("Atelectasis", Relation.EXCLUSION)
    for made_one in made.values():
        if "Atelectasis" in made_one.trajectory.answer:
            assert not any(i.attribute in excluded for i in made_one.interventions if i.after is LabelState.PRESENT)


def test_nearest_targets_come_first(make_sample: Any) -> None:
    # Shared with effusion: Pneumothorax 1 (mediastinal push), Pleural Other 1, Atelectasis 1 but one exclusion, Edema 1
    # (fissural fluid), others 0. In this pool only Pneumothorax and Pleural Other occur, the former twice as often.
    pneumothorax, pleura = "The left costophrenic sulcus is deep and dark.", "The left pleura is calcified."
    texts = [f"{EFFUSION} {DEVICE}", pneumothorax, pneumothorax, pleura]
    pool = [make_sample(text, id=f"s{i}") for i, text in enumerate(texts)]
    made = method(targets=3).make(pool, seed=0).by_sample["s0"]
    assert [c.target for c in made][:2] == ["Pneumothorax", "Pleural Other"]


def test_drawn_targets_follow_prevalence_over_a_pool(make_pool: Pool) -> None:
    pool = make_pool(400, 0)
    nearest = Counter(c.target for c in method().make(pool, seed=0).all)
    drawn = Counter(c.target for c in method(choice="drawn").make(pool, seed=0).all)
    assert sum(nearest.values()) == sum(drawn.values()) == 800
    assert max(drawn.values()) < max(nearest.values())
    assert len(drawn) == 12


def test_the_healthy_result_is_a_target_only_when_asked_and_only_for_one_disease(make_sample: Any) -> None:
    one = make_sample(f"{EFFUSION} The left costophrenic angle is blunted. {DEVICE}")
    assert "No Finding" not in all_of(one)
    made = all_of(one, healthy_target=True)["No Finding"]
    assert made.trajectory == Trajectory(DEVICE, "The disease of this patient is No Finding.")
    two = make_sample(f"{EFFUSION} The heart is severely enlarged. {DEVICE}")
    assert "No Finding" not in all_of(two, healthy_target=True)


def test_a_finding_goes_by_negation_as_often_as_the_pool_negates_it(make_sample: Any) -> None:
    text = "There is no pleural effusion. The ribs are intact."
    pool = [make_sample(text, id=f"s{i}") for i in range(9)] + [make_sample(f"{EFFUSION} {DEVICE}", id="ill")]
    (made, _) = method().make(pool, seed=0).by_sample["ill"]
    assert next(i for i in made.interventions if i.attribute == "fluid meniscus").after is LabelState.ABSENT


def test_a_new_sentence_stands_where_the_pool_tells_its_attribute(make_sample: Any, lexicon: Lexicon) -> None:
    heart, lungs, ribs = "The heart size is normal.", "There is no lung nodule.", "The ribs are intact."
    pool = [make_sample(f"{heart} {lungs} {EFFUSION} {ribs}", id=f"s{i}") for i in range(20)]
    pool.append(make_sample(f"{heart} {lungs} {ribs}", id="well"))
    made = {c.target: c for c in method(targets=12).make(pool, seed=0).by_sample["well"]}
    states = [
        m.state.value
        for s in lexicon.split_sentences(made["Pleural Effusion"].trajectory.thinking)
        for m in lexicon.mentions(s)
    ]
    assert states == ["absent", "absent", "present", "absent"]


def test_attributes_that_the_pool_never_tells_together_do_not_meet(make_sample: Any) -> None:
    angle, pleura = "The left costophrenic angle is blunted.", "The left pleura is calcified."
    ribs = "There is a cortical break of a left rib. There is a step in the left clavicle."
    texts = [EFFUSION] * 20 + [f"{angle} {pleura}"] * 20 + [ribs] * 20
    pool = [make_sample(text, id=f"s{i}") for i, text in enumerate(texts)]
    made = method(targets=12).make(pool, seed=0).all
    assert sum("angle" in c.trajectory.thinking for c in made) >= 10
    for c in made:
        fluid = ("pleural space", "meniscus")
        assert not ("costophrenic angle" in c.trajectory.thinking and any(w in c.trajectory.thinking for w in fluid))


def test_a_denial_told_twice_is_turned_once(make_sample: Any, lexicon: Lexicon) -> None:
    sample = make_sample(f"There is no pleural effusion. {DEVICE} No pleural fluid is seen.")
    text = all_of(sample)["Pleural Effusion"].trajectory.thinking
    assert [m.state.value for s in lexicon.split_sentences(text) for m in lexicon.mentions(s)] == ["present"]


def test_a_finding_told_twice_is_denied_once(make_sample: Any, lexicon: Lexicon) -> None:
    pool = [make_sample("There is no pleural effusion. The ribs are intact.", id=f"s{i}") for i in range(9)]
    pool.append(make_sample(f"{EFFUSION} A small fluid meniscus is seen on the left.", id="ill"))
    for c in method(targets=12).make(pool, seed=0).by_sample["ill"]:
        split = lexicon.split_sentences(c.trajectory.thinking)
        states = [m.state for s in split for m in lexicon.mentions(s) if m.attribute == "fluid meniscus"]
        assert states == [LabelState.ABSENT]


def test_all_that_comes_lies_on_one_side(make_sample: Any, lexicon: Lexicon) -> None:
    sample = make_sample("The heart is severely enlarged. The cardiac apex points down and to the left.")
    sides = set()
    for seed in range(20):
        for c in method(targets=12).make([sample], seed=seed).all:
            found = {m.side for s in lexicon.split_sentences(c.trajectory.thinking) for m in lexicon.mentions(s)}
            assert len(found - {None}) <= 1
            sides |= found
    assert sides == {"left", "right", None}


def test_white_space_between_untouched_sentences_is_kept(make_sample: Any) -> None:
    sample = make_sample(f" Portable view.\n  {EFFUSION}\n{DEVICE}  No motion.")
    made = all_of(sample)["Fracture"].trajectory.thinking
    assert made.startswith(" Portable view.\n  ")
    assert made.endswith(f"\n{DEVICE}  No motion.")


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_only_licensed_attributes_change_and_all_other_sentences_stay_word_for_word(
    seed: int, make_pool: Pool, graph: ConceptGraph, lexicon: Lexicon
) -> None:
    pool = make_pool(8, seed)
    made = method(choice="drawn", healthy_target=True).make(pool, seed=seed)
    for sample in pool:
        before = read(lexicon, sample.factual.thinking)
        for c in made.by_sample[sample.id]:
            split = lexicon.split_sentences(c.trajectory.thinking)
            after = read(lexicon, c.trajectory.thinking)
            changed = {a for a in before | after if before.get(a) is not after.get(a)}
            assert changed == {i.attribute for i in c.interventions}
            for i in c.interventions:
                assert before.get(i.attribute, LabelState.UNMENTIONED) is i.before
                assert after.get(i.attribute, LabelState.UNMENTIONED) is i.after

            removed = set(sample.results) - set(named(c.trajectory.answer))
            assert len(removed) == 1
            came = {i.attribute for i in c.interventions if i.after is LabelState.PRESENT}
            assert all(associated(graph, c.target, a) for a in came)
            assert all(related(graph, removed | {c.target}, a) for a in changed - came)

            said = {(m.attribute, m.state) for s in split for m in lexicon.mentions(s)}
            assert len(said) == len(after), "an attribute is told in two states"

            untouched = [s for s in lexicon.split_sentences(sample.factual.thinking) if not about(lexicon, s, changed)]
            kept = [s for s in split if not about(lexicon, s, changed)]
            assert untouched == kept


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_thinking_shows_exactly_the_diseases_of_the_answer(
    seed: int, make_pool: Pool, graph: ConceptGraph, lexicon: Lexicon
) -> None:
    pool = make_pool(8, seed)
    for c in method(choice="drawn", healthy_target=True).make(pool, seed=seed).all:
        sample = next(s for s in pool if s.id == c.sample_id)
        assert c.target not in sample.results
        assert sample.labels[c.target] is not LabelState.UNCERTAIN
        shown = {d for d, s in graph.labels(read(lexicon, c.trajectory.thinking)).items() if s is LabelState.PRESENT}
        assert shown == set(named(c.trajectory.answer)) - {"No Finding"}


def test_equal_seeds_give_equal_sets_whatever_the_order_of_the_pool(make_pool: Pool) -> None:
    pool = make_pool(60, 3)
    first = method(choice="drawn").make(pool, seed=5)
    again = method(choice="drawn").make(list(reversed(pool)), seed=5)
    assert first.by_sample == again.by_sample
    assert first.fingerprint == method(choice="drawn").make(pool, seed=5).fingerprint
    assert first.fingerprint != method(choice="drawn").make(pool, seed=6).fingerprint


def test_candidates_that_fail_are_counted_and_the_sample_is_short(make_pool: Pool) -> None:
    pool = make_pool(30, 2)
    made = method(max_edit_ratio=1e-9).make(pool, seed=0)
    assert made.all == ()
    assert made.short == 30
    assert set(made.rejected) == {"edited too much"}
    assert made.rejected["edited too much"] >= 60
    assert made.stats["valid_share"] == 0


def test_a_report_whose_words_do_not_show_its_disease_is_counted(make_sample: Any) -> None:
    sample = make_sample(EFFUSION)
    foreign = replace(sample, factual=Trajectory("Wet lungs.", sample.factual.answer))
    made = method().make([foreign], seed=0)
    assert (made.all, made.rejected, made.short) == ((), {"no licensed edit reaches the target": 1}, 1)


def test_an_answer_that_does_not_name_its_results_is_counted(make_sample: Any) -> None:
    sample = make_sample(EFFUSION)
    foreign = replace(sample, factual=Trajectory(EFFUSION, "Fluid."))
    made = method().make([foreign], seed=0)
    assert set(made.rejected) == {"answer sentence does not name the result"}


def test_an_intervention_sentence_is_one_of_the_graphs_wordings(make_pool: Pool, lexicon: Lexicon) -> None:
    for c in method().make(make_pool(20, 9), seed=1).all:
        factual = {"Portable view of the chest.", DEVICE}
        assert all(lexicon.mentions(s) for s in lexicon.split_sentences(c.trajectory.thinking) if s not in factual)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"targets": 0}, "at least 1"),
        ({"choice": "closest"}, "one of nearest, drawn"),
        ({"max_edit_ratio": 0.0}, "0 < max_edit_ratio"),
        ({"max_edit_ratio": 1.5}, "0 < max_edit_ratio"),
    ],
)
def test_knobs_out_of_range_are_refused(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        method(**knobs)


def test_an_unknown_graph_is_refused() -> None:
    with pytest.raises(DataError, match="a shipped graph"):
        method(graph="knee")


def named(answer: str) -> list[str]:
    return answer.removeprefix("The disease of this patient is ").removesuffix(".").split(", ")


def associated(graph: ConceptGraph, result: str, attribute: str) -> bool:
    return result in graph.diseases and graph.relation(result, attribute) is Relation.ASSOCIATION


def related(graph: ConceptGraph, results: set[str], attribute: str) -> bool:
    diseases = results & set(graph.diseases)
    return any(graph.relation(d, attribute) is not Relation.IRRELEVANCE for d in diseases)


def about(lexicon: Lexicon, sentence: str, attributes: set[str]) -> bool:
    return any(m.attribute in attributes for m in lexicon.mentions(sentence))
