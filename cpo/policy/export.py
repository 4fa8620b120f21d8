"""Writes a tuned policy as what plain `transformers` and `peft` load, and checks that it says the same there."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForImageTextToText

from cpo.errors import DataError
from cpo.files import build_directory
from cpo.policy.backbone import Backbone
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.logps import compute_logps, unwrap
from cpo.policy.score import Row, branches_of
from cpo.sequence.collator import Collator
from cpo.sequence.layouts import Branch
from cpo.tensors import PairBatch

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2}
"""Largest difference of a completion's log-prob per token, in nats: merging rounds the weights to their dtype."""

CHECKED = 4
"""Pairs on which the export is compared with the run."""


def export_policy(
    policy: LoadedPolicy, backbone: Backbone, adapter: Path, out: Path, rows: Sequence[Row], *, merge: bool
) -> float:
    """Writes `out`: the adapter, or with `merge` a whole model directory. It stands only if it agrees with the run.

    Args:
        policy: The tuned policy, adapter in place.
        backbone: Loads models of its kind.
        adapter: Its PEFT directory in the run.
        out: The directory to make.
        rows: Pairs to compare on, of which a few are taken.
        merge: Merge the adapter into the weights.

    Returns:
        Largest difference between the run's log-prob and that of plain libraries, in nats per token.

    Raises:
        DataError: `out` exists, there is nothing to compare on, or the numbers differ.
    """
    if out.exists() or not rows:
        raise DataError(
            got=f"out={out}, which exists" if out.exists() else "no pairs to check the export on",
            wanted="a directory to be made, and a pair of the run's to check it on",
            remedy="pass another out=" if out.exists() else "leave pairs_sample.jsonl in the run's directory",
        )
    chosen = [[branches_of(policy, row)[0]] for row in rows[:CHECKED]]
    found: list[float] = []

    def build(directory: Path) -> None:
        base = backbone.adapter_base(adapter)
        if merge:
            whole = backbone.load_adapter(backbone.load_model(Path(base)), adapter).merge_and_unload()
            LoadedPolicy(whole, policy.encoder, policy.layout, policy.max_length, directory).save(directory)
        else:
            shutil.copytree(adapter, directory, dirs_exist_ok=True)
        dtype = unwrap(policy.model).dtype
        plain = AutoModelForImageTextToText.from_pretrained(directory if merge else base, dtype=dtype).eval()
        if not merge:
            plain = PeftModel.from_pretrained(plain, directory).eval()
        for (branch,) in chosen:
            batch = Collator(policy.encoder, policy.layout, max_length=policy.max_length).assemble([[branch]], [""])
            ours = _own_logp(policy, batch)
            theirs = _plain_logp(plain.to(policy.device), policy.encoder.image_token_id, branch, batch)
            found.append(abs(ours - theirs) / len(branch.completion))
        if not max(found) <= TOLERANCE[dtype]:
            raise DataError(
                got=f"an export whose log-probs are {max(found):.2g} nats per token off",
                wanted=f"those of the run, to {TOLERANCE[dtype]:g}",
                remedy="the adapter or the directory it was made for has changed since the run; train again",
            )

    build_directory(out, build)
    return max(found)


@torch.no_grad()
def _own_logp(policy: LoadedPolicy, batch: PairBatch) -> float:
    """Log-prob of a batch of one completion, by the project's own way."""
    policy.model.eval()
    return compute_logps(policy.model, batch.to(policy.device)).chosen.item()


@torch.no_grad()
def _plain_logp(model: Any, image_token_id: int, branch: Branch, batch: PairBatch) -> float:
    """The same by transformers' own forward pass: its positions, its features, its logits."""
    ids = torch.tensor([[*branch.prompt.ids, *branch.completion]], device=model.device)
    images = {}
    if len(batch.image_grid_thw):
        images = {"pixel_values": batch.pixel_values, "image_grid_thw": batch.image_grid_thw}
    logits = model(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        mm_token_type_ids=(ids == image_token_id).int(),
        **{name: tensor.to(model.device) for name, tensor in images.items()},
    ).logits
    start = len(branch.prompt.ids)
    each = logits[0, start - 1 : -1].float().log_softmax(-1).gather(1, ids[0, start:, None])
    return each.sum().item()
