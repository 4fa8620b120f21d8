"""Rows hold what the layout says, and nothing that cannot be scored gets into one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cpo.errors import ConfigError, DataError, ShapeError
from cpo.records import PreferencePair, Trajectory
from cpo.sequence.collator import Collator
from cpo.sequence.encode import EncodedPrompt
from cpo.sequence.layouts import Branch, Packed, Padded, PrefixShared

Pairs = Callable[..., list[PreferencePair]]


def branch(prompt: int, completion: int, *, first: int = 0) -> Branch:
    """A branch of so many tokens; equal prompts are made of equal tokens."""
    ids = tuple(range(100 * prompt, 100 * prompt + prompt))
    positions = np.tile(np.arange(prompt), (3, 1))
    return Branch(EncodedPrompt(ids, (), positions), tuple(range(first, first + completion)))


def test_packing_puts_the_longest_first_and_then_fills_up() -> None:
    """Prompt + completion: 7 + 1 = 8, 5 + 1 = 6, 3 + 1 = 4, 1 + 1 = 2; rows of 10 take 8 + 2 and 6 + 4."""
    branches = [branch(3, 1), branch(1, 1), branch(7, 1), branch(5, 1)]
    laid_out = Packed(max_tokens=10)(branches, pad_token_id=-7)
    assert laid_out.input_ids.shape == (2, 10)
    assert laid_out.attention_mask.all(), "nothing is padded"
    assert laid_out.score_row.tolist() == [1, 0, 0, 1]
    assert laid_out.score_position.tolist() == [8, 8, 6, 4]


def test_a_prompt_beyond_the_budget_has_a_row_to_itself() -> None:
    laid_out = Packed(max_tokens=4)([branch(2, 2), branch(6, 1)], pad_token_id=0)
    assert laid_out.attention_mask.sum(dim=1).tolist() == [7, 4]


def test_every_token_of_a_shared_row_is_prompt_or_branch() -> None:
    """A prompt of 2 with branches of 3 and 1, then one of 4 with a branch of 2."""
    branches = [branch(2, 3), branch(2, 1, first=50), branch(4, 2)]
    laid_out = PrefixShared()(branches, pad_token_id=0)
    assert laid_out.prompt_index.tolist() == [[0, 1, -1, -1], [6, 7, 8, 9]]
    assert laid_out.branch_index.tolist() == [[2, 3, 4, 5], [10, 11, -1, -1]]
    assert laid_out.branch_number.tolist() == [[0, 0, 0, 1], [0, 0, -1, -1]]
    assert laid_out.score_position.tolist() == [1, 2, 3, 1, 3, 4]
    assert Padded()(branches, pad_token_id=0).prompt_index.numel() == 0, "plain rows need no more than causality"


@pytest.mark.parametrize("max_tokens", [0, -5])
def test_a_budget_below_one_token_is_refused(max_tokens: int) -> None:
    with pytest.raises(ConfigError, match=f"layout.max_tokens={max_tokens}"):
        Packed(max_tokens=max_tokens)


def test_every_field_of_a_batch_is_filled_by_the_collator(encoder: Any, make_pairs: Pairs) -> None:
    batch = Collator(encoder, PrefixShared(), max_length=512)(make_pairs(n=2, negatives=2))
    others = {"branch_sees", "images_rejected"}  # of trunks, and of pairs with a rejected image
    for field in (f for f in fields(batch) if f.name not in others):
        value = getattr(batch, field.name)
        assert value.numel() if hasattr(value, "numel") else value, field.name
    assert len(batch.keys) == 6
    assert len(set(batch.keys)) == 6


def test_a_row_is_known_by_its_content_alone(encoder: Any, make_pairs: Pairs, backbone: Any, directory: Path) -> None:
    pairs = make_pairs(n=2)
    keys = Collator(encoder, Padded(), max_length=512)(pairs).keys
    again = Collator(backbone.load_encoder(directory), PrefixShared(), max_length=512)(pairs[::-1]).keys
    assert again == (*keys[2:], *keys[:2])
    moved = [replace(pair, sample=replace(pair.sample, images=pairs[0].sample.images)) for pair in pairs]
    other = Collator(encoder, Padded(), max_length=512)(moved).keys
    assert other[:2] == keys[:2]
    assert not set(other[2:]) & set(keys[2:]), "another image, another row"


def test_a_prompt_is_expanded_once(encoder: Any, make_pairs: Pairs, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = make_pairs(n=1)[0]
    first = encoder.prompt(pair.sample)
    monkeypatch.setattr("cpo.sequence.encode.mrope_positions", None)
    monkeypatch.setattr("cpo.sequence.encode.read_image", None)
    assert encoder.prompt(pair.sample) == first


def collate(encoder: Any, pairs: list[PreferencePair], **knobs: Any) -> Any:
    return Collator(encoder, PrefixShared(), **{"max_length": 512, **knobs})(pairs)


def test_pairs_that_differ_in_k_are_refused(encoder: Any, make_pairs: Pairs) -> None:
    with pytest.raises(ShapeError, match=r"\[1, 2\] rejected trajectories"):
        collate(encoder, [*make_pairs(n=1), *make_pairs(n=1, negatives=2, seed=1)])


def test_a_vision_token_in_a_completion_is_refused(encoder: Any, make_pairs: Pairs) -> None:
    pair = replace(make_pairs(n=1)[0], chosen=Trajectory("", "see <|image_pad|>"))
    with pytest.raises(DataError, match="a completion with a vision token"):
        collate(encoder, [pair])


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_completion_is_refused(encoder: Any, make_pairs: Pairs, text: str) -> None:
    with pytest.raises(DataError, match="an empty completion"):
        collate(encoder, [replace(make_pairs(n=1)[0], chosen=Trajectory("", text))])


def test_an_image_token_in_the_prompt_is_refused(encoder: Any, make_pairs: Pairs) -> None:
    pair = make_pairs(n=1)[0]
    with pytest.raises(DataError, match="2 image placeholders and 1 images"):
        collate(encoder, [replace(pair, sample=replace(pair.sample, prompt="<|image_pad|> look"))])


def test_a_pair_that_is_too_long_is_refused_with_its_place(encoder: Any, make_pairs: Pairs) -> None:
    with pytest.raises(DataError, match=r"none:0(.|\n)*policy.max_length=5"):
        collate(encoder, make_pairs(n=1), max_length=5)
