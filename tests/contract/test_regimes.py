"""What every regime keeps: each schedule with each shift, found in conf/, on pools of the shapes of both worlds."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from omegaconf import OmegaConf

from cpo import config
from cpo.answers import AnswerFormat, ListedAnswer, PhrasedAnswer
from cpo.drift.schedule import Schedule
from cpo.drift.shift import Selection, Shift, Transformation
from cpo.drift.stream import concept_samples, concepts_of, make_stream
from cpo.errors import ConfigError
from cpo.graph.lexicon import SEVERITIES, SIDES, Lexicon
from cpo.graph.schema import ConceptGraph
from cpo.records import ImageRef, LabelState, Provenance, Sample, Stream, Trajectory

CONF = Path(__file__).parents[2] / "conf"
N = 400


def files(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


SCHEDULES, SHIFTS, WORLDS = files("drift"), [name for name in files("shift") if name != "none"], ["chest", "driving"]
DATASETS = {"chest": "chest_world", "driving": "road_world"}
KNOBS: Mapping[str, Mapping[str, Any]] = {"domain": {"second": "another"}}
"""What a user has to say beyond the defaults of a shift and what suits the dataset."""

each_schedule = pytest.mark.parametrize("drift", SCHEDULES)
each_shift = pytest.mark.parametrize("shift", SHIFTS)
each_world = pytest.mark.parametrize("world", WORLDS)


def node(group: str, name: str, **knobs: Any) -> dict[str, Any]:
    return {**yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8")), **knobs}


@cache
def suits(world: str) -> Mapping[str, str]:
    return node("dataset", DATASETS[world]).get("suits", {})


def schedule_of(name: str, **knobs: Any) -> Schedule:
    return config.build(node("drift", name, **knobs))


def shifts_of(world: str, *names: str) -> dict[str, Shift]:
    nodes = {name: node("shift", name, **KNOBS.get(name, {})) for name in names}
    root = OmegaConf.create({"dataset": {"suits": dict(suits(world))}, "shift": nodes})
    return config.build_all(root.shift)


@cache
def pool(world: str) -> tuple[Sample, ...]:
    """Samples whose texts, labels, results and metadata vary independently."""
    graph = ConceptGraph.load(world)
    lexicon, rng = Lexicon(graph), np.random.default_rng(0)
    nuisance, value = suits(world).get("attribute", "view"), suits(world).get("value", "AP")
    samples = []
    for number in range(N):
        states = {name: LabelState(rng.choice(["present", "absent", "uncertain"])) for name in labelled(world)}
        results = [name for name, state in states.items() if state is LabelState.PRESENT] or [graph.default]
        attributes = rng.choice(list(graph.attributes), size=3, replace=False)
        sentences = [sentence(lexicon, str(attribute), rng) for attribute in attributes]
        samples.append(
            Sample(
                id=f"s{number}",
                group=f"g{number // 2}",
                split="train",
                images=(ImageRef(f"{number}.png"),),
                prompt="What is there?",
                factual=Trajectory(" ".join(sentences), answers_of(world).write(results)),
                labels=states,
                results=tuple(results),
                metadata={nuisance: str(rng.choice([value, "other"]))},
                provenance=Provenance("another" if rng.random() < 0.4 else world, "table.csv", str(number), "open"),
            )
        )
    return tuple(samples)


def labelled(world: str) -> tuple[str, ...]:
    """A few results, in the order of answers."""
    some = {suits(world).get("result", "Cardiomegaly"), suits(world).get("companion", "Edema")}
    diseases = ConceptGraph.load(world).diseases
    return tuple(name for name in diseases if name in some or name in diseases[:3])


def sentence(lexicon: Lexicon, attribute: str, rng: np.random.Generator) -> str:
    state = LabelState(rng.choice(["present", "absent", "uncertain"]))
    wording = int(rng.integers(lexicon.choices(attribute, state)))
    return lexicon.write(attribute, state, str(rng.choice(SIDES)), str(rng.choice(SEVERITIES)), wording)


@cache
def answers_of(world: str) -> AnswerFormat:
    graph = ConceptGraph.load(world)
    if graph.phrases:
        return PhrasedAnswer("The car {}.", {name: [phrase] for name, phrase in graph.phrases.items()})
    return ListedAnswer("The disease of this patient is {}.", [*graph.diseases, graph.default])


def stream_of(world: str, drift: Schedule, shifts: Mapping[str, Shift], seed: int = 0) -> Stream:
    return make_stream(pool(world), drift, shifts, seed, answers=answers_of(world))


def same(one: Stream, other: Stream) -> bool:
    return one.samples == other.samples and json.dumps(dataclasses.asdict(one.truth)) == json.dumps(
        dataclasses.asdict(other.truth)
    )


def test_every_schedule_and_shift_there_is_is_checked_here() -> None:
    assert {f"{name}.yaml" for name in SCHEDULES} == set(os.listdir(CONF / "drift"))
    assert {f"{name}.yaml" for name in [*SHIFTS, "none"]} == set(os.listdir(CONF / "shift"))
    assert len(SCHEDULES) >= 5
    assert len(SHIFTS) >= 9
    kinds = {type(shift).__bases__[0].__name__ for shift in shifts_of("chest", *SHIFTS).values()}
    assert kinds <= {"Selection", "Tie", "Transformation"}
    assert {"Selection", "Transformation"} <= kinds


@each_world
@each_shift
@each_schedule
def test_a_regime_is_a_plan_that_its_truth_describes(drift: str, shift: str, world: str) -> None:
    schedule, shifts = schedule_of(drift), shifts_of(world, shift)
    stream = stream_of(world, schedule, shifts)
    truth, n = stream.truth, len(stream.samples)
    source = {s.id: s for s in pool(world)}
    ids = [s.id for s in stream.samples]
    assert n >= 40
    assert len(set(ids)) == n, "no sample twice"
    assert set(ids) <= set(source)
    assert truth.left_out == N - n
    assert len(truth.concept_at) == n
    assert truth.concept_at == tuple(schedule.plan(n, 2, 0).tolist())
    assert truth.changes == schedule.changes(n, 2)
    for start, end in truth.changes:
        assert 0 <= start <= end <= n
    (record,) = truth.shifts
    assert sum(rates["samples"] for rates in record["rates"].values()) == n
    assert record["name"] == shift
    assert shifts[shift].parameters.items() <= record.items()
    json.dumps(record)
    if isinstance(shifts[shift], Transformation):
        assert ids == list(source), "what changes samples leaves their order alone"
        natural = shifts[shift].concepts.index("natural")
        untouched = [s == source[s.id] for s in stream.samples]
        in_natural = np.array(truth.concept_at) == natural
        assert all(np.array(untouched)[in_natural])
        if not in_natural.all():
            assert not all(np.array(untouched)[~in_natural])
    else:
        assert all(s == source[s.id] for s in stream.samples), "what selects samples leaves them as they are"


@each_world
@each_shift
@each_schedule
def test_a_regime_is_decided_by_its_seed(drift: str, shift: str, world: str) -> None:
    schedule = schedule_of(drift)
    one = stream_of(world, schedule, shifts_of(world, shift))
    assert same(one, stream_of(world, schedule, shifts_of(world, shift)))
    other = stream_of(world, schedule, shifts_of(world, shift), seed=1)
    if isinstance(shifts_of(world, shift)[shift], Selection):
        assert one.samples != other.samples


@each_world
@each_shift
def test_measured_rates_are_those_of_the_samples_of_each_concept(shift: str, world: str) -> None:
    stream, shifts = stream_of(world, schedule_of("sudden"), shifts_of(world, shift)), shifts_of(world, shift)
    rates = stream.truth.shifts[0]["rates"]
    assert len(rates) == 2
    for concept in stream.truth.concepts:
        part = [s for s, at in zip(stream.samples, stream.truth.concept_at, strict=True) if at == concept.index]
        assert rates[concept.name] == {"samples": len(part), **shifts[shift].measure(part)}
    one, other = (dict(rate) for rate in rates.values())
    del one["samples"], other["samples"]
    moved = [key for key in one.keys() & other.keys() if abs(one[key] - other[key]) > 0.05]
    assert moved or one.keys() != other.keys(), "a shift moves what it measures"


@each_world
@each_shift
def test_a_stationary_regime_is_the_stream_of_the_first_concept(shift: str, world: str) -> None:
    shifts = shifts_of(world, shift)
    stationary = stream_of(world, schedule_of("stationary"), shifts)
    alone = concept_samples(pool(world), shifts, 0, 0, answers=answers_of(world))
    assert stationary.samples == alone.samples
    assert set(stationary.truth.concept_at) == {0}
    assert [c.name for c in stationary.truth.concepts] == [concepts_of(shifts)[0].name]
    if isinstance(shifts[shift], Transformation):
        assert stationary.samples == pool(world), "`natural` is the dataset itself"


@each_world
def test_a_stationary_regime_without_a_shift_is_no_stream_at_all(world: str) -> None:
    assert node("shift", "none") == {}
    stream = stream_of(world, schedule_of("stationary"), {})
    assert stream.samples == pool(world)
    assert stream.truth.left_out == 0


@pytest.mark.parametrize("drift", [name for name in SCHEDULES if name != "stationary"])
def test_a_drift_without_a_shift_is_refused(drift: str) -> None:
    with pytest.raises(ConfigError, match="two concepts"):
        stream_of("chest", schedule_of(drift), {})


@each_world
@each_shift
@pytest.mark.parametrize("drift", [name for name in SCHEDULES if "width" in node("drift", name)])
@pytest.mark.parametrize("width", [0.0, 1 / N])
def test_a_width_of_nothing_is_a_sudden_drift(drift: str, width: float, shift: str, world: str) -> None:
    if drift == "recurring":
        knobs = {"position": 0.5, "period": 1.0, "returns": 0, "width": width}
    else:
        knobs = {"position": 0.5, "width": width}
    sudden = stream_of(world, schedule_of("sudden", position=0.5), shifts_of(world, shift))
    assert same(sudden, stream_of(world, schedule_of(drift, **knobs), shifts_of(world, shift)))


@each_world
@pytest.mark.parametrize(
    "names",
    [("spurious", "vocabulary"), ("prevalence", "appearance", "annotation"), ("domain", "spurious")],
    ids="+".join,
)
def test_shifts_stack(names: Sequence[str], world: str) -> None:
    shifts = shifts_of(world, *names)
    stream = stream_of(world, schedule_of("gradual"), shifts)
    assert [record["name"] for record in stream.truth.shifts] == list(names)
    assert len({s.id for s in stream.samples}) == len(stream.samples)
    assert [c.name for c in stream.truth.concepts] == [
        "+".join(pair) for pair in zip(*(s.concepts for s in shifts.values()), strict=True)
    ]
    assert same(stream, stream_of(world, schedule_of("gradual"), shifts_of(world, *names)))


@each_world
def test_texts_stay_readable_by_the_graph(world: str) -> None:
    lexicon = Lexicon(ConceptGraph.load(world))
    source = {s.id: s for s in pool(world)}
    for shift in ("vocabulary", "missing_evidence"):
        stream = stream_of(world, schedule_of("sudden", position=0.0), shifts_of(world, shift))
        for sample in stream.samples:
            before = [lexicon.mentions(s) for s in lexicon.split_sentences(source[sample.id].factual.thinking)]
            after = [lexicon.mentions(s) for s in lexicon.split_sentences(sample.factual.thinking)]
            assert all(after)
            if shift == "vocabulary":
                assert after == before, "the same findings in other words"
            else:
                assert [m for m in before if m in after] == after, "what is left is what was there"


@each_world
def test_answers_name_the_results_of_every_sample_after_every_shift(world: str) -> None:
    for shift in SHIFTS:
        for sample in stream_of(world, schedule_of("gradual"), shifts_of(world, shift)).samples:
            assert answers_of(world).read(sample.factual.answer) == frozenset(sample.results)
