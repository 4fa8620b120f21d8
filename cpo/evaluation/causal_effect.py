"""What interventions on the thinking do to the result: by moves that should move it, and by moves that should not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cpo.counterfactual.interventions import LICENSED, Kind, Move, Moves
from cpo.counterfactual.phrases import PhraseBook
from cpo.diagnostics.causal import Effects, Floats, per_sample, statistics_of
from cpo.errors import ConfigError, DataError
from cpo.evaluation.benchmark import Benchmark, HeldOut, Scores, Session, in_batches, needs_policy
from cpo.evaluation.items import keep_items
from cpo.files import write_text
from cpo.graph.schema import ConceptGraph
from cpo.metrics.intervals import cluster_bootstraps
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.results import ResultScorer, Thought
from cpo.records import Sample

FILE = "interventions.jsonl"


class ResultDistributions(Protocol):
    """Whatever says how likely each result is behind a forced thinking."""

    @property
    def results(self) -> tuple[str, ...]:
        """Names of the results."""

    def distributions(self, thoughts: Sequence[Thought], *, batch_size: int) -> Iterator[Floats]:
        """Per thought `[cuts, results]`, rows summing to 1."""


class CausalEffect(Benchmark):
    """Average effects of interventions on the thinking, and how far licensed and unlicensed ones move the result.

    Each sample's factual thinking is edited in up to five ways (`Kind`), forced on the policy, and every result is
    scored behind it. How far an edit moves the result is the total variation between the two distributions:
    `beneficial_sensitivity` is its mean under moves that the concept graph licenses, `detrimental_sensitivity` under
    those that it does not, and `sensitivity_ratio` the latter over the former. An irrelevant attribute is judged by the
    odds among the results that it does not bear on.

    Args:
        graph: A shipped concept graph by name, or the path of a JSON file.
        phrases: Phrases that tell circumstances: a shipped book by the name of its graph, or a JSON file.
        swapped: The circumstance that a swapped phrase tells otherwise.
        limit: Held-out samples to use, the first ones; −1 for all.
        batch_size: Thinkings per forward pass, each with an answer for every result.
        resamples: Of the bootstrap.

    Raises:
        ConfigError: A knob out of its range.
        DataError: The graph or the phrase book is not found, or does not know the circumstance.

    Source:
        P(Z | do(T = t), X) of arXiv 2505.13081, section 3, measured by forcing the thinking; the split by what the
        concept graph licenses is ours. Interventions on a text tell what it does to the answer, not whether it is the
        reason that the policy has (arXiv 2605.25052).
    """

    protocol = (
        "each result scored as the answer that names it alone, behind the forced thinking, normalised over results; "
        "total variation against the factual thinking, a sample's interventions averaged first; "
        "95 % percentile bootstrap by patient"
    )

    def __init__(self, *, graph: str, phrases: str, swapped: str, limit: int, batch_size: int, resamples: int) -> None:
        if limit == 0 or limit < -1 or batch_size < 1:
            raise ConfigError(
                got=f"limit={limit}, batch_size={batch_size}",
                wanted="limit ≥ 1 or −1 for all; batch_size ≥ 1",
                remedy="see conf/benchmark/causal_effect.yaml",
            )
        self.graph, self.book = ConceptGraph.load(graph), PhraseBook.load(phrases)
        self.swapped = self.book.check(swapped)
        self.limit, self.batch_size, self.resamples = limit, batch_size, resamples

    def evaluate(self, policy: LoadedPolicy | None, held_out: HeldOut, session: Session) -> Scores:
        """See `Benchmark.evaluate`."""
        samples = list(held_out.samples if self.limit == -1 else held_out.samples[: self.limit])
        asked = needs_policy(policy, "causal_effect")
        made = self.moves(samples, held_out.answers.results, seed=session.seed)
        effects = measure_effects(
            ResultScorer(asked, held_out.answers),
            samples,
            made,
            batch_size=self.batch_size,
            progress=session.progress,
        )
        results, groups = held_out.answers.results, [sample.group for sample in samples]
        table = per_sample(effects, len(samples), results)
        headline = {name: values for name, values in table.items() if "/" not in name}
        keep_items(session.folder, [s.content for s in samples], groups, headline)
        rows = (json.dumps(row, ensure_ascii=False) for row in _rows(samples, made, effects, results))
        write_text(session.folder / FILE, "".join(f"{row}\n" for row in rows))
        scores: Scores = {}
        for concept, indices in {"all": range(len(samples)), **held_out.concepts}.items():
            kept = [i for i in indices if i < len(samples)]
            some = {name: values[kept] for name, values in table.items()}
            scores[concept] = self._score(some, [groups[i] for i in kept], session.seed)
            scores[concept]["interventions"] = _counts([made[i] for i in kept])
        return scores

    def moves(self, samples: Sequence[Sample], results: tuple[str, ...], *, seed: int) -> list[tuple[Move, ...]]:
        """The interventions on each sample.

        Raises:
            DataError: There is none at all.
        """
        moves = Moves(self.graph, self.book, swapped=self.swapped, results=results)
        made = [moves.of(sample, seed=seed) for sample in samples]
        if not any(made):
            raise DataError(
                got=f"{len(samples)} samples whose thinking has no sentence of the graph {self.graph.name!r}",
                wanted="thinking in the words of the graph or of the phrase book",
                remedy="pass benchmark.causal_effect.graph=FILE and phrases=FILE with the dataset's own words",
            )
        return made

    def _score(self, table: dict[str, Floats], groups: Sequence[str], seed: int) -> dict[str, Any]:
        names, statistic = statistics_of(table)
        intervals = cluster_bootstraps(statistic, groups, resamples=self.resamples, seed=seed)
        found: dict[str, Any] = {}
        for name, interval in zip(names, intervals, strict=True):
            *path, last = name.split("/")
            node = found
            for part in path:
                node = node.setdefault(part, {})
            node[last] = interval.as_dict()
        return found


def measure_effects(
    scorer: ResultDistributions,
    samples: Sequence[Sample],
    made: Sequence[Sequence[Move]],
    *,
    batch_size: int,
    progress: bool = False,
) -> Effects:
    """The distribution over results behind every factual and every edited thinking.

    Args:
        scorer: Asked once for each thinking.
        samples: Any.
        made: Interventions on each.
        batch_size: Thinkings per forward pass.
        progress: Show a progress bar.
    """
    thoughts = [
        Thought(sample, text, (len(text),))
        for sample, moves in zip(samples, made, strict=True)
        if moves
        for text in (sample.factual.thinking, *(move.thinking for move in moves))
    ]
    scored = scorer.distributions(thoughts, batch_size=batch_size)
    z = np.concatenate(list(in_batches(scored, total=len(thoughts), what="forcing thoughts", progress=progress)))
    flat = [(n, move) for n, moves in enumerate(made) for move in moves]
    # each sample's factual distribution stands before those of its moves
    factual = np.repeat(np.cumsum([0, *(1 + len(m) for m in made if m)])[:-1], [len(m) for m in made if m])
    edited = np.setdiff1d(np.arange(len(z)), factual)
    return Effects(
        sample=np.array([n for n, _ in flat], dtype=np.int64),
        kind=[move.kind.value for _, move in flat],
        licensed=np.array([move.kind in LICENSED for _, move in flat], dtype=np.bool_),
        before=z[factual],
        after=z[edited],
        kept=np.array([_kept(move, scorer.results) for _, move in flat]),
        own=np.array([scorer.results.index(m.result) if m.result else -1 for _, m in flat], dtype=np.int64),
    )


def _kept(move: Move, results: Sequence[str]) -> NDArray[np.bool_]:
    """The results whose odds a move is judged by."""
    return np.array([not move.unmoved or result in move.unmoved for result in results], dtype=np.bool_)


def _counts(made: Sequence[Sequence[Move]]) -> dict[str, int]:
    kinds = [move.kind for moves in made for move in moves]
    return {kind.value: kinds.count(kind) for kind in Kind}


def _rows(
    samples: Sequence[Sample], made: Sequence[Sequence[Move]], effects: Effects, results: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Every intervention with what it did, for reading."""
    moved = effects.moved
    for row, (sample, move) in enumerate((s, move) for s, moves in zip(samples, made, strict=True) for move in moves):
        yield {
            "id": sample.id,
            "kind": move.kind.value,
            "result": move.result,
            "edits": [list(edit) for edit in move.edits],
            "total_variation": None if np.isnan(moved[row]) else round(float(moved[row]), 6),
            "before": dict(zip(results, effects.before[row].round(6).tolist(), strict=True)),
            "after": dict(zip(results, effects.after[row].round(6).tolist(), strict=True)),
        }
