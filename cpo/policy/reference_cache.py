"""Reference log-probs of a list of pairs, computed once and kept on disk for all epochs and all jobs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from cpo.errors import DataError
from cpo.policy.logp_store import LogpStore, Row
from cpo.policy.logps import as_logps
from cpo.records import PreferencePair, fingerprint
from cpo.sequence.collator import Collator, place_of
from cpo.tensors import Logps, PairBatch

SHARD = 64
"""Batches per shard: what a killed job loses at most."""

VERIFIED = 4
"""Cached pairs that are computed again before the cache is used."""

TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.bfloat16: 0.25}
"""How far a cached token's log-prob may be from the one computed again, in nats, by the dtype of the weights: other
layouts and kernels round otherwise; another model is further off on some token."""

CONSOLE = Console()


class ReferenceCache:
    """Rows of a `LogpStore`, filled, verified and looked up.

    Args:
        store: Of one reference.
        live: Computes a batch under that reference.
        collate: Makes its batches.
        dtype: Of the reference's weights.
    """

    def __init__(
        self, store: LogpStore, live: Callable[[PairBatch], Logps], collate: Collator, *, dtype: torch.dtype
    ) -> None:
        self.store, self.live, self.collate, self.dtype = store, live, collate, dtype

    def logps(self, batch: PairBatch) -> Logps:
        """Looked up; see `Reference.logps`."""
        missing = [key for key in batch.keys if key not in self.store.rows]
        if missing:
            raise DataError(
                got=f"{len(missing)} of {len(batch.keys)} rows that the reference cache {self.store.directory} lacks",
                wanted="the pairs that it was prepared for, with pictures that have not changed since",
                remedy="remove that directory, or pass reference.cache=none",
            )
        rows = [self.store.rows[key] for key in batch.keys]
        table = np.zeros((len(rows), max(map(len, rows))), dtype=rows[0].dtype)
        for n, row in enumerate(rows):
            table[n, : len(row)] = row
        return as_logps(torch.from_numpy(table).to(batch.lengths.device), batch)

    def prepare(self, pairs: Sequence[PreferencePair], *, batch_size: int, progress: bool) -> None:
        """See `Reference.prepare`."""
        name = pairs_fingerprint(pairs, self.collate)
        with self.store.lock():
            self.store.refresh()
            cached = frozenset(self.store.rows)
            if not self.store.complete(name):
                self._fill(pairs, batch_size, progress)
                self.store.mark_complete(name)
        self._verify(pairs, cached)

    def _fill(self, pairs: Sequence[PreferencePair], batch_size: int, progress: bool) -> None:
        new: dict[str, Row] = {}
        starts = range(0, len(pairs), batch_size)
        quiet = not (progress and CONSOLE.is_terminal)
        for n, start in enumerate(track(starts, description="reference", transient=True, disable=quiet), start=1):
            known = self.store.rows.keys() | new.keys()
            some = [pair for pair in pairs[start : start + batch_size] if not self._keys(pair) <= known]
            if some:
                new |= self._rows(some)
            if n % SHARD == 0 or n == len(starts):
                self.store.add(new)
                new = {}

    def _verify(self, pairs: Sequence[PreferencePair], cached: frozenset[str]) -> None:
        """Computes a few pairs again, of those that were found and not made just now."""
        for pair in pairs[:: max(1, len(pairs) // VERIFIED)][:VERIFIED]:
            if not self._keys(pair) & cached:
                continue
            tolerance = TOLERANCE[self.dtype]
            for key, row in self._rows([pair]).items():
                kept = self.store.rows.get(key, row)  # of one that is absent `logps` says so
                off = float(np.abs(kept - row).max()) if len(kept) == len(row) else np.inf
                if not off <= tolerance:
                    raise DataError(
                        got=f"cached reference log-probs of {place_of(pair)} that are {off:.2g} nats per token off",
                        wanted=f"what the reference says now, to {tolerance:g}",
                        remedy=f"they are of another model, or damaged: rm -r {self.store.directory}",
                    )

    def _rows(self, pairs: Sequence[PreferencePair]) -> dict[str, Row]:
        batch = self.collate(pairs)
        table = self.live(batch).token_logps
        assert table is not None
        values = table.cpu().numpy()
        rows = {key: values[n, :length] for n, (key, length) in enumerate(zip(batch.keys, batch.lengths, strict=True))}
        per_pair = batch.branches
        broken = [n for n, key in enumerate(batch.keys) if not np.isfinite(rows[key]).all()]
        if broken:
            raise DataError(
                got=f"reference log-probs that are no numbers, on {sorted({batch.ids[n // per_pair] for n in broken})}",
                wanted="finite log-probs",
                remedy="look at those samples: a picture or the weights hold values that are no numbers",
            )
        return rows

    def _keys(self, pair: PreferencePair) -> set[str]:
        return {branch.prompt.key(branch.completion) for branch in self.collate.branches(pair)}


def pairs_fingerprint(pairs: Sequence[PreferencePair], collate: Collator) -> str:
    """Of all that decides which rows pairs have, without reading a picture: its file's size and time stand for it.

    A list of pairs that was found complete once needs no encoding to be found complete again.
    """

    def image(path: str) -> list[Any]:
        state = Path(path).stat() if Path(path).is_file() else None
        return [path, state and state.st_size, state and state.st_mtime_ns]

    digest = hashlib.sha256(f"{collate.encoder.fingerprint} {collate.with_rejected}".encode())
    for pair in pairs:
        rejected = [[r.trajectory.thinking, r.trajectory.answer] for r in pair.rejected]
        shown = [*pair.sample.images, *(i for r in pair.rejected for i in r.images or ()), *(pair.image_rejected or ())]
        images = [[*image(ref.path), ref.fingerprint] for ref in shown]
        content = [pair.sample.prompt, pair.chosen.thinking, pair.chosen.answer, rejected, images]
        digest.update(fingerprint(content).encode())
    return digest.hexdigest()[:16]
