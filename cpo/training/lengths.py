"""Samples and pairs that are longer than the policy may read: refused, or left out and counted; never cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cpo.errors import ConfigError, DataError
from cpo.policy.loaded import LoadedPolicy
from cpo.records import PreferencePair, Stream
from cpo.sequence.collator import as_pairs, place_of
from cpo.sequence.encode import Encoder

ACTIONS = ("error", "filter")
"""What `max_length.action` may be."""

LOOKED_AT = 256
"""Pairs whose prompts are encoded for an estimate, images included; completions are tokenised for all."""


def check_action(action: str) -> None:
    """Refuses what is neither `error` nor `filter`.

    Raises:
        ConfigError: Naming both.
    """
    if action not in ACTIONS:
        raise ConfigError(
            got=f"max_length.action={action}",
            wanted="error, or filter, which leaves over-long samples out and counts them; nothing is ever cut",
            remedy="pass max_length.action=filter",
        )


def tokens_of(encoder: Encoder, pair: PreferencePair) -> int:
    """Longest prompt + completion of a pair, in tokens, image tokens and the end token included."""
    own = len(encoder.prompt(pair.sample).ids)
    lengths = [own + len(encoder.completion(pair.chosen))]
    if pair.image_rejected is not None:
        lengths.append(len(encoder.prompt(pair.sample, pair.image_rejected).ids) + len(encoder.completion(pair.chosen)))
    for rejected in pair.rejected:
        prompt = own if rejected.images is None else len(encoder.prompt(pair.sample, rejected.images).ids)
        lengths.append(prompt + len(encoder.completion(rejected.trajectory)))
    return max(lengths)


def within(encoder: Encoder, pairs: Sequence[PreferencePair], max_length: int) -> tuple[PreferencePair, ...]:
    """The pairs of at most `max_length` tokens, in their order; every picture is encoded."""
    return tuple(pair for pair in pairs if tokens_of(encoder, pair) <= max_length)


def short_samples(encoder: Encoder, stream: Stream, max_length: int) -> Stream:
    """The samples of a stream that are of at most `max_length` tokens with their factual trajectory."""
    kept = [pair.time for pair in within(encoder, as_pairs(stream.samples), max_length)]
    truth = replace(stream.truth, concept_at=tuple(stream.truth.concept_at[n] for n in kept))
    return Stream(tuple(stream.samples[n] for n in kept), truth)


def check_lengths(policy: LoadedPolicy, pairs: Sequence[PreferencePair]) -> list[int]:
    """About the longest prompt + completion of each pair, in tokens: prompts are taken to be alike.

    Raises:
        DataError: Some are longer than `policy.max_length`; nothing is truncated.
    """
    encoder = policy.encoder
    prompt = max(len(encoder.prompt(pair.sample).ids) for pair in pairs[:: max(1, len(pairs) // LOOKED_AT)])
    lengths = [
        prompt + max(len(encoder.completion(t)) for t in (pair.chosen, *(r.trajectory for r in pair.rejected)))
        for pair in pairs
    ]
    over = {n: tokens_of(encoder, pairs[n]) for n, length in enumerate(lengths) if length > policy.max_length}
    over = {n: length for n, length in over.items() if length > policy.max_length}
    if over:
        longest = max(over.values())
        raise DataError(
            got=f"{len(over)} of {len(pairs)} too long, of up to {longest} tokens, the first in "
            f"{place_of(pairs[min(over)])}",
            wanted=f"at most policy.max_length={policy.max_length}; nothing is truncated",
            remedy=f"pass policy.max_length={longest}, lower policy.image_size, or leave them out by "
            "max_length.action=filter",
        )
    return lengths
