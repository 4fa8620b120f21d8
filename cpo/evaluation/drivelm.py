"""DriveLM: graph question answering, gated by the objects that a policy has found, scored by the published rules."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpo.errors import ConfigError, DataError
from cpo.evaluation.benchmark import Benchmark, HeldOut, Scores, Session
from cpo.evaluation.items import keep_items
from cpo.evaluation.judge import Instruction, Judge
from cpo.evaluation.predictions import Predictions
from cpo.metrics.captions import require_tools, score_captions
from cpo.metrics.drivelm import DriveLMScores, Tag, gated, language, match
from cpo.metrics.intervals import cluster_bootstrap, mean_of
from cpo.metrics.judging import DRIVELM, bare_rating
from cpo.policy.loaded import LoadedPolicy
from cpo.records import Access, Sample


class DriveLM(Benchmark):
    """Accuracy, match, language and, only when all its parts exist, the weighted total.

    A frame's first question asks for the important objects; later questions that name an object which was not found
    are not asked, for any metric, and are counted. Questions tagged for a judge are counted too; their score, half of
    the match, and so the total, exist only when a judge is asked.

    Args:
        limit: Held-out questions to use, the first ones; −1 for all.
        batch_size: Questions per generation batch.
        max_new_tokens: Longest answer, in tokens.
        resamples: Of the bootstrap.
        judged: Ask the judge, for questions of tag 1 and for the judged half of the match.
        judge: Rates from 0 to 100.

    Raises:
        ConfigError: A knob out of its range, or no Java or no `pycocoevalcap`.

    Source:
        OpenDriveLab/DriveLM, challenge evaluation (see `cpo.metrics.drivelm`). Its judge is gpt-3.5-turbo at
        temperature 0.6; ours is at 0, and is told so in our words.
    """

    protocol = (
        "greedy generation; graph gating as published; accuracy by equality, match by F1 of decimal coordinates within "
        "16 pixels (with the judge's rating where one is asked, the mean of both), language by pycocoevalcap 1.2, "
        "text-only judge at temperature 0, if asked; 95 % percentile bootstrap by scene"
    )

    def __init__(
        self, *, limit: int, batch_size: int, max_new_tokens: int, resamples: int, judged: bool, judge: Judge
    ) -> None:
        if limit == 0 or limit < -1 or batch_size < 1 or max_new_tokens < 1:
            raise ConfigError(
                got=f"limit={limit}, batch_size={batch_size}, max_new_tokens={max_new_tokens}",
                wanted="limit ≥ 1 or −1 for all; batch_size, max_new_tokens ≥ 1",
                remedy="see conf/benchmark/drivelm.yaml",
            )
        require_tools()
        self.limit, self.batch_size, self.max_new_tokens, self.resamples = limit, batch_size, max_new_tokens, resamples
        self.judged, self.judge = judged, judge
        if judged:
            judge.require_name()

    def refuse_unless_allowed(self, access: Access, *, acknowledged: bool) -> None:
        """See `Benchmark.refuse_unless_allowed`."""
        if self.judged:
            self.judge.refuse_unless_allowed(access, acknowledged=acknowledged)

    def evaluate(self, policy: LoadedPolicy | None, held_out: HeldOut, session: Session) -> Scores:
        """See `Benchmark.evaluate`.

        Raises:
            DataError: The questions have no frame and tags, or their answers are not published.
        """
        samples, _ = held_out.judged(self.limit)
        _check(samples)
        texts = Predictions(session.folder / "predictions.jsonl").of(
            policy,
            samples,
            batch_size=self.batch_size,
            max_new_tokens=self.max_new_tokens,
            progress=session.progress,
            what="answering questions",
        )
        asked = asked_of(samples, texts)
        by_tag = {tag: [n for n, sample in enumerate(samples) if asked[n] and tag in tags_of(sample)] for tag in Tag}
        found, items = self._measured(samples, texts, by_tag, session)
        if self.judged:
            for name, tag in (("judge", Tag.JUDGE), ("match_judge", Tag.MATCH)):
                judged, ratings = self._rated(name, samples, texts, by_tag[tag], session)
                found |= judged
                items[name] = ratings
        keep_items(session.folder, [s.content for s in samples], [s.group for s in samples], items)
        counts = Counter(tag.name.lower() for tag, members in by_tag.items() for _ in members)
        found |= {"total": total_of(found), "questions": {**counts, "not_asked": len(asked) - sum(asked)}}
        return {"all": found}

    def _measured(
        self, samples: Sequence[Sample], texts: Sequence[str], by_tag: Mapping[Tag, Sequence[int]], session: Session
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Accuracy, match and language, and the first two item by item."""
        right = {n: float(texts[n] == samples[n].factual.answer) for n in by_tag[Tag.ACCURACY]}
        f1 = {n: 100 * match(texts[n], samples[n].factual.answer)[1] for n in by_tag[Tag.MATCH]}
        found: dict[str, Any] = {}
        items = {}
        for name, per_item in (("accuracy", right), ("match", f1)):
            groups = [samples[n].group for n in per_item]
            interval = cluster_bootstrap(
                mean_of(list(per_item.values())), groups, resamples=self.resamples, seed=session.seed
            )
            found[name] = interval.as_dict()
            items[name] = np.array([per_item.get(n, math.nan) for n in range(len(samples))])
        spoken = by_tag[Tag.LANGUAGE]
        score = math.nan
        if spoken:
            captions = score_captions(
                [texts[n] for n in spoken],
                [[samples[n].factual.answer] for n in spoken],
                [samples[n].group for n in spoken],
                resamples=self.resamples,
                seed=session.seed,
            ).intervals
            score = language({name: interval.value for name, interval in captions.items()})
            found |= {name: interval.as_dict() for name, interval in captions.items() if name != "meteor"}
        return found | {"language": {"value": None if math.isnan(score) else score, "n": len(spoken)}}, items

    def _rated(
        self, name: str, samples: Sequence[Sample], texts: Sequence[str], places: Sequence[int], session: Session
    ) -> tuple[dict[str, Any], Any]:
        """The judge's scores of some answers, and its ratings item by item."""
        credentialed = any(sample.provenance.access == "credentialed" for sample in samples)
        verdicts = self.judge.rate(
            [(samples[n].factual.answer, texts[n]) for n in places],
            RATED,
            access="credentialed" if credentialed else "open",
            acknowledged=session.acknowledged,
        )
        groups = [samples[n].group for n in places]
        ratings = np.full(len(samples), math.nan)
        ratings[list(places)] = verdicts.ratings
        return verdicts.scores(groups, name=name, resamples=self.resamples, seed=session.seed), ratings


