"""CODA-LM's stages on kept completions, rated by a scripted server: no policy and no model is needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cpo.answers import FreeAnswer
from cpo.errors import ConfigError, DataError, PrivacyError
from cpo.evaluation.benchmark import HeldOut, Session
from cpo.evaluation.coda_lm import CodaLM, by_stage
from cpo.evaluation.coda_lm_judging import instruction
from cpo.evaluation.items import read_items
from cpo.evaluation.judge import Judge
from cpo.preference.pairing import PairSet
from cpo.records import LabelState, Provenance, Sample, Trajectory
from tests.fixtures.chat_server import Answer, ChatServer

SHOTS = Path(__file__).parents[4] / "shared/samples/coda_lm/judge_few_shot"
KNOBS: dict[str, Any] = {
    "limit": -1, "batch_size": 2, "max_new_tokens": 8, "few_shot": "", "resamples": 20, "interval": "percentile",
}  # fmt: skip
Keep = Callable[[Path, Sequence[Sample], Sequence[str]], None]
MakeJudge = Callable[..., Judge]


def scene(
    number: int, thinking: str, answer: str, labels: Mapping[str, LabelState] | None = None, **metadata: str
) -> Sample:
    return Sample(
        id=f"test_{number}#{metadata.get('region', '')}",
        group=f"test_{number}",
        split="test",
        images=(),
        prompt="What matters?",
        factual=Trajectory(thinking, answer),
        labels=labels or {},
        results=(),
        metadata={"reference": "given", **metadata},
        provenance=Provenance("coda_lm", "f", "1", "open"),
    )


def suggestion(number: int) -> Sample:
    return scene(number, f"Cones {number}.", f"Slow down {number}.", {"slow down": LabelState.PRESENT})


def held_out(samples: Sequence[Sample]) -> HeldOut:
    return HeldOut(samples, {}, PairSet((), {}), FreeAnswer(), ())


def rates(text: str) -> Callable[[dict[str, Any], int], Answer]:
    return lambda request, nth: Answer(text)


def test_one_completion_is_rated_as_perception_and_as_suggestion(
    tmp_path: Path, keep: Keep, make_judge: MakeJudge
) -> None:
    samples = [suggestion(n) for n in range(3)]
    keep(tmp_path, samples, ["<think> Cones. </think> Slow down.", "<think> A bus. </think> Go.", "<think> Endless"])

    def script(request: dict[str, Any], nth: int) -> Answer:
        user = request["messages"][-1]["content"]
        if "A bus." in user:
            return Answer("A bus is not there, nothing else is said.")
        return Answer("Rating: [[9]]" if "[The Start of Reference Text]\nCones" in user else "Rating: [[3]]")

    with ChatServer(script) as server:
        benchmark = CodaLM(**KNOBS, judge=make_judge(server.url))
        found = benchmark.evaluate(None, held_out(samples), Session(0, tmp_path))["all"]
        again = benchmark.evaluate(None, held_out(samples), Session(0, tmp_path))["all"]
    assert len(server.requests) == 6, "what was replied is not asked again"
    assert again == found
    assert {request["temperature"] for request in server.requests} == {0.0}
    assert all(isinstance(turn["content"], str) for r in server.requests for turn in r["messages"]), "text alone"
    assert (found["general_perception"]["value"], found["driving_suggestion"]["value"]) == (9, 3)
    assert found["general_perception_pessimistic"]["value"] == pytest.approx((9 + 1 + 9) / 3)
    assert found["general_perception_unparsed"] == {"count": 1, "answers": 3, "no rating in the reply": 1}
    assert found["unclosed"] == {"count": 1, "answers": 3}
    assert found["driving_suggestion"]["judge"] == "judge-1"
    assert found["driving_suggestion"]["prompt"] != found["general_perception"]["prompt"]
    items = read_items(tmp_path)
    assert items is not None
    assert items.values["general_perception"].tolist()[::2] == [9, 9]


def test_regions_are_rated_by_themselves_and_by_super_class(tmp_path: Path, keep: Keep, make_judge: MakeJudge) -> None:
    samples = [
        scene(1, "", "A bus.", region="1", super_class="vehicle"),
        scene(1, "", "A cone.", region="3", super_class="traffic_cone"),
        scene(2, "", "A car.", region="1", super_class="vehicle"),
    ]
    keep(tmp_path, samples, ["A bus.", "A dog.", "A van."])
    ratings = {"A bus.": 10, "A dog.": 1, "A van.": 7}

    def script(request: dict[str, Any], nth: int) -> Answer:
        said = request["messages"][-1]["content"].split("[The Start of Prediction Text]\n")[1].split("\n")[0]
        return Answer(f"Rating: [[{ratings[said]}]]")

    with ChatServer(script) as server:
        benchmark = CodaLM(**KNOBS, judge=make_judge(server.url))
        scores = benchmark.evaluate(None, held_out(samples), Session(0, tmp_path))
    assert set(scores) == {"all", "vehicle", "traffic_cone"}
    assert scores["all"]["region_perception"]["value"] == 6
    assert scores["all"]["region_perception"]["clusters"] == 2
    assert scores["vehicle"]["region_perception"]["value"] == 8.5
    assert "general_perception" not in scores["all"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("I cannot tell."), "no rating in the reply"),
        (Answer("Rating: [[11]]"), "rating out of range"),
        (Answer("It is", finish="length"), "reply cut off at its longest"),
        (Answer("No.", finish="content_filter"), "judge declined"),
        (Answer(status=400, body=b"{}"), "no reply"),
    ],
)
def test_nonsense_is_counted_by_its_kind(
    tmp_path: Path, keep: Keep, make_judge: MakeJudge, answer: Answer, reason: str
) -> None:
    samples = [suggestion(1), suggestion(2)]
    keep(tmp_path, samples, ["<think> A. </think> B.", "<think> C. </think> D."])
    good = Answer("<think> [[2]]? </think> Rating: [[6]]")

    def script(request: dict[str, Any], nth: int) -> Answer:
        return answer if "Text]\nA." in request["messages"][-1]["content"] else good

    with ChatServer(script) as server:
        benchmark = CodaLM(**KNOBS, judge=make_judge(server.url))
        found = benchmark.evaluate(None, held_out(samples), Session(0, tmp_path))["all"]
    assert found["general_perception_unparsed"] == {"count": 1, "answers": 2, reason: 1}
    assert found["general_perception"]["value"] == 6, "what a judge thinks first is no rating"


def test_a_judge_that_is_down_is_an_error_and_what_it_said_before_is_kept(
    tmp_path: Path, keep: Keep, make_judge: MakeJudge
) -> None:
    samples = [suggestion(n) for n in range(12)]
    keep(tmp_path, samples, [f"<think> A {n}. </think> B {n}." for n in range(12)])
    answered = 0

    def breaks_down(request: dict[str, Any], nth: int) -> Answer:
        nonlocal answered
        answered += 1
        return Answer("Rating: [[6]]") if answered <= 5 else Answer(drop=True)

    with ChatServer(breaks_down) as server, pytest.raises(ConfigError, match="an endpoint that answers") as error:
        CodaLM(**KNOBS, judge=make_judge(server.url)).evaluate(None, held_out(samples), Session(0, tmp_path))
    assert "goes on from there" in error.value.remedy
    with ChatServer(rates("Rating: [[6]]")) as server:
        benchmark = CodaLM(**KNOBS, judge=make_judge(server.url))
        found = benchmark.evaluate(None, held_out(samples), Session(0, tmp_path))["all"]
    assert len(server.requests) == 24 - 5
    assert found["driving_suggestion"]["value"] == 6


def test_credentialed_texts_go_to_no_other_host(tmp_path: Path, keep: Keep, make_judge: MakeJudge) -> None:
    secret = replace(suggestion(1), provenance=Provenance("own", "f", "1", "credentialed"))
    keep(tmp_path, [secret], ["<think> A. </think> B."])
    benchmark = CodaLM(**KNOBS, judge=make_judge("https://elsewhere.example/v1"))
    with pytest.raises(PrivacyError, match="stays on this machine"):
        benchmark.refuse_unless_allowed("credentialed", acknowledged=False)
    benchmark.refuse_unless_allowed("open", acknowledged=False)
    with pytest.raises(PrivacyError, match="stays on this machine"):
        benchmark.evaluate(None, held_out([secret]), Session(0, tmp_path))


@pytest.mark.parametrize(
    ("sample", "told"),
    [
        (replace(suggestion(1), metadata={"reference": "blank"}), "1 of 1 samples with a blank reference"),
        (replace(suggestion(1), metadata={}), "not of CODA-LM"),
    ],
)
def test_what_cannot_be_rated_is_refused_before_a_word_is_generated(
    tmp_path: Path, make_judge: MakeJudge, sample: Sample, told: str
) -> None:
    with pytest.raises(DataError, match=told):
        CodaLM(**KNOBS, judge=make_judge()).evaluate(None, held_out([sample]), Session(0, tmp_path))


def test_worked_examples_come_between_task_and_text_and_are_part_of_the_prompt(tmp_path: Path) -> None:
    for name, response in (("high", "Rating: [[8]]"), ("low", "Rating: [[2]]")):
        for kind in ("scene", "suggestion"):
            content = {"reference": f"r {name}", "prediction": f"p {name}", "response": response}
            (tmp_path / f"{kind}_few_shot_{name}.json").write_text(json.dumps(content))
    plain, shown = (instruction("general_perception", folder) for folder in ("", str(tmp_path)))
    assert plain.prompt != shown.prompt
    request = shown.request("judge-1", "r", "p", 64)
    assert [reply for _, reply in request.shots] == ["Rating: [[8]]", "Rating: [[2]]"]
    assert "r high" in request.shots[0][0]
    assert request.key != plain.request("judge-1", "r", "p", 64).key
    assert instruction("region_perception", str(tmp_path)).shots == ()
    (tmp_path / "scene_few_shot_low.json").write_text("{}")
    with pytest.raises(DataError, match=r"scene_few_shot_low\.json"):
        instruction("general_perception", str(tmp_path))


@pytest.mark.skipif(not SHOTS.is_dir(), reason="the release's worked examples are not at ../shared/samples/coda_lm")
def test_the_releases_own_examples_are_read_and_rated_as_published() -> None:
    for stage in ("general_perception", "driving_suggestion"):
        read = instruction(stage, str(SHOTS))
        assert [read.read(response) for _, _, response in read.shots] == [8, 2]


def test_worked_examples_reach_the_server_as_turns(tmp_path: Path, make_judge: MakeJudge) -> None:
    told = replace(instruction("driving_suggestion", ""), shots=(("r", "p", "Rating: [[8]]"),))
    with ChatServer(rates("Rating: [[5]]")) as server:
        verdicts = make_judge(server.url).rate([("x", "y")], told, access="open", acknowledged=False)
    assert verdicts.found == [5]
    (request,) = server.requests
    assert [turn["role"] for turn in request["messages"]] == ["system", "user", "assistant", "user"]
    assert request["messages"][2]["content"] == "Rating: [[8]]"


def test_a_description_alone_is_general_perception() -> None:
    found = by_stage([scene(1, "", "Cones.")], ["A bus. "])
    assert found == {"general_perception": [(0, "Cones.", "A bus.")]}


@pytest.mark.parametrize(
    ("knobs", "told"),
    [({"url": "in_process"}, "in_process"), ({"max_tokens": 0}, "max_tokens=0"), ({"url": "nowhere"}, "endpoint")],
)
def test_a_judge_that_cannot_be_asked_is_refused(make_judge: MakeJudge, knobs: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        make_judge(**knobs)


def test_a_judge_without_a_name_is_refused(make_judge: MakeJudge) -> None:
    with pytest.raises(ConfigError, match="without a name"):
        make_judge(model="").rate([("x", "y")], instruction("region_perception", ""), access="open", acknowledged=False)


@pytest.mark.parametrize("knob", [{"limit": 0}, {"batch_size": 0}, {"max_new_tokens": 0}, {"interval": "t"}])
def test_a_knob_out_of_range_is_refused(make_judge: MakeJudge, knob: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(knob))):
        CodaLM(**{**KNOBS, **knob}, judge=make_judge())
