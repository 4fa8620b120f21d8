from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cpo.answers import FreeAnswer, ListedAnswer
from cpo.diagnostics.detectors import PageHinkley
from cpo.diagnostics.thinking import jensen_shannon, thought_drift
from cpo.errors import ConfigError, DataError
from cpo.evaluation.benchmark import HeldOut, Session, flat_values
from cpo.evaluation.items import read_items
from cpo.evaluation.thinking_drift import FILE, ThinkingDrift
from cpo.evaluation.thinking_tracks import tracks
from cpo.evaluation.token_swap import Swap
from cpo.evaluation.token_swap_effect import SwapJudge, thinking_of
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.results import ResultScorer, Thought
from cpo.preference.pairing import PairSet
from cpo.records import PreferencePair, Sample, Trajectory
from cpo.sequence.layouts import Packed

ANSWERS = ListedAnswer("It is {}.", ("large", "small", "clear"))
TEXTS = (
    "The heart is mildly enlarged. Opacity seen.",
    "The lung is clear. No opacity seen.",
    "Fluid.",
    "",
    "The heart is large. Opacity on the left is small.",
)
KNOBS: dict[str, Any] = {
    "limit": -1,
    "thinking": "factual",
    "cuts": "sentence",
    "batch_size": 3,
    "max_branch_tokens": 512,
    "max_new_tokens": 6,
    "swap": True,
    "swaps": 1,
    "graph": "chest",
    "synonyms": {"opacity": "lung opacity"},
    "detector": partial(PageHinkley, min_instances=2, delta=0.01, threshold=0.25, alpha=1.0, direction="up"),
    "examples": 2,
    "resamples": 20,
}


@pytest.fixture
def held_out(make_pairs: Callable[..., list[PreferencePair]]) -> HeldOut:
    samples = [
        replace(pair.sample, factual=Trajectory(text, "It is large."), results=("large",))
        for pair, text in zip(make_pairs(n=5), TEXTS, strict=True)
    ]
    return HeldOut(samples, {"first": [0, 1, 2]}, PairSet((), {}), ANSWERS, ANSWERS.results)


@pytest.fixture
def loaded(policy: Any, encoder: Any, directory: Path) -> LoadedPolicy:
    return LoadedPolicy(policy.float(), encoder, Packed(max_tokens=2048), 512, directory)


def final(scorer: ResultScorer, sample: Sample, text: str) -> np.ndarray:
    (z,) = scorer.distributions([Thought(sample, text, (len(text),))])
    return z[0]


def test_values_are_those_of_each_thinking_scored_by_itself(
    loaded: LoadedPolicy, held_out: HeldOut, tmp_path: Path
) -> None:
    found = ThinkingDrift(**KNOBS).evaluate(loaded, held_out, Session(0, tmp_path))
    scorer = ResultScorer(loaded, ANSWERS)
    totals = []
    for sample in held_out.samples:
        text = sample.factual.thinking
        if text:
            cuts = (0, *(n + 1 for n, letter in enumerate(text) if letter == "."))
            (z,) = scorer.distributions([Thought(sample, text, cuts)])
            totals.append(thought_drift(z, np.array(cuts) / len(text)).total)
    assert found["all"]["thinking_drift"]["value"] == pytest.approx(np.mean(totals), rel=1e-4)
    assert found["all"]["thinking_missing"] == {"count": 1, "answers": 5}
    assert found["all"]["synonym_missing"] == {"count": 2, "answers": 5}
    assert set(found) == {"all", "first"}
    assert "eval/first/synonym_changes_forced" in flat_values(found, "eval")


def test_a_metric_is_the_mean_over_items_and_items_without_it_are_undefined(
    loaded: LoadedPolicy, held_out: HeldOut, tmp_path: Path
) -> None:
    found = ThinkingDrift(**KNOBS).evaluate(loaded, held_out, Session(0, tmp_path))
    items = read_items(tmp_path)
    assert items is not None
    for name, values in items.values.items():
        assert np.nanmean(values) == pytest.approx(found["all"][name]["value"])
    assert np.isnan(items.values["thinking_drift"]).tolist() == [False, False, False, True, False]
    assert np.isnan(items.values["synonym_divergence_forced"]).tolist() == [False, False, True, True, False]


def test_swaps_are_judged_as_written_texts_would_be(loaded: LoadedPolicy, held_out: HeldOut) -> None:
    scorer, sample, text = ResultScorer(loaded, ANSWERS), held_out.samples[0], TEXTS[0]
    swap = Swap(4, 9, "cardiac silhouette")
    judge = SwapJudge(
        scorer, [sample], [text], [final(scorer, sample, text)], own=False, batch_size=2, max_new_tokens=6
    )
    (one,) = judge.judge([(0, swap)])
    assert one.texts["forced"] == "The cardiac silhouette is mildly enlarged. Opacity seen."
    assert one.texts["continued"].startswith("The cardiac silhouette")
    for way, before in (("forced", text), ("continued", None)):
        np.testing.assert_allclose(one.after[way], final(scorer, sample, one.texts[way]), atol=1e-5)
        if before:
            np.testing.assert_allclose(one.before[way], final(scorer, sample, before), atol=1e-5)
    assert one.divergence("forced") == pytest.approx(float(jensen_shannon(one.before["forced"], one.after["forced"])))


