"""BDD-X: what the ego car does and why, each against its reference by caption metrics, by published difficulty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cpo.answers import CLOSE
from cpo.errors import ConfigError, DataError
from cpo.evaluation.benchmark import Benchmark, HeldOut, Scores, Session
from cpo.evaluation.items import keep_items
from cpo.evaluation.predictions import Predictions
from cpo.evaluation.report_generation import findings_of
from cpo.metrics.captions import require_tools, score_captions
from cpo.metrics.driving import bdd_x_difficulty
from cpo.policy.loaded import LoadedPolicy
from cpo.records import Sample

METRICS = ("bleu_4", "meteor", "rouge_l", "cider")
"""What ADAPT reports."""


class BddX(Benchmark):
    """BLEU-4, METEOR, ROUGE-L and CIDEr of descriptions (answers) and of justifications (thinking), apart.

    Beside the stream's concepts the scores stand for DriveGPT4's easy, median and hard segments, found by words of the
    references. A completion without its closing tag has no description, and scores 0 there.

    Args:
        limit: Held-out segments to use, the first ones; −1 for all.
        batch_size: Segments per generation batch.
        max_new_tokens: Longest completion, in tokens.
        resamples: Of the bootstrap.

    Raises:
        ConfigError: A knob out of its range, or no Java or no `pycocoevalcap`.

    Source:
        ADAPT (arXiv 2302.00673) for the metrics, DriveGPT4 (arXiv 2310.01412) for the difficulties. CIDEr is a
        fraction of 10 here; papers print it times 10 or 100.
    """

    protocol = (
        "greedy generation; pycocoevalcap 1.2 on description and justification apart; one reference per segment; "
        "95 % percentile bootstrap by clip"
    )

    def __init__(self, *, limit: int, batch_size: int, max_new_tokens: int, resamples: int) -> None:
        if limit == 0 or limit < -1 or batch_size < 1 or max_new_tokens < 1:
            raise ConfigError(
                got=f"limit={limit}, batch_size={batch_size}, max_new_tokens={max_new_tokens}",
                wanted="limit ≥ 1 or −1 for all; batch_size, max_new_tokens ≥ 1",
                remedy="see conf/benchmark/bdd_x.yaml",
            )
        require_tools()
        self.limit, self.batch_size, self.max_new_tokens, self.resamples = limit, batch_size, max_new_tokens, resamples

    def evaluate(self, policy: LoadedPolicy | None, held_out: HeldOut, session: Session) -> Scores:
        """See `Benchmark.evaluate`."""
        samples, concepts = held_out.judged(self.limit)
        if any(not s.factual.thinking or not s.factual.answer for s in samples):
            raise DataError(
                got="samples without a description or a justification",
                wanted="BDD-X, or a dataset in its layout",
                remedy="pass dataset=bdd_x or dataset=road_world_video",
            )
        texts = Predictions(session.folder / "predictions.jsonl").of(
            policy,
            samples,
            batch_size=self.batch_size,
            max_new_tokens=self.max_new_tokens,
            progress=session.progress,
            what="narrating clips",
        )
        scores: Scores = {}
        for name, kept in {**concepts, **difficulties(samples)}.items():
            if not kept:
                continue
            scores[name], per_text = self._score([texts[i] for i in kept], [samples[i] for i in kept], session.seed)
            if name == "all":
                keep_items(session.folder, [s.content for s in samples], [s.group for s in samples], per_text)
        return scores

    def _score(
        self, texts: Sequence[str], samples: Sequence[Sample], seed: int
    ) -> tuple[dict[str, Any], Mapping[str, Any]]:
        sides = {
            "description": ([t.partition(CLOSE)[2].strip() for t in texts], [s.factual.answer for s in samples]),
            "justification": ([findings_of(t) for t in texts], [s.factual.thinking for s in samples]),
        }
        values: dict[str, Any] = {}
        per_text: dict[str, Any] = {}
        for side, (said, truth) in sides.items():
            groups = [s.group for s in samples]
            found = score_captions(said, [[t] for t in truth], groups, resamples=self.resamples, seed=seed)
            values |= {f"{side}_{metric}": found.intervals[metric].as_dict() for metric in METRICS}
            per_text |= {f"{side}_{metric}": some for metric, some in found.per_text.items()}
        values["unclosed"] = {"count": sum(CLOSE not in t for t in texts), "answers": len(texts)}
        return values, per_text


def difficulties(samples: Sequence[Sample]) -> dict[str, list[int]]:
    """The segments of each published difficulty, by place."""
    found: dict[str, list[int]] = {"easy": [], "median": [], "hard": []}
    for place, sample in enumerate(samples):
        found[bdd_x_difficulty(sample.factual.answer, sample.factual.thinking)].append(place)
    return found
