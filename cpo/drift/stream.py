"""Streams: samples in the order of a schedule, shifted by concept, with the truth about their drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cpo.drift.quotas import fits, longest, select
from cpo.drift.schedule import IntArray, Schedule
from cpo.drift.seeds import generator
from cpo.drift.shift import Selection, Shift, Transformation
from cpo.errors import ConfigError, DataError
from cpo.records import Concept, DriftTruth, Sample, Stream

Plan = Callable[[int], IntArray]
"""Concept of each position, for a stream of a given length."""

NO_SHARE = 1e-12
"""Shares below this are 0 up to rounding: 1 - (p + (1 - p)) need not be."""


def concepts_of(shifts: Mapping[str, Shift]) -> tuple[Concept, ...]:
    """The concepts of stacked shifts: all move together, the k-th concept being the k-th of each.

    Args:
        shifts: By name; empty for a single concept, `all`.

    Raises:
        ConfigError: Shifts with different numbers of concepts.

    Example:
        >>> [c.name for c in concepts_of({})]
        ['all']
    """
    counts = {name: len(shift.concepts) for name, shift in shifts.items()}
    if len(set(counts.values())) > 1:
        raise ConfigError(
            got=f"shifts with different numbers of concepts: {counts}",
            wanted="the same number, since stacked shifts change together",
            remedy="name as many concepts in each shift",
        )
    if not shifts:
        return (Concept(0, "all"),)
    stacked = zip(*(shift.concepts for shift in shifts.values()), strict=True)
    return tuple(Concept(i, "+".join(names)) for i, names in enumerate(stacked))


def make_stream(
    samples: Sequence[Sample],
    schedule: Schedule,
    shifts: Mapping[str, Shift],
    seed: int,
    length: int | None = None,
) -> Stream:
    """Orders a pool of samples into a stream, deterministic in its arguments.

    Without a selection shift the samples keep their order, so that a stationary schedule without shifts is the dataset
    itself. With one, each concept gets its exact share of every cell, up to rounding, no sample comes twice, and what
    does not fit is left out and counted.

    Args:
        samples: The pool, in the dataset's order.
        schedule: When the concept changes.
        shifts: What changes, by name.
        seed: Any integer ≥ 0.
        length: Samples in the stream; None for as many as the pool can fill.

    Raises:
        ConfigError: A schedule that drifts over one concept; a length below 1; two selection shifts at once.
        DataError: No samples; more asked for than the pool can fill; samples that lack what a shift looks at.
    """
    concepts = concepts_of(shifts)

    def plan(n: int) -> IntArray:
        return schedule.plan(n, len(concepts), seed)

    stream, concept_at = _fill(samples, plan, shifts, seed, length)
    visited = schedule.probabilities(len(stream), len(concepts)).any(axis=0)
    # concepts are indexed by place, so what comes before a visited one stays in the list
    appearing = concepts[: int(np.flatnonzero(visited)[-1]) + 1]
    return Stream(
        samples=stream,
        truth=DriftTruth(
            concepts=appearing,
            concept_at=tuple(concept_at.tolist()),
            changes=schedule.changes(len(stream), len(concepts)),
            shifts=_record(stream, concept_at, appearing, shifts),
            left_out=len(samples) - len(stream),
        ),
    )


def concept_samples(
    samples: Sequence[Sample], shifts: Mapping[str, Shift], concept: int, seed: int, length: int | None = None
) -> Stream:
    """The stationary stream of one concept, for held-out evaluation; the truth lists every concept of the shifts.

    Args:
        samples: The pool, in the dataset's order.
        shifts: What distinguishes the concepts, by name.
        concept: Index of the concept.
        seed: Any integer ≥ 0.
        length: Samples in the stream; None for as many as the pool can fill.

    Raises:
        ConfigError: No such concept; a length below 1; two selection shifts at once.
        DataError: As `make_stream`.
    """
    concepts = concepts_of(shifts)
    if not 0 <= concept < len(concepts):
        raise ConfigError(
            got=f"concept {concept}",
            wanted=f"one of {', '.join(f'{c.index} ({c.name})' for c in concepts)}",
            remedy="ask for a concept of the chosen shift",
        )
    stream, concept_at = _fill(samples, lambda n: np.full(n, concept, dtype=np.int64), shifts, seed, length)
    return Stream(
        samples=stream,
        truth=DriftTruth(
            concepts=concepts,
            concept_at=tuple(concept_at.tolist()),
            shifts=_record(stream, concept_at, concepts, shifts),
            left_out=len(samples) - len(stream),
        ),
    )


def _fill(
    samples: Sequence[Sample], plan: Plan, shifts: Mapping[str, Shift], seed: int, length: int | None
) -> tuple[tuple[Sample, ...], IntArray]:
    """Samples of a plan as long as asked for, or as the pool allows, and the plan."""
    if length is not None and length < 1:
        raise ConfigError(
            got=f"a stream of {length} samples",
            wanted="at least 1",
            remedy="ask for more, or for none in particular to get as many as the pool can fill",
        )
    if not samples:
        raise DataError(got="no samples to make a stream of", wanted="at least 1", remedy="check the dataset and split")
    concept_at, indices = _choose(samples, plan, shifts, seed, length)
    chosen = [samples[i] for i in indices]
    for name, shift in shifts.items():
        if isinstance(shift, Transformation):
            chosen = [
                shift.apply(sample, shift.concepts[concept], generator(seed, f"{name} at {position}"))
                for position, (sample, concept) in enumerate(zip(chosen, concept_at, strict=True))
            ]
    return tuple(chosen), concept_at


def _choose(
    samples: Sequence[Sample], plan: Plan, shifts: Mapping[str, Shift], seed: int, length: int | None
) -> tuple[IntArray, IntArray]:
    """The plan `[n]` and an index into the samples for each of its positions `[n]`."""
    selections = [(name, shift) for name, shift in shifts.items() if isinstance(shift, Selection)]
    if not selections:
        return _in_order(samples, plan, length)
    if len(selections) > 1:
        raise ConfigError(
            got=f"the selection shifts {', '.join(name for name, _ in selections)} at once",
            wanted="at most one shift that selects samples; any number that transform them",
            remedy=f"keep one, as in shift={selections[0][0]}",
        )
    return _selected(samples, plan, *selections[0], seed, length)


def _in_order(samples: Sequence[Sample], plan: Plan, length: int | None) -> tuple[IntArray, IntArray]:
    n = len(samples) if length is None else length
    if n > len(samples):
        raise _too_long(n, len(samples), len(samples), "")
    return plan(n), np.arange(n)


def _selected(
    samples: Sequence[Sample], plan: Plan, name: str, shift: Selection, seed: int, length: int | None
) -> tuple[IntArray, IntArray]:
    cells = shift.cells(samples)
    shares = shift.shares(cells)
    available = np.bincount(cells, minlength=shares.shape[1])
    wanted = shares[np.unique(plan(len(samples)))].max(axis=0) > NO_SHARE
    if (missing := np.flatnonzero(wanted & (available == 0))).size:
        raise DataError(
            got=f"no sample with {shift.cell_names[missing[0]]} among {len(samples)}",
            wanted=f"at least one, since shift={name} gives such samples a share of the stream",
            remedy="use more samples, or tie something less rare",
        )
    n = longest(plan, shares, available) if length is None else length
    if not fits(plan(n), shares, available):
        raise _too_long(n, len(samples), longest(plan, shares, available), f" at the rates of shift={name}")
    concept_at = plan(n)
    return concept_at, select(concept_at, cells, shares, seed)


def _too_long(asked: int, pool: int, possible: int, rates: str) -> DataError:
    return DataError(
        got=f"a stream of {asked} samples from {pool}",
        wanted=f"at most {possible}, without using one twice{rates}",
        remedy="ask for a shorter stream, use more samples, or weaken the shift",
    )


def _record(
    stream: Sequence[Sample], concept_at: IntArray, concepts: Sequence[Concept], shifts: Mapping[str, Shift]
) -> tuple[dict[str, Any], ...]:
    """Each shift with its parameters and the rates it has reached, by concept."""
    members = {c.name: [s for s, index in zip(stream, concept_at, strict=True) if index == c.index] for c in concepts}
    return tuple(
        {
            "name": name,
            **shift.parameters,
            "rates": {
                concept: {"samples": len(part), **shift.measure(part)} for concept, part in members.items() if part
            },
        }
        for name, shift in shifts.items()
    )