def test_the_policy_goes_on_from_a_forced_prefix_as_it_does_by_itself(loaded: LoadedPolicy, held_out: HeldOut) -> None:
    """What greedy generation wrote, cut anywhere between tokens, is what it writes again from there."""
    samples = held_out.samples[:3]
    (whole,) = loaded.completions(samples, batch_size=3, max_new_tokens=12)
    ids = [loaded.encoder.text(text, end=False) for text in whole]
    prefixes = ["", loaded.encoder.tokenizer.decode(ids[1][:3]), loaded.encoder.tokenizer.decode(ids[2][:7])]
    assert [loaded.encoder.text(p, end=False) for p in prefixes[1:]] == [ids[1][:3], ids[2][:7]]
    (again,) = loaded.completions(samples, batch_size=3, max_new_tokens=12, prefixes=prefixes)
    for n in range(3):
        assert again[n].startswith(prefixes[n])
        assert again[n].startswith(whole[n])


@pytest.mark.parametrize("cuts", ["sentence", "token"])
def test_what_is_kept_for_the_page_fits_together(
    loaded: LoadedPolicy, held_out: HeldOut, tmp_path: Path, cuts: str
) -> None:
    ThinkingDrift(**{**KNOBS, "cuts": cuts}).evaluate(loaded, held_out, Session(0, tmp_path))
    kept = json.loads((tmp_path / FILE).read_text())
    assert len(kept["curves"]) == 4
    assert all(len(one["shares"]) == len(one["z"]) for one in kept["curves"])
    furthest, second = kept["examples"]
    assert furthest["tracks"].keys() == second["tracks"].keys() == {"as_written", "forced", "continued"}
    for example in kept["examples"]:
        written = "".join(token["text"] for token in example["tracks"]["as_written"]["tokens"])
        swap = example["swap"]
        assert written in TEXTS
        assert written[swap["at"] :].startswith(swap["old"])
        forced = "".join(token["text"] for token in example["tracks"]["forced"]["tokens"])
        assert forced == written.replace(swap["old"], swap["new"], 1)
        for track in example["tracks"].values():
            assert len(track["z"]) == len(track["tokens"]) + 1
            np.testing.assert_allclose(np.sum(track["z"], axis=1), 1, atol=1e-3)
            assert all(0 <= token["p"] <= 1 and token["drift"] >= 0 for token in track["tokens"])


def test_token_probabilities_are_the_policys(loaded: LoadedPolicy, held_out: HeldOut, tmp_path: Path) -> None:
    ThinkingDrift(**{**KNOBS, "swap": False, "examples": 1}).evaluate(loaded, held_out, Session(0, tmp_path))
    (example,) = json.loads((tmp_path / FILE).read_text())["examples"]
    sample = next(s for s in held_out.samples if s.id == example["id"])
    pair = PreferencePair(sample, sample.factual, (), 0)
    (logps,) = loaded.logps([pair], batch_size=1)
    assert logps.token_logps is not None
    tokens = example["tracks"]["as_written"]["tokens"]
    _, ends = ResultScorer(loaded, ANSWERS).tokens_of(sample.factual.thinking)
    opening = sum(end <= 0 for end in ends)  # the tag, and the space behind it where that is a token
    expected = np.exp(logps.token_logps[0, opening : len(ends)].double().numpy())
    np.testing.assert_allclose([token["p"] for token in tokens], expected, atol=1e-4)
    assert example["swap"] is None


def test_the_policys_own_thinking_is_judged_and_kept(loaded: LoadedPolicy, held_out: HeldOut, tmp_path: Path) -> None:
    benchmark = ThinkingDrift(**{**KNOBS, "thinking": "generated"})
    first = benchmark.evaluate(loaded, held_out, Session(0, tmp_path))
    assert (tmp_path / "predictions.jsonl").is_file()
    assert first == benchmark.evaluate(loaded, held_out, Session(0, tmp_path))


def test_a_completion_without_its_closing_tag_thinks_to_its_end() -> None:
    assert thinking_of("<think> The heart") == "The heart"
    assert thinking_of("no tag") == ""


@pytest.mark.parametrize(
    "knobs", [{"limit": 0}, {"swaps": 0}, {"examples": -1}, {"cuts": "word"}, {"thinking": "none"}, {"batch_size": 0}]
)
def test_a_knob_out_of_its_range_is_refused(knobs: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(knobs))):
        ThinkingDrift(**{**KNOBS, **knobs})


def test_data_without_results_or_thinking_and_rejudging_without_a_policy_are_refused(
    loaded: LoadedPolicy, held_out: HeldOut, tmp_path: Path
) -> None:
    benchmark, session = ThinkingDrift(**KNOBS), Session(0, tmp_path)
    with pytest.raises(DataError, match="no two results"):
        benchmark.evaluate(loaded, replace(held_out, answers=FreeAnswer()), session)
    with pytest.raises(DataError, match="without thinkings"):
        benchmark.evaluate(loaded, replace(held_out, samples=[held_out.samples[3]], concepts={}), session)
    with pytest.raises(DataError, match="log-probs"):
        benchmark.evaluate(None, held_out, session)


def test_a_beginning_in_common_is_scored_once_and_comes_to_the_same(loaded: LoadedPolicy, held_out: HeldOut) -> None:
    scorer, sample = ResultScorer(loaded, ANSWERS), held_out.samples[0]
    texts = [TEXTS[0], TEXTS[0].replace("mildly", "hardly"), TEXTS[0][:9], "A naïve lung."]
    together = tracks(scorer, sample, texts, KNOBS["detector"])
    for text, found in zip(texts, together, strict=True):
        (alone,) = tracks(scorer, sample, [text], KNOBS["detector"])
        assert [token["text"] for token in found["tokens"]] == [token["text"] for token in alone["tokens"]]
        np.testing.assert_allclose(found["z"], alone["z"], atol=2e-4)
