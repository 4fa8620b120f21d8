"""Where reference log-probs come from: a frozen policy, asked anew each time or once for all."""

from __future__ import annotations

import copy
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from cpo.errors import ConfigError
from cpo.policy.logp_store import LogpStore
from cpo.policy.logps import compute_logps, unwrap
from cpo.policy.reference_cache import ReferenceCache
from cpo.policy.weights import ADAPTER, weights_fingerprint
from cpo.records import PreferencePair
from cpo.sequence.collator import Collator
from cpo.tensors import Logps, PairBatch


class Reference(ABC):
    """Log-probs under the policy as it was before the preference stage.

    Args:
        cache: `disk` computes each row once, for all epochs and all jobs with the same reference; `none` at every step.

    Raises:
        ConfigError: Another value.
    """

    def __init__(self, *, cache: str) -> None:
        if cache not in ("disk", "none"):
            raise ConfigError(got=f"reference.cache={cache}", wanted="disk or none", remedy="pass reference.cache=disk")
        self.cache = cache
        self._cached: ReferenceCache | None = None

    @abstractmethod
    def freeze(self, model: Any) -> None:
        """Keeps what the reference needs of a policy that is about to be trained."""

    @abstractmethod
    def live(self, model: Any, batch: PairBatch) -> Logps:
        """Reference log-probs of a batch, computed now.

        Args:
            model: The policy, which may hold the reference within it.
            batch: The batch that the policy is scored on.
        """

    @abstractmethod
    def fingerprint(self, model: Any) -> str:
        """Of the weights that decide `live`."""

    def logps(self, model: Any, batch: PairBatch) -> Logps:
        """Reference log-probs of a batch, without gradients: looked up if they were prepared, else computed.

        Raises:
            DataError: The batch holds a row that `prepare` was not given.
        """
        return self.live(model, batch) if self._cached is None else self._cached.logps(batch)

    def prepare(
        self,
        model: Any,
        pairs: Sequence[PreferencePair],
        collate: Collator,
        *,
        directory: Path | None,
        batch_size: int,
        progress: bool,
    ) -> float:
        """Freezes the reference and, with `cache=disk`, has all rows of the pairs at hand.

        Rows are found by content: weights, pixels, prompt and completion, so jobs share them whatever their layout,
        and a job that was killed goes on where it was. One job computes while the others wait.

        Args:
            model: The policy before its first step, on its device.
            pairs: What it will be trained on.
            collate: As in training.
            directory: Where cached references are kept; None for nowhere, as with `cache=none`.
            batch_size: Pairs per forward pass.
            progress: Show a progress bar.

        Returns:
            Seconds spent.

        Raises:
            DataError: What is cached is not what this reference says.
        """
        started = time.perf_counter()
        self.freeze(model)
        self._cached = None
        if self.cache == "disk" and directory is not None:
            store = LogpStore(directory / self.fingerprint(model))
            inner = unwrap(model)
            cached = ReferenceCache(
                store, lambda batch: self.live(model, batch.to(inner.device)), collate, dtype=inner.dtype
            )
            cached.prepare(pairs, batch_size=batch_size, progress=progress)
            self._cached = cached
        return time.perf_counter() - started


@contextmanager
def _without_dropout(model: Any) -> Iterator[None]:
    """Dropout off as well as gradients: the reference is a fixed function."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


@contextmanager
def without_adapter(model: Any) -> Iterator[bool]:
    """Switches a policy's adapter off for the time of the block; yields whether it has one."""
    if not isinstance(model, PeftModel):
        yield False
        return
    with model.disable_adapter():
        yield True


def _adapter(model: Any, choice: str) -> PeftModel:
    if not isinstance(model, PeftModel):
        raise ConfigError(
            got=f"reference={choice} with a policy that has no adapter",
            wanted="a LoRA policy",
            remedy="tune with LoRA (policy.lora), or pass reference=frozen_copy",
        )
    return model


class AdapterOff(Reference):
    """The policy with its adapter switched off.

    This is the SFT policy because the SFT stage ends in a merged model directory and the adapter is fresh on it. On
    an adapter that was itself trained by SFT it would be the base model: margins would not be 0 at step 0, which the
    preference stage checks; `AdapterSnapshot` is for that case.
    """

    def freeze(self, model: Any) -> None:
        """Nothing to keep: the weights under the adapter do not change."""

    def fingerprint(self, model: Any) -> str:
        """See `Reference.fingerprint`."""
        return weights_fingerprint(unwrap(model), adapter=False)

    def live(self, model: Any, batch: PairBatch) -> Logps:
        """See `Reference.live`.

        Raises:
            ConfigError: The model has no adapter to switch off.
        """
        with _without_dropout(model), _adapter(model, "adapter_off").disable_adapter():
            return compute_logps(model, batch)


class AdapterSnapshot(Reference):
    """The policy with its adapter as it was when the stage began, for an adapter that was trained before."""

    def freeze(self, model: Any) -> None:
        """Copies the adapter."""
        named = _adapter(model, "adapter_snapshot").named_parameters()
        self._kept: Mapping[str, torch.Tensor] = {k: p.detach().clone() for k, p in named if ADAPTER in k}

    def fingerprint(self, model: Any) -> str:
        """See `Reference.fingerprint`."""
        with self._put_back(model):
            return weights_fingerprint(unwrap(model))

    def live(self, model: Any, batch: PairBatch) -> Logps:
        """See `Reference.live`."""
        with _without_dropout(model), self._put_back(model):
            return compute_logps(model, batch)

    @contextmanager
    def _put_back(self, model: Any) -> Iterator[None]:
        """The adapter of then in place of today's; what autograd has noted of a forward pass stays valid."""
        assert hasattr(self, "_kept"), "prepare comes before the first batch"
        own = {name: p.data for name, p in model.named_parameters() if name in self._kept}
        try:
            for name, parameter in model.named_parameters():
                if name in own:
                    parameter.data = self._kept[name].to(parameter.device)
            yield
        finally:
            for name, parameter in model.named_parameters():
                if name in own:
                    parameter.data = own[name]


class FrozenCopy(Reference):
    """A second copy of the whole policy as it was when the stage began: for tuning without an adapter.

    It doubles the memory of the weights, so the other two come first where an adapter is tuned.
    """

    def freeze(self, model: Any) -> None:
        """Copies all weights."""
        self._copy = copy.deepcopy(model).requires_grad_(False).eval()

    def fingerprint(self, model: Any) -> str:
        """See `Reference.fingerprint`."""
        return weights_fingerprint(unwrap(self._copy))

    def live(self, model: Any, batch: PairBatch) -> Logps:
        """See `Reference.live`."""
        assert hasattr(self, "_copy"), "prepare comes before the first batch"
        with torch.no_grad():
            return compute_logps(self._copy, batch)
