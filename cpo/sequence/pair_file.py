"""Preference pairs as rows of a JSONL file: what a run leaves of its own, and what can be scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from cpo.records import PreferencePair
from cpo.sequence.template import completion_text, prompt_messages

T = TypeVar("T")


def evenly(items: Sequence[T], count: int) -> list[T]:
    """At most `count` items, evenly over the sequence.

    Example:
        >>> evenly("abcdef", 3)
        ['a', 'c', 'e']
    """
    return [items[i * len(items) // count] for i in range(count)] if len(items) > count else list(items)


def pair_row(pair: PreferencePair) -> dict[str, Any]:
    """A pair as a row of a pair file."""
    return {
        "id": pair.sample.id,
        "time": pair.time,
        "images": [image.path for image in pair.sample.images],
        "prompt": prompt_messages(pair.sample),
        "chosen": completion_text(pair.chosen),
        "rejected": [completion_text(r.trajectory) for r in pair.rejected],
        "targets": [r.target for r in pair.rejected],
    }
