"""A thinking as statements: its sentences, what each says of which attribute, and a draft that edits them singly."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cpo.graph.lexicon import Lexicon, Mention
from cpo.records import LabelState

_WORD = re.compile(r"\S+")
_STRENGTH = (LabelState.PRESENT, LabelState.UNCERTAIN, LabelState.ABSENT)
ASSERTED = frozenset({LabelState.PRESENT, LabelState.UNCERTAIN})
"""States in which a report gives an attribute some weight."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence as the text has it.

    Args:
        gap: The white space before it.
        text: The sentence, its own white space kept.
        mentions: What it says of which attributes; none for a sentence about something else.
    """

    gap: str
    text: str
    mentions: tuple[Mention, ...]

    @property
    def topic(self) -> str | None:
        """The first attribute that it mentions, in whatever state."""
        return self.mentions[0].attribute if self.mentions else None


def read_statements(lexicon: Lexicon, text: str) -> tuple[Statement, ...]:
    """The statements of a text; gaps and texts joined again are the text, but for white space at its end.

    Args:
        lexicon: Splits sentences and reads them.
        text: Any thinking.
    """
    words = [match.span() for match in _WORD.finditer(text)]
    statements, first, end = list[Statement](), 0, 0
    for sentence in lexicon.split_sentences(text):
        # the lexicon folds white space, so a sentence is found again by its number of words
        last = first + len(sentence.split()) - 1
        start, stop = words[first][0], words[last][1]
        statements.append(Statement(text[end:start], text[start:stop], lexicon.mentions(sentence)))
        first, end = last + 1, stop
    return tuple(statements)


def strongest(mentions: Iterable[Mention]) -> dict[str, LabelState]:
    """The state of each mentioned attribute; of several mentions present outweighs uncertain, and that absent."""
    states: dict[str, LabelState] = {}
    for mention in mentions:
        earlier = states.get(mention.attribute, mention.state)
        states[mention.attribute] = min(earlier, mention.state, key=_STRENGTH.index)
    return states


def states_of(statements: Iterable[Statement]) -> dict[str, LabelState]:
    """The state of each attribute that the statements mention."""
    return strongest(mention for statement in statements for mention in statement.mentions)


Spot = tuple[int, int]
"""Where a sentence can be put: a place, and how many of the statements there come before it."""


class Draft:
    """Statements under edit; what is not edited stays word for word, its white space included.

    Args:
        statements: Of the factual thinking.
    """

    def __init__(self, statements: tuple[Statement, ...]) -> None:
        self._gaps = [statement.gap for statement in statements]
        # statements told at each place; places keep their numbers under every edit
        self._places = [[statement] for statement in statements]

    @property
    def order(self) -> list[tuple[Spot, str | None]]:
        """The spot before each statement that is left, and what the statement is about."""
        return [((p, i), s.topic) for p, place in enumerate(self._places) for i, s in enumerate(place)]

    @property
    def end(self) -> Spot:
        """The spot behind the last statement."""
        return len(self._places) - 1, len(self._places[-1])

    def replace(self, place: int, text: str, mention: Mention) -> None:
        """Puts a sentence in the place of the statement there."""
        self._places[place] = [Statement(self._gaps[place], text, (mention,))]

    def drop(self, place: int) -> None:
        """Takes the statement out; its place stays, empty."""
        self._places[place] = []

    def insert(self, spot: Spot, text: str, mention: Mention) -> None:
        """Puts a sentence into a spot."""
        place, index = spot
        gap = " " if self._places[place] else self._gaps[place]
        self._places[place].insert(index, Statement(gap, text, (mention,)))

    @property
    def text(self) -> str:
        """The edited text."""
        kept = [statement for place in self._places for statement in place]
        if not kept:
            return ""
        # whatever comes first opens the text as its first statement did
        gaps = (self._gaps[0], *(statement.gap or " " for statement in kept[1:]))
        return "".join(gap + statement.text for gap, statement in zip(gaps, kept, strict=True))
