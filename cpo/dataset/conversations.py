"""Conversations in the words of OpenAI and of ShareGPT: turns of texts and images."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cpo.dataset.documents import mapping
from cpo.dataset.intake import DamagedError, ExcludedError

IMAGE = "<image>"
"""Where an image stands in the text of ms-swift and LLaMA-Factory."""

MOVED = "image placeholder moved before the text"

ROLES = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant", "system": "system"}
ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(//|.*;base64,)", re.DOTALL)
"""A URL or inlined bytes: nothing is fetched, and images are files."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation: its role, and its parts in order, texts and images (a path, or None: the next)."""

    role: str
    texts: tuple[str, ...]
    images: tuple[str | None, ...] = ()
    notes: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """Its texts as one."""
        return "".join(self.texts)


def conversation(value: Any, what: str, *, marks: bool = True) -> list[Turn]:
    """The turns of a list of messages, in OpenAI's words or in ShareGPT's.

    Args:
        value: The list.
        what: Its key, for the reason.
        marks: Whether `<image>` in plain text stands for an image.

    Raises:
        DamagedError: No such list.
        ExcludedError: A turn of a tool, or a part that is neither text nor image.
    """
    if not isinstance(value, list) or not value:
        raise DamagedError(f"{what} is no list of messages")
    return [_turn(mapping(message, "message"), marks) for message in value]


def _turn(message: Mapping[str, Any], marks: bool) -> Turn:
    role = message.get("role", message.get("from"))
    if not isinstance(role, str) or role not in ROLES:
        raise ExcludedError("a turn that is neither the user's nor the assistant's")
    if message.get("tool_calls"):
        raise ExcludedError("tools are not read")
    content = message.get("content", message.get("value"))
    if isinstance(content, str):
        return _marked(ROLES[role], content) if marks else Turn(ROLES[role], (content,))
    if not isinstance(content, list):
        raise DamagedError("a message without text")
    parts = [_part(mapping(part, "part of a message")) for part in content]
    return _joined(ROLES[role], parts)


def _marked(role: str, content: str) -> Turn:
    """A turn of plain text whose images stand as `<image>`."""
    first, *rest = content.split(IMAGE)
    parts: list[str | tuple[str | None]] = [first]
    for text in rest:
        parts += [(None,), text]
    return _joined(role, parts)


def _joined(role: str, parts: Sequence[str | tuple[str | None]]) -> Turn:
    """A turn with its images before its text; noted where they were not."""
    images = tuple(part[0] for part in parts if isinstance(part, tuple))
    texts, moved = list[str](), False
    for part in parts:
        if isinstance(part, str):
            # what an image leaves behind in a sentence is one blank too many
            if moved and texts and not part[:1].isalnum():
                texts[-1] = texts[-1].rstrip(" ")
            texts += [part] if part else []
        else:
            moved = moved or bool(texts)
    return Turn(role, tuple(texts), images, frozenset({MOVED}) if moved else frozenset())


def _part(part: Mapping[str, Any]) -> str | tuple[str | None]:
    """A text, or an image with its path if the part has it."""
    kind = part.get("type")
    if kind == "text":
        text = part.get("text", part.get("value"))
        if not isinstance(text, str):
            raise DamagedError("a part without text")
        return text
    if kind in ("image", "image_url"):
        place = next((part[key] for key in ("image", "image_url", "url", "path", "value") if part.get(key)), None)
        place = place.get("url", place.get("path")) if isinstance(place, dict) else place
        return (None if place is None else _path(place),)
    raise ExcludedError("a part that is neither text nor image")


def paths(record: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The image paths under a key: a list, or one alone.

    Raises:
        DamagedError: Something else than the path of a file.
    """
    value = record.get(key)
    if value is None:
        return ()
    return tuple(_path(item) for item in (value if isinstance(value, list) else [value]))


def _path(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("path") if not value.get("bytes") else None
    if not isinstance(value, str) or not value.strip() or ELSEWHERE.match(value) or "\0" in value:
        raise DamagedError("an image that is not the path of a file")
    return sound_text(value, "image path")


def sound_text(value: Any, what: str) -> str:
    """A text as it stands, not blank, that a file can hold.

    Raises:
        DamagedError: It is none.
    """
    if not isinstance(value, str) or not value.strip():
        raise DamagedError(f"{what} blank or no text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise DamagedError(f"{what} not Unicode") from None
    return value
