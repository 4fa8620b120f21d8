"""Preference pairs as rows of a JSONL file: what a run leaves of its own, and what can be scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from cpo.errors import DataError
from cpo.records import Edit, ImageRef, PreferencePair
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
    """A pair as a row of a pair file; with `rejected_images` where a rejected text is about other images."""
    shown = [r.images for r in pair.rejected]
    others = [None if images is None else [image_entry(image) for image in images] for images in shown]
    return {
        "id": pair.sample.id,
        "time": pair.time,
        "images": [image_entry(image) for image in pair.sample.images],
        "prompt": prompt_messages(pair.sample),
        "chosen": completion_text(pair.chosen),
        "rejected": [completion_text(r.trajectory) for r in pair.rejected],
        "targets": [r.target for r in pair.rejected],
        **({"rejected_images": others} if any(images is not None for images in shown) else {}),
    }


def image_entry(image: ImageRef) -> str | dict[str, Any]:
    """An image in a row: its path, or of a video's frame and of an edited picture a record that `image_of` reads.

    Example:
        >>> image_entry(ImageRef("a.png")), image_entry(ImageRef("a.mp4", 1.5))
        ('a.png', {'path': 'a.mp4', 'time_s': 1.5, 'edits': []})
    """
    if image.time_s is None and not image.edits:
        return image.path
    edits = [[edit.name, dict(edit.params)] for edit in image.edits]
    return {"path": image.path, "time_s": image.time_s, "edits": edits}


def image_of(entry: Any) -> ImageRef:
    """The image behind an entry of a row.

    Raises:
        DataError: It is neither a path nor a record that `image_entry` has written.
    """
    if isinstance(entry, str):
        return ImageRef(entry)
    try:
        edits = tuple(Edit(name, tuple(sorted(params.items()))) for name, params in entry["edits"])
        return ImageRef(str(entry["path"]), None if entry["time_s"] is None else float(entry["time_s"]), edits)
    except (TypeError, KeyError, ValueError, AttributeError):
        raise DataError(
            got="an image of a pair that is neither a path nor {path, time_s, edits}",
            wanted="a path, or for a video {path, time_s: seconds, edits: []}",
            remedy="compare with pairs_sample.jsonl of a run",
        ) from None
