"""Scores pair files: JSONL rows of images, prompt, chosen and rejected text, by the code that training uses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from cpo.errors import DataError
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.logps import compute_logps
from cpo.policy.reference import AdapterOff
from cpo.sequence.collator import Collator
from cpo.sequence.layouts import Branch
from cpo.sequence.pair_file import image_of

FIELDS = {"id": str, "images": list, "prompt": list, "chosen": str, "rejected": list}
"""What a row must hold, and of which type; others are ignored, but for `end_token`."""

Row = Mapping[str, Any]


def read_pair_file(path: Path) -> list[Row]:
    """The rows `{id, images: [path], prompt: [messages], chosen: text, rejected: [text]}` of a pair file.

    An image may be a frame of a video or edited, as in a run's own file (`pair_file.image_entry`). With
    `rejected_images`, for each rejected text its own images or null, that text is scored under those.

    `chosen` and `rejected` are literally what is scored; the end token is scored behind each, unless the row says
    `end_token: false`. Relative image paths are relative to the current folder, as in a run's own file.

    Raises:
        DataError: There is no such file, or a row is not one; the message names its line and no content.
    """
    if not path.is_file():
        raise DataError(
            got=f"pairs={path}, which is no file",
            wanted="a JSONL file of pairs",
            remedy="pass pairs=RUN/pairs_sample.jsonl, which every run leaves",
        )
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            row = None
        wrong = [
            name for name, kind in FIELDS.items() if not isinstance(row, dict) or not isinstance(row.get(name), kind)
        ]
        others = isinstance(row, dict) and row.get("rejected_images")
        if others and not (
            isinstance(others, list) and "rejected" not in wrong and len(others) == len(row["rejected"])
        ):
            wrong.append("rejected_images")
        if wrong or not all(isinstance(text, str) for text in row["rejected"]):
            raise DataError(
                got=f"{path}:{number}, where {', '.join(wrong) or 'rejected'} is absent or of another type",
                wanted="{id: text, images: [path], prompt: [messages], chosen: text, rejected: [text]}",
                remedy="compare with pairs_sample.jsonl of a run",
            )
        rows.append(row)
    return rows


def score_pairs(policy: LoadedPolicy, rows: Sequence[Row], *, beta: float, batch_size: int) -> Iterator[dict[str, Any]]:
    """Log-probs of each row under a tuned policy and its reference, in order.

    Args:
        policy: With the adapter that was tuned; switched off it is the reference.
        rows: Of a pair file; K may differ between rows.
        beta: Of the reward β · (log π − log π_ref), in 1/nats.
        batch_size: Rows per forward pass, at most.

    Yields:
        `{id, chosen_logps, rejected_logps [K], ref_chosen_logps, ref_rejected_logps [K],
        rewards {chosen, rejected [K]}, margins [K]}`: summed over tokens, in nats.

    Raises:
        DataError: A row cannot be encoded, is too long, or gives no number.
    """
    reference = AdapterOff(cache="none")
    collate = Collator(policy.encoder, policy.layout, max_length=policy.max_length)
    policy.model.eval()
    for _, alike in groupby(rows, key=lambda row: len(row["rejected"])):
        same_k = list(alike)
        for start in range(0, len(same_k), batch_size):
            some = same_k[start : start + batch_size]
            batch = collate.assemble([branches_of(policy, row) for row in some], [row["id"] for row in some])
            batch = batch.to(policy.device)
            with torch.no_grad():
                tuned, frozen = compute_logps(policy.model, batch), reference.logps(policy.model, batch)
            for n, row in enumerate(some):
                chosen, rejected = tuned.chosen[n].item(), tuned.rejected[n].tolist()
                ref_chosen, ref_rejected = frozen.chosen[n].item(), frozen.rejected[n].tolist()
                reward = beta * (chosen - ref_chosen)
                others = [beta * (ours - theirs) for ours, theirs in zip(rejected, ref_rejected, strict=True)]
                if reward != reward or any(other != other for other in others):
                    raise DataError(
                        got=f"log-probs that are no numbers, on pair {n + 1} of a batch with {len(some)}",
                        wanted="finite log-probs",
                        remedy="look at its images, and at the weights",
                    )
                yield {
                    "id": row["id"],
                    "chosen_logps": chosen,
                    "rejected_logps": rejected,
                    "ref_chosen_logps": ref_chosen,
                    "ref_rejected_logps": ref_rejected,
                    "rewards": {"chosen": reward, "rejected": others},
                    "margins": [reward - other for other in others],
                }


def branches_of(policy: LoadedPolicy, row: Row) -> list[Branch]:
    """The chosen branch of a row, then its rejected ones.

    Raises:
        DataError: One is too long or cannot be encoded.
    """
    own, end = row["images"], bool(row.get("end_token", True))
    others = row.get("rejected_images") or [None] * len(row["rejected"])
    shown = [own, *(own if images is None else images for images in others)]
    branches = [
        Branch(
            policy.encoder.conversation(row["prompt"], [image_of(entry) for entry in images]),
            policy.encoder.text(text, end=end),
        )
        for images, text in zip(shown, (row["chosen"], *row["rejected"]), strict=True)
    ]
    longest = max(len(branch.prompt.ids) + len(branch.completion) for branch in branches)
    if longest > policy.max_length:
        raise DataError(
            got=f"a pair of {longest} tokens",
            wanted=f"at most policy.max_length={policy.max_length}",
            remedy="leave it out; nothing is truncated",
        )
    return branches
