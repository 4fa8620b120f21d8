"""The SFT stage is trained once, whoever began it, and every run that uses it shows its whole curve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cpo.records import PreferencePair
from cpo.training.engine import Engine
from cpo.training.init import Start, SupervisedFineTuning
from cpo.training.optim import AdamWCosine


class Rows:
    """A run's tracker: keeps rows, and is killed when a step is logged."""

    def __init__(self, killed_at: int = -1) -> None:
        self.rows: dict[int, float] = {}
        self.killed_at = killed_at

    def log(self, metrics: Mapping[str, float], *, stage: str, step: int) -> None:
        if step == self.killed_at:
            raise InterruptedError
        self.rows[step] = metrics["sft/loss"]

    def rewind(self, *, stage: str, step: int) -> None:
        self.rows = {n: loss for n, loss in self.rows.items() if n <= step}

    def summary(self, values: Mapping[str, Any]) -> None:
        raise AssertionError("a stage has no summary of its own")

    def finish(self) -> None:
        raise AssertionError("a stage does not close a run's tracker")


def test_a_run_that_goes_on_with_another_one_s_sft_shows_its_earlier_steps_too(
    backbone: Any, directory: Path, make_pairs: Callable[..., list[PreferencePair]], tmp_path: Path
) -> None:
    optim = AdamWCosine(
        lr=1e-3,
        min_lr=0.0,
        betas=(0.9, 0.98),
        weight_decay=0.0,
        warmup_steps=0,
        clip_norm=1.0,
        batch_size=2,
        accumulate=1,
        epochs=1.0,
        max_steps=5,
        early_stop=0,
    )
    engine = Engine(
        accelerator="cpu", devices=1, strategy="auto", threads=0, workers=0, checkpoint_every=2, progress=False
    )
    samples = [pair.sample for pair in make_pairs(n=6)]
    init = SupervisedFineTuning(share=1.0, optim=optim)
    straight = Rows()
    start = Start(backbone, directory, samples, engine, straight, tmp_path / "straight", 0, {})
    init.prepare(start)

    first, second, third = Rows(killed_at=4), Rows(), Rows()
    with pytest.raises(InterruptedError):
        init.prepare(replace(start, tracker=first, cache=tmp_path / "cache"))
    _, report = init.prepare(replace(start, tracker=second, cache=tmp_path / "cache"))
    assert not report.cached
    assert list(first.rows) == [1, 2, 3]
    assert second.rows == straight.rows
    assert list(second.rows) == [1, 2, 3, 4, 5]
    _, report = init.prepare(replace(start, tracker=third, cache=tmp_path / "cache"))
    assert report.cached
    assert third.rows == straight.rows
