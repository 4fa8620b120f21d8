"""Low-rank adapters on the language model."""

from __future__ import annotations

from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model

from cpo.errors import ConfigError

LANGUAGE_MODEL_LINEARS = r".*language_model\.layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)"
"""All linear layers of the language model. A list of names would match the vision tower's MLP too."""


class LoRA:
    """A LoRA adapter's shape.

    Args:
        r: Rank, ≥ 1.
        alpha: Scale numerator; updates are scaled by alpha / r.
        dropout: On the adapter's input, in [0, 1); 0 keeps log-probs of all layouts comparable.
        target_modules: Regular expression over module names.

    Raises:
        ConfigError: A knob out of its range.
    """

    def __init__(self, *, r: int, alpha: int, dropout: float, target_modules: str) -> None:
        if r < 1 or not 0 <= dropout < 1:
            raise ConfigError(
                got=f"policy.lora.r={r}, policy.lora.dropout={dropout}",
                wanted="r ≥ 1 and 0 ≤ dropout < 1",
                remedy="pass policy.lora.r=8 policy.lora.dropout=0",
            )
        self.r, self.alpha, self.dropout, self.target_modules = r, alpha, dropout, target_modules

    def attach(self, model: Any) -> PeftModel:
        """The model with a fresh adapter, which leaves its outputs unchanged until the first step.

        Raises:
            ConfigError: The expression matches no module.
        """
        config = LoraConfig(
            r=self.r,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=self.target_modules,
            task_type="CAUSAL_LM",
        )
        try:
            return get_peft_model(model, config)
        except ValueError as error:
            raise ConfigError(
                got=f"policy.lora.target_modules={self.target_modules!r}: {error}",
                wanted="an expression that matches linear layers of the language model",
                remedy=f"pass policy.lora.target_modules='{LANGUAGE_MODEL_LINEARS}'",
            ) from error
