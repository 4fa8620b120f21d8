"""The answer sentence: which results it names, and the same sentence naming another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def named_results(answer: str, results: Iterable[str]) -> frozenset[str]:
    """The results that an answer names as whole words, the longest name first where one contains another.

    Args:
        answer: The sentence after the thinking.
        results: Names to look for.

    Example:
        >>> sorted(named_results("The disease is Edema, Pleural Other.", ["Edema", "Pleural", "Pleural Other"]))
        ['Edema', 'Pleural Other']
    """
    names = sorted(results, key=len, reverse=True)
    pattern = "|".join(rf"\b{re.escape(name)}\b" for name in names)
    return frozenset(re.findall(pattern, answer)) if names else frozenset()


def replace_result(answer: str, results: Sequence[str], old: str, new: str, order: Sequence[str]) -> str | None:
    """The answer with one of its results replaced, in the style and order of factual answers; None if it cannot be.

    Args:
        answer: The factual answer, which names `results` joined by commas.
        results: The results it names, in its order.
        old: The one that goes.
        new: The one that comes.
        order: The order in which the dataset's answers name results; without `new` in it, `new` takes the place of
            `old`.

    Returns:
        None unless the answer holds the joined names exactly once.

    Example:
        >>> order = ["Atelectasis", "Edema", "Pneumonia"]
        >>> replace_result("The disease is Atelectasis, Edema.", order[:2], "Atelectasis", "Pneumonia", order)
        'The disease is Edema, Pneumonia.'
    """
    joined = ", ".join(results)
    if old not in results or answer.count(joined) != 1:
        return None
    renamed = [new if result == old else result for result in results]
    if set(renamed) <= set(order):
        renamed.sort(key=order.index)
    return answer.replace(joined, ", ".join(renamed))
