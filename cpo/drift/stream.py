"""Streams: samples in the order of a schedule, shifted by concept, with the truth about their drift."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cpo.answers import AnswerFormat
from cpo.drift.quotas import fits, longest, select
from cpo.drift.raking import rake
from cpo.drift.retelling import retold
from cpo.drift.schedule import FloatArray, IntArray, Schedule
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
    answers: AnswerFormat | None = None,
) -> Stream:
    """Orders a pool of samples into a stream, deterministic in its arguments.

    Without a selection shift the samples keep their order, so that a stationary schedule without shifts is the dataset
    itself. With one, each concept gets its exact share of every cell, up to rounding, no sample comes twice, and what
    does not fit is left out and counted. Of several, each gets the shares it would have alone; between them the stream
    is as close to the pool as that allows. Shifts that change samples then do so, in the order in which they stack.

    Args:
        samples: The pool, in the dataset's order.
        schedule: When the concept changes.
        shifts: What changes, by name.
        seed: Any integer ≥ 0.
        length: Samples in the stream; None for as many as the pool can fill.
        answers: How the dataset's answers name results, for shifts that change results; None for names joined by
            commas.

    Raises:
        ConfigError: A schedule that drifts over one concept; a length below 1.
        DataError: No samples; more asked for than the pool can fill; samples that lack what a shift looks at; shifts
            that want different rates of the same thing.
    """
    concepts = concepts_of(shifts)

    def plan(n: int) -> IntArray:
        return schedule.plan(n, len(concepts), seed)

    stream, concept_at = _fill(samples, plan, shifts, seed, length, answers)
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
    samples: Sequence[Sample],
    shifts: Mapping[str, Shift],
    concept: int,
    seed: int,
    length: int | None = None,
    answers: AnswerFormat | None = None,
) -> Stream:
    """The stationary stream of one concept, for held-out evaluation; the truth lists every concept of the shifts.

    Args:
        samples: The pool, in the dataset's order.
        shifts: What distinguishes the concepts, by name.
        concept: Index of the concept.
        seed: Any integer ≥ 0.
        length: Samples in the stream; None for as many as the pool can fill.
        answers: As `make_stream`.

    Raises:
        ConfigError: No such concept; a length below 1.
        DataError: As `make_stream`.
    """
    concepts = concepts_of(shifts)
    if not 0 <= concept < len(concepts):
        raise ConfigError(
            got=f"concept {concept}",
            wanted=f"one of {', '.join(f'{c.index} ({c.name})' for c in concepts)}",
            remedy="ask for a concept of the chosen shift",
        )
    plan: Plan = lambda n: np.full(n, concept, dtype=np.int64)  # noqa: E731
    stream, concept_at = _fill(samples, plan, shifts, seed, length, answers)
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
    samples: Sequence[Sample],
    plan: Plan,
    shifts: Mapping[str, Shift],
    seed: int,
    length: int | None,
    answers: AnswerFormat | None,
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
    changed = chosen
    for name, shift in shifts.items():
        if isinstance(shift, Transformation):
            shift.check(changed)
            changed = [
                shift.apply(sample, shift.concepts[concept], generator(seed, f"{name} at {position}"))
                for position, (sample, concept) in enumerate(zip(changed, concept_at, strict=True))
            ]
    return tuple(retold(*pair, answers) for pair in zip(chosen, changed, strict=True)), concept_at


def _choose(
    samples: Sequence[Sample], plan: Plan, shifts: Mapping[str, Shift], seed: int, length: int | None
) -> tuple[IntArray, IntArray]:
    """The plan `[n]` and an index into the samples for each of its positions `[n]`."""
    selections = {name: shift for name, shift in shifts.items() if isinstance(shift, Selection)}
    if not selections:
        return _in_order(samples, plan, length)
    return _selected(samples, plan, selections, seed, length)


def _in_order(samples: Sequence[Sample], plan: Plan, length: int | None) -> tuple[IntArray, IntArray]:
    n = len(samples) if length is None else length
    if n > len(samples):
        raise _too_long(n, len(samples), len(samples), "")
    return plan(n), np.arange(n)


def _selected(
    samples: Sequence[Sample], plan: Plan, selections: Mapping[str, Selection], seed: int, length: int | None
) -> tuple[IntArray, IntArray]:
    visited = np.unique(plan(len(samples)))
    cells, shares = _joint_cells(samples, selections, visited)
    rates = f" at the rates of shift={_names(selections)}"
    available = np.bincount(cells, minlength=shares.shape[1])
    n = longest(plan, shares, available) if length is None else length
    if not fits(plan(n), shares, available):
        raise _too_long(n, len(samples), longest(plan, shares, available), rates)
    concept_at = plan(n)
    return concept_at, select(concept_at, cells, shares, seed)


def _joint_cells(
    samples: Sequence[Sample], selections: Mapping[str, Selection], visited: IntArray
) -> tuple[IntArray, FloatArray]:
    """The cell of each sample `[N]` and the share of each cell in each concept `[C, Q]`, over all shifts at once."""
    cells, shares = [], []
    for name, shift in selections.items():
        cells.append(shift.cells(samples))
        shares.append(shift.shares(cells[-1]))
        wanted = shares[-1][visited].max(axis=0) > NO_SHARE
        available = np.bincount(cells[-1], minlength=shares[-1].shape[1])
        if (missing := np.flatnonzero(wanted & (available == 0))).size:
            raise DataError(
                got=f"no sample with {shift.cell_names(samples)[missing[0]]} among {len(samples)}",
                wanted=f"at least one, since shift={name} gives such samples a share of the stream",
                remedy="use more samples, or name something less rare",
            )
    if len(selections) == 1:
        return cells[0], shares[0]
    sizes = tuple(share.shape[1] for share in shares)
    joint_cells: IntArray = np.ravel_multi_index(cells, sizes).astype(np.int64)
    table = np.bincount(joint_cells, minlength=int(np.prod(sizes))).reshape(sizes) / len(samples)
    joint = [rake(table, rows) for rows in zip(*shares, strict=True)]
    kept = [row.ravel() for row in joint if row is not None]
    if len(kept) < len(joint):
        raise DataError(
            got=f"the rates of shift={_names(selections)}, which no selection of {len(samples)} samples has at once",
            wanted="shifts that can be had together, and samples of each of their combinations",
            remedy="weaken one, keep one, or use more samples",
        )
    return joint_cells, np.stack(kept)


def _names(shifts: Mapping[str, Selection]) -> str:
    return next(iter(shifts)) if len(shifts) == 1 else f"[{','.join(shifts)}]"


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
