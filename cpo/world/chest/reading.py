"""Reads a report of this world back: the judge of counterfactuals.

It shares no code with the lexicon that writes the sentences: wordings become regular expressions, and a hedge is taken
off before they are tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from cpo.graph.lexicon import Mention
from cpo.graph.schema import ConceptGraph
from cpo.records import LabelState
from cpo.world.chest import words

_SLOTS = {
    "{side}": "(?P<side>left|right)",
    "{severity}": "(?P<severity>mild|moderate|severe)",
    "{size}": "(?P<size>small|moderate|large)",
}
_GRADES = {"small": "mild", "moderate": "moderate", "large": "severe"}
_SECTION = re.compile(r"(?:^|\n) *([A-Z][A-Z ()/,-]*):\s")
_HEDGES = (
    re.compile(r"^there may be (?P<rest>.+)$"),
    re.compile(r"^possible (?P<rest>.+)$"),
    re.compile(r"^(?P<rest>.+) cannot be excluded$"),
)
_STARTS = ("there is ", "there is a ", "there is an ", "there is the ", "there are ")


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
        order = (LabelState.ABSENT, LabelState.UNCERTAIN, LabelState.PRESENT)
        ranked = sorted(self.mentions, key=lambda mention: order.index(mention.state))
        return {mention.attribute: mention.state for mention in ranked}

    @property
    def contradictions(self) -> tuple[str, ...]:
        """Attributes that are mentioned in two states, on two sides or in two grades."""
        said: dict[str, Mention] = {}
        return tuple(m.attribute for m in self.mentions if said.setdefault(m.attribute, m) != m)


class Reader:
    """Reads reports written in the words of a concept graph."""

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
        self._openings = {_plain(text): key for key, texts in words.PHRASES.items() for text in texts}
        self._devices = {_plain(text): name for name, texts in words.DEVICES.items() for text in texts}

    def read(self, text: str) -> Reading:
        """Reads a whole report, or findings without headers."""
        sections = _sections(text)
        mentions: list[Mention] = []
        devices: list[str] = []
        unread: list[str] = []
        opening = None
        for sentence in _sentences(sections.get("FINDINGS", text if not sections else "")):
            plain = _plain(sentence)
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

    def meanings(self, sentence: str) -> list[Mention]:
        """Every meaning that a sentence has; more than one is an ambiguity of the wordings."""
        plain = _plain(sentence)
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
        (name, [(s, any(m.state in stated for m in reader.meanings(s))) for s in _sentences(body)])
        for name, body in _sections(report_text).items()
    ]


def _sections(text: str) -> dict[str, str]:
    parts = _SECTION.split(text)
    return {name.strip(): body for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def _sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=\.)\s+", " ".join(text.split())) if part]


def _plain(sentence: str) -> str:
    return " ".join(sentence.lower().split()).rstrip(".")


def _compile(wording: str) -> re.Pattern[str]:
    pattern = re.escape(_plain(wording))
    for slot, group in _SLOTS.items():
        pattern = pattern.replace(re.escape(slot), group)
    return re.compile(pattern)


def _without_hedge(plain: str) -> list[str]:
    rests = [found["rest"] for hedge in _HEDGES if (found := hedge.match(plain))]
    return [start + rest for rest in rests for start in _STARTS]


def _read_impression(text: str) -> dict[str, LabelState]:
    said: dict[str, LabelState] = {}
    for sentence in _sentences(re.sub(r"(?m)^\s*\d+\.\s", " ", text)):
        plain = _plain(sentence)
        for disease, name in words.IMPRESSIONS.items():
            for state, forms in ((LabelState.PRESENT, words.SURE), (LabelState.UNCERTAIN, words.UNSURE)):
                if plain in {_plain(form.format(disease=name)) for form in forms}:
                    said[disease] = state
    return said
