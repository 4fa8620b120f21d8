"""Appearance: the same scene, another picture of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpo.drift.shift import CHANGED, NATURAL, Transformation, check_concepts, in_unit_interval
from cpo.errors import ConfigError, DataError
from cpo.records import Edit, Sample
from cpo.sequence.edits import APPEARANCES

SEEDS = 2**31
"""Seeds of edits are below: they travel as floating-point numbers, which hold them exactly."""


class Appearance(Transformation):
    """Every image of a sample is taken under other conditions: less contrast, noise, fog, night, …

    The edit is attached to the reference of the image and done where pixels first appear. Texts, labels and results
    stay: what is shown is the same, and how well it can be seen is not.

    Args:
        edit: What is done: `contrast`, `noise`, `resolution`, `jpeg`, `fog` or `night`.
        strength: From 0, nothing, to 1, the most.
        concepts: `natural` and `changed`, in the order in which the schedule visits them.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        The corruptions of Hendrycks & Dietterich 2019 (arXiv 1903.12261), with one continuous strength.
    """

    def __init__(self, *, edit: str, strength: float, concepts: Sequence[str]) -> None:
        super().__init__(concepts)
        check_concepts("appearance", self.concepts, (NATURAL, CHANGED))
        if edit not in APPEARANCES:
            raise ConfigError(
                got=f"shift.appearance.edit={edit}",
                wanted=f"one of {', '.join(APPEARANCES)}",
                remedy="pass shift.appearance.edit=noise",
            )
        self.edit, self.strength = edit, in_unit_interval("appearance.strength", strength)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Every knob."""
        return {"edit": self.edit, "strength": self.strength, "concepts": list(self.concepts)}

    def check(self, samples: Sequence[Sample]) -> None:
        """Refuses samples without an image.

        Raises:
            DataError: Saying how many.
        """
        if lacking := sum(not s.images for s in samples):
            raise DataError(
                got=f"{lacking} of {len(samples)} samples without an image",
                wanted="an image of every sample",
                remedy="use a dataset with images, or another shift",
            )

    def apply(self, sample: Sample, concept: str, rng: np.random.Generator) -> Sample:
        """The sample with edited images under `changed`; each image has a seed of its own."""
        if concept == NATURAL:
            return sample
        images = []
        for image in sample.images:
            params = (("seed", float(rng.integers(SEEDS))), ("strength", self.strength))
            images.append(dataclasses.replace(image, edits=(*image.edits, Edit(self.edit, params))))
        return dataclasses.replace(sample, images=tuple(images))

    def measure(self, samples: Sequence[Sample]) -> Mapping[str, float]:
        """Share of these samples with an image edited so; nan of nothing."""
        edited = [any(e.name == self.edit for image in s.images for e in image.edits) for s in samples]
        return {"edited": float(np.mean(edited)) if edited else float("nan")}
