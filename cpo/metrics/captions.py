"""How near generated texts come to reference texts: BLEU-1..4, ROUGE-L, METEOR and CIDEr, by the field's own code.

`pycocoevalcap` computes them (its PTB tokeniser and METEOR are Java programs). What is added here are intervals that
resample patients, scores for texts that are empty, and errors that say what is missing.
"""

from __future__ import annotations

import contextlib
import io
import shutil
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cpo.errors import ConfigError, DataError, ShapeError
from cpo.metrics.intervals import Array, Interval, Statistic, cluster_bootstraps, ratio

BLEU = ("bleu_1", "bleu_2", "bleu_3", "bleu_4")
METRICS = (*BLEU, "rouge_l", "cider", "meteor")
_TINY, _SMALL = 1e-15, 1e-9
"""The library's own, which keep a corpus without matches above 0."""


def require_tools() -> None:
    """Refuses to begin without the library or Java.

    Raises:
        ConfigError: One is missing; says which and how to get it.
    """
    try:
        import pycocoevalcap  # noqa: F401
    except ImportError:
        raise ConfigError(
            got="no pycocoevalcap in this environment",
            wanted="the reference implementation of caption metrics",
            remedy="pip install 'cpo[captions]'; make setup installs it",
        ) from None
    if shutil.which("java") is None:
        raise ConfigError(
            got="no java on the PATH",
            wanted="a Java runtime: the PTB tokeniser and METEOR are Java programs, and no other tokeniser gives "
            "comparable numbers",
            remedy="install one (apt install default-jre-headless, or module load java) and run the same command",
        )


@dataclass(frozen=True)
class CaptionScores:
    """Scores of a corpus.

    Args:
        intervals: Each metric with its clustered interval.
        per_text: Those that are means over texts (and METEOR), one value per text.
    """

    intervals: Mapping[str, Interval]
    per_text: Mapping[str, Array]


def score_captions(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    groups: Sequence[Hashable],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int,
) -> CaptionScores:
    """BLEU-1..4, ROUGE-L, CIDEr and METEOR of a corpus, each with a clustered interval.

    BLEU is a statistic of the corpus and is computed anew on each resample; ROUGE-L and CIDEr are means over texts,
    with CIDEr's document frequencies those of all references; METEOR's value is the corpus's own, and its interval that
    of the mean over texts, moved to it. All are in [0, 1] but CIDEr, in [0, 10]. A resample counts the patients drawn.

    Args:
        predictions: One text per item; an empty one scores 0.
        references: One or more texts per item.
        groups: Patient (or scene) of each item.
        resamples: Of the bootstrap.
        level: Confidence level.
        seed: Of the bootstrap.

    Raises:
        ConfigError: See `require_tools`.
        ShapeError: The three differ in length.
        DataError: No item, or one without a reference that says something.

    Source:
        Values are those of `pycocoevalcap` 1.2 on the same strings.
    """
    if not len(predictions) == len(references) == len(groups):
        raise ShapeError(
            got=f"{len(predictions)} predictions, {len(references)} references, {len(groups)} groups",
            wanted="one of each per item",
            remedy="pass a prediction for every item; a failed generation is an empty text",
        )
    blank = sum(not any(text.strip() for text in texts) for texts in references)
    if blank or not references:
        raise DataError(
            got=f"{blank} of {len(references)} items without a reference text",
            wanted="a reference for every item: a score against nothing means nothing",
            remedy="judge a split whose references are released, or leave those items out",
        )
    require_tools()
    truth, said = _tokenised(references), _tokenised([[text] for text in predictions])
    per_text, meteor = _scores(truth, said)
    statistics = [*(_bleu(truth, said, n) for n in range(4)), *(_mean(per_text[name]) for name in METRICS[4:])]
    intervals = cluster_bootstraps(
        lambda weights: np.stack([statistic(weights) for statistic in statistics], axis=1),
        groups,
        resamples=resamples,
        level=level,
        seed=seed,
    )
    found = dict(zip(METRICS, intervals, strict=True))
    found["meteor"] = _moved(found["meteor"], meteor)
    return CaptionScores(found, per_text)


def repetition(text: str, n: int = 4) -> float:
    """Share of a text's n-grams that it has already said; 0 for a shorter text.

    Example:
        >>> repetition("no effusion no effusion no effusion", n=2)
        0.6
    """
    words = text.lower().split()
    grams = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    total = sum(grams.values())
    return 1 - len(grams) / total if total else 0.0


Corpus = dict[int, list[str]]


def _tokenised(texts: Sequence[Sequence[str]]) -> Corpus:
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    # every line break would shift the tokeniser's lines against the texts
    rows = {n: [{"caption": " ".join(text.split())} for text in some] for n, some in enumerate(texts)}
    return dict(PTBTokenizer().tokenize(rows))


def _scores(truth: Corpus, said: Corpus) -> tuple[dict[str, Array], float]:
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.rouge.rouge import Rouge

    _, rouge = Rouge().compute_score(truth, said)
    _, cider = Cider().compute_score(truth, said)
    meteor = Meteor()
    try:
        corpus, per_text = meteor.compute_score(truth, said)
    finally:
        for pipe in (meteor.meteor_p.stdout, meteor.meteor_p.stderr):
            pipe.close()
        meteor.meteor_p.kill()
    found = {
        "rouge_l": np.asarray(rouge, dtype=np.float64),
        "cider": np.asarray(cider, dtype=np.float64),
        "meteor": np.asarray(per_text, dtype=np.float64),
    }
    return found, float(corpus)


def _bleu(truth: Corpus, said: Corpus, n: int) -> Statistic:
    """Corpus BLEU-(n+1) over multiplicities, from the library's own counts of each text."""
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer

    scorer = BleuScorer(n=4)
    for item in truth:
        scorer += (said[item][0], truth[item])
    with contextlib.redirect_stdout(io.StringIO()):
        scorer.compute_score(option="closest", verbose=0)
    tests: list[Mapping[str, Any]] = scorer.ctest
    correct, guess = (
        np.array([test[key][: n + 1] for test in tests], dtype=np.float64) for key in ("correct", "guess")
    )
    length = np.array([test["testlen"] for test in tests], dtype=np.float64)
    # the library takes the reference length nearest to the text's own
    nearest = np.array(
        [min((abs(r - test["testlen"]), r) for r in test["reflen"])[1] for test in tests], dtype=np.float64
    )

    def statistic(weights: Array) -> Array:
        precision = (weights @ correct + _TINY) / (weights @ guess + _SMALL)
        shorter = (weights @ length + _TINY) / (weights @ nearest + _SMALL)
        penalty = np.exp(np.minimum(0.0, 1 - 1 / shorter))
        return np.asarray(np.prod(precision, axis=1) ** (1 / (n + 1)) * penalty, dtype=np.float64)

    return statistic


def _mean(values: Array) -> Statistic:
    return lambda weights: ratio(weights @ values, weights.sum(axis=1))


def _moved(interval: Interval, value: float) -> Interval:
    by = value - interval.value
    return Interval(
        value,
        interval.low + by,
        interval.high + by,
        n=interval.n,
        clusters=interval.clusters,
        level=interval.level,
        undefined=interval.undefined,
    )
