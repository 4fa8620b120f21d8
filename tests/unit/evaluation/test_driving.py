"""The driving benchmarks on kept completions: no policy is needed to check their rules."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cpo.answers import FreeAnswer
from cpo.dataset.drivelm import DriveLM as DriveLMDataset
from cpo.errors import DataError
from cpo.evaluation.bdd_x import BddX
from cpo.evaluation.benchmark import HeldOut, Session
from cpo.evaluation.drivelm import DriveLM, asked_of
from cpo.evaluation.predictions import _key
from cpo.preference.pairing import PairSet
from cpo.records import Provenance, Sample, Trajectory

pytest.importorskip("pycocoevalcap", reason="needs the extra `captions`")
pytestmark = pytest.mark.skipif(shutil.which("java") is None, reason="needs a Java runtime")

SAMPLES = Path(__file__).parents[4] / "shared/samples/drivelm"
real = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the excerpt of the release is not at ../shared/samples/drivelm")
KNOBS = {"limit": -1, "batch_size": 2, "max_new_tokens": 8, "resamples": 10}


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
    tmp_path: Path, questions: Sequence[Sample]
) -> None:
    keep(tmp_path, questions, [q.factual.answer for q in questions])
    scores = DriveLM(**KNOBS).evaluate(None, held_out(questions), Session(0, tmp_path))["all"]
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


def test_questions_that_cannot_be_scored_are_refused(tmp_path: Path) -> None:
    plain = segment("The car stops.", "The light is red.")
    asked = replace(plain, metadata={"frame": "f", "position": "0", "tag": "0", "reference": "given"})
    for samples, told in (
        ([plain], "no questions about frames"),
        ([replace(asked, metadata={**asked.metadata, "tag": ""})], "without tags"),
        ([replace(asked, metadata={**asked.metadata, "reference": "blank"})], "not published"),
    ):
        with pytest.raises(DataError, match=told):
            DriveLM(**KNOBS).evaluate(None, held_out(samples), Session(0, tmp_path))


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
