"""A Qwen-VL policy from a local directory or the hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cpo.errors import ConfigError
from cpo.policy.backbone import Backbone
from cpo.policy.lora import LoRA
from cpo.records import Sample


class PretrainedQwenVL(Backbone):
    """A released checkpoint of the Qwen-VL family, tuned by LoRA in both stages.

    Args:
        path: A local model directory, or a hub id that `transformers` may download.
        dtype: `bfloat16` or `float32`; float16 overflows in preference losses.
        image_size: Pixels per side of the image budget; the papers use 512.
        max_length: Longest prompt + completion, in tokens.
        lora: Adapter of the preference stage.
        sft_lora: Adapter of SFT, merged before the preference stage; in the papers it reaches the vision tower too.

    Raises:
        ConfigError: A dtype that is not offered.
    """

    def __init__(self, *, path: str, dtype: str, image_size: int, max_length: int, lora: LoRA, sft_lora: LoRA) -> None:
        if dtype not in ("bfloat16", "float32"):
            raise ConfigError(
                got=f"policy.dtype={dtype}",
                wanted="bfloat16 or float32",
                remedy="pass policy.dtype=bfloat16; float16 gives NaN rewards in preference losses",
            )
        self.path, self.dtype = path, dtype
        self.image_size, self.max_length, self.lora = image_size, max_length, lora
        self.sft_lora = sft_lora
        self.train_all_in_sft = False

    def directory(self, cache: Path, *, samples: Sequence[Sample], results: Sequence[str], seed: int) -> Path:
        """See `Backbone.directory`; nothing is made, and of the arguments nothing is read.

        Raises:
            ConfigError: The path looks local and is not there.
        """
        path = Path(self.path).expanduser()
        if not path.is_dir() and (path.is_absolute() or self.path.startswith((".", "~"))):
            raise ConfigError(
                got=f"policy.path={self.path}, which is no directory",
                wanted="a local model directory or a hub id",
                remedy="pass policy.path=/path/to/Qwen2.5-VL-7B-Instruct",
            )
        return path
