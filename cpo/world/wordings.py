"""What a sentence of a generated text means: the judge of counterfactuals.

It shares no code with the lexicon that writes the sentences: wordings become regular expressions, and a hedge is taken
off before they are tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from cpo.graph.lexicon import Mention
from cpo.graph.schema import ConceptGraph
from cpo.records import LabelState

_SLOTS = {
    "{side}": "(?P<side>left|right)",
    "{severity}": "(?P<severity>mild|moderate|severe)",
    "{size}": "(?P<size>small|moderate|large)",
}
_GRADES = {"small": "mild", "moderate": "moderate", "large": "severe"}
_HEDGES = (
    re.compile(r"^there may be (?P<rest>.+)$"),
    re.compile(r"^possible (?P<rest>.+)$"),
    re.compile(r"^(?P<rest>.+) cannot be excluded$"),
)
_STARTS = ("there is ", "there is a ", "there is an ", "there is the ", "there are ")


class Wordings:
    """The words of a concept graph, as a reader knows them."""

    def __init__(self, graph: ConceptGraph) -> None:
        self._patterns = [
            (attribute.name, state, _compile(wording))
            for attribute in graph.attributes.values()
            for state, wordings in (
                (LabelState.PRESENT, attribute.wordings_present),
                (LabelState.ABSENT, attribute.wordings_absent),
            )
            for wording in wordings
        ]

    def meanings(self, sentence: str) -> list[Mention]:
        """Every meaning that a sentence has; more than one is an ambiguity of the wordings."""
        plain = plain_form(sentence)
        doubted = (m for candidate in _without_hedge(plain) for m in self._match(candidate))
        doubts = (replace(m, state=LabelState.UNCERTAIN) for m in doubted if m.state is LabelState.PRESENT)
        return list(dict.fromkeys([*self._match(plain), *doubts]))

    def _match(self, plain: str) -> Iterator[Mention]:
        for attribute, state, pattern in self._patterns:
            found = pattern.fullmatch(plain)
            if found:
                slots = found.groupdict()
                grade = slots.get("severity") or _GRADES.get(slots.get("size") or "")
                yield Mention(attribute, state, slots.get("side"), grade)


def strongest(mentions: Sequence[Mention]) -> dict[str, LabelState]:
    """State of every attribute mentioned; of several mentions the strongest: present, uncertain, absent."""
    order = (LabelState.ABSENT, LabelState.UNCERTAIN, LabelState.PRESENT)
    ranked = sorted(mentions, key=lambda mention: order.index(mention.state))
    return {mention.attribute: mention.state for mention in ranked}


def contradictory(mentions: Sequence[Mention]) -> tuple[str, ...]:
    """Attributes that are mentioned in two states, on two sides or in two grades."""
    said: dict[str, Mention] = {}
    return tuple(m.attribute for m in mentions if said.setdefault(m.attribute, m) != m)


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, white space folded."""
    return [part for part in re.split(r"(?<=\.)\s+", " ".join(text.split())) if part]


def plain_form(sentence: str) -> str:
    """A sentence as it is compared: lower case, without its full stop."""
    return " ".join(sentence.lower().split()).rstrip(".")


def _compile(wording: str) -> re.Pattern[str]:
    pattern = re.escape(plain_form(wording))
    for slot, group in _SLOTS.items():
        pattern = pattern.replace(re.escape(slot), group)
    return re.compile(pattern)


def _without_hedge(plain: str) -> list[str]:
    rests = [found["rest"] for hedge in _HEDGES if (found := hedge.match(plain))]
    return [start + rest for rest in rests for start in _STARTS]
