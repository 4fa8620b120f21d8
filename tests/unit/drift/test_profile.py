from __future__ import annotations

import json

import pytest

from cpo.drift.prevalence import Prevalence
from cpo.drift.profile import profile
from cpo.drift.schedule import Stationary, Sudden
from cpo.drift.stream import make_stream
from cpo.errors import ConfigError
from cpo.records import Edit, ImageRef, LabelState, Provenance, Sample, Trajectory


def make_sample(number: int) -> Sample:
    ill = number % 2 == 1
    return Sample(
        id=f"s{number}",
        group=f"g{number}",
        split="train",
        images=(ImageRef("a.png", edits=(Edit("fog"),) if number == 0 else ()),),
        prompt="?",
        factual=Trajectory("two words" if ill else "one", "Edema" if ill else "No Finding"),
        labels={"Edema": LabelState.UNCERTAIN if number == 3 else LabelState.PRESENT},
        results=("Edema",) if ill else ("No Finding",),
        metadata={"view": "AP" if number < 4 else "PA", "date": str(number), "site": "north"},
        provenance=Provenance("test", "table.csv", str(number), "open"),
    )


POOL = [make_sample(number) for number in range(10)]


def test_rates_of_each_stretch_are_those_of_its_samples() -> None:
    found = profile(make_stream(POOL, Stationary(), {}, seed=0), {}, bins=2)
    assert (found["positions"], found["samples"]) == ([2.0, 7.0], [5, 5])
    assert found["concepts"] == {"all": [1.0, 1.0]}
    assert found["results"]["Edema"] == {"along": [0.4, 0.6], "by_concept": [0.5]}
    assert found["attributes"]["view AP"]["along"] == [0.8, 0.0]
    assert list(found["attributes"]) == ["view AP", "view PA"], "neither a date nor what all samples share"
    contents = {name: rates["along"] for name, rates in found["contents"].items()}
    assert contents["words of thinking"] == [1.4, 1.6]
    assert contents["labels in doubt per sample"] == [0.2, 0.0]
    assert contents["samples with an edited image"] == [0.2, 0.0]
    json.dumps(found)


def test_concepts_and_what_a_shift_measures_follow_the_plan() -> None:
    shifts = {"prevalence": Prevalence(result="Edema", rate=1.0, concepts=["natural", "changed"])}
    stream = make_stream(POOL, Sudden(position=0.5), shifts, seed=0)
    n = len(stream.samples)
    found = profile(stream, shifts, bins=2)
    assert n == 7  # 4 natural, 2 of them ill, and 3 changed: all 5 ill ones there are; 8 would take 6
    assert found["concepts"] == {"natural": [1.0, 0.0], "changed": [0.0, 1.0]}
    assert found["shifts"]["prevalence"]["result"][1] == 1.0
    assert found["results"]["Edema"]["by_concept"] == found["shifts"]["prevalence"]["result"]


def test_there_are_never_more_stretches_than_samples() -> None:
    found = profile(make_stream(POOL, Stationary(), {}, seed=0), {}, bins=99)
    assert found["samples"] == [1] * 10
    with pytest.raises(ConfigError, match="0 stretches"):
        profile(make_stream(POOL, Stationary(), {}, seed=0), {}, bins=0)
