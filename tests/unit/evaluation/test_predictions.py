from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from cpo.errors import DataError
from cpo.evaluation.predictions import Predictions
from cpo.policy.loaded import LoadedPolicy
from cpo.records import PreferencePair, Sample

Pairs = Callable[..., list[PreferencePair]]
KNOBS: dict[str, Any] = {"batch_size": 2, "max_new_tokens": 8, "progress": False, "what": "judging"}


@dataclass
class Scripted:
    """Answers with the sample's number of words, and is killed after so many batches."""

    batches: int = 99
    asked: list[str] = field(default_factory=list)

    def completions(self, samples: Sequence[Sample], *, batch_size: int, max_new_tokens: int) -> Iterator[list[str]]:
        for start in range(0, len(samples), batch_size):
            if self.batches == 0:
                raise KeyboardInterrupt
            self.batches -= 1
            batch = samples[start : start + batch_size]
            self.asked += [sample.id for sample in batch]
            yield [f"é {sample.id}" for sample in batch]

    def policy(self) -> LoadedPolicy:
        return cast(LoadedPolicy, self)


def test_what_was_generated_before_a_kill_is_not_generated_again(tmp_path: Path, make_pairs: Pairs) -> None:
    samples = [pair.sample for pair in make_pairs(n=5)]
    file = tmp_path / "eval" / "predictions.jsonl"
    killed, again = Scripted(batches=1), Scripted()
    with pytest.raises(KeyboardInterrupt):
        Predictions(file).of(killed.policy(), samples, **KNOBS)
    with file.open("a") as torn:
        torn.write('{"id": "half a li')
    texts = Predictions(file).of(again.policy(), samples, **KNOBS)
    assert texts == [f"é {sample.id}" for sample in samples]
    assert again.asked == [sample.id for sample in samples[2:]]
    rows = [line for line in file.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    assert [json.loads(row)["id"] for row in rows] == [sample.id for sample in samples]


def test_a_complete_file_needs_no_policy_and_an_incomplete_one_says_so(tmp_path: Path, make_pairs: Pairs) -> None:
    samples = [pair.sample for pair in make_pairs(n=3)]
    file = tmp_path / "predictions.jsonl"
    Predictions(file).of(Scripted().policy(), samples[:2], **KNOBS)
    assert len(Predictions(file, frozen=True).of(None, samples[:2], **KNOBS)) == 2
    with pytest.raises(DataError, match="without the completions of 1 of 3 samples"):
        Predictions(file).of(None, samples, **KNOBS)


def test_another_way_of_generating_is_another_completion(tmp_path: Path, make_pairs: Pairs) -> None:
    samples = [pair.sample for pair in make_pairs(n=1)]
    Predictions(tmp_path / "p.jsonl").of(Scripted().policy(), samples, **KNOBS)
    again = Scripted()
    Predictions(tmp_path / "p.jsonl").of(again.policy(), samples, **{**KNOBS, "max_new_tokens": 9})
    assert again.asked
