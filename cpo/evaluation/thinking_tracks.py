"""Thinkings token by token, as a page shows them: how likely each token was, and where each moves the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cpo.diagnostics.thinking import jensen_shannon
from cpo.policy.results import ResultScorer, Thought
from cpo.records import PreferencePair, Sample, Trajectory

Floats = NDArray[np.float64]
DIGITS = 4
"""Decimals that are kept."""


def tracks(scorer: ResultScorer, sample: Sample, thinkings: Sequence[str]) -> list[dict[str, Any]]:
    """For each thinking its tokens, and the distribution over results before the first and after each of them.

    Args:
        scorer: Scores results.
        sample: Gives images and prompt.
        thinkings: Forced on it.

    Returns:
        Per thinking `tokens`, each `{text, p, drift}` with the token's probability and the Jensen–Shannon divergence
        that it makes, in bits; and `z` [tokens + 1, Z].
    """
    likely = _probabilities(scorer, sample, thinkings)
    pieces = [_pieces(scorer, text, p) for text, p in zip(thinkings, likely, strict=True)]
    thoughts = [
        Thought(sample, text, (0, *(end for end, _ in of_text)))
        for text, of_text in zip(thinkings, pieces, strict=True)
    ]
    made = []
    for thought, of_text, z in zip(thoughts, pieces, scorer.distributions(thoughts, batch_size=1), strict=True):
        drift = jensen_shannon(z[:-1], z[1:])
        starts = thought.cuts[:-1]
        tokens = [
            {"text": thought.thinking[start:end], "p": _short(p), "drift": _short(step)}
            for start, (end, p), step in zip(starts, of_text, drift.tolist(), strict=True)
        ]
        made.append({"tokens": tokens, "z": [[_short(value) for value in row] for row in z.tolist()]})
    return made


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
