"""The words of a concept graph, both ways: from a sentence to the attributes it mentions, and back.

Every wording has finitely many fillings, so all sentences are spelt out once into a table: reading is one look-up, and
two attributes that could be confused are an error when the table is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from cpo.errors import DataError
from cpo.graph.schema import Attribute, ConceptGraph
from cpo.records import LabelState

SIDES = ("left", "right")
SEVERITIES = ("mild", "moderate", "severe")
SIZES = {"mild": "small", "moderate": "moderate", "severe": "large"}
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_EXISTENTIAL = re.compile(r"^There (?:is|are) ")
_ARTICLE = re.compile(r"^(?:an?|the) ")


@dataclass(frozen=True, slots=True)
class Mention:
    """What a sentence says of one attribute.

    Args:
        attribute: Name in the graph.
        state: Present, absent or uncertain.
        side: `left` or `right`, for lateral attributes that are not negated.
        severity: `mild`, `moderate` or `severe`, for graded attributes that are not negated.
    """

    attribute: str
    state: LabelState
    side: str | None = None
    severity: str | None = None


def split_sentences(text: str) -> tuple[str, ...]:
    r"""Sentences in order, white space (and the line breaks of a wrapped report) folded into single spaces.

    Example:
        >>> split_sentences(" The heart size is normal. There is\n no pleural effusion.")
        ('The heart size is normal.', 'There is no pleural effusion.')
    """
    folded = " ".join(text.split())
    return tuple(_SENTENCE_END.split(folded)) if folded else ()


def hedged(sentence: str) -> tuple[str, ...]:
    """The hedged forms of an asserting sentence; none unless it begins with "There is" or "There are".

    Example:
        >>> hedged("There is a round nodule.")
        ('There may be a round nodule.', 'Possible round nodule.', 'A round nodule cannot be excluded.')
    """
    if not _EXISTENTIAL.match(sentence):
        return ()
    rest = _EXISTENTIAL.sub("", sentence)
    bare = rest.removesuffix(".")
    return (f"There may be {rest}", f"Possible {_ARTICLE.sub('', rest)}", f"{_capital(bare)} cannot be excluded.")


class Lexicon:
    """Reads and writes sentences about the attributes of a graph.

    Args:
        graph: Gives the wordings.

    Raises:
        DataError: A wording lacks a placeholder it needs or has one it must not have, an attribute cannot be hedged,
            or one sentence would mean two things.

    Example:
        >>> lexicon = Lexicon(ConceptGraph.load("chest"))
        >>> lexicon.write("enlarged heart", LabelState.PRESENT, severity="mild", wording=1)
        'The heart is mildly enlarged.'
        >>> lexicon.mentions("the heart is mildly enlarged")
        (Mention(attribute='enlarged heart', state=<LabelState.PRESENT: 'present'>, side=None, severity='mild'),)
        >>> lexicon.mentions("The patient is rotated.")
        ()
    """

    def __init__(self, graph: ConceptGraph) -> None:
        self.graph = graph
        self._templates: dict[tuple[str, LabelState], tuple[str, ...]] = {}
        self._meaning: dict[str, Mention] = {}
        for attribute in graph.attributes.values():
            _check_wordings(attribute)
            self._templates[attribute.name, LabelState.PRESENT] = attribute.wordings_present
            self._templates[attribute.name, LabelState.ABSENT] = attribute.wordings_absent
            forms = tuple(form for wording in attribute.wordings_present for form in hedged(wording))
            self._templates[attribute.name, LabelState.UNCERTAIN] = forms
            for sentence, mention in self._spell_out(attribute):
                self._learn(sentence, mention)

    def split_sentences(self, text: str) -> tuple[str, ...]:
        """Sentences in order, white space folded."""
        return split_sentences(text)

    def mentions(self, sentence: str) -> tuple[Mention, ...]:
        """The attributes that a sentence mentions; empty when it is about something else."""
        mention = self._meaning.get(_key(sentence))
        return () if mention is None else (mention,)

    def choices(self, attribute: str, state: LabelState) -> int:
        """How many wordings there are for an attribute in a state."""
        return len(self._wordings(attribute, state))

    def write(
        self,
        attribute: str,
        state: LabelState,
        side: str | None = None,
        severity: str | None = None,
        wording: int = 0,
    ) -> str:
        """One sentence that says `state` of `attribute`; `mentions` reads it back.

        Args:
            attribute: Name in the graph.
            state: Present, absent or uncertain.
            side: Needed for lateral attributes that are not negated; ignored by negations.
            severity: Needed for graded attributes that are not negated; ignored by negations.
            wording: Which one, in [0, choices).

        Raises:
            DataError: No such wording, or a side or severity that it needs is missing or unknown.
        """
        wordings = self._wordings(attribute, state)
        if not 0 <= wording < len(wordings):
            raise DataError(
                got=f"wording {wording} of {attribute!r}, {state.value}",
                wanted=f"0 to {len(wordings) - 1}",
                remedy="draw it below Lexicon.choices(attribute, state)",
            )
        template = wordings[wording]
        if "{side}" in template and side not in SIDES:
            raise DataError(got=f"side {side!r} of {attribute!r}", wanted=f"one of {SIDES}", remedy="pass its side")
        if ("{severity}" in template or "{size}" in template) and severity not in SEVERITIES:
            raise DataError(
                got=f"severity {severity!r} of {attribute!r}", wanted=f"one of {SEVERITIES}", remedy="pass its severity"
            )
        return _fill(template, side, severity)

    def _wordings(self, attribute: str, state: LabelState) -> tuple[str, ...]:
        wordings = self._templates.get((attribute, state))
        if wordings is None:
            raise DataError(
                got=f"{attribute!r}, {state.value}",
                wanted=f"an attribute of the graph {self.graph.name!r} that is present, absent or uncertain",
                remedy="correct the spelling, or load the graph that has it",
            )
        return wordings

    def _spell_out(self, attribute: Attribute) -> Iterator[tuple[str, Mention]]:
        for sentence in attribute.wordings_absent:
            yield sentence, Mention(attribute.name, LabelState.ABSENT)
        sides = SIDES if attribute.lateral else (None,)
        severities = SEVERITIES if attribute.graded else (None,)
        for state in (LabelState.PRESENT, LabelState.UNCERTAIN):
            for template, side, severity in product(self._templates[attribute.name, state], sides, severities):
                yield _fill(template, side, severity), Mention(attribute.name, state, side, severity)

    def _learn(self, sentence: str, mention: Mention) -> None:
        earlier = self._meaning.setdefault(_key(sentence), mention)
        if earlier != mention:
            raise DataError(
                got=f"{sentence!r} means {earlier} and {mention}",
                wanted="one meaning for every sentence",
                remedy="reword one of the two attributes in the graph's file",
            )


def _check_wordings(attribute: Attribute) -> None:
    for wording in attribute.wordings_present:
        graded = ("{severity}" in wording) + ("{size}" in wording)
        if ("{side}" in wording) != attribute.lateral or graded != attribute.graded:
            raise DataError(
                got=f"{attribute.name!r}: {wording!r}",
                wanted="{side} exactly when lateral, one of {severity} and {size} exactly when graded",
                remedy="correct the sentence or the attribute in the graph's file",
            )
    if not any(hedged(wording) for wording in attribute.wordings_present):
        raise DataError(
            got=f"{attribute.name!r} has no sentence that begins with 'There is' or 'There are'",
            wanted="one, so that the attribute can be hedged",
            remedy="add one to the graph's file",
        )
    for wording in attribute.wordings_absent:
        if "{" in wording:
            raise DataError(
                got=f"{attribute.name!r}: {wording!r}",
                wanted="negating sentences without placeholders",
                remedy="correct the sentence in the graph's file",
            )


def _fill(template: str, side: str | None, severity: str | None) -> str:
    text = template.replace("{side}", side or "")
    if severity is not None:
        text = text.replace("{severity}", severity).replace("{size}", SIZES[severity])
    return _capital(text)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _key(sentence: str) -> str:
    return " ".join(sentence.split()).rstrip(".").lower()
