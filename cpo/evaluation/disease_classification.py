"""Which diseases a policy names in its generated answers, on the right pictures and on another patient's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cpo.answers import Malformed
from cpo.errors import ConfigError, DataError
from cpo.evaluation.benchmark import Benchmark, HeldOut, Scores, Session
from cpo.evaluation.items import keep_items
from cpo.evaluation.predictions import Predictions
from cpo.metrics.findings import FindingScores, contributions, score_findings
from cpo.policy.loaded import LoadedPolicy
from cpo.records import Sample


class DiseaseClassification(Benchmark):
    """Balanced and plain accuracy of generated answers, per disease and averaged, by concept of the stream.

    The same with the pictures dealt out among patients tells what the policy would score without looking: a policy
    that reads pictures scores far lower there.

    Args:
        limit: Held-out samples to use, the first ones; −1 for all.
        batch_size: Samples per generation batch.
        max_new_tokens: Longest answer, thinking included.
        min_positives: A disease is scored with at least so many positives (and negatives) among all held-out samples.
        resamples: Of the bootstrap.
        shuffled: Also score with pictures shuffled among patients.

    Raises:
        ConfigError: A knob out of its range.
    """

    protocol = (
        "greedy generation, answer sentence parsed, malformed answers wrong for every disease; "
        "macro average over diseases with enough held-out positives; 95 % percentile bootstrap by patient"
    )

    def __init__(
        self,
        *,
        limit: int,
        batch_size: int,
        max_new_tokens: int,
        min_positives: int,
        resamples: int,
        shuffled: bool,
    ) -> None:
        if limit == 0 or limit < -1 or batch_size < 1 or max_new_tokens < 1:
            raise ConfigError(
                got=f"limit={limit}, batch_size={batch_size}, max_new_tokens={max_new_tokens}",
                wanted="limit ≥ 1 or −1 for all; batch_size, max_new_tokens ≥ 1",
                remedy="see conf/benchmark/disease_classification.yaml",
            )
        self.limit, self.batch_size, self.max_new_tokens = limit, batch_size, max_new_tokens
        self.min_positives, self.resamples, self.shuffled = min_positives, resamples, shuffled

    def evaluate(self, policy: LoadedPolicy | None, held_out: HeldOut, session: Session) -> Scores:
        """See `Benchmark.evaluate`."""
        samples, concepts = held_out.judged(self.limit)
        arms = {"": samples}
        if self.shuffled:
            arms["shuffled_"] = with_shuffled_pictures(samples, session.seed)
        scores: Scores = {}
        for prefix, shown in arms.items():
            read = self._read(policy, shown, held_out, session, prefix)
            judged = read, samples, held_out
            everything = self._score(*judged, concepts["all"], held_out.scored, self.min_positives, session.seed)
            scored = tuple(everything.diseases)
            if not prefix:
                truth = [sample.results for sample in samples]
                values = contributions(read, truth, scored)
                values["malformed"] = np.array([isinstance(answer, Malformed) for answer in read], dtype=np.float64)
                keep_items(session.folder, [s.content for s in samples], [s.group for s in samples], values)
            for concept, places in concepts.items():
                # the same diseases for every concept, so that their averages can be compared
                found = everything if concept == "all" else self._score(*judged, places, scored, 1, session.seed)
                named = {f"{prefix}{key}": value for key, value in found.as_dict().items()}
                scores.setdefault(concept, {}).update(named)
        return scores

    def _read(
        self,
        policy: LoadedPolicy | None,
        samples: Sequence[Sample],
        held_out: HeldOut,
        session: Session,
        prefix: str,
    ) -> list[frozenset[str] | Malformed]:
        texts = Predictions(session.folder / f"{prefix}predictions.jsonl").of(
            policy,
            samples,
            batch_size=self.batch_size,
            max_new_tokens=self.max_new_tokens,
            progress=session.progress,
            what=f"judging {prefix.rstrip('_') or 'answers'}",
        )
        return [
            held_out.answers.read_completion(text, thinking=bool(sample.factual.thinking))
            for text, sample in zip(texts, samples, strict=True)
        ]

    def _score(
        self,
        read: Sequence[frozenset[str] | Malformed],
        samples: Sequence[Sample],
        held_out: HeldOut,
        places: Sequence[int],
        diseases: tuple[str, ...],
        min_positives: int,
        seed: int,
    ) -> FindingScores:
        return score_findings(
            [read[i] for i in places],
            [samples[i].results for i in places],
            [samples[i].group for i in places],
            results=held_out.answers.results,
            diseases=diseases,
            min_positives=min_positives,
            resamples=self.resamples,
            seed=seed,
        )


def with_shuffled_pictures(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """The samples, each with the pictures of another patient: every picture is used once.

    Raises:
        DataError: One patient has more than half of the pictures, so that not all can be given away.
    """
    order = np.random.default_rng(seed).permutation(len(samples))
    by_group: dict[str, list[int]] = {}
    for index in order.tolist():
        by_group.setdefault(samples[index].group, []).append(index)
    # patients stand side by side; shifting by the largest patient's share moves every picture to another one
    queue = [index for members in sorted(by_group.values(), key=len, reverse=True) for index in members]
    shift = max(len(members) for members in by_group.values())
    if 2 * shift > len(queue):
        raise DataError(
            got=f"one patient has {shift} of {len(queue)} held-out samples",
            wanted="no patient with more than half of them",
            remedy="enlarge the held-out split, or pass benchmark.disease_classification.shuffled=false",
        )
    donors = dict(zip(queue, queue[shift:] + queue[:shift], strict=True))
    return [replace(sample, images=samples[donors[i]].images) for i, sample in enumerate(samples)]
