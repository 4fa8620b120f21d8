"""A preference pair in the files of ms-swift, TRL and LLaMA-Factory: one neutral row, read from each of them.

Source:
    The formats' own documentation: ms-swift's custom datasets, TRL's dataset formats (conversational preference),
    LLaMA-Factory's `data/README.md` (sharegpt with `ranking`) and its v1 demo files. docs/datasets.md shows a row of
    each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cpo.answers import CLOSE, OPEN
from cpo.dataset.conversations import Turn, conversation, paths, sound_text
from cpo.dataset.intake import DamagedError, ExcludedError
from cpo.records import Trajectory

Format = Literal["ms_swift", "trl", "llamafactory", "llamafactory_v1"]

NO_REJECTED = "no rejected side"
PLAIN = "plain prompt taken for the user's text"

CANONICAL = re.compile(rf"{OPEN} (?P<thinking>.*) {CLOSE} (?P<answer>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PairRow:
    """One pair as text and paths.

    Args:
        prompt: The user's text; images are shown before it.
        images: Their paths as written.
        chosen: The preferred completion.
        rejected: The dispreferred one.
        rejected_images: Images of the rejected side where they differ; else None.
        notes: What was changed to hold the record, in words.
    """

    prompt: str
    images: tuple[str, ...]
    chosen: str
    rejected: str
    rejected_images: tuple[str, ...] | None = None
    notes: frozenset[str] = frozenset()

    def shares_chosen(self, other: PairRow) -> bool:
        """Whether both rows prefer the same completion of the same prompt."""
        return (self.prompt, self.images, self.chosen) == (other.prompt, other.images, other.chosen)


def detect(record: Mapping[str, Any]) -> Format:
    """The format of a record, by its keys.

    Raises:
        DamagedError: It has the keys of none.
    """
    if "chosen_messages" in record:
        return "llamafactory_v1"
    if "conversations" in record or {"messages", "chosen", "rejected"} <= set(record):
        return "llamafactory"
    if {"chosen", "rejected"} <= set(record) or {"prompt", "completion"} <= set(record):
        return "trl"
    if "messages" in record:
        return "ms_swift"
    raise DamagedError("keys of no known preference format")


def read_pair(record: Mapping[str, Any], form: Format) -> PairRow:
    """The pair of a record.

    Raises:
        ExcludedError: A sound record that a sample cannot hold: several turns, a system prompt, no rejected side, …
        DamagedError: Not what the format says.
    """
    for key in ("videos", "audios", "video", "audio", "tools", "rejected_videos", "rejected_audios", "objects"):
        if record.get(key):
            raise ExcludedError(f"{key} are not read")
    if form in ("trl", "llamafactory") and record.get("rejected") is None:
        raise ExcludedError(NO_REJECTED)
    return READERS[form](record)


def trajectory(completion: str) -> Trajectory:
    """Thinking and answer of a completion; without think tags all of it is the answer, to the last blank.

    White space around the tags is taken for the template's own.

    Raises:
        DamagedError: Tags that do not match, or nothing between or after them.
    """
    if OPEN not in completion and CLOSE not in completion:
        return Trajectory("", completion)
    if completion.count(OPEN) != 1 or completion.count(CLOSE) != 1:
        raise DamagedError("think tags do not match")
    if (canonical := CANONICAL.fullmatch(completion)) is not None:
        found = Trajectory(canonical["thinking"], canonical["answer"])
    else:
        before, _, rest = completion.partition(OPEN)
        thinking, closed, answer = rest.partition(CLOSE)
        if before.strip() or not closed:
            raise DamagedError("think tags do not match")
        found = Trajectory(thinking.strip(), answer.strip())
    if not found.thinking.strip() or not found.answer.strip():
        raise DamagedError("nothing between the think tags or after them")
    return found


def _ms_swift(record: Mapping[str, Any]) -> PairRow:
    chosen = conversation(record.get("messages"), "messages")
    images = paths(record, "images")
    prompt, shown = _prompt(chosen[:-1]), _shown(chosen[:-1], images, at_front=True)
    completion = _completion(chosen[-1:])
    own = record.get("rejected_images")
    other = paths(record, "rejected_images") if own is not None else None
    if record.get("rejected_messages") is not None:
        rejected = conversation(record["rejected_messages"], "rejected_messages")
        if _prompt(rejected[:-1]).text != prompt.text:
            raise ExcludedError("the two sides have different prompts")
        if other is None and shown:
            raise DamagedError("rejected_messages without rejected_images")
        against, other_shown = _completion(rejected[-1:]), _shown(rejected[:-1], other or (), at_front=True)
    elif record.get("rejected_response") is not None:
        against, other_shown = _response(record["rejected_response"]), shown if other is None else other
    elif other is not None:
        against, other_shown = completion, other
    else:
        raise ExcludedError(NO_REJECTED)
    if len(other_shown) != len(shown):
        raise ExcludedError("the two sides have different numbers of images")
    return PairRow(prompt.text, shown, completion, against, _if_other(other_shown, shown), prompt.notes)


def _trl(record: Mapping[str, Any]) -> PairRow:
    images = paths(record, "images") or paths(record, "image")
    sides = [_side(record.get(key), key) for key in ("chosen", "rejected")]
    notes = frozenset[str]()
    if record.get("prompt") is None:
        if sides[0][:-1] != sides[1][:-1]:
            raise ExcludedError("the two sides have different prompts")
        turns, sides = sides[0][:-1], [side[-1:] for side in sides]
    elif isinstance(record["prompt"], str):
        turns, notes = [Turn("user", (sound_text(record["prompt"], "prompt"),))], frozenset({PLAIN})
    else:
        turns = conversation(record["prompt"], "prompt", marks=False)
    prompt, shown = _prompt(turns), _shown(turns, images, at_front=True)
    chosen, rejected = (_completion(side) for side in sides)
    return PairRow(prompt.text, shown, chosen, rejected, None, prompt.notes | notes)


def _llamafactory(record: Mapping[str, Any]) -> PairRow:
    turns = conversation(record.get("conversations", record.get("messages")), "conversations")
    if record.get("system"):
        raise ExcludedError("a system prompt")
    prompt, shown = _prompt(turns), _shown(turns, paths(record, "images"), at_front=False)
    chosen, rejected = (_response(record.get(key)) for key in ("chosen", "rejected"))
    return PairRow(prompt.text, shown, chosen, rejected, None, prompt.notes)


def _llamafactory_v1(record: Mapping[str, Any]) -> PairRow:
    sides = []
    for key in ("chosen_messages", "rejected_messages"):
        turns = conversation(record.get(key), key, marks=False)
        weights = [turn.get("loss_weight") for turn in record[key]]
        prompt, shown = _prompt(turns[:-1]), _shown(turns[:-1], (), at_front=False)
        completion = _completion(turns[-1:])
        if weights[-1] not in (None, 1) or any(weight not in (None, 0) for weight in weights[:-1]):
            raise ExcludedError("a loss_weight other than 0 for the prompt and 1 for the completion")
        sides.append((prompt, shown, completion))
    (prompt, shown, chosen), (other_prompt, other_shown, rejected) = sides
    if prompt.text != other_prompt.text:
        raise ExcludedError("the two sides have different prompts")
    if len(other_shown) != len(shown):
        raise ExcludedError("the two sides have different numbers of images")
    return PairRow(prompt.text, shown, chosen, rejected, _if_other(other_shown, shown), prompt.notes)


READERS: Mapping[Format, Callable[[Mapping[str, Any]], PairRow]] = {
    "ms_swift": _ms_swift,
    "trl": _trl,
    "llamafactory": _llamafactory,
    "llamafactory_v1": _llamafactory_v1,
}


def _prompt(turns: Sequence[Turn]) -> Turn:
    """The one user turn that a sample's prompt can hold."""
    if any(turn.role == "system" for turn in turns):
        raise ExcludedError("a system prompt")
    if len(turns) > 1:
        raise ExcludedError("several turns in the prompt")
    if not turns or turns[0].role != "user":
        raise DamagedError("no user turn in the prompt")
    sound_text(turns[0].text, "prompt")
    return turns[0]


