"""Counterfactual perception: the same text, which another image makes false."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from enum import StrEnum
from typing import Literal, get_args

import numpy as np

from cpo.counterfactual.base import CounterfactualMethod, Need, Proposer, may_be_true
from cpo.counterfactual.neighbours import Neighbours
from cpo.counterfactual.validity import lexicon_judge
from cpo.errors import ConfigError
from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph
from cpo.records import Counterfactual, Edit, ImageRef, LabelState, Sample, Scorer
from cpo.sequence.edits import crop_edit

Source = Literal["nearest", "noise", "crop"]
InverseMatch = Literal["scorer", "none"]
Images = tuple[ImageRef, ...]


class Unfit(StrEnum):
    """Why another image is no counterfactual."""

    NO_IMAGE = "no image to replace"
    NO_OTHER = "no other image with another result"
    EASY = "text not likely under the other image"


class Perception(CounterfactualMethod):
    """The factual trajectory held against another image of which it is false.

    The other image is that of the sample whose report shows the most similar attributes and is of another result: each
    of the two has a result that the other's report neither asserts nor leaves open. The *inverse match* keeps it only
    if the text is still likely under it, so that a policy has to look to tell the two apart. `noise` and `crop` are
    baselines: the sample's own image, spoilt.

    Args:
        graph: A shipped concept graph by name, or the path of a JSON file: whose attributes are compared.
        negatives: Images per sample, ≥ 1.
        candidates: Images tried per sample, the nearest first, ≥ negatives.
        source: `nearest`, `noise` or `crop`.
        strength: Of the noise, in (0, 1]; 1 is a standard deviation of 60 grey values.
        crop_share: Share of the area that a crop shows, in (0, 1].
        inverse_match: `scorer` asks the policy that the preference stage starts from; `none` keeps all.
        margin: Nats that the log-prob of the whole text may fall by under the other image, ≥ 0.

    Raises:
        ConfigError: A knob out of its range.
        DataError: The graph is not found or not a concept graph.

    Source:
        Counterfactual perception and inverse matching of CPO++ (arXiv 2604.15705); the images that are spoilt are those
        of mDPO (arXiv 2406.11839), which takes crops of up to 20 % of the area. The paper gives no margin.
    """

    def __init__(
        self,
        *,
        graph: str,
        negatives: int,
        candidates: int,
        source: Source,
        strength: float,
        crop_share: float,
        inverse_match: InverseMatch,
        margin: float,
    ) -> None:
        super().__init__("perception", negatives)
        rules = {
            f"candidates ≥ negatives={negatives}": candidates >= negatives,
            f"source one of {', '.join(get_args(Source))}": source in get_args(Source),
            "0 < strength ≤ 1": 0 < strength <= 1,
            "0 < crop_share ≤ 1": 0 < crop_share <= 1,
            f"inverse_match one of {', '.join(get_args(InverseMatch))}": inverse_match in get_args(InverseMatch),
            "margin ≥ 0 nats": margin >= 0,
        }
        if broken := [rule for rule, holds in rules.items() if not holds]:
            raise ConfigError(
                got=f"counterfactual=perception that breaks: {', '.join(broken)}",
                wanted=", ".join(rules),
                remedy="set counterfactual.KNOB=VALUE within its range",
            )
        self.graph = ConceptGraph.load(graph)
        self.candidates, self.source, self.strength, self.crop_share = candidates, source, strength, crop_share
        self.margin = margin
        self.needs: Need | None = "scorer" if inverse_match == "scorer" else None
        self._scorer: Scorer | None = None

    def use(self, policy: Scorer, *, identity: str) -> None:
        """See `CounterfactualMethod.use`."""
        self._scorer = policy

    def proposer(self, pool: Sequence[Sample]) -> Proposer:
        """See `CounterfactualMethod.proposer`.

        Raises:
            ConfigError: The inverse match has no policy to ask.
        """
        if self.needs and self._scorer is None:
            raise ConfigError(
                got="counterfactual.inverse_match=scorer without a policy",
                wanted="the model that the preference stage starts from",
                remedy="pass counterfactual.inverse_match=none, or run=DIR of a run to cpo counterfactual make",
            )
        others = Others(pool, self.graph) if self.source == "nearest" else None

        def propose(sample: Sample, rng: np.random.Generator) -> Iterator[Counterfactual | StrEnum]:
            if not sample.images:
                yield Unfit.NO_IMAGE
                return
            found = others.nearest(sample, self.candidates, rng) if others else self._spoilt(sample, rng)
            if not found:
                yield Unfit.NO_OTHER
            for (images, target), hard in zip(found, self._hard(sample, [i for i, _ in found]), strict=True):
                made = Counterfactual(sample.id, self.name, target, sample.factual, images=images)
                yield made if hard else Unfit.EASY

        return propose

    def _hard(self, sample: Sample, others: Sequence[Images]) -> list[bool]:
        """Whether the text stays likely under each of the other images; asked for all of them at once."""
        if not self.needs or not others:
            return [True] * len(others)
        assert self._scorer is not None
        shown = [sample, *(replace(sample, images=images) for images in others)]
        own, *under_others = self._scorer.score(shown, [sample.factual] * len(shown))
        return [logp >= own - self.margin for logp in under_others]

    def _spoilt(self, sample: Sample, rng: np.random.Generator) -> list[tuple[Images, str]]:
        """The sample's own images with noise, or parts of them; they argue for nothing."""
        return [
            (tuple(replace(i, edits=(*i.edits, self._edit(rng))) for i in sample.images), "")
            for _ in range(self.candidates)
        ]

    def _edit(self, rng: np.random.Generator) -> Edit:
        if self.source == "noise":
            return Edit("noise", (("seed", float(rng.integers(2**31))), ("strength", self.strength)))
        side = float(np.sqrt(self.crop_share))
        x, y = (float(corner) for corner in rng.uniform(0, 1 - side, size=2))
        return crop_edit(x, y, side)