RATED = Instruction(
    system=(
        "You judge answers to questions about driving without seeing the pictures. You get the right answer and a "
        "given one. Rate how close the given one comes to the right one, from 0 (nothing is right) to 100 (it says the "
        "same), to the single digit. Reply with the number alone."
    ),
    form=lambda reference, prediction: f"Right answer: {reference}\nGiven answer: {prediction}",
    read=bare_rating,
    scale=DRIVELM,
)
"""What the judge is told: the published task in our words."""


def total_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """The weighted total, with all that qualifies the judge's part of it; without it, what it lacks.

    Args:
        found: Scores by name.

    Example:
        >>> total_of({"accuracy": {"value": 1.0}, "match": {"value": 100.0}, "language": {"value": 1.0}})
        {'value': None, 'lacks': "the judge's score"}
    """
    parts = {name: found.get(name, {}).get("value") for name in ("accuracy", "match", "language")}
    if "judge" not in found:
        return {"value": None, "lacks": "the judge's score"}
    parts |= {name: found[name]["value"] for name in ("judge", "match_judge")}
    if absent := [name for name, value in parts.items() if value is None]:
        return {"value": None, "lacks": ", ".join(absent)}
    matched = (parts["match"] + parts["match_judge"]) / 2
    scores = DriveLMScores(parts["accuracy"], matched, parts["language"], parts["judge"], match_judged=True)
    judged = (found["judge"], found["match_judge"])
    counts = {name: sum(one[name] for one in judged) for name in ("unparsed", "answers")}
    return {"value": scores.total, **{name: judged[0][name] for name in ("judge", "served", "prompt")}, **counts}


def tags_of(sample: Sample) -> frozenset[Tag]:
    """The tags of a question, which the release's test format gives."""
    return frozenset(Tag(int(tag)) for tag in sample.metadata.get("tag", "").split(",") if tag)


def asked_of(samples: Sequence[Sample], texts: Sequence[str]) -> list[bool]:
    """Which questions are asked, frame by frame; see `cpo.metrics.drivelm.gated`."""
    frames: dict[tuple[str, str], list[int]] = defaultdict(list)
    for n, sample in enumerate(samples):
        frames[sample.group, sample.metadata["frame"]].append(n)
    asked = [False] * len(samples)
    for members in frames.values():
        ordered = sorted(members, key=lambda n: int(samples[n].metadata["position"]))
        told = gated(
            [samples[n].prompt for n in ordered],
            [texts[n] for n in ordered],
            [samples[n].factual.answer for n in ordered],
        )
        for n, is_asked in zip(ordered, told, strict=True):
            asked[n] = is_asked
    return asked


def _check(samples: Sequence[Sample]) -> None:
    if not samples or any("frame" not in s.metadata or "position" not in s.metadata for s in samples):
        raise DataError(
            got="samples that are no questions about frames", wanted="DriveLM", remedy="pass dataset=drivelm"
        )
    if blank := sum(s.metadata.get("reference") == "blank" for s in samples):
        raise DataError(
            got=f"{blank} of {len(samples)} questions whose answers are not published",
            wanted="questions with answers: a score against blanks means nothing",
            remedy="judge a split derived from the training file, or hand in the kept predictions.jsonl",
        )
    if not any(tags_of(s) for s in samples):
        raise DataError(
            got="questions without tags, which say how each is scored",
            wanted="the test format",
            remedy="pass the file that the challenge's scripts make (test_eval.json)",
        )
