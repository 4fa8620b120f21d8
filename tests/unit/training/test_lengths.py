"""What is too long is refused by its place or left out and counted, and its length is what the collator lays out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cpo.errors import ConfigError, DataError
from cpo.losses.dpo import DPO
from cpo.losses.mdpo import MDPO
from cpo.policy.loaded import LoadedPolicy
from cpo.records import Concept, DriftTruth, PreferencePair, Stream, Trajectory
from cpo.sequence.collator import Collator
from cpo.sequence.layouts import Padded
from cpo.training.lengths import check_action, check_lengths, short_samples, tokens_of, within
from cpo.training.preflight import check_pairs

Pairs = Callable[..., list[PreferencePair]]
LONG = Trajectory("heart " * 90, "It is large.")


def with_one_long(pairs: list[PreferencePair], at: int) -> list[PreferencePair]:
    long = replace(pairs[at].rejected[0], trajectory=LONG)
    return [*pairs[:at], replace(pairs[at], rejected=(long,)), *pairs[at + 1 :]]


def test_the_length_of_a_pair_is_its_longest_row(encoder: Any, make_pairs: Pairs) -> None:
    for pair in make_pairs(n=3, negatives=2, images=(0, 1, 2)):
        batch = Collator(encoder, Padded(), max_length=512)([pair])
        assert tokens_of(encoder, pair) == batch.attention_mask.sum(dim=1).max()


def test_a_rejected_image_counts_with_its_own_tokens(encoder: Any, make_pairs: Pairs) -> None:
    one, two = make_pairs(n=2, images=(1, 2))
    rejected = replace(one.rejected[0], images=two.sample.images[:1])
    pair = replace(one, rejected=(rejected,))
    batch = Collator(encoder, Padded(), max_length=512)([pair])
    assert tokens_of(encoder, pair) == batch.attention_mask.sum(dim=1).max()


def test_over_long_pairs_are_left_out_in_their_order(encoder: Any, make_pairs: Pairs) -> None:
    pairs = with_one_long(make_pairs(n=4), at=2)
    limit = max(tokens_of(encoder, pair) for n, pair in enumerate(pairs) if n != 2)
    assert [pair.time for pair in within(encoder, pairs, limit)] == [0, 1, 3]
    assert within(encoder, pairs, limit - 1) != within(encoder, pairs, limit), "exactly so many tokens are allowed"


def test_a_stream_keeps_the_concepts_of_the_samples_it_keeps(encoder: Any, make_pairs: Pairs) -> None:
    samples = [pair.sample for pair in make_pairs(n=4)]
    samples[1] = replace(samples[1], factual=LONG)
    concepts = Concept(0, "before"), Concept(1, "after")
    short = short_samples(encoder, Stream(tuple(samples), DriftTruth(concepts, (0, 0, 1, 1))), 100)
    assert [sample.id for sample in short.samples] == ["s0", "s2", "s3"]
    assert short.truth.concept_at == (0, 1, 1)


def test_over_long_pairs_are_refused_with_what_would_help(encoder: Any, make_pairs: Pairs, directory: Path) -> None:
    pairs = with_one_long(make_pairs(n=4), at=2)
    policy = LoadedPolicy(None, encoder, Padded(), 100, directory)
    with pytest.raises(DataError, match=r"1 of 4 too long(.|\n)*none:2(.|\n)*max_length\.action=filter"):
        check_lengths(policy, pairs)
    assert len(check_lengths(replace(policy, max_length=512), pairs)) == 4


def test_a_short_pair_beside_a_long_prompt_is_not_refused(encoder: Any, make_pairs: Pairs, directory: Path) -> None:
    """The estimate takes prompts to be alike; what it suspects is measured."""
    pictures, words = make_pairs(n=1, images=(4,))[0], with_one_long(make_pairs(n=1, images=(0,), seed=1), at=0)[0]
    limit = max(tokens_of(encoder, pair) for pair in (pictures, words))
    policy = LoadedPolicy(None, encoder, Padded(), limit, directory)
    assert max(check_lengths(policy, [pictures, words])) > limit


def test_an_unknown_action_is_refused() -> None:
    check_action("error")
    check_action("filter")
    with pytest.raises(ConfigError, match=r"max_length\.action=cut"):
        check_action("cut")


def test_a_loss_that_reads_a_rejected_image_is_refused_without_one(make_pairs: Pairs) -> None:
    pairs = make_pairs(n=2)
    check_pairs(DPO(beta=0.1, nll_weight=0.0), pairs)
    with pytest.raises(ConfigError, match="MDPO on 2 pairs that have no rejected image"):
        check_pairs(MDPO(beta=0.1, delta=0.0), pairs)
    check_pairs(MDPO(beta=0.1, delta=0.0), [replace(pairs[0], image_rejected=pairs[1].sample.images)])
