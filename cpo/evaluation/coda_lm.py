"""CODA-LM: what a policy says of corner cases of driving, rated from 1 to 10 by a judge that reads texts alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np

from cpo.answers import CLOSE
from cpo.dataset.coda_release import Task
from cpo.errors import ConfigError, DataError
from cpo.evaluation.benchmark import Benchmark, HeldOut, Scores, Session
from cpo.evaluation.coda_lm_judging import instruction
from cpo.evaluation.items import keep_items
from cpo.evaluation.judge import Judge
from cpo.evaluation.predictions import Predictions
from cpo.evaluation.report_generation import findings_of
from cpo.metrics.intervals import Array, Method
from cpo.metrics.judging import Verdicts
from cpo.policy.loaded import LoadedPolicy
from cpo.records import Access, Sample

Judged = dict[Task, list[tuple[int, str, str]]]
"""For each stage the places of its samples, with reference and prediction."""


class CodaLM(Benchmark):
    """The three stages of CODA-LM's evaluation, as far as the dataset's task has them.

    General perception and region perception are the answers of the tasks of these names. Driving suggestions are the
    answers of `task=driving_suggestion`, whose thinking is the general perception: one completion is rated in two
    stages. Each score is the mean over parsed ratings, as published; beside it stand the mean with 1 for all others,
    the judge, the fingerprint of what it is told, and how many replies had no rating.

    Args:
        limit: Held-out samples to judge, the first ones; −1 for all.
        batch_size: Samples per generation batch.
        max_new_tokens: Longest completion, in tokens.
        few_shot: Folder of the release's worked examples for the judge; empty for none.
        resamples: Of the bootstrap.
        interval: How its ends are found: `percentile` or `bca`.
        judge: Rates.

    Raises:
        ConfigError: A knob out of its range.
        DataError: A worked example is absent.

    Source:
        Li et al., CODA-LM (arXiv 2404.10595), and its scripts. They pair regions by super-class, for their files of
        answers do not say which region is meant (`cpo.metrics.driving.paired_regions`). Here each region is asked about
        by itself, which gives the same pairs, and super-classes are concepts of their own. Their "general perception
        score" is stage 1 on the 500 test images; papers print it times 10. Ours are the judge's instructions.
    """

    protocol = (
        "greedy generation; text-only judge at temperature 0, rating 1 to 10 parsed in the published order; mean over "
        "parsed replies, unparsed ones counted beside it; 95 % bootstrap by image"
    )

    def __init__(
        self,
        *,
        limit: int,
        batch_size: int,
        max_new_tokens: int,
        few_shot: str,
        resamples: int,
        interval: Method,
        judge: Judge,
    ) -> None:
        if limit == 0 or limit < -1 or batch_size < 1 or max_new_tokens < 1 or interval not in get_args(Method):
            raise ConfigError(
                got=f"limit={limit}, batch_size={batch_size}, max_new_tokens={max_new_tokens}, interval={interval}",
                wanted="limit ≥ 1 or −1 for all; batch_size, max_new_tokens ≥ 1; interval percentile or bca",
                remedy="see conf/benchmark/coda_lm.yaml",
            )
        self.limit, self.batch_size, self.max_new_tokens = limit, batch_size, max_new_tokens
        self.resamples, self.interval, self.judge = resamples, interval, judge
        self.instructions = {
            stage: instruction(stage, few_shot) for stage in get_args(Task)
        }  # before anything is spent

    def refuse_unless_allowed(self, access: Access, *, acknowledged: bool) -> None:
        """See `Benchmark.refuse_unless_allowed`."""
        self.judge.refuse_unless_allowed(access, acknowledged=acknowledged)

    def evaluate(self, policy: LoadedPolicy | None, held_out: HeldOut, session: Session) -> Scores:
        """See `Benchmark.evaluate`.

        Raises:
            DataError: References are blank, or there are none.
            ConfigError: The judge answers nobody.
            PrivacyError: The texts may not go to the judge.
        """
        samples, concepts = held_out.judged(self.limit)
        _check(samples)
        texts = Predictions(session.folder / "predictions.jsonl").of(
            policy,
            samples,
            batch_size=self.batch_size,
            max_new_tokens=self.max_new_tokens,
            progress=session.progress,
            what="describing scenes",
        )
        judged = by_stage(samples, texts)
        verdicts = {stage: self._rate(stage, judged[stage], samples, session) for stage in judged}
        self._keep(judged, verdicts, samples, session)
        unclosed = sum(
            CLOSE not in text for text, sample in zip(texts, samples, strict=True) if sample.factual.thinking
        )
        scores: Scores = {}
        for concept, places in {**concepts, **super_classes(samples)}.items():
            members = set(places)
            for stage, rows in judged.items():
                kept = [n for n, (place, _, _) in enumerate(rows) if place in members]
                if kept:
                    groups = [samples[rows[n][0]].group for n in kept]
                    scores.setdefault(concept, {}).update(self._score(stage, verdicts[stage], kept, groups, session))
        if "driving_suggestion" in judged:
            scores["all"]["unclosed"] = {"count": unclosed, "answers": len(texts)}
        return scores

    def _rate(
        self, stage: Task, rows: Sequence[tuple[int, str, str]], samples: Sequence[Sample], session: Session
    ) -> Verdicts:
        credentialed = any(samples[place].provenance.access == "credentialed" for place, _, _ in rows)
        access: Access = "credentialed" if credentialed else "open"
        pairs = [(reference, prediction) for _, reference, prediction in rows]
        return self.judge.rate(pairs, self.instructions[stage], access=access, acknowledged=session.acknowledged)

    def _score(
        self, stage: Task, verdicts: Verdicts, kept: Sequence[int], groups: Sequence[str], session: Session
    ) -> dict[str, dict[str, Any]]:
        return verdicts.of(kept).scores(
            groups, name=stage, resamples=self.resamples, method=self.interval, seed=session.seed
        )

    def _keep(
        self, judged: Judged, verdicts: Mapping[Task, Verdicts], samples: Sequence[Sample], session: Session
    ) -> None:
        values: dict[str, Array] = {}
        for stage, rows in judged.items():
            values[stage] = np.full(len(samples), math.nan)
            values[stage][[place for place, _, _ in rows]] = verdicts[stage].ratings
        keep_items(session.folder, [s.content for s in samples], [s.group for s in samples], values)


def by_stage(samples: Sequence[Sample], texts: Sequence[str]) -> Judged:
    """What is judged in each stage: reference and prediction, by the place of the sample.

    A suggestion is what stands behind the closing tag; a completion without one suggests nothing, which is judged too.
    """
    found: Judged = {}
    for place, (sample, text) in enumerate(zip(samples, texts, strict=True)):
        factual = sample.factual
        if "region" in sample.metadata:
            found.setdefault("region_perception", []).append((place, factual.answer, _answer(sample, text)))
        elif not sample.labels:
            found.setdefault("general_perception", []).append((place, factual.answer, _answer(sample, text)))
        else:
            if factual.thinking:
                found.setdefault("general_perception", []).append((place, factual.thinking, findings_of(text)))
            found.setdefault("driving_suggestion", []).append((place, factual.answer, _answer(sample, text)))
    return found


def _answer(sample: Sample, text: str) -> str:
    """What a completion answers: all of it where no thinking is asked for."""
    return (text.partition(CLOSE)[2] if sample.factual.thinking else text).strip()


def super_classes(samples: Sequence[Sample]) -> dict[str, list[int]]:
    """The regions of each super-class, by place."""
    found: dict[str, list[int]] = {}
    for place, sample in enumerate(samples):
        if name := sample.metadata.get("super_class"):
            found.setdefault(name, []).append(place)
    return dict(sorted(found.items()))


def _check(samples: Sequence[Sample]) -> None:
    if not samples or any("reference" not in s.metadata or "frame" in s.metadata for s in samples):
        raise DataError(
            got="samples that are not of CODA-LM",
            wanted="CODA-LM, or a dataset in its layout",
            remedy="pass dataset=coda_lm or dataset=road_world",
        )
    if blank := sum(sample.metadata["reference"] == "blank" or not sample.factual.answer for sample in samples):
        raise DataError(
            got=f"{blank} of {len(samples)} samples with a blank reference",
            wanted="references: a rating against nothing means nothing",
            remedy="judge the validation split (held_out=validate), or take the release of October 2024",
        )
