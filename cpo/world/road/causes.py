"""The causal graph of the world: circumstances bring about what decides, what decides causes actions.

A scene has circumstances (weather, a roadworks sign, a zebra crossing), each with its own probability. Then a few
deciding attributes are drawn, and circumstances make some of them likelier. The actions follow from the attributes by
the concept graph alone. Nuisances are drawn apart from all this and cause nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from cpo.graph.lexicon import SEVERITIES, SIDES, Mention
from cpo.graph.schema import ConceptGraph, Relation
from cpo.records import LabelState
from cpo.world.road.truth import Causes, Nuisances

PLACES = ("city", "country")

DECIDING_COUNT = (0.20, 0.42, 0.28, 0.10)
"""Probability of 0, 1, 2 and 3 deciding attributes in a scene, as far as so many fit together."""

CIRCUMSTANCES: dict[str, float] = {
    "rain": 0.09,
    "fog": 0.08,
    "falling snow": 0.06,
    "glare": 0.07,
    "storm clouds": 0.06,
    "standing water": 0.06,
    "snow on the road": 0.06,
    "potholes": 0.06,
    "zebra crossing": 0.12,
    "crossroads sign": 0.08,
    "roadworks sign": 0.09,
    "speed limit sign": 0.08,
    "no left turn sign": 0.04,
    "no right turn sign": 0.04,
    "parked cars": 0.10,
    "bus at the stop": 0.07,
    "oncoming car": 0.12,
}
"""Probability that a scene shows what supports several actions, or only rules one out, and decides none."""

DECIDING: dict[str, float] = {
    "red light": 7.0,
    "stop sign": 2.5,
    "crossing pedestrian": 3.0,
    "closed barrier": 1.5,
    "police officer": 1.5,
    "emergency vehicle": 1.5,
    "merging car": 2.0,
    "yield sign": 2.0,
    "crossing cyclist": 1.5,
    "yellow light": 2.5,
    "school sign": 1.5,
    "speed hump": 2.0,
    "children at the roadside": 2.0,
    "animal at the roadside": 1.5,
    "braking car": 5.0,
    "slow truck": 3.0,
    "cyclist ahead": 2.5,
    "cones on the right": 2.5,
    "stalled car on the right": 2.0,
    "debris on the right": 1.5,
    "arrow board to the left": 1.5,
    "cones on the left": 2.0,
    "car over the line": 1.2,
    "debris on the left": 1.2,
    "arrow board to the right": 1.2,
    "left arrow marking": 2.0,
    "left turn sign": 1.5,
    "right arrow marking": 2.0,
    "right turn sign": 1.5,
    "green light": 5.0,
    "end of limit sign": 2.0,
    "merging lane marking": 1.5,
}
"""Relative frequency of what decides for an action, in ordinary circumstances."""

RAISES: dict[str, dict[str, float]] = {
    "rain": {"braking car": 2.5, "slow truck": 1.5},
    "falling snow": {"braking car": 2.5, "slow truck": 2.0},
    "fog": {"braking car": 2.0, "slow truck": 2.0},
    "glare": {"car over the line": 3.0},
    "standing water": {"braking car": 1.5},
    "snow on the road": {"slow truck": 2.5, "stalled car on the right": 2.0},
    "potholes": {"debris on the right": 4.0, "debris on the left": 4.0},
    "zebra crossing": {"crossing pedestrian": 10.0, "crossing cyclist": 5.0, "red light": 1.5},
    "crossroads sign": {"yield sign": 6.0, "stop sign": 4.0, "left arrow marking": 2.0, "right arrow marking": 2.0},
    "roadworks sign": {
        "cones on the right": 12.0,
        "cones on the left": 12.0,
        "arrow board to the left": 12.0,
        "arrow board to the right": 12.0,
        "closed barrier": 4.0,
    },
    "parked cars": {"merging car": 3.0, "cyclist ahead": 2.0},
    "bus at the stop": {"crossing pedestrian": 3.0},
    "oncoming car": {"slow truck": 1.5},
}
"""By how much a circumstance multiplies the frequency of what decides."""

TAKES: dict[str, tuple[str, ...]] = {
    "signal head": ("red light", "yellow light", "green light"),
    "right post": ("stop sign", "yield sign", "school sign", "speed limit sign", "end of limit sign"),
    "left post": (
        "roadworks sign",
        "left turn sign",
        "right turn sign",
        "no left turn sign",
        "no right turn sign",
        "crossroads sign",
    ),
    "priority": ("red light", "yellow light", "green light", "stop sign", "yield sign", "police officer"),
    "lane ahead": (
        "crossing pedestrian",
        "crossing cyclist",
        "police officer",
        "closed barrier",
        "braking car",
        "slow truck",
        "cyclist ahead",
        "merging car",
    ),
    "right lane": (
        "stalled car on the right",
        "cones on the right",
        "debris on the right",
        "arrow board to the left",
        "bus at the stop",
        "merging car",
    ),
    "left lane": (
        "cones on the left",
        "debris on the left",
        "arrow board to the right",
        "car over the line",
        "oncoming car",
        "emergency vehicle",
        "merging car",
    ),
    "roadside": ("children at the roadside", "animal at the roadside", "parked cars"),
    "surface": ("left arrow marking", "right arrow marking", "merging lane marking", "speed hump", "potholes"),
    "far surface": ("zebra crossing", "closed barrier"),
    "air": ("fog", "rain", "falling snow", "glare"),
    "sky": ("storm clouds", "glare", "fog"),
    "ground": ("standing water", "snow on the road"),
}
"""Places in a scene, each with the attributes that need it: two that need one place do not come together."""


def draw_causes(
    rng: np.random.Generator, graph: ConceptGraph, *, uncertain_share: float, severities: Sequence[float]
) -> Causes:
    """What one scene shows, and the actions that follow.

    Args:
        rng: Random numbers.
        graph: Says which attributes decide and what each action excludes.
        uncertain_share: Chance that a deciding attribute is uncertain; then it is mild, too.
        severities: Shares of mild, moderate and severe.
    """
    chances, doubts = rng.random(len(CIRCUMSTANCES)), rng.random(len(DECIDING))
    sides, grades = rng.integers(2, size=len(graph.attributes)), rng.choice(3, size=len(graph.attributes), p=severities)
    shown: dict[str, LabelState] = {}
    for index in rng.permutation(len(CIRCUMSTANCES)):
        name = list(CIRCUMSTANCES)[index]
        if chances[index] < CIRCUMSTANCES[name] and _fits(graph, name, shown):
            shown[name] = LabelState.PRESENT
    count = int(rng.choice(len(DECIDING_COUNT), p=DECIDING_COUNT))
    for index in _by_weight(rng, shown):
        name = list(DECIDING)[index]
        if count and _fits(graph, name, shown):
            shown[name] = LabelState.UNCERTAIN if doubts[index] < uncertain_share else LabelState.PRESENT
            count -= 1
    findings = tuple(
        _mention(graph, name, shown[name], SIDES[sides[index]], SEVERITIES[grades[index]])
        for index, name in enumerate(graph.attributes)
        if name in shown
    )
    return Causes(findings, actions_of(graph, shown))


def actions_of(graph: ConceptGraph, states: Mapping[str, LabelState]) -> dict[str, LabelState]:
    """Actions that attributes decide for, present or uncertain, in the graph's order."""
    told = (LabelState.PRESENT, LabelState.UNCERTAIN)
    return {action: state for action, state in graph.labels(states).items() if state in told}


