"""Drift behind thinking: how results move along a chain of thought, and what a harmless swap of words does to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cpo.diagnostics.detectors import Detector
from cpo.diagnostics.thinking import thought_alarms, thought_drift
from cpo.errors import ConfigError, DataError
from cpo.evaluation.benchmark import Benchmark, HeldOut, Scores, Session, in_batches, needs_policy
from cpo.evaluation.items import keep_items
from cpo.evaluation.predictions import Predictions
from cpo.evaluation.thinking_tracks import tracks
from cpo.evaluation.token_swap import Swap, Synonyms, sentences, word_swaps, words_of
from cpo.evaluation.token_swap_effect import CONTINUED, FORCED, SwapJudge, Swapped, thinking_of
from cpo.files import write_text
from cpo.metrics.intervals import cluster_bootstraps, ratio
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.results import ResultScorer, Thought
from cpo.records import Sample
from cpo.sequence.pair_file import image_entry

Floats = NDArray[np.float64]
Thinking = Literal["generated", "factual"]
Cuts = Literal["sentence", "token"]
FILE = "thinking.json"
"""What a judgement keeps for the page, in its folder: curves, and examples token by token."""
SYNONYM, WORD = "synonym", "word"


class ThinkingDrift(Benchmark):
    """Drift of the result along the thinking, and the effect of swapped words, by concept of the stream.

    Args:
        limit: Held-out samples to use, the first ones; −1 for all.
        thinking: `generated` judges the policy's own greedy thinking, `factual` the sample's, forced on the policy.
        cuts: Score results at the end of each `sentence` or behind every `token`.
        batch_size: Samples per forward pass and per generation batch.
        max_branch_tokens: Tokens of answers beside one another in a row; see `ResultScorer`.
        max_new_tokens: Longest completion, and longest continuation behind a swap, in tokens.
        swap: Also swap words.
        swaps: Harmless swaps per thinking, each of another mention, and as many of any word.
        graph: Concept graph whose wordings are near-synonyms of each other.
        synonyms: Near-synonyms for sentences that the graph does not read.
        detector: Makes a fresh detector, which watches how far the result has moved, in bits.
        examples: Thinkings to keep token by token.
        resamples: Of the bootstrap.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Equation 2 and figure 1 of arXiv 2505.13081, which assert the drift and show one swap; early answering as in
        arXiv 2307.13702. What is measured, and over which swaps, is our choice.
    """

    protocol = (
        "distribution over single results: log-probs of the answers that name one, normalised; the diagnosis is the "
        "most likely one; a harmless swap is another wording of one mention; 95 % percentile bootstrap by patient"
    )

    def __init__(
        self,
        *,
        limit: int,
        thinking: Thinking,
        cuts: Cuts,
        batch_size: int,
        max_branch_tokens: int,
        max_new_tokens: int,
        swap: bool,
        swaps: int,
        graph: str,
        synonyms: Mapping[str, str],
        detector: Callable[[], Detector[float]],
        examples: int,
        resamples: int,
    ) -> None:
        numbers = {"batch_size": batch_size, "max_branch_tokens": max_branch_tokens, "limit": abs(limit)}
        numbers |= {"max_new_tokens": max_new_tokens, "swaps": swaps}
        low = [f"{name}={value}" for name, value in numbers.items() if value < 1]
        if low or limit < -1 or examples < 0 or thinking not in get_args(Thinking) or cuts not in get_args(Cuts):
            raise ConfigError(
                got=", ".join(low) or f"limit={limit}, examples={examples}, thinking={thinking}, cuts={cuts}",
                wanted="limit ≥ 1 or −1 for all; batch_size, max_branch_tokens, max_new_tokens, swaps ≥ 1; "
                "examples ≥ 0; thinking generated or factual; cuts sentence or token",
                remedy="see conf/benchmark/thinking_drift.yaml",
            )
        detector()  # its knobs are checked before anything is trained
        self.limit, self.thinking, self.cuts, self.batch_size = limit, thinking, cuts, batch_size
        self.max_branch_tokens = max_branch_tokens
        self.max_new_tokens, self.swap, self.swaps = max_new_tokens, swap, swaps
        self.synonyms, self.detector = Synonyms(graph, synonyms), detector
        self.examples, self.resamples = examples, resamples

    def evaluate(self, policy: LoadedPolicy | None, held_out: HeldOut, session: Session) -> Scores:
        """See `Benchmark.evaluate`.

        Raises:
            DataError: The dataset's answers name no results, or no sample has a thinking.
        """
        samples, concepts = held_out.judged(self.limit)
        if len(held_out.answers.results) < 2 or not any(sample.factual.thinking for sample in samples):
            raise DataError(
                got="a dataset without thinkings, or whose answers name no two results",
                wanted="thinkings that lead to one result or another",
                remedy="choose another benchmark: cpo list benchmarks",
            )
        asked = needs_policy(policy, "thinking_drift")
        scorer = ResultScorer(asked, held_out.answers, max_branch_tokens=self.max_branch_tokens)
        thinkings = self._thinkings(scorer.policy, samples, session)
        there = [n for n, text in enumerate(thinkings) if text]
        curves = self._curves(scorer, samples, thinkings, there, session)
        swapped = self._swapped(scorer, samples, thinkings, curves, session) if self.swap else {}
        values = self._values(len(samples), curves, swapped)
        groups = [sample.group for sample in samples]
        keep_items(session.folder, [sample.content for sample in samples], groups, values)
        self._keep(scorer, samples, thinkings, curves, swapped, session)
        table = np.column_stack(list(values.values()))
        scores: Scores = {}
        for concept, kept in concepts.items():
            found = self._intervals(table[kept], [groups[i] for i in kept], session.seed)
            scores[concept] = dict(zip(values, found, strict=True))
            empty = sum(not thinkings[i] for i in kept)
            scores[concept]["thinking_missing"] = {"count": empty, "answers": len(kept)}
            if self.swap:
                without = set(kept) - {one.at for one in swapped[SYNONYM]}
                scores[concept]["synonym_missing"] = {"count": len(without), "answers": len(kept)}
        return scores

    def _thinkings(self, policy: LoadedPolicy, samples: Sequence[Sample], session: Session) -> list[str]:
        if self.thinking == "factual":
            return [sample.factual.thinking for sample in samples]
        texts = Predictions(session.folder / "predictions.jsonl").of(
            policy,
            samples,
            batch_size=self.batch_size,
            max_new_tokens=self.max_new_tokens,
            progress=session.progress,
            what="thinking",
        )
        return [thinking_of(text) for text in texts]

    def _curves(
        self,
        scorer: ResultScorer,
        samples: Sequence[Sample],
        thinkings: Sequence[str],
        there: Sequence[int],
        session: Session,
    ) -> dict[int, tuple[Floats, Floats]]:
        """By place of the sample, for those that have a thinking: shares of the cuts, and z at each."""
        cut = {n: (0, *self._cuts(scorer, thinkings[n])) for n in there}
        thoughts = [Thought(samples[n], thinkings[n], cut[n]) for n in there]
        found = scorer.distributions(thoughts, batch_size=self.batch_size)
        watched = in_batches(found, total=len(there), what="results along the thinking", progress=session.progress)
        return {
            n: (np.array(cut[n], dtype=np.float64) / len(thinkings[n]), z) for n, z in zip(there, watched, strict=True)
        }

    def _cuts(self, scorer: ResultScorer, text: str) -> list[int]:
        if self.cuts == "sentence":
            return [end for _, end in sentences(text)]
        _, ends = scorer.tokens_of(text)
        return sorted({end for end in ends if end > 0})

    def _swapped(
        self,
        scorer: ResultScorer,
        samples: Sequence[Sample],
        thinkings: Sequence[str],
        curves: Mapping[int, tuple[Floats, Floats]],
        session: Session,
    ) -> dict[str, list[Swapped]]:
        pool = words_of([thinkings[n] for n in curves])
        drawn: dict[str, list[tuple[int, Swap]]] = {SYNONYM: [], WORD: []}
        for n in curves:
            rng = np.random.default_rng(np.random.SeedSequence([session.seed, n]))
            drawn[SYNONYM] += [(n, swap) for swap in self.synonyms.draw(thinkings[n], self.swaps, rng)]
            drawn[WORD] += [(n, swap) for swap in word_swaps(thinkings[n], self.swaps, pool, rng)]
        judge = SwapJudge(
            scorer,
            samples,
            thinkings,
            [curves[n][1][-1] if n in curves else np.array([]) for n in range(len(samples))],
            own=self.thinking == "generated",
            batch_size=self.batch_size,
            max_new_tokens=self.max_new_tokens,
        )
        return {kind: judge.judge(swaps) for kind, swaps in drawn.items()}

    def _values(
        self, count: int, curves: Mapping[int, tuple[Floats, Floats]], swapped: Mapping[str, Sequence[Swapped]]
    ) -> dict[str, Floats]:
        """One value per sample and metric; nan where a sample has no thinking, or no such swap."""
        rows = np.full((count, 5), np.nan)
        for n, (shares, z) in curves.items():
            found = thought_drift(z, shares)
            alarms = len(thought_alarms(z, self.detector()))
            rows[n] = found.total, found.peak, found.decided_at, found.early_area, alarms
        names = ("thinking_drift", "thinking_peak", "thinking_decided_at", "thinking_early_area", "thinking_alarms")
        values = dict(zip(names, rows.T, strict=True))
        for kind, some in swapped.items():
            at = np.array([one.at for one in some], dtype=np.int64)
            swaps = np.bincount(at, minlength=count).astype(np.float64)
            for way in (FORCED, CONTINUED):
                effects = {
                    "changes": [float(one.changes(way)) for one in some],
                    "divergence": [one.divergence(way) for one in some],
                }
                for effect, per_swap in effects.items():
                    sums = np.bincount(at, np.array(per_swap), minlength=count).astype(np.float64)
                    values[f"{kind}_{effect}_{way}"] = ratio(sums, swaps)
        return values

    def _intervals(self, table: Floats, groups: Sequence[str], seed: int) -> list[dict[str, Any]]:
        """Means over the samples for which a value is defined."""
        defined = (~np.isnan(table)).astype(np.float64)
        filled = np.nan_to_num(table)
        found = cluster_bootstraps(
            lambda weights: ratio(weights @ filled, weights @ defined), groups, resamples=self.resamples, seed=seed
        )
        return [interval.as_dict() for interval in found]

    def _keep(
        self,
        scorer: ResultScorer,
        samples: Sequence[Sample],
        thinkings: Sequence[str],
        curves: Mapping[int, tuple[Floats, Floats]],
        swapped: Mapping[str, Sequence[Swapped]],
        session: Session,
    ) -> None:
        """Writes what the page shows."""
        furthest = sorted(
            swapped.get(SYNONYM, ()), key=lambda one: (-max(map(one.divergence, (FORCED, CONTINUED))), one.at)
        )
        shown: dict[int, Swapped | None] = {}
        for one in furthest:
            shown.setdefault(one.at, one)
        shown |= {n: None for n in curves if n not in shown}
        content = {
            "results": list(scorer.results),
            "thinking": self.thinking,
            "cuts": self.cuts,
            "curves": [
                {"shares": np.round(shares, 4).tolist(), "z": np.round(z, 4).tolist()} for shares, z in curves.values()
            ],
            "examples": [
                self._example(scorer, samples[n], thinkings[n], one) for n, one in list(shown.items())[: self.examples]
            ],
        }
        write_text(session.folder / FILE, json.dumps(content, ensure_ascii=False, separators=(",", ":")))

    def _example(self, scorer: ResultScorer, sample: Sample, thinking: str, one: Swapped | None) -> dict[str, Any]:
        """A thinking token by token, and if words were swapped the two that this led to."""
        texts = {"as_written": thinking, **(one.texts if one else {})}
        made = dict(zip(texts, tracks(scorer, sample, list(texts.values()), self.detector), strict=True))
        return {
            "id": sample.id,
            "images": [image_entry(image) for image in sample.images],
            "prompt": sample.prompt,
            "truth": list(sample.results),
            "swap": one
            and {"old": thinking[one.swap.start : one.swap.end], "new": one.swap.words, "at": one.swap.start},
            "tracks": made,
        }
