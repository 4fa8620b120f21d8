"""What a model's weights are, as one fingerprint: the same numbers give the same, whatever file they came from."""

from __future__ import annotations

import hashlib
import json

import torch

ADAPTER = "lora_"
"""What names of adapter weights hold, and names of other weights do not."""


def weights_fingerprint(module: torch.nn.Module, *, adapter: bool = True) -> str:
    """16 hex digits of the SHA-256 of a module's parameters and buffers: names, dtypes, shapes, every bit.

    Names are taken as they are without an adapter around the module, so that a model and the same one with an adapter
    that is left out agree.

    Args:
        module: A model or a part of one.
        adapter: False leaves adapter weights out.
    """
    digest = hashlib.sha256()
    config = getattr(module, "config", None)
    if config is not None:
        content = {k: v for k, v in config.to_dict().items() if k not in ("_name_or_path", "transformers_version")}
        digest.update(json.dumps(content, sort_keys=True, default=str).encode())
    named = {name.replace("base_model.model.", "").replace(".base_layer", ""): w for name, w in _weights(module)}
    for name in sorted(named):
        if adapter or ADAPTER not in name:
            weight = named[name].detach().contiguous().cpu()
            digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
            digest.update(weight.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def _weights(module: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [*module.named_parameters(), *module.named_buffers()]
