"""Reads a report of this world back: the judge of counterfactuals.

It shares no code with the lexicon that writes the sentences (see `cpo.world.wordings`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from cpo.graph.lexicon import Mention
from cpo.graph.schema import ConceptGraph
from cpo.records import LabelState
from cpo.world.chest import words
from cpo.world.wordings import Wordings, contradictory, plain_form, sentences_of, strongest

_SECTION = re.compile(r"(?:^|\n) *([A-Z][A-Z ()/,-]*):\s")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a report says, sentence by sentence.

    Args:
        mentions: Attributes in the order in which the findings mention them.
        devices: Support devices mentioned, in the order of mention.
        opening: Site and view that the habitual opening tells, or None.
        impression: Diseases that the impression names, present or uncertain; empty when it names none.
        unread: Sentences of the findings that are none of these.
    """

    mentions: tuple[Mention, ...]
    devices: tuple[str, ...]
    opening: tuple[str, str] | None
    impression: Mapping[str, LabelState]
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
    """Reads reports written in the words of a concept graph."""

    def __init__(self, graph: ConceptGraph) -> None:
        super().__init__(graph)
        self._openings = {plain_form(text): key for key, texts in words.PHRASES.items() for text in texts}
        self._devices = {plain_form(text): name for name, texts in words.DEVICES.items() for text in texts}

    def read(self, text: str) -> Reading:
        """Reads a whole report, or findings without headers."""
        sections = _sections(text)
        mentions: list[Mention] = []
        devices: list[str] = []
        unread: list[str] = []
        opening = None
        for sentence in sentences_of(sections.get("FINDINGS", text if not sections else "")):
            plain = plain_form(sentence)
            said = self.meanings(plain)
            mentions += said
            if plain in self._openings:
                opening = self._openings[plain]
            elif plain in self._devices:
                devices.append(self._devices[plain])
            elif not said:
                unread.append(sentence)
        impression = _read_impression(sections.get("IMPRESSION", ""))
        return Reading(tuple(mentions), tuple(devices), opening, impression, tuple(unread))


@lru_cache(maxsize=1)
def _reader() -> Reader:
    return Reader(ConceptGraph.load("chest"))


def read(report_text: str) -> Reading:
    """What a report of the chest world says; findings without headers are read too.

    Example:
        >>> reading = read("PA view of the chest. There may be a round nodule in the left lung. The ribs are intact.")
        >>> reading.opening, reading.unread, {name: state.value for name, state in reading.states.items()}
        (('A', 'PA'), (), {'rib break': 'absent', 'nodule': 'uncertain'})
    """
    return _reader().read(report_text)


def told(report_text: str) -> list[tuple[str, list[tuple[str, bool]]]]:
    """A report section by section: its sentences, each with whether it states a finding, sure or hedged.

    Example:
        >>> told(" FINDINGS: PA view of the chest. There may be a round nodule in the left lung.")
        [('FINDINGS', [('PA view of the chest.', False), ('There may be a round nodule in the left lung.', True)])]
    """
    reader = _reader()
    stated = (LabelState.PRESENT, LabelState.UNCERTAIN)
    return [
        (name, [(s, any(m.state in stated for m in reader.meanings(s))) for s in sentences_of(body)])
        for name, body in _sections(report_text).items()
    ]


def _sections(text: str) -> dict[str, str]:
    parts = _SECTION.split(text)
    return {name.strip(): body for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def _read_impression(text: str) -> dict[str, LabelState]:
    said: dict[str, LabelState] = {}
    for sentence in sentences_of(re.sub(r"(?m)^\s*\d+\.\s", " ", text)):
        plain = plain_form(sentence)
        for disease, name in words.IMPRESSIONS.items():
            for state, forms in ((LabelState.PRESENT, words.SURE), (LabelState.UNCERTAIN, words.UNSURE)):
                if plain in {plain_form(form.format(disease=name)) for form in forms}:
                    said[disease] = state
    return said
