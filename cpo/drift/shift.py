"""Shifts: what differs between the concepts of a stream.

A shift is one of two kinds. A *selection* shift changes which samples a concept consists of: it sorts the pool into
cells and says what share of each concept every cell has; the stream then draws from the pool without replacement. A
*transformation* shift changes the samples themselves. A new shift is one file with a subclass of either and one YAML
that places it at `shift.<name>`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cpo.drift.schedule import FloatArray, IntArray
from cpo.errors import ConfigError
from cpo.records import Sample

NATURAL, CHANGED = "natural", "changed"
"""The concept that is the dataset as it is, and the one in which something is different."""


class Shift(ABC):
    """What differs between concepts.

    Args:
        concepts: Names of the concepts, in the order in which a schedule visits them.

    Raises:
        ConfigError: No concept, or one twice.
    """

    def __init__(self, concepts: Sequence[str]) -> None:
        if not concepts or len(set(concepts)) < len(concepts):
            raise ConfigError(
                got=f"the concepts {list(concepts)}", wanted="one or more different concepts", remedy="name each once"
            )
        self.concepts = tuple(concepts)

    @property
    @abstractmethod
    def parameters(self) -> Mapping[str, Any]:
        """Every knob, for the record; JSON values."""

    @abstractmethod
    def measure(self, samples: Sequence[Sample]) -> Mapping[str, float]:
        """The rates that this shift moves, as they are in these samples; nan where undefined."""


class Selection(Shift):
    """A shift in which samples a concept consists of."""

    @abstractmethod
    def cell_names(self, samples: Sequence[Sample]) -> tuple[str, ...]:
        """What the samples of each cell are, for messages.

        Args:
            samples: The pool.
        """

    @abstractmethod
    def cells(self, samples: Sequence[Sample]) -> IntArray:
        """The cell of each sample `[len(samples)]`, counted from 0.

        Raises:
            DataError: The samples lack what this shift looks at.
        """

    @abstractmethod
    def shares(self, cells: IntArray) -> FloatArray:
        """Share of each cell in each concept `[len(self.concepts), n_cells]`; rows sum to 1.

        Args:
            cells: Cells of the pool, whose rates the concepts start from.
        """


class Transformation(Shift):
    """A shift in the samples themselves: other texts, labels, images.

    One that changes the results leaves the answer alone: the stream tells every answer anew whose results are others.
    """

    def check(self, samples: Sequence[Sample]) -> None:
        """Refuses samples that lack what this shift changes; here, none.

        Raises:
            DataError: Saying what they lack.
        """

    @abstractmethod
    def apply(self, sample: Sample, concept: str, rng: np.random.Generator) -> Sample:
        """The sample as it is under a concept.

        Args:
            sample: The sample as the dataset has it.
            concept: One of `concepts`.
            rng: Generator of this position of the stream.
        """


def check_concepts(shift: str, chosen: Sequence[str], known: Sequence[str]) -> None:
    """Refuses concepts that a shift does not have.

    Args:
        shift: Its name, for the error.
        chosen: As configured.
        known: Every concept that it has.

    Raises:
        ConfigError: Naming the unknown ones.
    """
    if unknown := set(chosen) - set(known):
        raise ConfigError(
            got=f"shift.{shift}.concepts={list(chosen)}, with {sorted(unknown)}",
            wanted=f"some of {', '.join(known)}, in the order in which the stream visits them",
            remedy=f"pass 'shift.{shift}.concepts=[{','.join(known[:2])}]'",
        )


def in_unit_interval(knob: str, value: float) -> float:
    """A share or strength, checked.

    Args:
        knob: As on the command line, without the group: `prevalence.rate`.
        value: Its value.

    Raises:
        ConfigError: It is outside [0, 1].
    """
    if not 0 <= value <= 1:
        raise ConfigError(got=f"shift.{knob}={value}", wanted="a number in [0, 1]", remedy=f"pass shift.{knob}=0.5")
    return float(value)
