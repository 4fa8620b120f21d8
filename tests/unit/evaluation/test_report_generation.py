from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cpo.answers import ListedAnswer
from cpo.errors import DataError
from cpo.evaluation.benchmark import HeldOut, Session
from cpo.preference.pairing import PairSet
from cpo.records import PreferencePair, Trajectory

pytest.importorskip("pycocoevalcap", reason="needs the extra `captions`")
if shutil.which("java") is None:
    pytest.skip("needs a Java runtime", allow_module_level=True)

from cpo.evaluation.predictions import Predictions, _key
from cpo.evaluation.report_generation import ReportGeneration, findings_of

ANSWERS = ListedAnswer("It is {}.", ("large", "small"))


def held_out(pairs: list[PreferencePair], thinking: str) -> HeldOut:
    samples = [replace(pair.sample, factual=Trajectory(thinking, "It is large.")) for pair in pairs]
    return HeldOut(samples, {"first": [0]}, PairSet((), {}), ANSWERS, ("large",))


def test_kept_completions_are_scored_without_a_policy(
    tmp_path: Path, make_pairs: Callable[..., list[PreferencePair]]
) -> None:
    judged = held_out(make_pairs(n=3), "The heart is large and the lungs are clear.")
    texts = ["<think> The heart is large and the lungs are clear. </think> It is large."] * 2
    texts.append("<think> heart heart heart heart heart heart")
    rows = [{"id": s.id, "key": _key(s, 8), "text": text} for s, text in zip(judged.samples, texts, strict=True)]
    (tmp_path / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert len(Predictions(tmp_path / "predictions.jsonl")._known) == 3

    benchmark = ReportGeneration(limit=-1, batch_size=2, max_new_tokens=8, resamples=10)
    scores = benchmark.evaluate(None, judged, Session(0, tmp_path))

    assert scores["first"]["bleu_4"]["value"] == pytest.approx(1, abs=1e-6)
    assert scores["all"]["rouge_l"]["value"] < 1
    assert scores["all"]["unclosed"] == {"count": 1, "answers": 3}
    assert scores["all"]["length_ratio"]["value"] == pytest.approx((9 + 9 + 6) / 27)
    assert scores["all"]["repetition"]["value"] == pytest.approx((1 - 1 / 3) / 3)


def test_a_dataset_without_texts_is_refused(tmp_path: Path, make_pairs: Callable[..., list[PreferencePair]]) -> None:
    benchmark = ReportGeneration(limit=-1, batch_size=2, max_new_tokens=8, resamples=10)
    with pytest.raises(DataError, match="no findings"):
        benchmark.evaluate(None, held_out(make_pairs(n=1), ""), Session(0, tmp_path))


def test_an_unclosed_thinking_is_taken_to_its_end() -> None:
    assert findings_of("<think> Large heart") == "Large heart"