class Others:
    """The images of a pool by how alike their reports are.

    Args:
        pool: Samples that may lend their images.
        graph: Whose attributes are compared.
    """

    def __init__(self, pool: Sequence[Sample], graph: ConceptGraph) -> None:
        judge = lexicon_judge(Lexicon(graph))
        self._diagnoses = frozenset({*graph.diseases, graph.default})
        self._pool, self._places = pool, {sample.id: place for place, sample in enumerate(pool)}
        self._neighbours = Neighbours([self._states(sample, judge(sample.factual.thinking)) for sample in pool])

    def nearest(self, sample: Sample, count: int, rng: np.random.Generator) -> list[tuple[Images, str]]:
        """Images of the samples most like one, of other groups and with another result, and that result.

        Among equally distant ones the order is drawn.
        """
        found: list[tuple[Images, str]] = []
        for other in (self._pool[place] for place in self._neighbours.ranked(self._places[sample.id], rng)):
            target = other_result(sample, other, self._diagnoses)
            if target is not None and other.group != sample.group and other.images and other.images != sample.images:
                found.append((other.images, target))
                if len(found) == count:
                    break
        return found

    @staticmethod
    def _states(sample: Sample, said: Mapping[str, LabelState]) -> Mapping[str, LabelState]:
        """What the report says of attributes, and the labels, which speak where the report is in other words."""
        return {**{f"label {name}": state for name, state in sample.labels.items()}, **said}


def other_result(sample: Sample, other: Sample, diagnoses: Set[str]) -> str | None:
    """A result of the other sample that is false of this one, if this one also has a result that is false of the other.

    Without the latter the text would be true of the other image, though it would not say all.

    Args:
        sample: Whose text it is.
        other: Whose image it is.
        diagnoses: Results that count: a pacemaker more or less is no other diagnosis.
    """
    if not any(result in diagnoses and not may_be_true(other, result) for result in sample.results):
        return None
    return next((r for r in other.results if r in diagnoses and not may_be_true(sample, r)), None)
