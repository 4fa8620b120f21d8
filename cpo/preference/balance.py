"""Balance: a fixed share of every batch from pairs whose sample contradicts a tie, as far as anyone can see it.

A tie says that a cause and an effect go together. A sample contradicts it when it has one without the other, by its
labels, its metadata or the words of its report: no world's truth is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Literal, get_args

from cpo.errors import ConfigError, DataError
from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph
from cpo.records import LabelState, PreferencePair, Sample

BalanceName = Literal["none", "conflict"]
Seen = Callable[[Sample], bool]


class ConflictBalance:
    """Rows of a tie's two cells of conflict, mixed into a stream of pairs at a fixed share.

    The number of pairs stays. Of the kind that is too many, some are left out, evenly over the stream; the other is
    gone through again and again, in its own order. Any n pairs in a row hold share · n of conflict, rounded up or down,
    so that a batch does, however large. Pairs keep their time, but those that come again do not come at it: a balanced
    stream is no longer one that is tested on before it is trained on.

    Args:
        cause: What the tie ties: `key=value` of the metadata, a result, or an attribute that the report asserts.
        effect: The result that it is tied to.
        share: Share of pairs that contradict the tie, in (0, 1).
        graph: Knows the attributes, where the cause is one.

    Raises:
        ConfigError: `share` out of range, or cause and effect missing or equal.
    """

    def __init__(self, *, cause: str, effect: str, share: float, graph: str) -> None:
        if not 0 < share < 1:
            raise ConfigError(
                got=f"pairing.share={share}", wanted="0 < share < 1", remedy="pass pairing.share=0.5 for half a batch"
            )
        if not cause or not effect or cause == effect:
            raise ConfigError(
                got=f"pairing.cause={cause!r}, pairing.effect={effect!r}",
                wanted="two different things that a tie ties",
                remedy="pass pairing.cause=view=AP pairing.effect=Cardiomegaly, for example",
            )
        self.cause, self.effect = cause, effect
        self.share = Fraction(str(share))
        self._has_cause = _seen(cause, ConceptGraph.load(graph))

    def contradicts(self, sample: Sample) -> bool:
        """Whether a sample has the cause without the effect, or the effect without the cause."""
        return self._has_cause(sample) != (self.effect in sample.results)

    def __call__(self, pairs: Sequence[PreferencePair]) -> tuple[tuple[PreferencePair, ...], dict[str, int]]:
        """The pairs in their new order, and what was done: pairs of each kind, repeated and left out.

        Raises:
            DataError: No pair contradicts the tie, or all do.
        """
        verdicts: dict[str, bool] = {}
        for pair in pairs:
            if pair.sample.id not in verdicts:
                verdicts[pair.sample.id] = self.contradicts(pair.sample)
        conflict = [n for n, pair in enumerate(pairs) if verdicts[pair.sample.id]]
        ordinary = [n for n, pair in enumerate(pairs) if not verdicts[pair.sample.id]]
        if not conflict or not ordinary:
            raise DataError(
                got=f"{len(conflict)} of {len(pairs)} pairs contradict the tie of {self.cause} and {self.effect}",
                wanted="some that do and some that do not",
                remedy="correct pairing.cause and pairing.effect, or pass pairing.balance=none",
            )
        order = mixed(ordinary, conflict, self.share)
        used = Counter(order)
        counts = {
            "conflict": len(conflict),
            "ordinary": len(ordinary),
            "conflict used": sum(used[n] for n in conflict),
            "repeated": sum(times - 1 for times in used.values()),
            "left out": len(pairs) - len(used),
        }
        return tuple(pairs[n] for n in order), counts


def mixed(ordinary: Sequence[int], conflict: Sequence[int], share: Fraction) -> list[int]:
    """As many items as there are, a share of them of conflict at every stretch, each kind in its own order.

    A kind with more items than places is thinned evenly; one with fewer is gone through again.

    Args:
        ordinary: At least one.
        conflict: At least one.
        share: In (0, 1).

    Example:
        >>> mixed([0, 1, 2, 4, 5, 7], [3, 6], Fraction(1, 2))
        [0, 3, 1, 6, 4, 3, 5, 6]
    """
    total = len(ordinary) + len(conflict)
    due = [int((n + 1) * share) - int(n * share) for n in range(total)]
    slots = (total - sum(due), sum(due))
    at = [0, 0]
    order = []
    for kind in due:
        source, places = (ordinary, conflict)[kind], slots[kind]
        order.append(source[at[kind] * len(source) // places if places < len(source) else at[kind] % len(source)])
        at[kind] += 1
    return order


def balance_of(balance: BalanceName, *, cause: str, effect: str, share: float, graph: str) -> ConflictBalance | None:
    """The balance of a name; None leaves pairs as they come.

    Raises:
        ConfigError: An unknown name, or one of its knobs out of range.
    """
    if balance not in get_args(BalanceName):
        raise ConfigError(
            got=f"pairing.balance={balance}",
            wanted=f"one of {', '.join(get_args(BalanceName))}",
            remedy="pass pairing.balance=conflict, with pairing.cause and pairing.effect",
        )
    return None if balance == "none" else ConflictBalance(cause=cause, effect=effect, share=share, graph=graph)


def _seen(cause: str, graph: ConceptGraph) -> Seen:
    """Whether a sample shows the cause."""
    key, equals, value = cause.partition("=")
    if equals:
        return lambda sample: sample.metadata.get(key) == value
    if cause not in graph.attributes:
        return lambda sample: cause in sample.results
    lexicon = Lexicon(graph)

    def asserted(sample: Sample) -> bool:
        sentences = lexicon.split_sentences(sample.factual.thinking)
        mentions = (m for sentence in sentences for m in lexicon.mentions(sentence))
        return any(m.attribute == cause and m.state is LabelState.PRESENT for m in mentions)

    return asserted
