"""A preference pair, or one completion, as a row of the files that other tools train on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cpo.dataset.conversations import IMAGE
from cpo.dataset.intake import DamagedError
from cpo.dataset.preference_formats import Format, PairRow, trajectory

Row = dict[str, Any]


class RefusedError(Exception):
    """What a format cannot hold exactly; its text is the reason, without content."""


def write_pair(row: PairRow, form: Format) -> Row:
    """A pair in a format: `read_pair` gives an equal one back.

    Raises:
        RefusedError: The format cannot hold it.
    """
    _check_texts(row.prompt, (row.chosen, row.rejected), form)
    return PAIRS[form](row)


def write_example(prompt: str, images: Sequence[str], completion: str, form: Format) -> Row:
    """A prompt with one completion, as the same tools' supervised fine-tuning reads it.

    Raises:
        RefusedError: The format cannot hold it.
    """
    _check_texts(prompt, (completion,), form)
    return EXAMPLES[form](prompt, tuple(images), completion)


def dataset_info(name: str, file: str, *, pairs: bool) -> dict[str, Any]:
    """The entry of LLaMA-Factory's `dataset_info.json` for a sharegpt file."""
    columns = {"messages": "conversations", "images": "images"}
    ranking = {"chosen": "chosen", "rejected": "rejected"} if pairs else {}
    entry = {"file_name": file, "formatting": "sharegpt", "ranking": pairs, "columns": columns | ranking}
    return {name: entry}


def check_unicode(text: str) -> None:
    """Refuses half of a surrogate pair, which no file could hold.

    Raises:
        RefusedError: There is one.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RefusedError("a text that is not Unicode") from None


def _ms_swift(row: PairRow) -> Row:
    content: Row = _messages(row.prompt, row.images, row.chosen)
    other = row.rejected_images
    if other is None:
        return content | {"rejected_response": row.rejected}
    _check_number(row)
    if row.rejected == row.chosen:
        return content | {"rejected_images": list(other)}
    against = _messages(row.prompt, other, row.rejected)
    return content | {"rejected_messages": against["messages"], "rejected_images": list(other)}


def _trl(row: PairRow) -> Row:
    _check_one_side(row)
    content = {"prompt": _parts_prompt(row.prompt, len(row.images))}
    sides = {key: [_parts_answer(text)] for key, text in (("chosen", row.chosen), ("rejected", row.rejected))}
    return content | sides | _images(row.images)


def _llamafactory(row: PairRow) -> Row:
    _check_one_side(row)
    sides = {key: {"from": "gpt", "value": text} for key, text in (("chosen", row.chosen), ("rejected", row.rejected))}
    return {"conversations": [_human(row.prompt, row.images)]} | sides | _images(row.images)


def _llamafactory_v1(row: PairRow) -> Row:
    _check_number(row)
    other = row.images if row.rejected_images is None else row.rejected_images
    return {
        "chosen_messages": _weighted(row.prompt, row.images, row.chosen),
        "rejected_messages": _weighted(row.prompt, other, row.rejected),
    }


PAIRS: Mapping[Format, Callable[[PairRow], Row]] = {
    "ms_swift": _ms_swift,
    "trl": _trl,
    "llamafactory": _llamafactory,
    "llamafactory_v1": _llamafactory_v1,
}


def _messages(prompt: str, images: Sequence[str], completion: str) -> Row:
    turns = [{"role": "user", "content": IMAGE * len(images) + prompt}, {"role": "assistant", "content": completion}]
    return {"messages": turns} | _images(images)


def _conversations(prompt: str, images: Sequence[str], completion: str) -> Row:
    return {"conversations": [_human(prompt, images), {"from": "gpt", "value": completion}]} | _images(images)


def _prompt_completion(prompt: str, images: Sequence[str], completion: str) -> Row:
    content = {"prompt": _parts_prompt(prompt, len(images)), "completion": [_parts_answer(completion)]}
    return content | _images(images)


EXAMPLES: Mapping[Format, Callable[[str, Sequence[str], str], Row]] = {
    "ms_swift": _messages,
    "trl": _prompt_completion,
    "llamafactory": _conversations,
    "llamafactory_v1": lambda prompt, images, completion: {"messages": _weighted(prompt, images, completion)},
}


def _images(images: Sequence[str]) -> Row:
    return {"images": list(images)} if images else {}


def _human(prompt: str, images: Sequence[str]) -> Row:
    return {"from": "human", "value": IMAGE * len(images) + prompt}


def _parts_prompt(prompt: str, images: int) -> list[Row]:
    return [{"role": "user", "content": [{"type": "image"}] * images + [{"type": "text", "text": prompt}]}]


def _parts_answer(text: str) -> Row:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def _weighted(prompt: str, images: Sequence[str], completion: str) -> list[Row]:
    shown = [{"type": "image_url", "value": image} for image in images]
    return [
        {"role": "user", "content": [*shown, {"type": "text", "value": prompt}], "loss_weight": 0.0},
        {"role": "assistant", "content": [{"type": "text", "value": completion}], "loss_weight": 1.0},
    ]


def _check_one_side(row: PairRow) -> None:
    if row.rejected_images is not None:
        raise RefusedError("two different images, where the format has one set of images for both sides")


def _check_number(row: PairRow) -> None:
    if row.rejected_images is not None and len(row.rejected_images) != len(row.images):
        raise RefusedError("another number of images on the rejected side")


def _check_texts(prompt: str, completions: Sequence[str], form: Format) -> None:
    texts = (prompt, *completions)
    if not prompt.strip():
        raise RefusedError("a blank prompt")
    if form in ("ms_swift", "llamafactory") and any(IMAGE in text for text in texts):
        raise RefusedError(f"a text with {IMAGE}, which the format takes for an image")
    for text in texts:
        check_unicode(text)
    for completion in completions:
        try:
            trajectory(completion)
        except DamagedError as reason:
            raise RefusedError(str(reason)) from None
        if not completion.strip():
            raise RefusedError("a blank completion")
