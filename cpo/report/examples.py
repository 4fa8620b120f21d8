"""Preference pairs side by side: the factual trajectory, the counterfactual ones, and what was edited."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from cpo.errors import DataError
from cpo.report.blocks import Comparison, Span, Version
from cpo.sequence.pair_file import image_of
from cpo.sequence.pixels import read_image

PIXELS = 320
"""Longer side of a picture in a page: twice its width there, for dense screens."""

_TAG = re.compile(r"(</?think>\s*)")
_WORD = re.compile(r"(?:</?think>|\w[\w'’-]*|[^\w\s])\s*")
"""A tag, a word or a punctuation mark, with the white space after it."""


def comparison(pair: Mapping[str, Any], number: int, rejected_is: str) -> Comparison:
    """One row of `pairs_sample.jsonl` as a comparison.

    Args:
        pair: `id`, `images` (paths or frames), `prompt` (messages), `chosen` (text), `rejected` (texts); with
            `rejected_images`, for each rejected text its own images or null.
        number: From 1; heads the example.
        rejected_is: What the rejected texts are, in words.
    """
    chosen, rejected = pair["chosen"], list(pair["rejected"])
    # with several rejected texts the chosen one is marked where any differs
    differs = [marked(chosen, text)[0] for text in rejected]
    others = [entry for images in pair.get("rejected_images") or () for entry in images or ()]
    pictures = [picture_of(entry) for entry in (*pair.get("images", ()), *others)]
    lost = sum(picture is None for picture in pictures)
    return Comparison(
        title=f"Example {number}: {pair['id']}",
        prompt=prompt_text(pair.get("prompt", ())),
        pictures=[picture for picture in pictures if picture is not None],
        versions=[
            Version("Chosen", parts(_any_marked(chosen, differs)), "before"),
            *(
                Version(_heading(rejected_is, i, len(rejected)), parts(marked(chosen, text)[1]), "after")
                for i, text in enumerate(rejected, start=1)
            ),
        ],
        note=" ".join(
            [
                *([f"{lost} of {len(pictures)} pictures could not be read."] if lost else []),
                *([f"The text is rejected under the last {_of_them(others)}."] if others else []),
            ]
        ),
    )


def marked(before: str, after: str) -> tuple[list[Span], list[Span]]:
    """Two texts word by word, each with the words marked that the other has not in that place.

    Example:
        >>> gone, new = marked("No effusion is seen.", "A large effusion is seen.")
        >>> [span.text for span in gone if span.marked], [span.text for span in new if span.marked]
        (['No '], ['A large '])
    """
    old, new = _WORD.findall(before), _WORD.findall(after)
    blocks = SequenceMatcher(a=[w.strip() for w in old], b=[w.strip() for w in new], autojunk=False).get_opcodes()
    sides: tuple[list[Span], list[Span]] = ([], [])
    for tag, a, b, c, d in blocks:
        for side, words in ((sides[0], old[a:b]), (sides[1], new[c:d])):
            if words:
                side.append(Span("".join(words), marked=tag != "equal"))
    return sides


def parts(spans: Sequence[Span]) -> list[tuple[str, list[Span]]]:
    """A trajectory split into thinking and answer, without its tags; one nameless part where they are not there.

    Example:
        >>> [(name, [s.text for s in part]) for name, part in parts([Span("<think> Clear. </think> No Finding.")])]
        [('thinking', ['Clear.', ' ']), ('answer', ['No Finding.', ''])]
    """
    named: list[tuple[str, list[Span]]] = [("", [])]
    for span in spans:
        for piece in _TAG.split(span.text):
            if _TAG.fullmatch(piece):
                named.append(("thinking" if piece.startswith("<t") else "answer", []))
            elif piece:
                words = piece.rstrip()  # a mark ends with its last word
                named[-1][1].extend([Span(words, span.marked), Span(piece[len(words) :])])
    return [(name, part) for name, part in named if any(span.text.strip() for span in part)]


def prompt_text(messages: Any) -> str:
    """What the user's messages say, without pictures; a message's content is a text or a list of typed items.

    Example:
        >>> prompt_text([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is seen?"}]}])
        'What is seen?'
    """
    if isinstance(messages, str):
        return messages
    return " ".join(
        text for message in messages if message.get("role") == "user" for text in _texts(message["content"])
    )


def thumbnail(path: Path) -> str | None:
    """A picture file as a `data:` URI, small enough for a page; None when it cannot be read."""
    try:
        with Image.open(path) as image:
            return as_thumbnail(image)
    except (OSError, UnidentifiedImageError):
        return None


def picture_of(entry: Any) -> str | None:
    """An image as a row of a pair file names it, as a `data:` URI; None when it cannot be read."""
    try:
        return as_thumbnail(read_image(image_of(entry)))
    except DataError:
        return None


def as_thumbnail(image: Image.Image) -> str:
    """A picture as a `data:` URI, small enough for a page."""
    small = image.convert("RGB")
    small.thumbnail((PIXELS, PIXELS))
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    else:
        yield from (item["text"] for item in content if item.get("type") == "text")


def _any_marked(text: str, versions: Sequence[Sequence[Span]]) -> list[Span]:
    """A text with a word marked wherever one of several markings of the same text marks it."""
    flags = [[span.marked for span in spans for _ in _WORD.findall(span.text)] for spans in versions]
    words = [(word, any(column)) for word, *column in zip(_WORD.findall(text), *flags, strict=True)]
    runs = groupby(words, key=lambda pair: pair[1])
    return [Span("".join(word for word, _ in run), marked=flag) for flag, run in runs]


def _of_them(others: Sequence[Any]) -> str:
    return "picture" if len(others) == 1 else f"{len(others)} pictures"


def _heading(what: str, number: int, count: int) -> str:
    return f"Rejected: {what}" + (f" ({number} of {count})" if count > 1 else "")
