"""The driving benchmarks on kept completions: no policy is needed to check their rules."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cpo.answers import FreeAnswer
from cpo.dataset.drivelm import DriveLM as DriveLMDataset
from cpo.errors import ConfigError, DataError
from cpo.evaluation.bdd_x import BddX
from cpo.evaluation.benchmark import HeldOut, Session
from cpo.evaluation.drivelm import DriveLM, asked_of, total_of
from cpo.evaluation.judge import Judge
from cpo.evaluation.predictions import _key
from cpo.metrics.drivelm import Tag
from cpo.preference.pairing import PairSet
from cpo.records import Provenance, Sample, Trajectory
from tests.fixtures.chat_server import Answer, ChatServer

pytest.importorskip("pycocoevalcap", reason="needs the extra `captions`")
pytestmark = pytest.mark.skipif(shutil.which("java") is None, reason="needs a Java runtime")

SAMPLES = Path(__file__).parents[4] / "shared/samples/drivelm"
real = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the excerpt of the release is not at ../shared/samples/drivelm")
KNOBS: dict[str, Any] = {"limit": -1, "batch_size": 2, "max_new_tokens": 8, "resamples": 10}


def keep(folder: Path, samples: Sequence[Sample], texts: Sequence[str]) -> None:
    rows = ({"id": s.id, "key": _key(s, 8), "text": text} for s, text in zip(samples, texts, strict=True))
    (folder / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def held_out(samples: Sequence[Sample]) -> HeldOut:
    return HeldOut(samples, {}, PairSet((), {}), FreeAnswer(), ())


@pytest.fixture
def questions() -> Sequence[Sample]:
    reader = DriveLMDataset(name="d", root=str(SAMPLES), file="test_eval.json", split="test", media="optional")
    return list(reader.samples("test"))


@real
def test_perfect_answers_to_the_released_questions_are_perfect_in_every_part(
    tmp_path: Path, questions: Sequence[Sample], make_judge: Callable[..., Judge]
) -> None:
    keep(tmp_path, questions, [q.factual.answer for q in questions])
    benchmark = DriveLM(**KNOBS, judged=False, judge=make_judge())
    scores = benchmark.evaluate(None, held_out(questions), Session(0, tmp_path))["all"]
    assert scores["accuracy"]["value"] == 1
    assert scores["match"]["value"] == pytest.approx(100)
    assert scores["bleu_1"]["value"] == pytest.approx(1, abs=1e-6)
    assert scores["questions"]["judge"] > 0
    assert scores["total"] == {"value": None, "lacks": "the judge's score"}


@real
def test_missing_the_objects_of_a_frame_closes_the_questions_about_them(questions: Sequence[Sample]) -> None:
    answers = [q.factual.answer for q in questions]
    first = [n for n, q in enumerate(questions) if q.metadata["position"] == "0"]
    blind = ["nothing" if n in first else text for n, text in enumerate(answers)]
    assert all(asked_of(questions, answers))
    asked = asked_of(questions, blind)
    assert all(asked[n] for n in first)
    named = [n for n, q in enumerate(questions) if n not in first and "<c" in q.prompt]
    assert named
    assert not any(asked[n] for n in named)
    assert all(asked[n] for n, q in enumerate(questions) if n not in named)


def question(position: int, tag: Tag, prompt: str, answer: str) -> Sample:
    metadata = {"frame": "f", "position": str(position), "tag": str(int(tag)), "reference": "given"}
    plain = segment(answer, "")
    return replace(plain, id=f"q{position}", prompt=prompt, factual=Trajectory("", answer), metadata=metadata)


def test_a_judge_rates_its_questions_and_half_of_the_match(tmp_path: Path, make_judge: Callable[..., Judge]) -> None:
    samples = [
        question(0, Tag.MATCH, "Which objects matter?", "<c1,CAM_FRONT,10.0,20.0> and <c2,CAM_FRONT,90.0,20.0>"),
        question(1, Tag.ACCURACY, "Does <c1,CAM_FRONT,10.0,20.0> move?", "Yes."),
        question(2, Tag.JUDGE, "What should the car do?", "Stop at once for the bus."),
        question(3, Tag.JUDGE, "What of <c2,CAM_FRONT,90.0,20.0>?", "It waits."),
    ]
    keep(tmp_path, samples, ["at 11.0,20.0", "Yes.", "Stop.", "It waits."])

    def script(request: dict[str, Any], nth: int) -> Answer:
        return Answer("30" if "Given answer: at 11.0" in request["messages"][-1]["content"] else "70")

    with ChatServer(script) as server:
        benchmark = DriveLM(**KNOBS, judged=True, judge=make_judge(server.url))
        scores = benchmark.evaluate(None, held_out(samples), Session(0, tmp_path))["all"]
    assert len(server.requests) == 2, "a question about an object that was not found is not asked"
    assert scores["questions"]["not_asked"] == 1
    assert scores["match"]["value"] == pytest.approx(200 / 3)
    assert (scores["match_judge"]["value"], scores["judge"]["value"]) == (30, 70)
    assert scores["total"] == {"value": None, "lacks": "language"}

    with ChatServer(lambda request, nth: Answer("good")) as server:
        benchmark = DriveLM(**KNOBS, judged=True, judge=make_judge(server.url, model="judge-2"))
        scores = benchmark.evaluate(None, held_out(samples), Session(0, tmp_path))["all"]
    assert scores["judge_unparsed"] == {"count": 1, "answers": 1, "no rating in the reply": 1}
    assert scores["judge_pessimistic"]["value"] == 0
    assert scores["total"] == {"value": None, "lacks": "language, judge, match_judge"}
    with pytest.raises(ConfigError, match="without a name"):
        DriveLM(**KNOBS, judged=True, judge=make_judge(model=""))


def test_the_total_is_the_published_sum_and_says_who_judged() -> None:
    by_judge = {"judge": "judge-1", "served": ["judge-1"], "prompt": "0123456789abcdef", "unparsed": 1, "answers": 4}
    found = {"accuracy": 0.5, "match": 60.0, "language": 0.3, "judge": 70.0, "match_judge": 20.0}
    scores: dict[str, Any] = {name: {"value": value} for name, value in found.items()}
    scores["judge"] |= by_judge
    scores["match_judge"] |= by_judge
    total = total_of(scores)
    assert total["value"] == pytest.approx(0.4 * 0.7 + 0.2 * 0.3 + 0.2 * 0.4 + 0.2 * 0.5)
    assert total.items() >= {"judge": "judge-1", "prompt": "0123456789abcdef", "unparsed": 2, "answers": 8}.items()


def test_questions_that_cannot_be_scored_are_refused(tmp_path: Path, make_judge: Callable[..., Judge]) -> None:
    plain = segment("The car stops.", "The light is red.")
    asked = replace(plain, metadata={"frame": "f", "position": "0", "tag": "0", "reference": "given"})
    for samples, told in (
        ([plain], "no questions about frames"),
        ([replace(asked, metadata={**asked.metadata, "tag": ""})], "without tags"),
        ([replace(asked, metadata={**asked.metadata, "reference": "blank"})], "not published"),
    ):
        with pytest.raises(DataError, match=told):
            DriveLM(**KNOBS, judged=False, judge=make_judge()).evaluate(None, held_out(samples), Session(0, tmp_path))


def segment(action: str, reason: str, clip: str = "a") -> Sample:
    return Sample(
        id=f"{clip}{action}",
        group=clip,
        split="test",
        images=(),
        prompt="What and why?",
        factual=Trajectory(reason, action),
        labels={},
        results=(),
        metadata={},
        provenance=Provenance("bdd_x", "f", "1", "open"),
    )


def test_description_and_justification_are_scored_apart_and_by_difficulty(tmp_path: Path) -> None:
    samples = [
        segment("The car stops at the corner.", "The light is red and traffic waits."),
        segment("The car turns left slowly.", "The road ahead is closed for traffic.", "b"),
    ]
    keep(tmp_path, samples, [
        "<think> The light is red and traffic waits. </think> Something else was done here.",
        "<think> The road ahead is closed for traffic.",
    ])  # fmt: skip
    scores = BddX(**KNOBS).evaluate(None, held_out(samples), Session(0, tmp_path))
    assert set(scores) == {"all", "easy", "hard"}
    assert scores["all"]["justification_bleu_4"]["value"] == pytest.approx(1, abs=1e-6)
    assert scores["all"]["description_rouge_l"]["value"] == 0
    assert scores["all"]["unclosed"] == {"count": 1, "answers": 2}
    silent = [replace(samples[0], factual=Trajectory("", "x"))]
    with pytest.raises(DataError, match="without a description"):
        BddX(**KNOBS).evaluate(None, held_out(silent), Session(0, tmp_path))
