"""What a concept graph is made of: attributes, and the relations between them and the diseases."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cpo.graph.evidence import Evidence


class Category(StrEnum):
    """Kinds of attribute: four of radiological ones, then four of what a driver sees. A graph uses its own."""

    MORPHOLOGY = "morphological alteration"
    DENSITY = "density anomaly"
    ANATOMY = "anatomical deviation"
    FUNCTION = "functional indicator"
    ROAD_USER = "road user"
    ROAD_STATE = "road state"
    WEATHER = "light and weather"
    SIGNAL = "signal"


class Relation(StrEnum):
    """How an attribute (or another disease) bears on a disease."""

    ASSOCIATION = "association"
    IRRELEVANCE = "irrelevance"
    EXCLUSION = "exclusion"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One finding that a picture can show and a report can describe.

    Args:
        name: Unique, in plain words.
        category: Which of the kinds.
        wordings_present: Sentences that assert it. `{side}` becomes left or right; `{severity}` mild, moderate or
            severe (`{severity}ly` is the adverb); `{size}` is the same grade told as small, moderate or large.
        wordings_absent: Sentences that negate it, without placeholders.
        lateral: It lies on one side, and every asserting sentence says which.
        graded: It has a severity, and every asserting sentence says which.
        radlex: Its RadLex name, where there is one.
    """

    name: str
    category: Category
    wordings_present: tuple[str, ...]
    wordings_absent: tuple[str, ...]
    lateral: bool = False
    graded: bool = False
    radlex: str | None = None

    def as_json(self) -> dict[str, Any]:
        """For a file, under its name."""
        return {
            "category": self.category.value,
            "radlex": self.radlex,
            "lateral": self.lateral,
            "graded": self.graded,
            "present": list(self.wordings_present),
            "absent": list(self.wordings_absent),
        }


@dataclass(frozen=True, slots=True)
class Edge:
    """A relation between a disease and an attribute; an irrelevance has an edge only to carry its evidence."""

    disease: str
    attribute: str
    relation: Relation
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A relation between two diseases, or between two attributes, without direction.

    Args:
        one: A disease or an attribute.
        other: Another of the same kind.
        relation: As between a disease and an attribute: `association`, `irrelevance` or `exclusion`.
        evidence: What it rests on.
    """

    one: str
    other: str
    relation: Relation
    evidence: Evidence | None = None

    @property
    def ends(self) -> frozenset[str]:
        """Both ends."""
        return frozenset((self.one, self.other))

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        content: dict[str, Any] = {"between": [self.one, self.other], "relation": self.relation.value}
        return content | ({"evidence": self.evidence.as_json()} if self.evidence else {})