def draw_nuisances(rng: np.random.Generator, *, night_share: float, bus_lane_share: float) -> Nuisances:
    """Light, lanes, surroundings and habits of one drive, drawn without a look at what its scenes show."""
    return Nuisances(
        night=bool(rng.random() < night_share),
        bus_lane=bool(rng.random() < bus_lane_share),
        place=PLACES[int(rng.integers(len(PLACES)))],
        phrase=int(rng.integers(2)),
    )


def _by_weight(rng: np.random.Generator, circumstances: Iterable[str]) -> list[int]:
    """Positions of the deciding attributes, the heavier ones likelier to come early."""
    weights = dict(DECIDING)
    for circumstance in circumstances:
        for name, factor in RAISES.get(circumstance, {}).items():
            weights[name] *= factor
    # exponential waiting times: the first to come is each with the probability of its weight
    waits = rng.exponential(size=len(weights)) / np.array(list(weights.values()))
    return [int(index) for index in np.argsort(waits)]


def _fits(graph: ConceptGraph, name: str, shown: Mapping[str, LabelState]) -> bool:
    if any(name in needs and set(needs) & set(shown) for needs in TAKES.values()):
        return False
    together = {*shown, name}
    actions = [action for action in graph.diseases if together & set(graph.hallmarks(action))]
    return not any(graph.relation(action, other) is Relation.EXCLUSION for action in actions for other in together)


def _mention(graph: ConceptGraph, name: str, state: LabelState, side: str, grade: str) -> Mention:
    attribute = graph.attributes[name]
    severity = "mild" if state is LabelState.UNCERTAIN else grade
    return Mention(name, state, side if attribute.lateral else None, severity if attribute.graded else None)
