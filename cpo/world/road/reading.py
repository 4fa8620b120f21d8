"""Reads a text of this world back: the judge of counterfactuals.

It shares no code with the lexicon that writes the sentences (see `cpo.world.wordings`), nor with what writes actions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from cpo.graph.lexicon import Mention
from cpo.graph.schema import ConceptGraph
from cpo.records import LabelState
from cpo.world.road import words
from cpo.world.wordings import Wordings, contradictory, plain_form, sentences_of, strongest

_SUGGESTION = re.compile(r"the ego car should (?P<actions>.+)")
_NARRATION = re.compile(r"the car (?P<actions>.+)")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says, sentence by sentence.

    Args:
        mentions: Attributes in the order of mention.
        actions: What the ego car should do or does, empty where it keeps going; None if no sentence says it.
        nuisances: Night, bus lane and surroundings as far as they are told.
        unread: Sentences that are none of these.
    """

    mentions: tuple[Mention, ...]
    actions: tuple[str, ...] | None
    nuisances: Mapping[str, object]
    unread: tuple[str, ...]

    @property
    def states(self) -> dict[str, LabelState]:
        """State of every attribute mentioned; of several mentions the strongest: present, uncertain, absent."""
        return strongest(self.mentions)

    @property
    def contradictions(self) -> tuple[str, ...]:
        """Attributes that are mentioned in two states, on two sides or in two grades."""
        return contradictory(self.mentions)


class Reader(Wordings):
    """Reads descriptions, suggestions and narrations written in the words of the driving graph."""

    def __init__(self, graph: ConceptGraph) -> None:
        super().__init__(graph)
        self._graph = graph
        self._told = {
            plain_form(text): (name, value)
            for name, values in words.TOLD.items()
            for value, texts in values.items()
            for text in texts
        }

    def read(self, text: str) -> Reading:
        """Reads a description, with or without the sentence that names the actions."""
        mentions: list[Mention] = []
        nuisances: dict[str, object] = {}
        unread: list[str] = []
        actions: tuple[str, ...] | None = None
        for sentence in sentences_of(text):
            plain = plain_form(sentence)
            said, named = self.meanings(plain), self.actions(plain)
            mentions += said
            if plain in self._told:
                name, value = self._told[plain]
                nuisances[name] = value
            elif named is not None:
                actions = named
            elif not said:
                unread.append(sentence)
        return Reading(tuple(mentions), actions, nuisances, tuple(unread))

    def actions(self, sentence: str) -> tuple[str, ...] | None:
        """The actions that a sentence names, empty for the default one; None if it is about something else."""
        plain = plain_form(sentence)
        results = (*self._graph.diseases, self._graph.default)
        for pattern, told in (
            (_SUGGESTION, {name: name for name in results}),
            (_NARRATION, {phrase: name for name, phrase in self._graph.phrases.items()}),
        ):
            found = pattern.fullmatch(plain)
            parts = re.split(r", | and ", found["actions"]) if found else []
            if parts and all(part in told for part in parts):
                named = [told[part] for part in parts]
                return tuple(name for name in self._graph.diseases if name in named)
        return None


@lru_cache(maxsize=1)
def _reader() -> Reader:
    return Reader(ConceptGraph.load("driving"))


def read(text: str) -> Reading:
    """What a text of the road worlds says.

    Example:
        >>> reading = read("It is night. There may be a red traffic light ahead. The ego car should keep going.")
        >>> reading.nuisances, reading.actions, {name: state.value for name, state in reading.states.items()}
        ({'night': True}, (), {'red light': 'uncertain'})
    """
    return _reader().read(text)


def told(text: str) -> list[tuple[str, bool]]:
    """The sentences of a text, each with whether it states an attribute to be there, surely or possibly.

    Example:
        >>> told("It is day. There is no fog. The traffic light is red.")
        [('It is day.', False), ('There is no fog.', False), ('The traffic light is red.', True)]
    """
    stated = (LabelState.PRESENT, LabelState.UNCERTAIN)
    return [(s, any(m.state in stated for m in _reader().meanings(s))) for s in sentences_of(text)]
