"""A text edited sentence by sentence, the white space between those that stay as it was."""

from __future__ import annotations

import re
from collections.abc import Callable

_GAP = re.compile(r"((?<=[.!?])\s+)")


def edit_sentences(text: str, edit: Callable[[int, str], str | None]) -> str:
    r"""A text with each sentence replaced by what `edit` makes of it.

    Args:
        text: Any text.
        edit: Called with a sentence's place from 0 and the sentence, white space folded; None drops it. A sentence
            that it returns as it is keeps its own white space.

    Example:
        >>> edit_sentences("One is.\n Two is. Three is.", lambda i, sentence: None if i == 1 else sentence)
        'One is. Three is.'
        >>> edit_sentences("Clear  lungs. No mass.", lambda i, sentence: sentence.replace("mass", "nodule"))
        'Clear  lungs. No nodule.'
    """
    pieces = _GAP.split(text)
    kept: list[tuple[str, str]] = []  # the gap before a sentence, and the sentence
    for place, (gap, sentence) in enumerate(zip(["", *pieces[1::2]], pieces[::2], strict=True)):
        folded = " ".join(sentence.split())
        edited = edit(place, folded)
        if edited is not None:
            kept.append((gap, sentence if edited == folded else edited))
    return "".join((gap if i else "") + sentence for i, (gap, sentence) in enumerate(kept))


def count_sentences(text: str) -> int:
    """How many sentences `edit_sentences` would see; 0 of nothing but white space."""
    return len(_GAP.split(text)[::2]) if text.strip() else 0
