"""A stage trains what it should, checks its start, and keeps adapter weights only."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from cpo.errors import ConfigError, DataError
from cpo.losses.base import Loss
from cpo.losses.cpo_plus import CPOPlus
from cpo.losses.dpo import DPO
from cpo.losses.mdpo import MDPO
from cpo.losses.ns_dpo import NSDPO
from cpo.losses.plackett_luce import PlackettLuce
from cpo.losses.sft import SFT
from cpo.losses.simpo import SimPO
from cpo.losses.weighted_sum import WeightedSum
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.reference import AdapterOff
from cpo.records import PreferencePair
from cpo.sequence.layouts import PrefixShared
from cpo.training.callbacks import Interrupted
from cpo.training.engine import Engine
from cpo.training.optim import AdamWCosine
from cpo.training.stages import Stage, run_stage


class Rows:
    """A tracker that keeps what it is given."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def log(self, metrics: Mapping[str, float], *, stage: str, step: int) -> None:
        self.rows.append({"step": step, **metrics})

    def rewind(self, *, stage: str, step: int) -> None:
        self.rows = [row for row in self.rows if row["step"] <= step]

    def summary(self, values: Mapping[str, Any]) -> None:
        raise AssertionError("a stage has no summary of its own")

    def finish(self) -> None:
        raise AssertionError("a stage does not close the tracker")


def recipe(**changes: Any) -> AdamWCosine:
    knobs: dict[str, Any] = {
        "lr": 1e-2,
        "min_lr": 0.0,
        "betas": (0.9, 0.98),
        "weight_decay": 0.0,
        "warmup_steps": 0,
        "clip_norm": 1.0,
        "batch_size": 4,
        "accumulate": 1,
        "epochs": 1.0,
        "max_steps": -1,
        "early_stop": 0,
    }
    return AdamWCosine(**{**knobs, **changes})


def engine() -> Engine:
    return Engine(
        accelerator="cpu", devices=1, strategy="auto", threads=0, workers=0, checkpoint_every=1, progress=False
    )


@pytest.fixture
def fresh(backbone: Any, directory: Path) -> Callable[[], LoadedPolicy]:
    def make() -> LoadedPolicy:
        torch.manual_seed(0)
        model = backbone.lora.attach(backbone.load_model(directory))
        return LoadedPolicy(model, backbone.load_encoder(directory), PrefixShared(), 512, directory)

    return make


def dpo_stage(**changes: Any) -> Stage:
    knobs: dict[str, Any] = {
        "name": "train",
        "loss": DPO(beta=0.1, nll_weight=0.0),
        "reference": AdapterOff(cache="none"),
        "recipe": recipe(),
        "engine": engine(),
        "seed": 0,
        "shuffle": False,
    }
    return Stage(**{**knobs, **changes})


def adapter(policy: LoadedPolicy) -> dict[str, torch.Tensor]:
    return {k: p.detach().clone() for k, p in policy.model.named_parameters() if p.requires_grad}


def test_preference_stage_starts_at_ln_2_and_widens_the_margin(
    fresh: Callable[[], LoadedPolicy], make_pairs: Callable[..., list[PreferencePair]]
) -> None:
    policy, tracker = fresh(), Rows()
    report = run_stage(dpo_stage(recipe=recipe(epochs=6.0)), policy, make_pairs(n=8), tracker)
    assert report.step0_loss == pytest.approx(0.693147, abs=1e-5)
    assert report.step0_margin_max_abs == 0.0
    assert report.steps == len(tracker.rows) == 12
    assert tracker.rows[-1]["train/rewards/margins"] > 0.05
    assert tracker.rows[-1]["train/loss"] < tracker.rows[0]["train/loss"]


def test_only_the_adapter_of_the_language_model_moves(
    fresh: Callable[[], LoadedPolicy], make_pairs: Callable[..., list[PreferencePair]]
) -> None:
    policy = fresh()
    before = {k: p.detach().clone() for k, p in policy.model.named_parameters()}
    run_stage(dpo_stage(), policy, make_pairs(n=8), Rows())
    moved = {k for k, p in policy.model.named_parameters() if not torch.equal(p, before[k])}
    assert moved
    assert all("lora_" in name and "language_model" in name for name in moved)


def test_batch_1_accumulated_8_times_equals_batch_8(
    fresh: Callable[[], LoadedPolicy], make_pairs: Callable[..., list[PreferencePair]]
) -> None:
    pairs = make_pairs(n=19)  # the last step has three pairs, in one batch of 3 or in three of 1
    weights = []
    for batch_size, accumulate in ((8, 1), (1, 8)):
        policy = fresh()
        run_stage(
            dpo_stage(recipe=recipe(lr=1e-3, batch_size=batch_size, accumulate=accumulate)), policy, pairs, Rows()
        )
        weights.append(adapter(policy))
    for name, weight in weights[0].items():
        torch.testing.assert_close(weights[1][name], weight, rtol=1e-3, atol=2e-6)


