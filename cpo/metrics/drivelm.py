"""DriveLM's scores: exact answers, matched object coordinates, language, a judge, and the weighted total of all four.

Source:
    OpenDriveLab/DriveLM, `challenge/evaluation.py`: the facts below (tags, regular expression, 16 pixels, weights) are
    its own; the code is ours. A question with an odd number of decimals, on which the original stops with an error, is
    asked as it stands: its last number belongs to no coordinate.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from cpo.errors import ShapeError

Points = NDArray[np.float64]

NUMBER = re.compile(r"\d+\.\d+")
"""Only decimals are seen: an integer coordinate is invisible, as in the original."""
NEAR = 16.0
"""Largest L1 distance of a match, in pixels (exclusive)."""
WEIGHTS = {"judge": 0.4, "language": 0.2, "match": 0.2, "accuracy": 0.2}


class Tag(IntEnum):
    """How a question is scored."""

    ACCURACY = 0
    JUDGE = 1
    LANGUAGE = 2
    MATCH = 3


def coordinates(text: str) -> Points:
    """The points `[n, 2]` that a text names, in order; a last number without a partner is dropped.

    Example:
        >>> coordinates("<c1,CAM_FRONT,714.3,503.6> and 12, 8.5").tolist()
        [[714.3, 503.6]]
    """
    numbers = [float(number) for number in NUMBER.findall(text)]
    return np.array(numbers[: len(numbers) // 2 * 2], dtype=np.float64).reshape(-1, 2)


def match(answer: str, truth: str) -> tuple[Points, float]:
    """The true points that an answer finds, and the F1 of its points.

    Each answered point takes the nearest true point that is left, if it is nearer than 16 pixels in L1.

    Example:
        >>> found, f1 = match("at 10.0,10.0 and 99.0,99.0", "<c1,CAM_BACK,12.0,13.0>")
        >>> found.tolist(), round(f1, 3)
        ([[12.0, 13.0]], 0.667)
    """
    left, found = coordinates(truth), []
    total, answered = len(left), coordinates(answer)
    for point in answered:
        if not len(left):
            break
        distance = np.abs(left - point).sum(axis=1)
        nearest = int(distance.argmin())
        if distance[nearest] < NEAR:
            found.append(left[nearest])
            left = np.delete(left, nearest, axis=0)
    sizes = len(answered) + total
    return np.array(found).reshape(-1, 2), 2 * len(found) / sizes if sizes else 0.0


def gated(questions: Sequence[str], answers: Sequence[str], truths: Sequence[str]) -> list[bool]:
    """Which questions of one frame are asked at all.

    The first one asks for the important objects and always counts; a later one counts only if every object that it
    names was found there.

    Args:
        questions: Of one frame, in the release's order.
        answers: The policy's.
        truths: The release's.

    Raises:
        ShapeError: The three differ in length.
    """
    if not len(questions) == len(answers) == len(truths):
        raise ShapeError(
            got=f"{len(questions)} questions, {len(answers)} answers, {len(truths)} truths of a frame",
            wanted="one of each",
            remedy="answer every question of the frame",
        )
    if not questions:
        return []
    known = {tuple(point) for point in match(answers[0], truths[0])[0].tolist()}
    later = [all(tuple(point) in known for point in coordinates(q).tolist()) for q in questions[1:]]
    return [True, *later]


@dataclass(frozen=True)
class DriveLMScores:
    """The four parts, each nan where no question of its kind was scored.

    Args:
        accuracy: Share of answers equal to the truth, in [0, 1].
        match: Mean of F1 · 100 over coordinates, averaged with the judge's score of the same answers if there is one.
        language: (mean of BLEU-1..4 + ROUGE-L + CIDEr / 10) / 3.
        judge: Mean of the judge's 0–100.
        match_judged: Whether `match` holds the judge's half.
    """

    accuracy: float
    match: float
    language: float
    judge: float
    match_judged: bool = False

    @property
    def total(self) -> float:
        """0.4 judge / 100 + 0.2 language + 0.2 match / 100 + 0.2 accuracy; nan unless all exist and match is judged.

        Example:
            >>> DriveLMScores(0.5, 40.0, 0.3, 60.0, match_judged=True).total
            0.48
        """
        if not self.match_judged:
            return math.nan
        parts = {"judge": self.judge / 100, "language": self.language, "match": self.match / 100}
        return round(sum(WEIGHTS[name] * value for name, value in {**parts, "accuracy": self.accuracy}.items()), 12)


def language(captions: Mapping[str, float]) -> float:
    """The language part from caption metrics by name (`bleu_1` … `bleu_4`, `rouge_l`, `cider`).

    Example:
        >>> scores = {"bleu_1": 0.4, "bleu_2": 0.3, "bleu_3": 0.2, "bleu_4": 0.1, "rouge_l": 0.5, "cider": 1.5}
        >>> round(language(scores), 4)
        0.3
    """
    bleu = sum(captions[f"bleu_{n}"] for n in range(1, 5)) / 4
    return (bleu + captions["rouge_l"] + captions["cider"] / 10) / 3
