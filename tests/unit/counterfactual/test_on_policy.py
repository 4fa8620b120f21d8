"""What a policy writes is rejected material only when its answer can be read and is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from cpo.answers import ListedAnswer
from cpo.counterfactual.base import Rejection
from cpo.counterfactual.on_policy import OnPolicy, Unusable
from cpo.errors import ConfigError
from cpo.records import LabelState, Sample, Trajectory

EFFUSION = "There is a moderate amount of fluid in the left pleural space."
ANSWERS = ListedAnswer("The disease of this patient is {}.", ["Edema", "No Finding", "Pleural Effusion", "Pneumonia"])
WRONG = "<think> Septal lines are seen. </think> The disease of this patient is Edema."
KNOBS: dict[str, Any] = {
    "negatives": 2,
    "draws": 4,
    "temperature": 0.8,
    "max_new_tokens": 64,
    "malformed": "reject",
}
RIGHT = "<think> Fluid is seen. </think> The disease of this patient is Pleural Effusion."


@dataclass
class Scripted:
    """A generator that says what it is told to, sample by sample."""

    texts: dict[str, list[str]]
    asked: dict[str, Any] = field(default_factory=dict)

    def generate(self, samples: Sequence[Sample], **knobs: Any) -> list[str]:
        self.asked = knobs
        waiting = {name: iter(texts) for name, texts in self.texts.items()}
        return [next(waiting[sample.id]) for sample in samples]


def method(texts: dict[str, list[str]], **knobs: Any) -> tuple[OnPolicy, Scripted]:
    draws = len(next(iter(texts.values())))
    made = OnPolicy(**KNOBS | {"draws": draws} | knobs)
    policy = Scripted(texts)
    made.use(policy, identity="sft")
    made.read_by(ANSWERS)
    return made, policy


def test_wrong_answers_are_kept_word_for_word_and_others_counted_by_reason(make_sample: Any) -> None:
    sample = make_sample(EFFUSION)
    broken = "<think> </think> The disease of this patient is Edema."
    made, policy = method({"s1": ["no tags", RIGHT, broken, WRONG, WRONG]})
    found = made.make([sample], seed=5)
    assert [(c.target, c.trajectory) for c in found.all] == [
        ("Edema", Trajectory("Septal lines are seen.", "The disease of this patient is Edema."))
    ]
    assert found.rejected == {
        Rejection.FORMAT_BROKEN.value: 1,
        Unusable.REPEATED.value: 1,
        Unusable.RIGHT.value: 1,
        Unusable.UNREADABLE.value: 1,
    }
    assert found.short == 1
    assert policy.asked == {"max_new_tokens": 64, "temperature": 0.8, "seed": 5}


def test_a_result_that_the_report_leaves_open_is_not_wrong(make_sample: Any) -> None:
    sample = make_sample(f"{EFFUSION} There may be septal lines at both lung bases.")
    assert sample.labels["Edema"] is LabelState.UNCERTAIN
    made, _ = method({"s1": [WRONG, WRONG]})
    assert made.make([sample], seed=0).all == ()


def test_the_target_is_the_first_false_result_of_several(make_sample: Any) -> None:
    text = "<think> Much is seen. </think> The disease of this patient is Pleural Effusion, Pneumonia."
    made, _ = method({"s1": [text, RIGHT]})
    assert [c.target for c in made.make([make_sample(EFFUSION)], seed=0).all] == ["Pneumonia"]


def test_it_asks_a_generator_and_refuses_to_work_without_one(make_sample: Any) -> None:
    made = OnPolicy(**KNOBS)
    assert made.needs == "generator"
    with pytest.raises(ConfigError, match="without a policy"):
        made.make([make_sample(EFFUSION)], seed=0)


@pytest.mark.parametrize(
    "knobs", [{"draws": 1}, {"malformed": "mend"}, {"temperature": 0.0}, {"max_new_tokens": 0}, {"negatives": 0}]
)
def test_knobs_out_of_range_are_refused(knobs: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        OnPolicy(**KNOBS | knobs)


def test_unreadable_texts_are_kept_as_they_stand_where_asked_for_but_never_empty_ones(make_sample: Any) -> None:
    made, _ = method({"s1": ["", "no tags", "<|vision_start|>"]}, malformed="keep")
    found = made.make([make_sample(EFFUSION)], seed=0)
    assert [(c.target, c.trajectory) for c in found.all] == [("", Trajectory("", "no tags"))]
    assert found.rejected == {Unusable.UNREADABLE.value: 2}
