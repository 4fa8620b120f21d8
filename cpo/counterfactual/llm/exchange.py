"""One request to a language model, what can come back, and the ways in which nothing does."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal, Protocol

from cpo.records import fingerprint

ReplyFormat = Literal["json_schema", "text"]
Finish = Literal["stop", "length", "refusal"]

_REASONING = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
"""What a reasoning model puts before its reply, where the server does not take it out."""


_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character, as a cut-off escape leaves it: no file can hold it."""


class Failure(StrEnum):
    """Why a request brought no reply. Every failed request is counted under one."""

    RATE_LIMITED = "429"
    SERVER_ERROR = "5xx"
    REFUSED = "4xx"
    TIMEOUT = "timeout"
    DROPPED = "dropped connection"
    BROKEN_BODY = "broken body"
    EMPTY_CHOICE = "empty choice"

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed later."""
        return self is not Failure.REFUSED


@dataclass(frozen=True)
class Request:
    """What decides a reply; equal requests have one reply, whichever server gave it.

    Args:
        model: Name of the model as its server knows it.
        system: What the model is told about its task.
        user: The task itself.
        reply_format: `json_schema` asks for an object with the one field `findings`, `text` for the findings alone.
        temperature: Of the model's sampling, ≥ 0.
        max_tokens: Longest reply, in tokens.
        shots: Worked examples between the two, each a task and its reply.
    """

    model: str
    system: str
    user: str
    reply_format: ReplyFormat
    temperature: float
    max_tokens: int
    shots: tuple[tuple[str, str], ...] = ()

    @cached_property
    def key(self) -> str:
        """The hash under which the journal keeps the reply."""
        settings = [self.model, self.system, self.user, self.reply_format, self.temperature, self.max_tokens]
        return fingerprint([*settings, *([self.shots] if self.shots else [])])


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model wrote.

    Args:
        text: As it came.
        finish: `stop` where it came to its end, `length` where it was cut off, `refusal` where the model declined.
        model: The model that the server says it used.
    """

    text: str
    finish: Finish
    model: str


class Fault(Exception):
    """A request that brought no reply.

    Args:
        failure: Its kind.
        wait_s: How long the server asks to be left alone, in seconds; None where it does not say.
        note: What the server said; it may quote the request, so it is shown for open data only.
    """

    def __init__(self, failure: Failure, wait_s: float | None = None, note: str = "") -> None:
        super().__init__(failure.value)
        self.failure, self.wait_s, self.note = failure, wait_s, note


class Expert(Protocol):
    """Whoever answers requests: an endpoint, or a model of this process."""

    async def ask(self, request: Request) -> Reply:
        """The reply to one request.

        Raises:
            Fault: There is none.
        """
        ...

    async def close(self) -> None:
        """Ends what `ask` opened."""
        ...


def findings_of(reply: Reply, reply_format: ReplyFormat) -> str | None:
    """The findings in a reply; None where it does not have the form that was asked for.

    Example:
        >>> findings_of(Reply('Sure: {"findings": "Clear lungs."}', "stop", "m"), "json_schema")
        'Clear lungs.'
        >>> findings_of(Reply('{"findings": "Clear lu', "stop", "m"), "json_schema") is None
        True
        >>> findings_of(Reply("<think>Which lung?</think> Clear lungs. ", "stop", "m"), "text")
        'Clear lungs.'
    """
    text = _REASONING.sub("", reply.text, count=1)
    found = _object(text).get("findings") if reply_format == "json_schema" else text
    if not isinstance(found, str) or _SURROGATE.search(found):
        return None
    return found.strip() or None


def _object(text: str) -> Mapping[str, Any]:
    """The first JSON object in a text, whatever stands around it; an empty one where there is none."""
    start = text.find("{")
    try:
        found, _ = json.JSONDecoder().raw_decode(text, start) if start >= 0 else ({}, 0)
    except (json.JSONDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
