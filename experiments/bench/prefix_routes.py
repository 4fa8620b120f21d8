"""Three exact ways to score branches behind one prompt, timed side by side: forward and backward, no optimiser.

Usage:
    python -m experiments.bench.prefix_routes --policy mid --pairs 4 --repeats 5

`padded` repeats the prompt for each branch. `mask` has the prompt once per row under a dense mask [N, 1, L, L].
`key_value` runs the prompts first and the branches on their differentiable key-value cache. `prefix_shared` and
`packed` are the layouts of the project: one pass, attention in two calls per layer.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache

from cpo.policy.logps import compute_logps, token_logps, unwrap
from cpo.sequence.collator import Collator
from cpo.sequence.layouts import Packed, Padded, PrefixShared
from cpo.tensors import PairBatch
from experiments.bench.policies import composed, prepared


def dense(batch: PairBatch) -> PairBatch:
    """A prefix-shared batch with the mask that says the same: bool [N, 1, L, L]."""
    rows, length = batch.input_ids.shape
    number = torch.full((rows * length,), -2)
    number[batch.prompt_index[batch.prompt_index >= 0]] = -1
    inside = batch.branch_index >= 0
    number[batch.branch_index[inside]] = batch.branch_number[inside]
    number = number.view(rows, length)
    query, key = number[:, :, None], number[:, None, :]
    mask = ((key == -1) | (key == query)) & (key > -2) & torch.ones(length, length, dtype=torch.bool).tril()
    mask = (mask | torch.eye(length, dtype=torch.bool))[:, None]  # padding sees itself: no row without any True
    return replace(batch, attention_mask=mask, prompt_index=torch.empty(0, 0, dtype=torch.long))


def key_value(model: Any, batch: PairBatch) -> torch.Tensor:
    """Log-probs [R] by a prompt pass and a branch pass; `batch` is padded, and all prompts are equally long."""
    branches, per_pair = len(batch.lengths), 1 + batch.negatives
    prompt = int(batch.score_position[batch.score_slot == 0][0]) + 1
    base, cache = unwrap(model).model, DynamicCache()
    first = replace(
        batch,
        input_ids=batch.input_ids[::per_pair, :prompt],
        image_index=batch.image_index[: len(batch.image_grid_thw)],
    )
    embeddings = base.get_input_embeddings()(first.input_ids)
    with torch.no_grad():
        features = base.get_image_features(batch.pixel_values, batch.image_grid_thw, return_dict=True).pooler_output
    where = first.input_ids == base.config.image_token_id
    embeddings = embeddings.masked_scatter(where[..., None], torch.cat(list(features)))
    states = base.language_model(
        inputs_embeds=embeddings,
        position_ids=batch.position_ids[:, ::per_pair, :prompt],
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    cache.batch_repeat_interleave(per_pair)
    behind = base.language_model(
        input_ids=batch.input_ids[:, prompt:],
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids[:, :, prompt:],
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    hidden = torch.cat([states[:, -1:].repeat_interleave(per_pair, 0), behind], dim=1)
    per_token = token_logps(unwrap(model).lm_head, hidden[batch.score_branch, batch.score_slot], batch.score_target)
    return per_token.new_zeros(branches).index_add(0, batch.score_branch, per_token)


def routes(model: Any, collate: Callable[[Any], PairBatch]) -> dict[str, Callable[[], torch.Tensor]]:
    """Each way as a function to log-probs [R] in branch order."""
    padded, shared, packed = (collate(layout) for layout in (Padded(), PrefixShared(), Packed(max_tokens=16_384)))
    masked = dense(shared)

    def table(batch: PairBatch) -> torch.Tensor:
        logps = compute_logps(model, batch)
        return torch.cat([logps.chosen[:, None], logps.rejected], dim=1).flatten()

    return {
        "padded": lambda: table(padded),
        "mask": lambda: table(masked),
        "key_value": lambda: key_value(model, padded),
        "prefix_shared": lambda: table(shared),
        "packed": lambda: table(packed),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", choices=("tiny", "mid"), default="mid")
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--negatives", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=None, help="keeps world and policy for the next time")
    arguments = parser.parse_args()
    cache = arguments.cache or Path(tempfile.mkdtemp())
    cfg = composed(arguments.policy, studies=160, negatives=arguments.negatives)
    backbone, directory, pairs = prepared(cfg, arguments.policy, cache)
    pairs = list({pair.sample.id: pair for pair in pairs}.values())  # two pairs of one sample would share its prompt
    model = backbone.lora.attach(backbone.load_model(directory)).train()
    encoder = backbone.load_encoder(directory)
    ways = routes(
        model,
        lambda layout: Collator(encoder, layout, max_length=backbone.max_length)(pairs[: arguments.pairs]),
    )
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    values: dict[str, torch.Tensor] = {}
    for repeat in range(arguments.repeats + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            values[name] = way()
            values[name].sum().backward()
            if repeat:  # the first is warm-up
                seconds[name].append(time.perf_counter() - started)
    base = statistics.median(seconds["padded"])
    for name, took in seconds.items():
        median = statistics.median(took)
        error = (values[name] - values["padded"]).abs().max().item()
        print(f"{name:14} {median:.3f} s  {base / median:.2f}× padded  max |Δ logp| {error:.1e}")


if __name__ == "__main__":
    main()
