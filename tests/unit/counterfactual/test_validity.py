"""Each way a counterfactual can fail is recognised, and a sound one passes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cpo.counterfactual.validity import Validity, format_broken, lexicon_judge
from cpo.errors import ConfigError
from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph
from cpo.records import Counterfactual, LabelState, Sample, Trajectory

FLUID = "There is a moderate amount of fluid in the left pleural space."
BREAK = "There is a cortical break of a left rib."
NODULE = "A nodule projects over the left lung."
VOLUME = "There is mild volume loss in the left lung."
AIR = "The lungs are severely hyperinflated."
REST = "Portable view. A pacemaker is in place. The patient is rotated."


@pytest.fixture(scope="module")
def validity(graph: ConceptGraph, lexicon: Lexicon) -> Validity:
    return Validity(graph=graph, judge=lexicon_judge(lexicon), max_edit_ratio=0.7)


@pytest.fixture
def sample(make_sample: Any) -> Sample:
    return make_sample(f"{FLUID} {VOLUME} {REST}")


def rejected(validity: Validity, sample: Sample, thinking: str, answer: str, target: str = "Fracture") -> str | None:
    trajectory = Trajectory(thinking, f"The disease of this patient is {answer}.")
    reason = validity.rejection(sample, Counterfactual(sample.id, "hand", target, trajectory))
    return None if reason is None else reason.value


def test_a_sound_counterfactual_passes(validity: Validity, sample: Sample) -> None:
    assert rejected(validity, sample, f"{BREAK} {VOLUME} {REST}", "Atelectasis, Fracture") is None


@pytest.mark.parametrize(
    ("thinking", "answer", "reason"),
    [
        (f"There is no rib callus. {VOLUME} {REST}", "Atelectasis, Fracture", "target not shown"),
        (f"{FLUID} {BREAK} {VOLUME} {REST}", "Atelectasis, Fracture", "factual result not gone"),
        (f"{BREAK} {REST}", "Atelectasis, Fracture", "kept result lost"),
        (f"{BREAK} {VOLUME} {NODULE} {REST}", "Atelectasis, Fracture", "a third result shown"),
        (f"{BREAK} {VOLUME} {AIR} {REST}", "Atelectasis, Fracture", "exclusion broken"),
        (f"{BREAK} {VOLUME} {REST}", "Atelectasis", "answer sentence does not name the result"),
        (f"{BREAK} {VOLUME} {REST}", "Atelectasis, Fracture, Pleural Effusion", "answer sentence does not name"),
        (f"{BREAK} </think> {VOLUME}", "Atelectasis, Fracture", "format broken"),
        (f"{BREAK} <|image_pad|> {VOLUME}", "Atelectasis, Fracture", "format broken"),
        ("", "Atelectasis, Fracture", "format broken"),
        (
            f"{BREAK} {VOLUME} {' '.join(f'Quite other words {n}.' for n in range(20))}",
            "Atelectasis, Fracture",
            "edited too much",
        ),
    ],
)
def test_a_faulty_counterfactual_is_rejected_with_its_reason(
    thinking: str, answer: str, reason: str, validity: Validity, sample: Sample
) -> None:
    assert (rejected(validity, sample, thinking, answer) or "").startswith(reason)


def test_a_target_that_is_true_or_left_open_is_rejected(validity: Validity, sample: Sample) -> None:
    reason = "target is already true of the sample"
    assert rejected(validity, sample, BREAK, "Pleural Effusion", target="Pleural Effusion") == reason
    open_ = replace(sample, labels={**sample.labels, "Fracture": LabelState.UNCERTAIN})
    assert rejected(validity, open_, f"{BREAK} {VOLUME} {REST}", "Atelectasis, Fracture") == reason


def test_the_factual_trajectory_itself_is_rejected(validity: Validity, sample: Sample) -> None:
    made = Counterfactual(sample.id, "hand", "Fracture", sample.factual)
    assert (validity.rejection(sample, made) or "") == "equal to the chosen trajectory"


def test_a_healthy_target_is_shown_when_no_disease_is(validity: Validity, make_sample: Any) -> None:
    sample = make_sample(f"{FLUID} {REST}")
    assert rejected(validity, sample, REST, "No Finding", target="No Finding") is None
    assert rejected(validity, sample, f"{BREAK} {REST}", "No Finding", target="No Finding") == "target not shown"


def test_a_fault_that_the_factual_text_has_is_not_held_against_the_counterfactual(
    validity: Validity, make_sample: Any
) -> None:
    sample = make_sample(f"{FLUID} {VOLUME} {AIR} {REST}")
    assert rejected(validity, sample, f"{BREAK} {VOLUME} {AIR} {REST}", "Atelectasis, Fracture") is None


def test_another_judge_may_read_the_text(graph: ConceptGraph, sample: Sample) -> None:
    blind = Validity(graph=graph, judge=lambda thinking: {}, max_edit_ratio=1.0)
    assert rejected(blind, sample, f"{BREAK} {VOLUME} {REST}", "Atelectasis, Fracture") == "target not shown"


@pytest.mark.parametrize("text", ["a <think> b", "<|vision_start|>", "<image>", "the {side} lung", " "])
def test_marks_of_the_chat_template_break_the_format_on_either_side(text: str) -> None:
    assert format_broken(Trajectory(text, "Edema."))
    assert format_broken(Trajectory("Haze.", text))


@pytest.mark.parametrize("ratio", [0.0, -1.0, 1.01, float("nan")])
def test_an_edit_ratio_out_of_range_is_refused(ratio: float, graph: ConceptGraph, lexicon: Lexicon) -> None:
    with pytest.raises(ConfigError, match="max_edit_ratio"):
        Validity(graph=graph, judge=lexicon_judge(lexicon), max_edit_ratio=ratio)
