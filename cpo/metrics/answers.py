"""From a completion's text to the results it names. What cannot be read is a category of its own, never dropped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache

OPEN, CLOSE = "<think>", "</think>"
ANSWER = "The disease of this patient is"
"""How the answer sentence begins; several names are joined by commas."""


class Malformed(StrEnum):
    """Why a completion cannot be read."""

    TAGS = "tags"
    """Not exactly one `<think>` followed by exactly one `</think>`."""
    SENTENCE = "sentence"
    """What follows the thinking is not one answer sentence."""
    NAMES = "names"
    """The answer sentence names nothing, or something that is not among the results."""


def read_answer(text: str, results: Sequence[str], *, answer: str = ANSWER) -> frozenset[str] | Malformed:
    """The results that a completion names, or why it cannot be read.

    The answer must be one sentence, `answer` and names joined by commas, with nothing after it. Case, white space and
    the final stop do not matter; a name said twice counts once.

    Args:
        text: The completion, thinking included, special tokens removed.
        results: Every name there is.
        answer: How the sentence begins.

    Example:
        >>> results = ["Lung Opacity", "Pleural Effusion", "Pleural Other"]
        >>> text = "<think> Blunted left angle. </think> The disease of this patient is Pleural Effusion, Lung Opacity."
        >>> sorted(read_answer(text, results))
        ['Lung Opacity', 'Pleural Effusion']
        >>> read_answer("<think> Clear lungs. </think> The disease of this patient is Gout.", results)
        <Malformed.NAMES: 'names'>
    """
    before, opened, inside = text.partition(OPEN)
    _, closed, after = inside.partition(CLOSE)
    if not opened or not closed or before.strip() or text.count(OPEN) > 1 or text.count(CLOSE) > 1:
        return Malformed.TAGS
    stated = re.fullmatch(rf"\s*{re.escape(answer)}\s(.*?)\.?\s*", after, re.IGNORECASE | re.DOTALL)
    if stated is None:
        return Malformed.SENTENCE
    return _names(stated[1], tuple(results)) or Malformed.NAMES


def parse_answer(text: str, results: Sequence[str], *, answer: str = ANSWER) -> frozenset[str] | None:
    """The results that a completion names; None when it is malformed, for whatever reason (see `read_answer`)."""
    read = read_answer(text, results, answer=answer)
    return None if isinstance(read, Malformed) else read


def _names(listed: str, results: tuple[str, ...]) -> frozenset[str]:
    """The names in a comma-separated list; empty when anything else stands in it."""
    one, spelt = _name_pattern(results)
    rest, found = _plain(listed) + ",", set()
    while rest:
        name = one.match(rest)
        if name is None:
            return frozenset()
        found.add(spelt[name[1]])
        rest = rest[name.end() :]
    return frozenset(found)


@lru_cache(maxsize=16)
def _name_pattern(results: tuple[str, ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    """One name up to its comma, the longest first since one may begin another, and how each is spelt."""
    spelt = {_plain(name): name for name in results}
    names = "|".join(re.escape(name) for name in sorted(spelt, key=len, reverse=True))
    return re.compile(rf" ?({names}) ?,"), spelt


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
