"""Sampled completions are draws from softmax(logits / temperature), each sample's by its own generator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cpo.policy.generate import GumbelNoise, generators
from cpo.policy.loaded import LoadedPolicy
from cpo.records import PreferencePair, Sample
from cpo.sequence.layouts import Padded


@pytest.fixture
def loaded(policy: Any, encoder: Any, directory: Path) -> LoadedPolicy:
    return LoadedPolicy(policy, encoder, Padded(), 512, directory)


@pytest.fixture
def samples(make_pairs: Callable[..., list[PreferencePair]]) -> list[Sample]:
    return [pair.sample for pair in make_pairs(3)]


def test_draws_repeat_with_the_seed_and_not_without(loaded: LoadedPolicy, samples: list[Sample]) -> None:
    def drawn(**knobs: Any) -> list[str]:
        return loaded.generate(samples, max_new_tokens=6, **{"temperature": 1.0, "seed": 0} | knobs)

    assert drawn() == drawn()
    assert drawn() != drawn(seed=1)
    assert drawn(temperature=0.0) == drawn(temperature=0.0, seed=1) == drawn(temperature=1e-6)


def test_a_sample_draws_the_same_in_any_batch_and_anew_each_time_it_stands_there(
    loaded: LoadedPolicy, samples: list[Sample]
) -> None:
    asked = [samples[0], *samples]
    together = loaded.generate(asked, max_new_tokens=6, temperature=1.0, seed=0)
    alone = loaded.generate([samples[0]], max_new_tokens=6, temperature=1.0, seed=0)
    assert together[0] == alone[0]
    assert together[0] != together[1]


def test_no_global_generator_is_touched(loaded: LoadedPolicy, samples: list[Sample]) -> None:
    before = torch.random.get_rng_state()
    loaded.generate(samples[:1], max_new_tokens=2, temperature=1.0)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_noise_draws_tokens_as_often_as_the_softmax_says(samples: list[Sample]) -> None:
    rows = 20_000
    noise = GumbelNoise(0.5, generators([samples[0]] * rows, 0, torch.device("cpu")))
    logits = torch.log(torch.tensor([0.1, 0.2, 0.7])).expand(rows, 3)
    counts = Counter(noise(torch.empty(0), logits).argmax(dim=1).tolist())
    expected = torch.tensor([0.01, 0.04, 0.49]) / 0.54  # temperature 0.5 squares the probabilities
    assert [round(counts[token] / rows, 2) for token in range(3)] == pytest.approx(expected.tolist(), abs=0.012)
