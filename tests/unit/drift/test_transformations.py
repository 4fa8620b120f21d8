"""Shifts that change samples, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cpo.drift.annotation import Annotation
from cpo.drift.appearance import Appearance
from cpo.drift.missing_evidence import MissingEvidence
from cpo.drift.schedule import Stationary, Sudden
from cpo.drift.sentences import count_sentences, edit_sentences
from cpo.drift.shift import Transformation
from cpo.drift.stream import make_stream
from cpo.drift.vocabulary import Vocabulary
from cpo.errors import ConfigError, DataError
from cpo.records import Edit, ImageRef, LabelState, Provenance, Sample, Trajectory

BOTH = ["natural", "changed"]
HEART, CLEAR, CLAVICLE = (
    "The heart is mildly enlarged.",
    "There is no cavity.",
    "There may be a step in the left clavicle.",
)


def make_sample(
    thinking: str = HEART, labels: dict[str, str] | None = None, results: tuple[str, ...] = ("Edema",)
) -> Sample:
    return Sample(
        id="s",
        group="g",
        split="train",
        images=(ImageRef("a.png"), ImageRef("b.png", edits=(Edit("box"),))),
        prompt="?",
        factual=Trajectory(thinking, f"The disease of this patient is {', '.join(results)}."),
        labels={name: LabelState(state) for name, state in (labels or {}).items()},
        results=results,
        metadata={},
        provenance=Provenance("test", "table.csv", "1", "open"),
    )


def make_policy(**knobs: Any) -> Annotation:
    default = {"uncertain": "as_is", "flipped": 0.0, "results": [], "graph": "chest", "beside": ["Devices"]}
    return Annotation(**(default | {"concepts": BOTH} | knobs))


def changed(shift: Transformation, sample: Sample, seed: int = 0) -> Sample:
    """The sample in a stream that is under `changed` from the start, with its answer told anew."""
    return make_stream([sample], Sudden(position=0.0), {"shift": shift}, seed).samples[0]


@pytest.mark.parametrize(
    ("policy", "labels", "before", "after"),
    [
        # uncertain counted as present: a disease comes, and the healthy result goes
        ({"uncertain": "present"}, {"Edema": "uncertain"}, ["No Finding"], ["Edema"]),
        # what a reader that counts uncertain as present has named goes again
        ({"uncertain": "absent"}, {"Edema": "uncertain"}, ["Edema"], ["No Finding"]),
        # the order is that of the labels
        ({"uncertain": "present"}, {"Cyst": "uncertain", "Edema": "present"}, ["Edema"], ["Cyst", "Edema"]),
        # every label turns; unmentioned ones stay
        (
            {"flipped": 1.0},
            {"Cyst": "absent", "Edema": "present", "Mass": "unmentioned", "Scar": "uncertain"},
            ["Edema"],
            ["Cyst"],
        ),
        # a result beside the healthy one does not make a patient ill
        ({"flipped": 1.0, "results": ["Edema"]}, {"Edema": "present", "Devices": "present"}, ["Edema", "Devices"],
         ["Devices", "No Finding"]),
        # what the policy is not about stays
        ({"flipped": 1.0, "results": ["Cyst"]}, {"Cyst": "absent", "Edema": "present"}, ["Edema"], ["Cyst", "Edema"]),
    ],
)  # fmt: skip
def test_results_and_answer_follow_the_labels(
    policy: dict[str, Any], labels: dict[str, str], before: list[str], after: list[str]
) -> None:
    sample = make_sample(labels=labels, results=tuple(before))
    found = changed(make_policy(**policy), sample)
    assert found.results == tuple(after)
    assert found.factual.answer == f"The disease of this patient is {', '.join(after)}."
    assert (found.factual.thinking, found.images) == (sample.factual.thinking, sample.images)


def test_the_share_of_flipped_labels_is_as_asked() -> None:
    sample = make_sample(labels={f"L{i}": "absent" for i in range(2000)}, results=("No Finding",))
    flipped = make_policy(flipped=0.3).apply(sample, "changed", np.random.default_rng(0))
    assert len(flipped.results) == pytest.approx(600, abs=60)  # three standard deviations


@pytest.mark.parametrize(
    ("policy", "sample", "message"),
    [
        ({"uncertain": "present"}, make_sample(labels={"Edema": "present"}), "no label is uncertain"),
        ({"flipped": 0.1}, make_sample(), "no label is present or absent"),
        ({"flipped": 0.1}, make_sample(labels={"fog": "present"}), "labels that are no results: fog"),
        ({"flipped": 0.1, "results": ["Cyst"]}, make_sample(labels={"Edema": "present"}), "without the labels Cyst"),
    ],
)
def test_labels_that_do_not_decide_results_are_refused(policy: dict[str, Any], sample: Sample, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_stream([sample], Stationary(), {"annotation": make_policy(**policy)}, seed=0)


def test_sentences_that_the_graph_reads_are_told_in_their_last_wording_and_others_by_the_table() -> None:
    shift = Vocabulary(graph="chest", swaps={"opacity": "lung opacity"}, concepts=BOTH)
    sample = make_sample(f"{HEART}\n {CLEAR} OPACITY is seen. An Opacity, no lung opacity.")
    after = changed(shift, sample)
    assert after.factual.thinking == (
        "The cardiac silhouette is mildly enlarged.\n There is no cavity. "
        "Lung opacity is seen. An Lung opacity, no lung opacity."
    )
    assert shift.rewrite(after.factual.thinking) == after.factual.thinking
    assert shift.measure([sample, after]) == {"in_new_words": 0.5}


def test_a_swap_takes_whole_words_and_follows_the_case_of_the_first_letter() -> None:
    shift = Vocabulary(graph="chest", swaps={"node": "nodule"}, concepts=BOTH)
    assert shift.rewrite("Node and nodes, a node.") == "Nodule and nodes, a nodule."


def test_a_vocabulary_that_changes_nothing_is_refused() -> None:
    shift = Vocabulary(graph="chest", swaps={}, concepts=BOTH)
    with pytest.raises(DataError, match="1 samples without a sentence of the graph 'chest'"):
        make_stream([make_sample("Nothing that a graph reads.")], Stationary(), {"vocabulary": shift}, seed=0)


def test_dropped_findings_leave_the_rest_word_for_word() -> None:
    shift = MissingEvidence(graph="chest", sentences="asserted", share=1.0, concepts=BOTH)
    sample = make_sample(f" {HEART}  {CLEAR}\n {CLAVICLE} The patient is rotated.")
    assert changed(shift, sample).factual.thinking == f"{CLEAR} The patient is rotated."
    assert changed(shift, sample).factual.answer == sample.factual.answer
    assert shift.measure([sample]) == {"sentences": 4, "findings": 2}


def test_one_sentence_is_always_left() -> None:
    shift = MissingEvidence(graph="chest", sentences="any", share=1.0, concepts=BOTH)
    assert changed(shift, make_sample("One is. Two is.")).factual.thinking == "One is."


def test_texts_that_the_graph_does_not_read_lose_sentences_only_on_request() -> None:
    sample = make_sample("One is. Two is. Three is.")
    with pytest.raises(DataError, match="sentences=any"):
        changed(MissingEvidence(graph="chest", sentences="asserted", share=0.5, concepts=BOTH), sample)
    shift = MissingEvidence(graph="chest", sentences="any", share=0.5, concepts=BOTH)
    counts = [count_sentences(changed(shift, sample, seed).factual.thinking) for seed in range(300)]
    assert np.mean(counts) == pytest.approx(1.5 + 1 / 8, abs=0.15)  # at least one: all three are drawn once in eight


def test_an_edit_is_attached_to_every_image_after_those_it_has() -> None:
    shift = Appearance(edit="fog", strength=0.5, concepts=BOTH)
    one, two = changed(shift, make_sample()).images
    assert [e.name for e in one.edits] == ["fog"]
    assert [e.name for e in two.edits] == ["box", "fog"]
    seeds = [dict(image.edits[-1].params)["seed"] for image in (one, two)]
    assert seeds[0] != seeds[1], "no two pictures are under the same patches of fog"
    assert dict(one.edits[0].params)["strength"] == 0.5


def test_an_appearance_needs_an_image() -> None:
    text = Sample(**{**{f: getattr(make_sample(), f) for f in Sample.__slots__}, "images": ()})
    with pytest.raises(DataError, match="1 of 1 samples without an image"):
        changed(Appearance(edit="fog", strength=0.5, concepts=BOTH), text)


@pytest.mark.parametrize(
    ("make", "knobs"),
    [
        (Appearance, {"edit": "blur", "strength": 0.5}),
        (Appearance, {"edit": "fog", "strength": 1.5}),
        (MissingEvidence, {"graph": "chest", "sentences": "some", "share": 0.5}),
        (MissingEvidence, {"graph": "chest", "sentences": "any", "share": -0.5}),
        (Vocabulary, {"graph": "chest", "swaps": {"opacity": " "}}),
        (Vocabulary, {"graph": "chest", "swaps": {"node": "nodule", "nodule": "mass"}}),
        (make_policy, {}),
        (make_policy, {"uncertain": "maybe"}),
        (make_policy, {"flipped": 2.0}),
        (make_policy, {"flipped": 0.5, "concepts": ["natural", "other"]}),
    ],
)
def test_knobs_out_of_their_range_are_refused(make: Any, knobs: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"shift\."):
        make(**({"concepts": BOTH} | knobs))


@pytest.mark.parametrize("text", ["", " ", "one", "One.  Two!\nThree?", " a. b", "1.5 cm. End. "])
def test_a_text_of_which_no_sentence_changes_is_kept_to_the_letter(text: str) -> None:
    assert edit_sentences(text, lambda _, sentence: sentence) == text
