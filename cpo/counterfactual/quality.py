"""How good a set of counterfactuals is: judged by a reader that is not the generator's, measured, counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from cpo.counterfactual.answers import named_results
from cpo.counterfactual.base import CounterfactualSet, Rejection, may_be_true
from cpo.counterfactual.edits import edited_words
from cpo.counterfactual.validity import PRESENT, Validity, format_broken, has_markup
from cpo.records import Counterfactual, Sample, Scorer, Trajectory

Pair = tuple[str, str]
REMEMBERED = 256
"""Texts whose reading is remembered: a factual one is held against each of its counterfactuals."""
SCORED_TOGETHER = 512
"""Counterfactuals whose log-probs are asked for at once."""


@dataclass(frozen=True, slots=True)
class Examined:
    """One counterfactual, judged and measured.

    Args:
        sample: What it was made from.
        counterfactual: What was made.
        rejection: Why it is none; None if it is one.
        argued: Whether its thinking shows the target, as the judge reads it.
        edited: Edited words / words of the two thinkings; nan where there is none, or where the image differs instead.
        usual: Share of its adjacent word pairs that two or more reports of the pool have; nan likewise.
        margin: log π(chosen) − log π(rejected) under the policy that was asked, in nats: the larger, the easier.
        per_word: log π(rejected) per word under that policy, in nats; both nan without a policy.
    """

    sample: Sample
    counterfactual: Counterfactual
    rejection: Rejection | None
    argued: bool
    edited: float
    usual: float
    margin: float = float("nan")
    per_word: float = float("nan")

    @property
    def chosen(self) -> Trajectory:
        """What it is held against."""
        return self.counterfactual.chosen or self.sample.factual


@dataclass(frozen=True)
class Quality:
    """The judged counterfactuals of a set.

    Args:
        made: The set.
        examined: Each of its counterfactuals, in its order.
        usual_before: Median of `Examined.usual` over the factual reports, to hold that of counterfactuals against.
        judged_per_second: Counterfactuals read and measured per second, without what the policy took.
    """

    made: CounterfactualSet
    examined: tuple[Examined, ...]
    usual_before: float
    judged_per_second: float

    @property
    def valid(self) -> CounterfactualSet:
        """The set without what was rejected, which is counted with the rest."""
        good = {id(one.counterfactual) for one in self.examined if one.rejection is None}
        kept = {name: tuple(c for c in found if id(c) in good) for name, found in self.made.by_sample.items()}
        rejected = Counter(self.made.rejected) + Counter(self.rejected)
        wanted = max((len(found) for found in self.made.by_sample.values()), default=0)
        short = sum(len(found) < wanted for found in kept.values())
        return replace(self.made, by_sample=kept, rejected=dict(sorted(rejected.items())), short=short)

    @property
    def rejected(self) -> dict[str, int]:
        """What the judge rejected, by reason."""
        return dict(sorted(Counter(one.rejection.value for one in self.examined if one.rejection).items()))

    def as_dict(self) -> dict[str, Any]:
        """As `quality.json` holds it; None where nothing was measured."""
        good = [one for one in self.examined if one.rejection is None]
        thought = [one for one in good if told(one.chosen, one.counterfactual)]
        return {
            "method": self.made.method,
            "n": len(good),
            "valid_share": len(good) / len(self.examined) if self.examined else None,
            "per_second": _number(self.made.stats.get("per_second", float("nan"))),
            "judged_per_second": _number(self.judged_per_second),
            "rejected": self.rejected,
            "edited_words_median": _quantile([one.edited for one in good], 0.5),
            "edited_words_q90": _quantile([one.edited for one in good], 0.9),
            "argued_share": sum(one.argued for one in thought) / len(thought) if thought else None,
            "samples": len(self.made.by_sample),
            "short": self.made.short,
            "not_made": dict(self.made.rejected),
            "targets": dict(Counter(one.counterfactual.target for one in good).most_common()),
            "fluency": {
                "usual_word_pairs_median": _quantile([one.usual for one in good], 0.5),
                "usual_word_pairs_median_factual": _number(self.usual_before),
                "nats_per_word_median": _quantile([one.per_word for one in good], 0.5),
            },
            "difficulty": {f"margin_q{q}": _quantile([one.margin for one in good], q / 100) for q in (10, 50, 90)},
        }


def examine(
    samples: Sequence[Sample], made: CounterfactualSet, validity: Validity, scorer: Scorer | None = None
) -> Quality:
    """Judges and measures every counterfactual of a set.

    Args:
        samples: What it was made from.
        made: The set.
        validity: By a judge that shares nothing with the generator, where there is one.
        scorer: Says how likely chosen and rejected trajectories are under a policy; None leaves that out.
    """
    started = time.perf_counter()
    judge = lru_cache(REMEMBERED)(validity.judge)
    validity = Validity(graph=validity.graph, judge=judge, max_edit_ratio=validity.max_edit_ratio)
    usual = usual_pairs(sample.factual.thinking for sample in samples)
    examined = tuple(
        Examined(
            sample,
            c,
            rejection(validity, sample, c),
            _argued(validity, c.target, text),
            edited_words(chosen.thinking, text).ratio if text else float("nan"),
            share_of_pairs(text, usual),
        )
        for sample in samples
        for c in made.by_sample[sample.id]
        for chosen in (c.chosen or sample.factual,)
        for text in (told(chosen, c),)
    )
    before = _median([share_of_pairs(sample.factual.thinking, usual) for sample in samples])
    seconds = time.perf_counter() - started
    if scorer is not None:
        examined = tuple(scored(examined, scorer))
    return Quality(made, examined, before, len(examined) / seconds if seconds else float("nan"))


def rejection(validity: Validity, sample: Sample, counterfactual: Counterfactual) -> Rejection | None:
    """The first reason why something is no counterfactual of a sample, or None.

    What is promised decides what is checked. An edited thinking is held to all of `Validity`. Where the thinking is the
    same on both sides, or absent, the answer alone argues: it names a false result, or denies a true one. A trajectory
    taken whole from elsewhere has to name its target. Another image has to be another one.
    """
    c, chosen = counterfactual, counterfactual.chosen or sample.factual
    same = c.trajectory.thinking == chosen.thinking
    names = {*validity.graph.diseases, *sample.results, *sample.labels, *([c.target] if c.target else [])}
    named = named_results(c.trajectory.answer, names, validity.graph.phrases)
    denied = same and c.images is None and c.target in sample.results and c.target not in named
    if c.target and may_be_true(sample, c.target) and not denied:
        return Rejection.ALREADY_TRUE
    if (c.images or sample.images) == sample.images and c.trajectory == chosen:
        return Rejection.EQUAL_TO_CHOSEN
    if c.images is not None:
        return None
    if c.interventions and not same:
        return validity.rejection(replace(sample, factual=chosen), c)
    if has_markup(c.trajectory.answer) or (not same and format_broken(c.trajectory)):
        return Rejection.FORMAT_BROKEN
    return None if not c.target or c.target in named or denied else Rejection.ANSWER_NOT_NAMED


def scored(examined: Sequence[Examined], scorer: Scorer) -> Iterable[Examined]:
    """The same with margins and log-probs per word under a policy."""
    for start in range(0, len(examined), SCORED_TOGETHER):
        some = examined[start : start + SCORED_TOGETHER]
        factual = scorer.score([one.sample for one in some], [one.chosen for one in some])
        shown = [replace(o.sample, images=o.counterfactual.images or o.sample.images) for o in some]
        rejected = scorer.score(shown, [one.counterfactual.trajectory for one in some])
        for one, chosen, other in zip(some, factual, rejected, strict=True):
            trajectory = one.counterfactual.trajectory
            words = len(trajectory.thinking.split()) + len(trajectory.answer.split())
            yield replace(one, margin=chosen - other, per_word=other / words)


def usual_pairs(texts: Iterable[str]) -> frozenset[Pair]:
    """Adjacent words that stand side by side in two or more texts.

    Example:
        >>> sorted(usual_pairs(["the heart is large", "the heart was large", "a heart is seen"]))
        [('heart', 'is'), ('the', 'heart')]
    """
    counts = Counter(pair for text in texts for pair in set(pairwise(text.split())))
    return frozenset(pair for pair, count in counts.items() if count > 1)


def share_of_pairs(text: str, usual: frozenset[Pair]) -> float:
    """Share of a text's adjacent words that are usual; nan for less than two words."""
    pairs = list(pairwise(text.split()))
    return sum(pair in usual for pair in pairs) / len(pairs) if pairs else float("nan")


def told(chosen: Trajectory, counterfactual: Counterfactual) -> str:
    """The thinking that tells a counterfactual from its chosen side: none where the image or the answer alone does."""
    thinking = counterfactual.trajectory.thinking
    return "" if counterfactual.images is not None or thinking == chosen.thinking else thinking


def _argued(validity: Validity, target: str, text: str) -> bool:
    return bool(text) and validity.graph.labels(validity.judge(text)).get(target) in PRESENT


def _known(values: Iterable[float]) -> list[float]:
    return [value for value in values if value == value]


def _median(values: Iterable[float]) -> float:
    known = _known(values)
    return float(np.median(known)) if known else float("nan")


def _quantile(values: Iterable[float], share: float) -> float | None:
    known = _known(values)
    return round(float(np.quantile(known, share)), 4) if known else None


def _number(value: float) -> float | None:
    return round(value, 4) if value == value else None


Reader = Callable[[str], Any]
"""Reads a text of a generated world; its `states` are those of attributes."""


def judge_by(read: Reader) -> Callable[[str], Mapping[str, Any]]:
    """The judge that a world's own reader is."""
    return lambda thinking: read(thinking).states
