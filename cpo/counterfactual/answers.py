"""The answer sentence: which results it names, and the same sentence naming another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

BY_NAME: Mapping[str, str] = MappingProxyType({})
"""No phrases: results are told by their names."""


def named_results(answer: str, results: Iterable[str], phrases: Mapping[str, str] = BY_NAME) -> frozenset[str]:
    """The results that an answer names as whole words, the longest name first where one contains another.

    Args:
        answer: The sentence after the thinking.
        results: Names to look for.
        phrases: How a sentence may tell some of them instead, as a concept graph gives it.

    Example:
        >>> sorted(named_results("The disease is Edema, Pleural Other.", ["Edema", "Pleural", "Pleural Other"]))
        ['Edema', 'Pleural Other']
        >>> sorted(named_results("The car stops.", ["stop", "speed up"], {"stop": "stops", "speed up": "speeds up"}))
        ['stop']
    """
    spelt = _spelt(results, phrases)
    return frozenset(spelt[match[0]] for match in _pattern(spelt).finditer(answer))


def replace_result(
    answer: str,
    results: Sequence[str],
    old: str,
    new: str,
    order: Sequence[str],
    phrases: Mapping[str, str] = BY_NAME,
) -> str | None:
    """The answer with one of its results replaced, in the style and order of factual answers; None if it cannot be.

    Args:
        answer: The factual answer, which names `results`, by their names or by their phrases.
        results: The results it names, in its order.
        old: The one that goes.
        new: The one that comes.
        order: The order in which the dataset's answers name results; without `new` in it, `new` takes the place of
            `old`.
        phrases: See `named_results`.

    Returns:
        None unless the answer names these results, each once and in this order, and no others.

    Example:
        >>> order = ["Atelectasis", "Edema", "Pneumonia"]
        >>> replace_result("The disease is Atelectasis, Edema.", order[:2], "Atelectasis", "Pneumonia", order)
        'The disease is Edema, Pneumonia.'
        >>> phrases = {"stop": "stops", "speed up": "speeds up"}
        >>> replace_result("The car stops.", ["stop"], "stop", "speed up", ["stop", "speed up"], phrases)
        'The car speeds up.'
    """
    spelt = _spelt({*results, *order, new}, phrases)
    found = list(_pattern(spelt).finditer(answer))
    if old not in results or [spelt[match[0]] for match in found] != list(results):
        return None
    renamed = [new if result == old else result for result in results]
    if set(renamed) <= set(order):
        renamed.sort(key=order.index)
    told = phrases if spelt[found[0][0]] != found[0][0] else BY_NAME
    # from the end, so that the places before keep their numbers
    for match, result in zip(reversed(found), reversed(renamed), strict=True):
        answer = answer[: match.start()] + told.get(result, result) + answer[match.end() :]
    return answer


def flip_result(
    answer: str,
    results: Sequence[str],
    result: str,
    order: Sequence[str],
    *,
    diseases: Sequence[str],
    default: str,
    phrases: Mapping[str, str] = BY_NAME,
) -> str | None:
    """The answer that says the opposite of one result, in the style and order of factual answers; None if it cannot be.

    Args:
        answer: The factual answer: the results' names joined by commas.
        results: The results it names, in its order.
        result: Taken away where it is named, added where it is not.
        order: The order in which the dataset's answers name results.
        diseases: Where none of them is left the default is named, and only there.
        default: The healthy result.
        phrases: See `named_results`.

    Example:
        >>> order = ["Atelectasis", "Edema", "No Finding"]
        >>> about = dict(diseases=["Atelectasis", "Edema"], default="No Finding")
        >>> flip_result("The disease is Atelectasis, Edema.", order[:2], "Edema", order, **about)
        'The disease is Atelectasis.'
        >>> flip_result("The disease is Edema.", ["Edema"], "Edema", order, **about)
        'The disease is No Finding.'
        >>> flip_result("The disease is No Finding.", ["No Finding"], "Edema", order, **about)
        'The disease is Edema.'
    """
    spelt = _spelt({*results, *order, result, default}, phrases)
    found = list(_pattern(spelt).finditer(answer))
    joints = {answer[one.end() : other.start()] for one, other in pairwise(found)}
    if not found or [spelt[match[0]] for match in found] != list(results) or joints - {", "}:
        return None
    named = ({*results} - {default}) ^ {result}
    named |= set() if named & {*diseases} else {default}
    if not named <= {*order}:
        return None
    told = phrases if spelt[found[0][0]] != found[0][0] else BY_NAME
    listed = ", ".join(told.get(name, name) for name in sorted(named, key=order.index))
    return answer[: found[0].start()] + listed + answer[found[-1].end() :]


def _spelt(results: Iterable[str], phrases: Mapping[str, str]) -> dict[str, str]:
    """Every way to tell the results, and which is told."""
    names = set(results)
    return {name: name for name in names} | {phrases[name]: name for name in names & set(phrases)}


def _pattern(spelt: Iterable[str]) -> re.Pattern[str]:
    ways = sorted(spelt, key=lambda way: (-len(way), way))
    # what matches nowhere where there is nothing to look for
    return re.compile("|".join(rf"\b{re.escape(way)}\b" for way in ways) or r"(?!)")
