"""Thinkings token by token, as a page shows them: how likely each token was, and where each moves the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cpo.diagnostics.detectors import Detector
from cpo.diagnostics.thinking import jensen_shannon, thought_alarms
from cpo.policy.results import ResultScorer, Thought
from cpo.records import PreferencePair, Sample, Trajectory

Floats = NDArray[np.float64]
DIGITS = 4
"""Decimals that are kept."""


def tracks(
    scorer: ResultScorer, sample: Sample, thinkings: Sequence[str], detector: Callable[[], Detector[float]]
) -> list[dict[str, Any]]:
    """For each thinking its tokens, and the distribution over results before the first and after each of them.

    Args:
        scorer: Scores results.
        sample: Gives images and prompt.
        thinkings: Forced on it.
        detector: Makes a fresh detector, which watches how far the result has moved, in bits.

    Returns:
        Per thinking `tokens`, each `{text, p, drift}` with the token's probability and the Jensen–Shannon divergence
        that it makes, in bits; `z` [tokens + 1, Z]; and `alarms`, the tokens behind which the detector raises one.
    """
    likely = _probabilities(scorer, sample, thinkings)
    pieces = [_pieces(scorer, text, p) for text, p in zip(thinkings, likely, strict=True)]
    cuts = [(0, *(end for end, _ in of_text)) for of_text in pieces]
    made = []
    for text, starts, of_text, z in zip(thinkings, cuts, pieces, _along(scorer, sample, thinkings, cuts), strict=True):
        drift = jensen_shannon(z[:-1], z[1:])
        tokens = [
            {"text": text[start:end], "p": _short(p), "drift": _short(step)}
            for start, (end, p), step in zip(starts[:-1], of_text, drift.tolist(), strict=True)
        ]
        alarms = [cut - 1 for cut in thought_alarms(z, detector()) if cut]
        made.append({"tokens": tokens, "z": [[_short(p) for p in row] for row in z.tolist()], "alarms": alarms})
    return made


def _along(
    scorer: ResultScorer, sample: Sample, thinkings: Sequence[str], cuts: Sequence[tuple[int, ...]]
) -> Iterator[Floats]:
    """Distributions at the cuts of each thinking; what the others begin with like the first is scored only there."""
    (first,) = scorer.distributions([Thought(sample, thinkings[0], cuts[0])])
    yield first
    for text, of_text in zip(thinkings[1:], cuts[1:], strict=True):
        shared = _shared(scorer, thinkings[0], text)
        known = min(sum(cut <= shared for cut in of_text), len(of_text) - 1)
        (rest,) = scorer.distributions([Thought(sample, text, of_text[known:])])
        yield np.concatenate([first[:known], rest])


def _shared(scorer: ResultScorer, one: str, other: str) -> int:
    """Characters that two thinkings begin with in the same tokens."""
    (ids, ends), (other_ids, other_ends) = scorer.tokens_of(one), scorer.tokens_of(other)
    alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(ids, other_ids, strict=False)))
    # a character of several tokens is shared only if they all are
    next_ends = [*ends[alike : alike + 1], *other_ends[alike : alike + 1], len(one) + 1]
    return max((end for end in ends[:alike] if end < min(next_ends)), default=0)


def _pieces(scorer: ResultScorer, text: str, p: Floats) -> list[tuple[int, float]]:
    """Where each token of a thinking ends and how likely it was; tokens that share a character count as one."""
    _, ends = scorer.tokens_of(text)
    found: dict[int, float] = {}
    for end, probability in zip(ends, p.tolist(), strict=True):
        if end > 0:  # the opening tag ends before the text begins
            found[end] = found.get(end, 1.0) * probability
    return list(found.items())


def _probabilities(scorer: ResultScorer, sample: Sample, thinkings: Sequence[str]) -> list[Floats]:
    """Of every token of each thinking, opening tag included, given those before it."""
    # any answer will do: what stands behind a token does not change how likely it is
    pairs = [PreferencePair(sample, Trajectory(text, scorer.results[0]), (), 0) for text in thinkings]
    (logps,) = scorer.policy.logps(pairs, batch_size=len(pairs))
    assert logps.token_logps is not None
    table = logps.token_logps.double().cpu().numpy()
    return [np.exp(row[: len(scorer.tokens_of(text)[0])]) for row, text in zip(table, thinkings, strict=True)]


def _short(value: float) -> float:
    return round(value, DIGITS)
