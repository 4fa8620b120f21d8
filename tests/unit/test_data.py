from __future__ import annotations

from dataclasses import replace

from cpo.data import interleaved
from cpo.records import Provenance, Sample, Trajectory


def sample(name: str) -> Sample:
    return Sample(
        id=name,
        group=name,
        split="test",
        images=(),
        prompt="What?",
        factual=Trajectory("", name),
        labels={},
        results=(),
        metadata={},
        provenance=Provenance("d", "f", "1", "open"),
    )


A, B = sample("a"), sample("b")
CHANGED = replace(A, factual=Trajectory("", "changed"))


def test_concepts_that_only_select_share_the_samples() -> None:
    judged, concepts = interleaved((A, B), {"a": [("one", A), ("two", A)], "b": [("two", B)]})
    assert judged == (A, B)
    assert concepts == {"one": [0], "two": [0, 1]}


def test_a_changed_sample_follows_the_one_it_was_made_from_and_stays_out_of_all() -> None:
    judged, concepts = interleaved((A, B), {"a": [("one", A), ("two", CHANGED), ("three", CHANGED)], "b": []})
    assert judged == (A, CHANGED, B)
    assert concepts == {"all": [0, 2], "one": [0], "two": [1], "three": [1]}
