"""From the wordings of a graph to phrases of free text: slots become optional words, forms of "to be" interchangeable.

A phrase is a list of token patterns as spaCy's `Matcher` takes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cpo.errors import DataError
from cpo.graph.schema import Attribute, ConceptGraph

Phrase = list[dict[str, Any]]

GRADES = {
    **dict.fromkeys(("mild", "mildly", "slight", "slightly", "minimal", "minimally", "small", "tiny", "trace"), "mild"),
    **dict.fromkeys(("moderate", "moderately"), "moderate"),
    **dict.fromkeys(("severe", "severely", "marked", "markedly", "large", "massive", "extensive"), "severe"),
}
"""Words for a severity."""
SIDES = {"left": "left", "right": "right"}

_ARTICLES = ("a", "an", "the")
_VERBS = ("is", "are", "do", "does")
_BEING = (*_VERBS, "was", "were", "be", "been", "has", "have", "may", "might", "could", "appears", "appear", "remains")
_BETWEEN = ("not", "no", "longer", "free", "of", "again", "now", "also", "grossly", "somewhat", *GRADES)
"""What may stand between such a verb and what it ascribes."""
_NEGATION = re.compile(r"\b(?:no|not|free of)\b ?")
_OPENING = re.compile(r"^there (?:is|are) ")
_PLACE = re.compile(r" (?:(?:projects|seen) )?(?:in|on|over) the \{side\}(?: lung)?$")
_SEEN = re.compile(r" (?:is|are)(?: seen| present)?$| projects$")


class Sense(Enum):
    """What a phrase says when nothing negates or doubts it."""

    FINDING = "that the attribute is there"
    NORMAL = "that it is not there: the heart size is normal"
    DENIED = "nothing; but what negates it, negates the attribute: no pneumothorax, hence no pleural line"


@dataclass(frozen=True)
class Term:
    """A phrase and what it stands for."""

    name: str
    sense: Sense
    phrase: Phrase


def attribute_terms(graph: ConceptGraph) -> list[Term]:
    """Phrases for the attributes of a graph: from their wordings, their names and their `terms`.

    Raises:
        DataError: One phrase would stand for two attributes.
    """
    terms = [Term(a.name, sense, words) for a in graph.attributes.values() for sense, words in _phrases(a, graph)]
    return _unambiguous(terms)


def disease_terms(graph: ConceptGraph) -> list[Term]:
    """Phrases for the diseases of a graph: their names and their `terms`.

    Raises:
        DataError: One phrase would stand for two diseases.
    """
    names = ((disease, name) for disease in graph.diseases for name in (disease, *graph.terms.get(disease, ())))
    return _unambiguous([Term(disease, Sense.FINDING, phrase(name)) for disease, name in names])


def _unambiguous(terms: list[Term]) -> list[Term]:
    meaning: dict[str, str] = {}
    for term in terms:
        other = meaning.setdefault(str(term.phrase), term.name)
        if other != term.name:
            words = " ".join(str(token["LOWER"]) for token in term.phrase if "OP" not in token)
            raise DataError(
                got=f"{words!r} stands for {other!r} and for {term.name!r}",
                wanted="one meaning for every term",
                remedy="reword `terms` or the wordings of one of them in the graph's file",
            )
    return terms


def _phrases(attribute: Attribute, graph: ConceptGraph) -> Iterator[tuple[Sense, Phrase]]:
    for name in (attribute.name, *graph.terms.get(attribute.name, ())):
        yield Sense.FINDING, phrase(name)
    for wording in attribute.wordings_present:
        yield Sense.FINDING, phrase(wording)
    for wording in attribute.wordings_absent:
        bare, negations = _NEGATION.subn("", wording.lower())
        yield Sense.DENIED if negations else Sense.NORMAL, phrase(bare)


def phrase(wording: str) -> Phrase:
    """The words of a sentence that carry its meaning, as token patterns.

    Example:
        >>> [word["LOWER"] for word in phrase("There is a round nodule in the {side} lung.")]
        ['round', 'nodule']
        >>> [word["LOWER"] for word in phrase("The heart is {severity}ly enlarged.") if "OP" not in word]
        ['heart', 'enlarged']
    """
    text = _OPENING.sub("", wording.lower().rstrip(".").replace(",", ""))
    text = _SEEN.sub("", _PLACE.sub("", text))
    words = text.split()
    while words[0] in _ARTICLES or words[0].startswith("{"):
        words = words[1:]
    return [token for word in words for token in _tokens(word)]


def _tokens(word: str) -> list[dict[str, Any]]:
    if word in _ARTICLES:
        return [{"LOWER": {"IN": list(_ARTICLES)}, "OP": "?"}]
    if word == "{side}":
        return [{"LOWER": {"IN": [*SIDES, "bilateral"]}, "OP": "?"}]
    if word.startswith(("{severity}", "{size}")):
        return [{"LOWER": {"IN": list(GRADES)}, "OP": "?"}]
    if word in _VERBS:
        return [{"LOWER": {"IN": list(_BEING)}, "OP": "*"}, {"LOWER": {"IN": list(_BETWEEN)}, "OP": "*"}]
    return [{"LOWER": word}]
