"""What a judge's replies say: the number in each, by the published rules, and why some hold none.

N judged texts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from cpo.errors import ShapeError
from cpo.metrics.intervals import Method, cluster_bootstrap, mean_of


class Unparsed(StrEnum):
    """Why a judged text has no rating."""

    NO_REPLY = "no reply"
    CUT_OFF = "reply cut off at its longest"
    DECLINED = "judge declined"
    NO_RATING = "no rating in the reply"
    OUT_OF_RANGE = "rating out of range"


@dataclass(frozen=True, slots=True)
class Scale:
    """The ratings that a judge may give.

    Args:
        lowest: Of them; the pessimistic mean takes it for texts without a rating.
        highest: Of them.
    """

    lowest: float
    highest: float

    def holds(self, rating: float) -> float | Unparsed:
        """The rating, if it is on the scale.

        Example:
            >>> Scale(1, 10).holds(8.0), Scale(1, 10).holds(11.0).value
            (8.0, 'rating out of range')
        """
        return rating if self.lowest <= rating <= self.highest else Unparsed.OUT_OF_RANGE


CODA_LM = Scale(1, 10)
DRIVELM = Scale(0, 100)
MARKS = ("Rating: [[", "rating is: [[", "[[")
"""Where CODA-LM's scripts look for a rating, in this order; the first mark that is there counts."""


def bracketed_rating(reply: str) -> float | Unparsed:
    """CODA-LM's rating in a reply: the number from the first mark to the next `]]`.

    Source:
        DLUT-LYZ/CODA-LM, evaluation scripts, for the order of the marks. A number beyond 1 to 10, which they would
        average, is no rating here.

    Example:
        >>> bracketed_rating("[[3]] at first sight. So, Rating: [[8]]"), bracketed_rating("The rating is: [[2.5]].")
        (8.0, 2.5)
        >>> bracketed_rating("Rating: 8").value, bracketed_rating("[[80]]").value
        ('no rating in the reply', 'rating out of range')
    """
    mark = next((mark for mark in MARKS if mark in reply), None)
    inside, closed, _ = reply.partition(mark)[2].partition("]]") if mark else ("", "", "")
    number = _number(inside) if closed else None
    return Unparsed.NO_RATING if number is None else CODA_LM.holds(number)


def bare_rating(reply: str) -> float | Unparsed:
    """DriveLM's rating in a reply, which is to be a number from 0 to 100 and nothing else.

    Source:
        OpenDriveLab/DriveLM, `challenge/evaluation.py`, which stops at any other reply; here it is counted.

    Example:
        >>> bare_rating(" 72 "), bare_rating("72 out of 100").value
        (72.0, 'no rating in the reply')
    """
    number = _number(reply)
    return Unparsed.NO_RATING if number is None else DRIVELM.holds(number)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


@dataclass(frozen=True)
class Verdicts:
    """What a judge said of N texts.

    Args:
        found: Of each text its rating, or why there is none.
        scale: Of the ratings.
        judge: The model that was asked for.
        served: Models that the server says it used.
        prompt: Fingerprint of everything that the judge is told besides the texts.
    """

    found: Sequence[float | Unparsed]
    scale: Scale
    judge: str
    served: tuple[str, ...]
    prompt: str

    @property
    def ratings(self) -> list[float]:
        """One per text, nan without one."""
        return [math.nan if isinstance(one, Unparsed) else one for one in self.found]

    def of(self, places: Sequence[int]) -> Verdicts:
        """The verdicts on some of the texts."""
        return replace(self, found=[self.found[place] for place in places])

    def scores(
        self,
        groups: Sequence[Hashable],
        *,
        name: str,
        resamples: int,
        method: Method = "percentile",
        seed: int,
    ) -> dict[str, dict[str, Any]]:
        """Mean over parsed replies, as published, and the mean with the lowest rating for all others.

        Neither is without judge, prompt and number of unparsed replies.

        Args:
            groups: Patient or scene of each text.
            name: Of the metric; the pessimistic one is `<name>_pessimistic`, the reasons are `<name>_unparsed`.
            resamples: Of the bootstrap.
            method: Of its intervals.
            seed: Of the bootstrap.

        Raises:
            ShapeError: There is not one group per text.
        """
        if len(groups) != len(self.found):
            raise ShapeError(
                got=f"{len(groups)} groups for {len(self.found)} judged texts",
                wanted="one of each",
                remedy="pass the group of every text, also of those without a rating",
            )
        ratings = np.array(self.ratings)
        parsed = ~np.isnan(ratings)
        reasons = Counter(one.value for one in self.found if isinstance(one, Unparsed))
        qualified: Mapping[str, Any] = {
            "judge": self.judge,
            "served": list(self.served),
            "prompt": self.prompt,
            "unparsed": int((~parsed).sum()),
            "answers": len(ratings),
        }
        kept = [group for group, is_parsed in zip(groups, parsed, strict=True) if is_parsed]
        filled = np.where(parsed, ratings, self.scale.lowest)
        made = {
            how: cluster_bootstrap(mean_of(some), clusters, resamples=resamples, method=method, seed=seed)
            for how, some, clusters in ((name, ratings[parsed], kept), (f"{name}_pessimistic", filled, groups))
        }
        return {
            **{how: {**interval.as_dict(), **qualified} for how, interval in made.items()},
            f"{name}_unparsed": {"count": sum(reasons.values()), "answers": len(ratings), **sorted_counts(reasons)},
        }


def sorted_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts by name, so that equal ones are written alike."""
    return dict(sorted(counts.items()))