def test_checkpoints_hold_the_adapter_and_nothing_frozen(
    fresh: Callable[[], LoadedPolicy], make_pairs: Callable[..., list[PreferencePair]], tmp_path: Path
) -> None:
    policy = fresh()
    run_stage(dpo_stage(checkpoints=tmp_path), policy, make_pairs(n=4), Rows())
    state = torch.load(tmp_path / "last.ckpt", weights_only=False)["state_dict"]
    assert state
    assert all("lora_" in name for name in state)


def test_a_reference_that_is_not_the_start_is_refused(
    fresh: Callable[[], LoadedPolicy], make_pairs: Callable[..., list[PreferencePair]]
) -> None:
    """An SFT adapter left unmerged: switched off it is the base model, and margins do not start at 0."""
    policy = fresh()
    run_stage(dpo_stage(name="sft", loss=SFT()), policy, make_pairs(n=8), Rows())
    with pytest.raises(ConfigError, match="merged model directory"):
        run_stage(dpo_stage(), policy, make_pairs(n=8), Rows())


@pytest.mark.parametrize(
    "loss",
    [
        SimPO(beta=2.0, target_margin=1.0),
        NSDPO(beta=0.1, discount=0.5, time_steps=4, normalise=True),
        CPOPlus(beta=0.1, nll_weight=0.1, thinking_weight=1.0, perception_weight=2.0),
        WeightedSum(losses={"dpo": PlackettLuce(beta=0.1), "sft": SFT()}, weights={"dpo": 1.0, "sft": 0.1}),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_other_losses_train_with_what_they_read_of_the_stream(
    loss: Loss, fresh: Callable[[], LoadedPolicy], make_pairs: Callable[..., list[PreferencePair]]
) -> None:
    pairs, tracker = make_pairs(n=8), Rows()
    turned = replace(pairs[5], rejected=(replace(pairs[5].rejected[0], images=pairs[0].sample.images),))
    pairs[5] = replace(turned, source="perception")
    report = run_stage(dpo_stage(loss=loss, recipe=recipe(epochs=3.0)), fresh(), pairs, tracker)
    assert report.steps == 6
    # two batches by turns, of which an aged or weighted one may cost more than the other
    assert tracker.rows[-2]["train/loss"] < tracker.rows[0]["train/loss"]
    assert tracker.rows[-1]["train/loss"] < tracker.rows[1]["train/loss"]
    assert all(row["train/grad_norm"] > 0 for row in tracker.rows)
    assert ("train/kl/chosen" in tracker.rows[-1]) == loss.requires_reference


def test_a_loss_that_needs_a_rejected_image_is_refused_before_the_first_step(
    fresh: Callable[[], LoadedPolicy], make_pairs: Callable[..., list[PreferencePair]]
) -> None:
    with pytest.raises(ConfigError, match="no rejected image"):
        run_stage(dpo_stage(loss=MDPO(beta=0.1, delta=0.0)), fresh(), make_pairs(n=4), Rows())


def test_a_stage_without_pairs_is_refused(fresh: Callable[[], LoadedPolicy]) -> None:
    with pytest.raises(DataError, match="no pairs for stage train"):
        run_stage(dpo_stage(), fresh(), [], Rows())


def test_a_loss_that_is_no_number_stops_and_names_the_samples(
    fresh: Callable[[], LoadedPolicy], make_pairs: Callable[..., list[PreferencePair]], tmp_path: Path
) -> None:
    class Broken(DPO):
        """Fails on the second batch."""

        def __call__(self, policy: Any, reference: Any, info: Any) -> Any:
            output = super().__call__(policy, reference, info)
            return output if info.time.max() < 4 else replace(output, loss=output.loss * float("nan"))

    broken = Broken(beta=0.1, nll_weight=0.0)
    with pytest.raises(DataError, match=r"a loss of nan on the samples none:4 \(hash \w{32}\), none:5"):
        run_stage(dpo_stage(loss=broken, checkpoints=tmp_path), fresh(), make_pairs(n=8), Rows())
    # the checkpoint of the good step before is kept
    assert torch.load(tmp_path / "last.ckpt", weights_only=False)["global_step"] == 1


def test_of_a_batch_only_the_sample_that_gives_no_number_is_named(
    fresh: Callable[[], LoadedPolicy], make_pairs: Callable[..., list[PreferencePair]], tmp_path: Path
) -> None:
    policy, pairs = fresh(), make_pairs(n=8)
    picture = policy.encoder.image(pairs[5].sample.images[0])
    picture.patches[:] = float("nan")  # a file cannot hold one, a processor's division by zero can make one
    with pytest.raises(DataError) as stopped:
        run_stage(dpo_stage(checkpoints=tmp_path), policy, pairs, Rows())
    assert re.fullmatch(r"a loss of nan on the samples none:5 \(hash \w{32}\)", stopped.value.got)
    kept = torch.load(tmp_path / "last.ckpt", weights_only=False)
    assert kept["global_step"] == 1
    assert all(weight.isfinite().all() for weight in kept["state_dict"].values())


class Falling(DPO):
    """Its value is 1 less each step until the third, and then the same; its gradient is DPO's."""

    def __init__(self) -> None:
        super().__init__(beta=0.1, nll_weight=0.0)

    def __call__(self, policy: Any, reference: Any, info: Any) -> Any:
        output = super().__call__(policy, reference, info)
        if not output.loss.requires_grad:
            return output
        value = 3.0 - min(float(info.time.min()) // 4, 2.0)
        return replace(output, loss=output.loss - output.loss.detach() + value)


def test_a_stage_stops_when_its_loss_no_longer_falls(
    fresh: Callable[[], LoadedPolicy], make_pairs: Callable[..., list[PreferencePair]]
) -> None:
    """Losses 3, 2, 1, 1, 1, 1, … in windows of two: 2.5, 1, 1, and the third is not below the second."""
    tracker = Rows()
    stage = dpo_stage(loss=Falling(), recipe=recipe(early_stop=2))
    report = run_stage(stage, fresh(), make_pairs(n=40), tracker)
    assert [row["train/loss"] for row in tracker.rows] == [3.0, 2.0, 1.0, 1.0, 1.0, 1.0]
    assert report.steps == 6
    assert report.stopped_early
    never = run_stage(dpo_stage(loss=Falling()), fresh(), make_pairs(n=40), Rows())
    assert never.steps == 10
    assert not never.stopped_early


@pytest.mark.parametrize("killed_after", [1, 3, 6])
def test_an_early_stop_is_the_same_after_a_kill(
    fresh: Callable[[], LoadedPolicy],
    make_pairs: Callable[..., list[PreferencePair]],
    tmp_path: Path,
    killed_after: int,
) -> None:
    """After the sixth step the stage was over, and nothing but its account was missing."""

    class Killed(Rows):
        def log(self, metrics: Mapping[str, float], *, stage: str, step: int) -> None:
            super().log(metrics, stage=stage, step=step)
            if step == killed_after + 1:
                raise InterruptedError

    pairs, tracker = make_pairs(n=40), Killed()
    stage = dpo_stage(loss=Falling(), recipe=recipe(early_stop=2), checkpoints=tmp_path)
    if killed_after < 6:
        with pytest.raises(InterruptedError):
            run_stage(stage, fresh(), pairs, tracker)
    else:
        run_stage(stage, fresh(), pairs, tracker)
    again, policy = Rows(), fresh()
    again.rows = tracker.rows
    report = run_stage(stage, policy, pairs, again)
    straight = fresh()
    run_stage(dpo_stage(loss=Falling(), recipe=recipe(early_stop=2)), straight, pairs, Rows())
    assert report.steps == 6
    assert report.stopped_early
    assert [row["step"] for row in again.rows] == [1, 2, 3, 4, 5, 6]
    for name, weight in adapter(straight).items():
        assert torch.equal(adapter(policy)[name], weight), name


def test_what_a_checkpoint_holds_has_been_logged(
    fresh: Callable[[], LoadedPolicy], make_pairs: Callable[..., list[PreferencePair]], tmp_path: Path
) -> None:
    """A kill between the two would leave a gap in the metrics."""
    steps = []

    class Looking(Rows):
        def log(self, metrics: Mapping[str, float], *, stage: str, step: int) -> None:
            kept = tmp_path / "last.ckpt"
            steps.append((step, torch.load(kept, weights_only=False)["global_step"] if kept.is_file() else 0))

    run_stage(dpo_stage(checkpoints=tmp_path), fresh(), make_pairs(n=12), Looking())
    assert steps == [(1, 0), (2, 1), (3, 2)]


def test_a_stage_that_is_asked_to_stop_goes_on_to_the_same_weights(
    fresh: Callable[[], LoadedPolicy], make_pairs: Callable[..., list[PreferencePair]], tmp_path: Path
) -> None:
    """Stopped twice by a signal, between steps of two batches each, and continued: as if never stopped."""

    class Stopping(Rows):
        def log(self, metrics: Mapping[str, float], *, stage: str, step: int) -> None:
            super().log(metrics, stage=stage, step=step)
            if step in (1, 3):
                signal.raise_signal(signal.SIGTERM)

    pairs = make_pairs(n=20)
    steps = recipe(batch_size=2, accumulate=2)
    straight, expected = fresh(), Rows()
    run_stage(dpo_stage(recipe=steps), straight, pairs, expected)
    stopped, tracker = fresh(), Stopping()
    for _ in range(2):
        with pytest.raises(Interrupted):
            run_stage(dpo_stage(recipe=steps, checkpoints=tmp_path), stopped, pairs, tracker)
        stopped = fresh()
    report = run_stage(dpo_stage(recipe=steps, checkpoints=tmp_path), stopped, pairs, tracker)
    assert report.steps == 5
    assert tracker.rows == expected.rows
    for name, weight in adapter(straight).items():
        assert torch.equal(adapter(stopped)[name], weight), name
