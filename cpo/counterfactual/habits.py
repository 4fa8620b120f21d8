"""How a pool of reports usually speaks: what a counterfactual follows so that its style gives nothing away."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, combinations, pairwise, product
from typing import TypeVar

import numpy as np

from cpo.counterfactual.statements import ASSERTED, Statement, states_of
from cpo.graph.lexicon import SEVERITIES, SIDES, Mention
from cpo.records import LabelState, Sample

Option = TypeVar("Option")
Manner = tuple[str | None, str | None]
"""Side and severity; None where an attribute has none."""


@dataclass(frozen=True)
class Habits:
    """Counts over a pool; its order does not matter.

    Args:
        samples: Samples in the pool.
        results: Samples of which a result is true.
        asserted: Samples that assert or hedge an attribute.
        negated: Samples that negate an attribute.
        together: `together[result][attribute]`: samples of the result that assert or hedge the attribute.
        pairs: Samples that assert or hedge both attributes of a pair, names in alphabetical order.
        follows: `follows[one][other]`: statements about `other` next after one about `one`, whatever they say of it;
            `OTHER` stands for statements about no attribute, `EDGE` for what is before the first and after the last.
        manners: `manners[attribute][side, severity]`: its mentions in that manner, negations apart.
    """

    samples: int
    results: Mapping[str, int]
    asserted: Mapping[str, int]
    negated: Mapping[str, int]
    together: Mapping[str, Mapping[str, int]]
    pairs: Mapping[tuple[str, str], int]
    follows: Mapping[str, Mapping[str, int]]
    manners: Mapping[str, Mapping[Manner, int]]

    @classmethod
    def of(cls, pool: Iterable[tuple[Sample, tuple[Statement, ...]]]) -> Habits:
        """Counted over samples and the statements of their thinking."""
        samples, results = 0, Counter[str]()
        asserted, negated = Counter[str](), Counter[str]()
        together: defaultdict[str, Counter[str]] = defaultdict(Counter)
        pairs = Counter[tuple[str, str]]()
        follows: defaultdict[str, Counter[str]] = defaultdict(Counter)
        manners: defaultdict[str, Counter[Manner]] = defaultdict(Counter)
        for sample, statements in pool:
            samples += 1
            results.update(sample.results)
            states = states_of(statements)
            said = sorted(a for a, state in states.items() if state in ASSERTED)
            asserted.update(said)
            pairs.update(combinations(said, 2))
            negated.update(a for a, state in states.items() if state is LabelState.ABSENT)
            for result in sample.results:
                together[result].update(said)
            for one, other in pairwise(chain([EDGE], (s.topic or OTHER for s in statements), [EDGE])):
                follows[one][other] += 1
            for mention in (m for s in statements for m in s.mentions if m.state in ASSERTED):
                manners[mention.attribute][mention.side, mention.severity] += 1
        return cls(samples, results, asserted, negated, together, pairs, follows, manners)

    def prevalence(self, result: str) -> float:
        """Share of the pool of which a result is true, in (0, 1): half a sample is added to either side."""
        return (self.results.get(result, 0) + 0.5) / (self.samples + 1)

    def negation_rate(self, attribute: str) -> float:
        """How often a report that does not assert the attribute negates it, in [0, 1]; 0 where all assert it."""
        silent = self.samples - self.asserted.get(attribute, 0)
        return self.negated.get(attribute, 0) / silent if silent else 0.0

    def weight(self, attribute: str, result: str) -> float:
        """How readily reports of a result assert an attribute: their number plus one half."""
        return self.together.get(result, {}).get(attribute, 0) + 0.5

    def clash(self, one: str, other: str) -> bool:
        """Whether two attributes never go together in the pool, though by chance they would in `CLASH` samples or more.

        A narrow heart does not go with an enlarged one, and no relation between a disease and an attribute says so.
        """
        expected = self.asserted.get(one, 0) * self.asserted.get(other, 0) / self.samples
        return expected >= CLASH and not self.pairs.get((min(one, other), max(one, other)), 0)

    def tells(self, attribute: str) -> bool:
        """Whether any report of the pool speaks of the attribute, so that its usual place is known."""
        return attribute in self.follows

    def odds(self, before: str, attribute: str, after: str) -> float:
        """How much likelier a text becomes by a statement between two others, up to a factor, > 0.

        P(attribute | before) · P(after | attribute) / P(after | before) under a Markov chain of topics.

        Args:
            before: Topic of the statement before, `OTHER` or `EDGE`.
            attribute: Topic of the statement between them.
            after: Topic of the statement after.
        """
        return self._step(before, attribute) * self._step(attribute, after) / self._step(before, after)

    def _step(self, one: str, other: str) -> float:
        return self.follows.get(one, {}).get(other, 0) + RARE_STEP

    def mention(self, attribute: str, like: Mention | None, side: str | None, rng: np.random.Generator) -> Mention:
        """A mention that asserts an attribute; side and severity are inherited where they can be, else as in the pool.

        Args:
            attribute: What is asserted.
            like: The mention whose place it takes, if any.
            side: Side of the edits made so far, where `like` has none.
            rng: Draws what is inherited from nowhere.
        """
        usual_side, usual_severity = draw(self.manners.get(attribute) or ANY_MANNER, rng)
        return Mention(
            attribute,
            LabelState.PRESENT,
            side=(like and like.side) or side or usual_side,
            severity=(like and like.severity) or usual_severity,
        )


OTHER, EDGE = "other", "edge"
RARE_STEP = 0.02
"""Added to counted steps, so that none is impossible and those never seen are all but."""

CLASH = 5.0
"""Expected co-occurrences from which on none at all is no accident: its probability is then e⁻⁵, below 1 %."""

ANY_MANNER: Mapping[Manner, int] = dict.fromkeys(product(SIDES, SEVERITIES), 1)
"""For attributes that the pool never asserts."""


def draw(weights: Mapping[Option, float], rng: np.random.Generator) -> Option:
    """One of the keys in proportion to its weight (> 0), whatever the order of the mapping."""
    options = sorted(weights, key=str)
    left = rng.random() * sum(weights[option] for option in options)
    for option in options:
        left -= weights[option]
        if left < 0:
            break
    return option
