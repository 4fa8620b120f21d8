"""Pair files are scored as training scores, and an export says what the run says or does not stand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText

from cpo.errors import DataError
from cpo.policy.export import export_policy
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.reference import AdapterOff
from cpo.policy.score import read_pair_file, score_pairs
from cpo.records import PreferencePair
from cpo.sequence.collator import Collator
from cpo.sequence.layouts import PrefixShared
from cpo.sequence.template import completion_text, prompt_messages

Pairs = Callable[..., list[PreferencePair]]


def row_of(pair: PreferencePair) -> dict[str, Any]:
    return {
        "id": pair.sample.id,
        "images": [image.path for image in pair.sample.images],
        "prompt": prompt_messages(pair.sample),
        "chosen": completion_text(pair.chosen),
        "rejected": [completion_text(r.trajectory) for r in pair.rejected],
    }


@pytest.fixture
def tuned(policy: Any, encoder: Any, directory: Path) -> LoadedPolicy:
    return LoadedPolicy(policy.float(), encoder, PrefixShared(), 512, directory)


def test_a_pair_file_is_scored_as_training_scores(tuned: LoadedPolicy, make_pairs: Pairs, tmp_path: Path) -> None:
    pairs = [*make_pairs(n=3, negatives=2), *make_pairs(n=2, seed=5)]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row_of(pair)) + "\n" for pair in pairs))
    found = list(score_pairs(tuned, read_pair_file(path), beta=0.5, batch_size=2))
    assert [row["id"] for row in found] == [pair.sample.id for pair in pairs]
    for pair, row in zip(pairs, found, strict=True):
        batch = Collator(tuned.encoder, PrefixShared(), max_length=512)([pair])
        policy, reference = next(tuned.logps([pair], batch_size=1)), AdapterOff(cache="none").logps(tuned.model, batch)
        assert row["chosen_logps"] == pytest.approx(policy.chosen.item(), abs=1e-3)
        assert row["rejected_logps"] == pytest.approx(policy.rejected[0].tolist(), abs=1e-3)
        assert row["ref_rejected_logps"] == pytest.approx(reference.rejected[0].tolist(), abs=1e-3)
        reward = 0.5 * (row["chosen_logps"] - row["ref_chosen_logps"])
        assert row["rewards"]["chosen"] == pytest.approx(reward)
        assert row["margins"] == pytest.approx([reward - other for other in row["rewards"]["rejected"]])
        assert abs(row["margins"][0]) > 1e-3, "the adapter is not at its start"


def test_the_end_token_is_scored_unless_the_row_says_no(tuned: LoadedPolicy, make_pairs: Pairs) -> None:
    row = row_of(make_pairs(n=1)[0])
    with_end, without = score_pairs(tuned, [row, {**row, "end_token": False}], beta=1.0, batch_size=1)
    assert without["chosen_logps"] > with_end["chosen_logps"]


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"id": "a"}', '{"id":"a","images":[],"prompt":[],"chosen":"","rejected":[1]}']
)
def test_a_line_that_is_no_pair_is_named_by_its_number(line: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"id":"a","images":[],"prompt":[],"chosen":"x","rejected":["y"]}\n' + line + "\n")
    with pytest.raises(DataError, match=r"pairs.jsonl:2"):
        read_pair_file(path)


@pytest.mark.parametrize("merge", [False, True])
def test_an_export_says_what_the_run_says(
    merge: bool, tuned: LoadedPolicy, backbone: Any, directory: Path, make_pairs: Pairs, tmp_path: Path
) -> None:
    rows = [row_of(pair) for pair in make_pairs(n=2)]
    tuned.model.save_pretrained(tmp_path / "adapter")
    off = export_policy(tuned, backbone, tmp_path / "adapter", tmp_path / "out", rows, merge=merge)
    assert off < 1e-5
    if merge:
        weights = AutoModelForImageTextToText.from_pretrained(tmp_path / "out").lm_head.weight
        assert weights.shape == backbone.load_model(directory).lm_head.weight.shape
    with pytest.raises(DataError, match="which exists"):
        export_policy(tuned, backbone, tmp_path / "adapter", tmp_path / "out", rows, merge=merge)


def test_an_export_that_differs_from_the_run_does_not_stand(
    tuned: LoadedPolicy, backbone: Any, make_pairs: Pairs, tmp_path: Path
) -> None:
    rows = [row_of(pair) for pair in make_pairs(n=2)]
    tuned.model.save_pretrained(tmp_path / "adapter")
    with torch.no_grad():
        for name, parameter in tuned.model.named_parameters():
            if "lora_B" in name:
                parameter.mul_(1.5)
    with pytest.raises(DataError, match="nats per token off"):
        export_policy(tuned, backbone, tmp_path / "adapter", tmp_path / "out", rows, merge=False)
    assert not (tmp_path / "out").exists()
