"""What is said of a scene: a description in the words of the concept graph, and one sentence that names the actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import Category, ConceptGraph, Relation
from cpo.records import LabelState
from cpo.world.road import words
from cpo.world.road.truth import Causes, Nuisances

_RARELY = 0.01
"""Chance that an attribute is denied which is none of the routine."""
_ORDER = (Category.WEATHER, Category.ROAD_STATE, Category.ROAD_USER, Category.SIGNAL)


@dataclass(frozen=True, slots=True)
class Description:
    """What is said of a scene.

    Args:
        text: All of it.
        shown: The sentence about each attribute that the scene shows.
        negated: The attributes that it denies.
    """

    text: str
    shown: Mapping[str, str]
    negated: tuple[str, ...]


def describe(
    rng: np.random.Generator, lexicon: Lexicon, causes: Causes, nuisances: Nuisances, *, routinely: float
) -> Description:
    """Describes a scene; `read` gives back what was put in.

    Args:
        rng: Random numbers.
        lexicon: Writes the sentences.
        causes: What the scene shows.
        nuisances: Told first.
        routinely: Chance that an attribute of the routine is denied where nothing speaks for it, in [0, 1].
    """
    shown = {
        f.attribute: lexicon.write(
            f.attribute, f.state, f.side, f.severity, int(rng.integers(lexicon.choices(f.attribute, f.state)))
        )
        for f in causes.findings
    }
    denials = _deny(rng, lexicon, causes, routinely)
    sentences = shown | denials
    told = [words.TOLD[name][getattr(nuisances, name)][nuisances.phrase] for name in words.TOLD]
    attributes = lexicon.graph.attributes
    told += [sentences[n] for kind in _ORDER for n, a in attributes.items() if a.category is kind and n in sentences]
    return Description(" ".join(told), shown, tuple(n for n in attributes if n in denials))


def suggestion(graph: ConceptGraph, actions: Sequence[str]) -> str:
    """The driving suggestion: what the ego car should do.

    Example:
        >>> graph = ConceptGraph.load("driving")
        >>> suggestion(graph, ("stop", "move left")), suggestion(graph, ())
        ('The ego car should stop, move left.', 'The ego car should keep going.')
    """
    return f"The ego car should {', '.join(actions or (graph.default,))}."


def narration(graph: ConceptGraph, actions: Sequence[str]) -> str:
    """The narration of a clip: what the car does.

    Example:
        >>> narration(ConceptGraph.load("driving"), ("slow down", "keep distance", "move left"))
        'The car slows down, keeps its distance and moves left.'
    """
    *most, last = (graph.phrases[action] for action in actions or (graph.default,))
    return f"The car {', '.join(most)} and {last}." if most else f"The car {last}."


def reason(graph: ConceptGraph, attribute: str) -> str:
    """What an attribute means for the ego car.

    Example:
        >>> reason(ConceptGraph.load("driving"), "red light")
        'This is a reason to stop.'
    """
    supported = graph.diseases_of(attribute)
    forbidden = graph.diseases_of(attribute, Relation.EXCLUSION)
    if supported:
        form = words.DECIDES if len(supported) == 1 else words.SUPPORTS
    else:
        form = words.FORBIDS if forbidden else words.MEANS_NOTHING
    return form.format(actions=" or ".join(supported or forbidden))


def _deny(rng: np.random.Generator, lexicon: Lexicon, causes: Causes, routinely: float) -> dict[str, str]:
    """Denials of what speaks for no action of the scene, always at least one."""
    graph = lexicon.graph
    taken = {f.attribute for f in causes.findings} | {a for d in causes.actions for a in graph.attributes_of(d)}
    free = [name for name in graph.attributes if name not in taken]
    chance = np.array([routinely if name in words.COMMONLY_NEGATED else _RARELY for name in free])
    waits = rng.random(len(free)) / np.maximum(chance, 1e-9)
    chosen = [name for name, wait in zip(free, waits.tolist(), strict=True) if wait < 1] or [free[int(waits.argmin())]]
    absent = LabelState.ABSENT
    return {n: lexicon.write(n, absent, wording=int(rng.integers(lexicon.choices(n, absent)))) for n in chosen}
