"""A policy by path, for judging: a PEFT adapter on the base it was made for, a merged checkpoint, or a bare model."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from cpo.errors import ConfigError, DataError
from cpo.policy.backbone import Backbone
from cpo.records import Sample
from cpo.sequence.encode import Encoder


class PolicyDirectory(Backbone):
    """A trained policy of the Qwen-VL family, whoever trained it.

    Args:
        path: Directory with `adapter_config.json`, which names its base, or with a model's `config.json`.
        dtype: `bfloat16` or `float32`.
        image_size: Pixels per side of the image budget; 0 for the one that its image processor was saved with.
        max_length: Longest prompt + completion, in tokens.

    Raises:
        ConfigError: No path, or a knob out of its range.
        DataError: The directory holds no policy, or the base of its adapter is gone.
    """

    def __init__(self, *, path: str, dtype: str, image_size: int, max_length: int) -> None:
        if not path or dtype not in ("bfloat16", "float32") or image_size < 0 or max_length < 1:
            raise ConfigError(
                got=f"policy.path={path}, dtype={dtype}, image_size={image_size}, max_length={max_length}",
                wanted="a policy's directory; bfloat16 or float32; image_size ≥ 0; max_length ≥ 1",
                remedy="python evaluate.py policy.path=DIR dataset=NAME, or run=DIR for a run of train.py",
            )
        self.path, self.dtype, self.max_length = Path(path).expanduser().absolute(), dtype, max_length
        self.adapter = self.path if (self.path / "adapter_config.json").is_file() else None
        if self.adapter is None and not (self.path / "config.json").is_file():
            raise DataError(
                got=f"policy.path={path}, "
                + ("which has neither adapter_config.json nor config.json" if self.path.is_dir() else "no directory"),
                wanted="a PEFT adapter, a merged checkpoint or a bare model directory",
                remedy="pass RUN/adapter for the policy of a run, or the run itself as run=RUN",
            )
        self.base = Path(self.adapter_base(self.adapter)) if self.adapter else self.path
        self.image_size = image_size or _saved_image_size(self.base)

    def directory(self, cache: Path, *, samples: Sequence[Sample], results: Sequence[str], seed: int) -> Path:
        """See `Backbone.directory`; nothing is made, and of the arguments nothing is read."""
        return self.base

    def load(self) -> tuple[Any, Encoder]:
        """Model, with its adapter if it has one, and encoder.

        Raises:
            DataError: The adapter is of another base, or the tokenizer of another model.
        """
        model, encoder = self.load_model(self.base), self.load_encoder(self.base)
        check_tokenizer(model, encoder, self.adapter)
        model.requires_grad_(False)
        return (model if self.adapter is None else self.load_adapter(model, self.adapter)), encoder


def check_tokenizer(model: Any, encoder: Encoder, adapter: Path | None = None) -> None:
    """Refuses a tokenizer that is not the model's: every number would be that of other words.

    Args:
        model: Gives the number of embeddings, and the id of image tokens.
        encoder: Of the same directory.
        adapter: Its directory; tools write a tokenizer beside it, which has to be the same.

    Raises:
        DataError: They do not fit together.
    """
    rows, known = model.get_input_embeddings().weight.shape[0], len(encoder.tokenizer)
    pad = model.config.image_token_id
    if known > rows or encoder.image_token_id != pad:
        raise DataError(
            got=f"a tokenizer of {known} tokens with image token {encoder.image_token_id}, beside a model of {rows} "
            f"embeddings with image token {pad}",
            wanted="the tokenizer that the model was trained with",
            remedy="copy tokenizer files from the model's own directory",
        )
    if adapter is not None and (adapter / "tokenizer.json").is_file():
        beside = AutoTokenizer.from_pretrained(adapter).get_vocab()
        if beside != encoder.tokenizer.get_vocab():
            raise DataError(
                got=f"an adapter with a tokenizer of {len(beside)} tokens that is not its base's, of {known}",
                wanted="the tokenizer that the adapter was trained with, in its base",
                remedy="merge the adapter with its own base and tokenizer, and pass the merged directory",
            )


def _saved_image_size(base: Path) -> int:
    """The side of the one image size that an image processor was saved with.

    Raises:
        ConfigError: It has none, or a range.
    """
    file = base / "preprocessor_config.json"
    saved = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    size = saved.get("size") or {}
    fewest, most = size.get("shortest_edge"), size.get("longest_edge")
    if not fewest or fewest != most:
        raise ConfigError(
            got=f"an image processor for {fewest} to {most} pixels, and policy.image_size=0",
            wanted="one size, the one that the policy was trained with",
            remedy="pass policy.image_size=512, as in the papers",
        )
    return math.isqrt(fewest)
