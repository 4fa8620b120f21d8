"""What a policy config is: a way to an ordinary model directory, and how that directory is loaded."""

from __future__ import annotations

import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors import safe_open
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

from cpo.errors import DataError
from cpo.policy.lora import LoRA
from cpo.records import Sample
from cpo.sequence.encode import Encoder


class Backbone(ABC):
    """A vision-language model before tuning.

    Attributes:
        dtype: Of the weights, as torch names it.
        image_size: Every image is brought to about this many pixels squared, its aspect kept.
        max_length: Longest prompt + completion, in tokens.
        lora: Adapter of the preference stage.
        sft_lora: Adapter of SFT, merged afterwards; unused with `train_all_in_sft`.
        train_all_in_sft: SFT trains all weights instead of an adapter that is merged afterwards.
    """

    dtype: str
    image_size: int
    max_length: int
    lora: LoRA
    sft_lora: LoRA
    train_all_in_sft: bool

    @abstractmethod
    def directory(self, cache: Path, *, samples: Sequence[Sample], results: Sequence[str], seed: int) -> Path:
        """The model directory (weights, tokenizer, image processor), made first if need be.

        Args:
            cache: Where directories that we make are kept.
            samples: Training samples, for a tokenizer and a vision tower that are learnt.
            results: Every result that a sample may have.
            seed: Of weights that are drawn.
        """

    def load_model(self, directory: Path) -> Any:
        """The model of a directory, in this backbone's dtype, with SDPA attention."""
        return AutoModelForImageTextToText.from_pretrained(
            directory, dtype=getattr(torch, self.dtype), attn_implementation="sdpa", local_files_only=directory.is_dir()
        )

    def load_encoder(self, directory: Path) -> Encoder:
        """Tokenizer and image processor of a directory.

        The PIL processor is asked for by name: the default would need torchvision, whose results differ slightly.
        """
        tokenizer = AutoTokenizer.from_pretrained(directory)
        size = {"shortest_edge": self.image_size**2, "longest_edge": self.image_size**2}
        image_processor = AutoImageProcessor.from_pretrained(directory, backend="pil", size=size)
        return Encoder(tokenizer, image_processor)

    def load_adapter(self, model: Any, adapter: Path) -> Any:
        """The model with a trained adapter from a PEFT directory, for use without further training.

        Raises:
            DataError: Its weights are not there, or are not those of an adapter of this model.
        """
        weights = adapter / "adapter_model.safetensors"
        if not weights.is_file():
            raise DataError(
                got=f"{adapter} without {weights.name}",
                wanted="the weights of the adapter beside its config",
                remedy="finish the copy; a run that was stopped goes on with run=DIR",
            )
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Found missing adapter keys")  # told apart below
                tuned = PeftModel.from_pretrained(model, adapter)
        except (RuntimeError, ValueError) as error:  # sizes that differ, modules that are not there
            raise _of_another_base(adapter, "sizes or modules differ") from error
        with safe_open(weights, framework="pt") as file:
            theirs = set(file.keys())
        ours = set(get_peft_model_state_dict(tuned))
        if ours != theirs:
            raise _of_another_base(adapter, f"{len(ours - theirs)} weights missing, {len(theirs - ours)} too many")
        return tuned

    def adapter_base(self, adapter: Path) -> str:
        """The model directory or hub id that an adapter was made for.

        Raises:
            DataError: It was a local directory, and is gone.
        """
        base = str(json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"])
        if Path(base).is_absolute() and not Path(base).is_dir():
            raise DataError(
                got=f"{adapter}, made for {base}, which is gone",
                wanted="the SFT directory that the adapter was trained on",
                remedy="run the same train.py command again: it rebuilds the stage in the cache",
            )
        return base


def _of_another_base(adapter: Path, how: str) -> DataError:
    return DataError(
        got=f"{adapter}, an adapter of another base: {how}",
        wanted="the model that it was trained on",
        remedy="set base_model_name_or_path in its adapter_config.json to the directory of that model",
    )
