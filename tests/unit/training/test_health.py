"""Training warns of what is commonly overlooked, once of each, and is quiet where nothing is wrong."""

from __future__ import annotations

import logging
import math

import pytest

from cpo.training.health import Health


def healthy(step: int) -> dict[str, float]:
    """Rewards that part, accuracy that grows, noise on both."""
    noise = 0.05 * math.sin(7.0 * step)
    return {
        "grad_norm": 1.0,
        "rewards/chosen": 0.02 * step + noise,
        "rewards/rejected": -0.05 * step - noise,
        "rewards/accuracies": min(1.0, 0.5 + 0.01 * step),
        "prequential/accuracy": 0.75,
    }


def given(health: Health, steps: range, **changes: float) -> list[str]:
    return [name for step in steps for name in health.observe(step, healthy(step) | changes)]


def test_a_healthy_training_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    assert given(Health("train"), range(1, 300)) == []
    assert not caplog.records


def test_gradients_of_zero_are_spoken_of_once_and_after_some_patience(caplog: pytest.LogCaptureFixture) -> None:
    health = Health("train", patience=3)
    assert given(health, range(1, 3), grad_norm=0.0) == []
    assert given(health, range(3, 20), grad_norm=0.0) == ["no gradient"]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("train, step 3: no gradient: its norm was 0 for 3 steps")


def test_a_single_step_without_gradient_is_none_of_our_business() -> None:
    health = Health("train", patience=3)
    for start in range(1, 30, 3):
        assert given(health, range(start, start + 2), grad_norm=0.0) == []
        assert given(health, range(start + 2, start + 3)) == []


def test_both_rewards_falling_is_spoken_of(caplog: pytest.LogCaptureFixture) -> None:
    health = Health("train", window=10)
    names = [
        name
        for step in range(1, 100)
        for name in health.observe(
            step, healthy(step) | {"rewards/chosen": -0.05 * step, "rewards/rejected": -0.2 * step}
        )
    ]
    assert names == ["both rewards fall"]
    assert "loss=rpo" in caplog.text


@pytest.mark.parametrize(
    ("chosen", "rejected"),
    [(-0.05, 0.0), (0.0, -0.05), (0.05, -0.05)],
    ids=["only the chosen falls", "only the rejected falls", "they part"],
)
def test_one_reward_falling_is_not_both(chosen: float, rejected: float) -> None:
    health = Health("train", window=10)
    for step in range(1, 100):
        metrics = healthy(step) | {"rewards/chosen": chosen * step, "rewards/rejected": rejected * step}
        assert health.observe(step, metrics) == []


def test_a_chosen_reward_that_falls_but_is_still_positive_is_no_harm_yet() -> None:
    health = Health("train", window=10)
    for step in range(1, 50):
        assert health.observe(step, {"rewards/chosen": 9 - 0.1 * step, "rewards/rejected": 5 - 0.3 * step}) == []


@pytest.mark.parametrize("key", ["prequential/accuracy", "rewards/accuracies"])
def test_pairs_ranked_rightly_from_the_start_are_trivially_easy(key: str) -> None:
    """Rewards are all 0 before the first update: their accuracy counts from the second step."""
    health = Health("train", patience=4)
    first = {"rewards/accuracies": 0.0}
    names = [n for step in range(1, 40) for n in health.observe(step, {key: 1.0} | (first if step == 1 else {}))]
    assert names == ["pairs are trivially easy"]


def test_an_accuracy_of_1_that_was_learned_is_welcome() -> None:
    health = Health("train", patience=4)
    for step in range(1, 100):
        learned = 0.9 if step < 5 else 1.0
        metrics = {"prequential/accuracy": learned, "rewards/accuracies": learned}
        assert health.observe(step, metrics) == []


def test_a_resumed_training_does_not_take_its_first_steps_for_the_beginning() -> None:
    health = Health("train", patience=4)
    for step in range(500, 600):
        assert health.observe(step, {"prequential/accuracy": 1.0, "rewards/accuracies": 1.0}) == []


def test_supervised_fine_tuning_has_no_rewards_to_watch() -> None:
    health = Health("sft")
    assert [health.observe(step, {"grad_norm": 1.0, "loss": 1.0}) for step in range(1, 60)] == [[]] * 59
