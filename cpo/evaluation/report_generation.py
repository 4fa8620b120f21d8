"""How near the generated findings come to the radiologist's: caption metrics on the thinking of each completion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpo.answers import CLOSE, OPEN
from cpo.errors import ConfigError, DataError
from cpo.evaluation.benchmark import Benchmark, HeldOut, Scores, Session
from cpo.evaluation.items import keep_items
from cpo.evaluation.predictions import Predictions
from cpo.metrics.captions import repetition, require_tools, score_captions
from cpo.metrics.intervals import Array, cluster_bootstraps
from cpo.policy.loaded import LoadedPolicy


class ReportGeneration(Benchmark):
    """BLEU-1..4, ROUGE-L, METEOR and CIDEr of generated findings, by concept of the stream.

    Beside them the length of the texts in words, as a ratio to the reference's, and the share of four-word sequences
    that a text repeats. A completion without its closing tag is scored as far as it goes and counted.

    Args:
        limit: Held-out samples to use, the first ones; −1 for all.
        batch_size: Samples per generation batch.
        max_new_tokens: Longest completion, in tokens.
        resamples: Of the bootstrap.

    Raises:
        ConfigError: A knob out of its range, or no Java or no `pycocoevalcap`.

    Source:
        The metrics of arXiv 2505.13081, Table 3, which scores the findings of MIMIC-CXR's test split.
    """

    protocol = (
        "greedy generation; pycocoevalcap 1.2 (PTB tokeniser, lower case) on the thinking against the findings; "
        "95 % percentile bootstrap by patient"
    )

    def __init__(self, *, limit: int, batch_size: int, max_new_tokens: int, resamples: int) -> None:
        if limit == 0 or limit < -1 or batch_size < 1 or max_new_tokens < 1:
            raise ConfigError(
                got=f"limit={limit}, batch_size={batch_size}, max_new_tokens={max_new_tokens}",
                wanted="limit ≥ 1 or −1 for all; batch_size, max_new_tokens ≥ 1",
                remedy="see conf/benchmark/report_generation.yaml",
            )
        require_tools()  # before anything is trained
        self.limit, self.batch_size, self.max_new_tokens, self.resamples = limit, batch_size, max_new_tokens, resamples

    def evaluate(self, policy: LoadedPolicy | None, held_out: HeldOut, session: Session) -> Scores:
        """See `Benchmark.evaluate`.

        Raises:
            DataError: The samples have no thinking to be compared with.
        """
        samples, concepts = held_out.judged(self.limit)
        references = [sample.factual.thinking for sample in samples]
        if not any(references):
            raise DataError(
                got="a dataset whose samples have no findings",
                wanted="one with texts to compare with",
                remedy="choose another benchmark: cpo list benchmarks",
            )
        texts = Predictions(session.folder / "predictions.jsonl").of(
            policy,
            samples,
            batch_size=self.batch_size,
            max_new_tokens=self.max_new_tokens,
            progress=session.progress,
            what="writing reports",
        )
        groups = [sample.group for sample in samples]
        scores: Scores = {}
        for concept, kept in concepts.items():
            scores[concept], per_text = self._score(
                [texts[i] for i in kept], [references[i] for i in kept], [groups[i] for i in kept], session.seed
            )
            if concept == "all":
                keep_items(session.folder, [sample.content for sample in samples], groups, per_text)
        return scores

    def _score(
        self, texts: Sequence[str], references: Sequence[str], groups: Sequence[str], seed: int
    ) -> tuple[dict[str, Any], Mapping[str, Array]]:
        written = [findings_of(text) for text in texts]
        found = score_captions(written, [[r] for r in references], groups, resamples=self.resamples, seed=seed)
        lengths = np.array([[len(w.split()), len(r.split())] for w, r in zip(written, references, strict=True)])
        repeats = np.array([repetition(text) for text in written])

        def beside(weights: Array) -> Array:
            sums = weights @ lengths
            return np.column_stack([sums[:, 0] / sums[:, 1], weights @ repeats / weights.sum(axis=1)])

        ratio, repeated = cluster_bootstraps(beside, groups, resamples=self.resamples, seed=seed)
        unclosed = sum(CLOSE not in text for text in texts)
        values = {
            **{name: interval.as_dict() for name, interval in found.intervals.items()},
            "length_ratio": ratio.as_dict(),
            "repetition": repeated.as_dict(),
            "unclosed": {"count": unclosed, "answers": len(texts)},
        }
        return values, found.per_text


def findings_of(text: str) -> str:
    """What a completion thinks: the text between its tags, to its end where the closing one is missing.

    Example:
        >>> findings_of("<think> Clear lungs. </think> The disease of this patient is No Finding.")
        'Clear lungs.'
    """
    return text.partition(CLOSE)[0].replace(OPEN, " ").strip()