def _completion(turns: Sequence[Turn]) -> str:
    if len(turns) > 1:
        raise ExcludedError("several turns in a completion")
    if not turns or turns[0].role != "assistant" or turns[0].images:
        raise DamagedError("a completion that is no assistant's text")
    return sound_text(turns[0].text, "completion")


def _response(value: Any) -> str:
    """A completion as plain text, as one message, or as a list of it."""
    if isinstance(value, str):
        return sound_text(value, "completion")
    return _completion(conversation(value if isinstance(value, list) else [value], "completion"))


def _side(value: Any, what: str) -> list[Turn]:
    if isinstance(value, str):
        return [Turn("assistant", (sound_text(value, what),))]
    return conversation(value, what, marks=False)


def _shown(turns: Sequence[Turn], images: tuple[str, ...], *, at_front: bool) -> tuple[str, ...]:
    """The paths of the images in a prompt, in order.

    Args:
        turns: The prompt's one turn.
        images: Paths beside the text, in the order of its placeholders.
        at_front: Whether the format shows images without any placeholder, before the text.
    """
    marks = [image for turn in turns for image in turn.images]
    inside = tuple(image for image in marks if image is not None)
    if len(inside) == len(marks):  # all of them inlined, or none
        if images and (inside or not at_front):
            raise DamagedError("number of placeholders differs from the number of images")
        return inside or images
    if inside or len(marks) != len(images):
        raise DamagedError("number of placeholders differs from the number of images")
    return images


def _if_other(images: tuple[str, ...], own: tuple[str, ...]) -> tuple[str, ...] | None:
    return None if images == own else images
