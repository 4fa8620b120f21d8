"""Results after prefixes of a thinking: one row for all equals a row for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cpo.answers import ListedAnswer
from cpo.errors import DataError, ShapeError
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.logps import compute_logps
from cpo.policy.results import ResultScorer, Thought
from cpo.records import PreferencePair, Trajectory
from cpo.sequence.collator import Collator
from cpo.sequence.layouts import Branch, Padded
from cpo.sequence.trunk import Trunk

Pairs = Callable[..., list[PreferencePair]]
ANSWERS = ListedAnswer("It is {}.", ("large", "small", "clear"))


@pytest.fixture
def loaded(policy: Any, encoder: Any, directory: Path, monkeypatch: pytest.MonkeyPatch) -> LoadedPolicy:
    plain = encoder.image
    # pixels in the model's own precision
    monkeypatch.setattr(
        encoder, "image", lambda ref: replace(plain(ref), patches=plain(ref).patches.astype(np.float64))
    )
    return LoadedPolicy(policy, encoder, Padded(), 512, directory)


def thoughts(pairs: list[PreferencePair]) -> list[Thought]:
    made = []
    for pair in pairs:
        text = pair.chosen.thinking
        made.append(Thought(pair.sample, text, (*range(0, len(text) + 1, 5), len(text))))
    return made


def plain(loaded: LoadedPolicy, scorer: ResultScorer, thought: Thought, cut: int) -> np.ndarray:
    """Each result's answer behind the tokens up to the cut, one padded row each."""
    ids, ends = scorer.tokens_of(thought.thinking)
    # a token is kept when it begins before the cut, the opening tag always
    begins = [-1, -1, *ends[1:-1]]
    kept = [i for i, begin in zip(ids, begins, strict=True) if begin < cut][: None if cut else 1]
    prompt = loaded.encoder.prompt(thought.sample)
    rows = []
    for result in ANSWERS.results:
        ending = loaded.encoder.text(f" </think> {ANSWERS.write([result])}")
        branch = Branch(prompt, (*kept, *ending))
        batch = Collator(loaded.encoder, Padded(), max_length=512).assemble([[branch]], ["row"])
        with torch.no_grad():
            table = compute_logps(loaded.model, batch).token_logps
        assert table is not None
        rows.append(float(table[0, len(kept) :].sum()))
    return np.array(rows)


@pytest.mark.parametrize("max_branch_tokens", [10, 4096])
@pytest.mark.parametrize("images", [(1,), (0, 2, 1)])
def test_one_row_for_all_prefixes_equals_a_row_for_each(
    loaded: LoadedPolicy, make_pairs: Pairs, images: tuple[int, ...], max_branch_tokens: int
) -> None:
    scorer = ResultScorer(loaded, ANSWERS, max_branch_tokens=max_branch_tokens)
    asked = thoughts(make_pairs(n=3, images=images))
    for thought, found in zip(asked, scorer.logps(asked, batch_size=2), strict=True):
        assert found.shape == (len(thought.cuts), 3)
        expected = np.stack([plain(loaded, scorer, thought, cut) for cut in thought.cuts])
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_the_whole_thinking_gives_the_log_prob_of_the_whole_completion(loaded: LoadedPolicy, make_pairs: Pairs) -> None:
    """The tokens of trunk and ending are those of the completion as it is trained on."""
    pair = make_pairs(n=1)[0]
    scorer = ResultScorer(loaded, ANSWERS)
    ids, _ = scorer.tokens_of(pair.chosen.thinking)
    for result, ending in zip(ANSWERS.results, scorer._endings, strict=True):
        whole = Trajectory(pair.chosen.thinking, ANSWERS.write([result]))
        assert (*ids, *ending) == loaded.encoder.completion(whole)


def test_distributions_sum_to_one_and_follow_the_log_probs(loaded: LoadedPolicy, make_pairs: Pairs) -> None:
    scorer = ResultScorer(loaded, ANSWERS)
    asked = thoughts(make_pairs(n=2))
    for logps, z in zip(scorer.logps(asked), scorer.distributions(asked), strict=True):
        np.testing.assert_allclose(z.sum(axis=1), 1)
        np.testing.assert_allclose(np.log(z[:, 0] / z[:, 1]), logps[:, 0] - logps[:, 1], atol=1e-9)


def test_what_is_too_long_or_cut_outside_is_refused(loaded: LoadedPolicy, make_pairs: Pairs) -> None:
    pair = make_pairs(n=1)[0]
    loaded.max_length = 10
    with pytest.raises(DataError, match="max_length=10"):
        list(ResultScorer(loaded, ANSWERS).logps([Thought(pair.sample, "the heart", (3,))]))
    with pytest.raises(ShapeError, match="cuts"):
        Trunk(loaded.encoder.prompt(pair.sample), (1, 2), ((3, (4,)),))
