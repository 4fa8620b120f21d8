"""The frozen reference: where its log-probs come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from peft import PeftModel

from cpo.errors import ConfigError
from cpo.policy.logps import compute_logps
from cpo.tensors import Logps, PairBatch


class Reference(ABC):
    """Log-probs under the policy as it was before the preference stage."""

    @abstractmethod
    def logps(self, model: Any, batch: PairBatch) -> Logps:
        """Reference log-probs of a batch, without gradients.

        Args:
            model: The policy, which may hold the reference within it.
            batch: The batch that the policy is scored on.
        """


class AdapterOff(Reference):
    """The policy with its adapter switched off.

    This is the SFT policy because the SFT stage ends in a merged model directory and the adapter is fresh on it. On
    an adapter that was itself trained by SFT it would be the base model: margins would not be 0 at step 0, which the
    preference stage checks.
    """

    def logps(self, model: Any, batch: PairBatch) -> Logps:
        """See `Reference.logps`.

        Raises:
            ConfigError: The model has no adapter to switch off.
        """
        if not isinstance(model, PeftModel):
            raise ConfigError(
                got="reference=adapter_off with a policy that has no adapter",
                wanted="a LoRA policy",
                remedy="tune with LoRA (policy.lora), which every preference loss with a reference uses",
            )
        # dropout off as well: the reference is a fixed function
        training = model.training
        model.eval()
        try:
            with torch.no_grad(), model.disable_adapter():
                return compute_logps(model, batch)
        finally:
            model.train(training)
