"""How published work divides driving clips: DriveGPT4's three difficulties of BDD-X, CODA-LM's seven super-classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Difficulty = Literal["easy", "median", "hard"]

SUPER_CLASSES = {
    "vehicle": "car truck tram tricycle bus trailer construction_vehicle recreational_vehicle",
    "vru": "pedestrian cyclist bicycle moped motorcycle stroller wheelchair cart",
    "traffic_sign": "warning_sign traffic_sign",
    "traffic_light": "traffic_light",
    "traffic_cone": "traffic_cone",
    "barrier": "barrier bollard",
}
_SUPER_CLASS = {name: group for group, names in SUPER_CLASSES.items() for name in names.split()}


def bdd_x_difficulty(action: str, justification: str) -> Difficulty:
    """DriveGPT4's difficulty of a segment, by words in its reference texts.

    `turn` anywhere is hard, else `lane`, `change` or `accelerate` are median, else it is easy. The words are sought as
    substrings, as published, so "the light turned green" is hard.

    Source:
        DriveGPT4 (arXiv 2310.01412), its data split.

    Example:
        >>> bdd_x_difficulty("The car moves.", "The light turned green."), bdd_x_difficulty("The car stops.", "")
        ('hard', 'easy')
    """
    text = f"{action} {justification}".lower()
    if "turn" in text:
        return "hard"
    return "median" if any(word in text for word in ("lane", "change", "accelerate")) else "easy"


def super_class(category: str) -> str:
    """CODA-LM's super-class of a region's category; `miscellaneous` for all others.

    Example:
        >>> super_class("bollard"), super_class("suitcace")
        ('barrier', 'miscellaneous')
    """
    return _SUPER_CLASS.get(category.strip().lower().replace(" ", "_"), "miscellaneous")


def paired_regions(truth: Sequence[str], answered: Sequence[str]) -> list[tuple[int, int | None]]:
    """Regions of one image paired with answers by order within their super-class, as CODA-LM's evaluation does.

    Args:
        truth: Category of each reference region.
        answered: Category of each answered region.

    Returns:
        For each reference its place and the place of its answer, None where the super-class has too few answers.

    Example:
        >>> paired_regions(["car", "bollard", "bus"], ["barrier", "truck"])
        [(0, 1), (1, 0), (2, None)]
    """
    left: dict[str, list[int]] = {}
    for place, category in enumerate(answered):
        left.setdefault(super_class(category), []).append(place)
    pairs: list[tuple[int, int | None]] = []
    for place, category in enumerate(truth):
        waiting = left.get(super_class(category), [])
        pairs.append((place, waiting.pop(0) if waiting else None))
    return pairs
