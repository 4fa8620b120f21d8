"""A set is judged by what was promised of it, measured, and rid of what is invalid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from cpo.counterfactual.base import CounterfactualSet, Rejection
from cpo.counterfactual.concept_graph import ConceptGraphCounterfactual
from cpo.counterfactual.quality import examine, rejection, share_of_pairs, usual_pairs
from cpo.counterfactual.random import RandomTrajectory
from cpo.counterfactual.validity import Validity, lexicon_judge
from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph
from cpo.records import Counterfactual, ImageRef, Intervention, LabelState, Sample, Trajectory

Pool = Callable[[int, int], Sequence[Sample]]
EFFUSION = "There is a moderate amount of fluid in the left pleural space."
HEART = "The heart is mildly enlarged."


@pytest.fixture
def validity(graph: ConceptGraph, lexicon: Lexicon) -> Validity:
    return Validity(graph=graph, judge=lexicon_judge(lexicon), max_edit_ratio=1.0)


def edited(thinking: str, target: str = "Cardiomegaly") -> Counterfactual:
    step = Intervention("enlarged heart", LabelState.UNMENTIONED, LabelState.PRESENT)
    trajectory = Trajectory(thinking, f"The disease of this patient is {target}.")
    return Counterfactual("s1", "concept_graph", target, trajectory, (step,))


def answer(target: str) -> Trajectory:
    return Trajectory("", f"The disease of this patient is {target}.")


def set_of(sample: Sample, *found: Counterfactual) -> CounterfactualSet:
    return CounterfactualSet("hand", {sample.id: found}, {"elsewhere": 2}, 0, {"per_second": 10.0})


def test_an_edited_thinking_must_show_its_target_and_not_what_it_replaced(make_sample: Any, validity: Validity) -> None:
    sample = make_sample(EFFUSION)
    assert rejection(validity, sample, edited(HEART)) is None
    assert rejection(validity, sample, edited("The hila are clear.")) is Rejection.TARGET_NOT_SHOWN
    assert rejection(validity, sample, edited(f"{EFFUSION} {HEART}")) is Rejection.FACTUAL_NOT_GONE


def test_a_trajectory_from_elsewhere_must_name_its_target(make_sample: Any, validity: Validity) -> None:
    sample = make_sample(EFFUSION)
    whole = replace(edited("Anything at all."), interventions=())
    assert rejection(validity, sample, whole) is None
    assert rejection(validity, sample, replace(whole, target="Edema")) is Rejection.ANSWER_NOT_NAMED
    assert rejection(validity, sample, replace(whole, target="Pleural Effusion")) is Rejection.ALREADY_TRUE
    marked = replace(whole, trajectory=Trajectory("</think>", whole.trajectory.answer))
    assert rejection(validity, sample, marked) is Rejection.FORMAT_BROKEN


def test_where_only_the_answer_differs_it_alone_is_read(make_sample: Any, validity: Validity) -> None:
    sample = make_sample(EFFUSION)
    bare = Counterfactual("s1", "label_only", "Edema", answer("Edema"), chosen=answer("Pleural Effusion"))
    assert rejection(validity, sample, bare) is None
    assert rejection(validity, sample, replace(bare, trajectory=answer("Fracture"))) is Rejection.ANSWER_NOT_NAMED
    assert rejection(validity, sample, replace(bare, chosen=bare.trajectory)) is Rejection.EQUAL_TO_CHOSEN


def test_an_answer_may_also_deny_a_true_result(make_sample: Any, validity: Validity) -> None:
    sample = make_sample(f"{EFFUSION} {HEART}")
    chosen = Trajectory(f"Portable view. {EFFUSION} {HEART}", sample.factual.answer)
    denying = replace(chosen, answer="The disease of this patient is Cardiomegaly.")
    made = Counterfactual("s1", "invariance", "Pleural Effusion", denying, chosen=chosen)
    assert rejection(validity, sample, made) is None
    assert rejection(validity, sample, replace(made, target="Cardiomegaly")) is Rejection.ALREADY_TRUE
    told = examine([sample], set_of(sample, made), validity).as_dict()
    assert (told["argued_share"], told["edited_words_median"]) == (None, None)


def test_another_image_must_be_another_one(make_sample: Any, validity: Validity) -> None:
    sample = make_sample(EFFUSION)
    other = Counterfactual("s1", "perception", "Edema", sample.factual, images=(ImageRef("b.jpg"),))
    assert rejection(validity, sample, other) is None
    assert rejection(validity, sample, replace(other, images=sample.images)) is Rejection.EQUAL_TO_CHOSEN


def test_what_the_judge_rejects_is_counted_and_left_out(make_sample: Any, validity: Validity) -> None:
    sample = make_sample(EFFUSION)
    quality = examine([sample], set_of(sample, edited(HEART), edited("The hila are clear.")), validity)
    told = quality.as_dict()
    assert (told["n"], told["valid_share"]) == (1, 0.5)
    assert told["rejected"] == {"target not shown": 1}
    assert told["not_made"] == {"elsewhere": 2}
    assert told["argued_share"] == 1.0
    assert [c.trajectory.thinking for c in quality.valid.all] == [HEART]
    assert quality.valid.rejected == {"elsewhere": 2, "target not shown": 1}
    assert quality.valid.short == 1


def test_difficulty_is_the_margin_under_the_policy_and_fluency_its_log_prob_per_word(
    make_sample: Any, validity: Validity
) -> None:
    class Words:
        def score(self, samples: Sequence[Sample], completions: Sequence[Trajectory]) -> list[float]:
            assert [s.images[0].path for s in samples] == ["s1.jpg"] * len(samples)
            return [-2.0 * len(f"{c.thinking} {c.answer}".split()) for c in completions]

    sample = make_sample(EFFUSION)
    (one,) = examine([sample], set_of(sample, edited(HEART)), validity, Words()).examined
    assert one.per_word == -2.0
    words = len(EFFUSION.split()) - len(HEART.split()) + 1  # "Pleural Effusion" is a word longer than "Cardiomegaly"
    assert one.margin == -2.0 * words


def test_what_cannot_be_measured_is_null(make_sample: Any, validity: Validity) -> None:
    sample = make_sample(EFFUSION)
    told = examine([sample], set_of(sample), validity).as_dict()
    assert told["valid_share"] is None
    assert told["edited_words_median"] is None
    assert told["difficulty"] == {"margin_q10": None, "margin_q50": None, "margin_q90": None}


def test_other_samples_reports_are_valid_and_edit_more_than_the_concept_graph(
    make_pool: Pool, validity: Validity
) -> None:
    pool = make_pool(40, 7)
    by_graph = ConceptGraphCounterfactual(
        graph="chest", targets=2, choice="nearest", healthy_target=False, max_edit_ratio=1.0
    )
    told = [examine(pool, m.make(pool, seed=0), validity).as_dict() for m in (by_graph, RandomTrajectory(negatives=2))]
    assert [one["valid_share"] for one in told] == [1.0, 1.0]
    assert told[0]["edited_words_median"] < told[1]["edited_words_median"]


def test_word_pairs_of_one_report_alone_are_unusual() -> None:
    usual = usual_pairs(["no large effusion", "a large effusion", "a large heart"])
    assert share_of_pairs("a large effusion", usual) == 1.0
    assert share_of_pairs("no large heart", usual) == 0.0
    assert share_of_pairs("clear", usual) != share_of_pairs("clear", usual)
