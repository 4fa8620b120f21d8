"""What a swap of words in a thinking does to results: with the rest forced, and with the policy going on by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from cpo.answers import CLOSE, OPEN
from cpo.diagnostics.thinking import jensen_shannon
from cpo.evaluation.token_swap import Swap
from cpo.policy.results import ResultScorer, Thought
from cpo.records import Sample

Floats = NDArray[np.float64]
FORCED, CONTINUED = "forced", "continued"


@dataclass(frozen=True, slots=True)
class Swapped:
    """A swap in one thinking and the two thinkings that it leads to.

    Args:
        at: Place of the sample among those judged.
        swap: The swap.
        texts: The thinking with the rest as it was (`forced`), and as the policy went on (`continued`).
        before: Distribution over results without the swap, [Z], for either.
        after: With it.
    """

    at: int
    swap: Swap
    texts: dict[str, str]
    before: dict[str, Floats]
    after: dict[str, Floats]

    def divergence(self, way: str) -> float:
        """Jensen–Shannon divergence between the results without and with the swap, bits."""
        return float(jensen_shannon(self.before[way], self.after[way]))

    def changes(self, way: str) -> bool:
        """Whether the most likely result is another one."""
        return bool(self.before[way].argmax() != self.after[way].argmax())


class SwapJudge:
    """Asks a policy for the results behind swapped thinkings.

    Args:
        scorer: Scores results.
        samples: The judged samples.
        thinkings: Their thinkings, as they were.
        final: Distributions over results after each of them whole, [N, Z].
        own: Whether the thinkings are what the policy writes itself, greedily: going on from an unswapped prefix then
            leads back to them. For others the policy also goes on without the swap, and that is what is held against.
        batch_size: Samples per forward pass.
        max_new_tokens: Longest continuation, answer included, in tokens.
    """

    def __init__(
        self,
        scorer: ResultScorer,
        samples: Sequence[Sample],
        thinkings: Sequence[str],
        final: Sequence[Floats],
        *,
        own: bool,
        batch_size: int,
        max_new_tokens: int,
    ) -> None:
        self.scorer, self.samples, self.thinkings, self.final = scorer, samples, thinkings, final
        self.own, self.batch_size, self.max_new_tokens = own, batch_size, max_new_tokens

    def judge(self, swaps: Sequence[tuple[int, Swap]]) -> list[Swapped]:
        """Each swap with what it leads to, in order.

        Args:
            swaps: Places of samples, and a swap in the thinking of each.
        """
        at = [n for n, _ in swaps]
        forced = [swap.applied(self.thinkings[n]) for n, swap in swaps]
        continued = self._go_on(at, [swap.prefix(self.thinkings[n]) for n, swap in swaps])
        # without the swap the prefix ends with the old words
        plain = None if self.own else self._go_on(at, [self.thinkings[n][: swap.end] for n, swap in swaps])
        after_forced, after_continued = self._ends(at, forced), self._ends(at, continued)
        before = [self.final[n] for n in at]
        before_continued = before if plain is None else self._ends(at, plain)
        return [
            Swapped(
                n,
                swap,
                {FORCED: forced[i], CONTINUED: continued[i]},
                {FORCED: before[i], CONTINUED: before_continued[i]},
                {FORCED: after_forced[i], CONTINUED: after_continued[i]},
            )
            for i, (n, swap) in enumerate(swaps)
        ]

    def _go_on(self, at: Sequence[int], prefixes: Sequence[str]) -> list[str]:
        batches: Iterable[list[str]] = self.scorer.policy.completions(
            [self.samples[n] for n in at],
            batch_size=self.batch_size,
            max_new_tokens=self.max_new_tokens,
            prefixes=[f"{OPEN} {prefix}" for prefix in prefixes],
        )
        return [thinking_of(text) for text in chain.from_iterable(batches)]

    def _ends(self, at: Sequence[int], thinkings: Sequence[str]) -> list[Floats]:
        thoughts = [Thought(self.samples[n], text, (len(text),)) for n, text in zip(at, thinkings, strict=True)]
        return [z[0] for z in self.scorer.distributions(thoughts, batch_size=self.batch_size)]


def thinking_of(text: str) -> str:
    """What a completion thinks: from its opening tag to its closing one or, where there is none, to its end.

    Example:
        >>> thinking_of("<think> Clear lungs. </think> The disease of this patient is No Finding.")
        'Clear lungs.'
        >>> thinking_of("The disease of this patient is No Finding.")
        ''
    """
    return text.partition(OPEN)[2].partition(CLOSE)[0].strip()
