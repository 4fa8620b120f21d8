"""A rejected text and a rejected image in one pair, for losses that compare both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum

from cpo.preference.pairing import Drop, Pairing, make_pair
from cpo.records import Counterfactual, PreferencePair, Sample


class Unpaired(StrEnum):
    """Why a sample is in no pair, or a counterfactual in none."""

    ONE_KIND = "sample without both a rejected text and a rejected image"
    SURPLUS = "counterfactual beyond one of each kind"


class TextAndImage(Pairing):
    """The first counterfactual text and the first counterfactual image of a sample, in one pair with K = 1.

    Source:
        The pairs of mDPO (arXiv 2406.11839): the chosen text against a rejected one under the same image, and under its
        own image against itself under another.
    """

    rejects_images = True

    def pick(
        self, counterfactuals: tuple[Counterfactual, ...], dropped: Counter[str]
    ) -> Iterator[tuple[Counterfactual, ...]]:
        """See `Pairing.pick`."""
        texts = [c for c in counterfactuals if c.images is None]
        images = [c for c in counterfactuals if c.images is not None]
        if not texts or not images:
            dropped[(Unpaired.ONE_KIND if counterfactuals else Drop.NO_COUNTERFACTUAL).value] += 1
            return
        dropped[Unpaired.SURPLUS.value] += len(counterfactuals) - 2
        yield texts[0], images[0]

    def pair(self, sample: Sample, rejected: tuple[Counterfactual, ...], time: int, concept: int) -> PreferencePair:
        """See `Pairing.pair`."""
        text, image = rejected
        return replace(make_pair(sample, (text,), time, concept), image_rejected=image.images)
