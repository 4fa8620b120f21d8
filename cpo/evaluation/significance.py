"""Scores over seeds, and paired tests between runs on the very items that both were judged on."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from cpo.errors import ConfigError
from cpo.evaluation.items import Items, read_items
from cpo.metrics.comparison import holm, over_seeds, paired_permutation
from cpo.report.headline import value_of
from cpo.report.sweep_record import Score, Setting, SweepRecord, SweepRun, Test

SEED = 0
"""Of bootstrap and permutations: the same directories give the same page."""
PERMUTATIONS = 4000
RESAMPLES = 500
Values = dict[str, tuple[str, float]]
"""Item → its patient and its value, the mean over seeds."""
K = TypeVar("K", bound=Hashable)


def with_statistics(sweep: SweepRecord, baseline: str = "") -> SweepRecord:
    """A sweep whose settings have scores over their seeds, each tested against the baseline of its row.

    Values of an item are averaged over the seeds that both settings have, and the sign-flip test exchanges settings
    within whole patients; p-values are Holm's over all tests of a measure.

    Raises:
        ConfigError: The baseline is no value of the axis.
    """
    axis = sweep.column
    if axis is None:
        if baseline:
            raise ConfigError(got=f"baseline={baseline}", wanted="a sweep with an axis", remedy="leave it out")
        return replace(sweep, settings=tuple(_scored(s, sweep.measures, {}) for s in sweep.settings))
    values = sweep.axes[axis]
    chosen = baseline or ("dpo" if "dpo" in values else values[0])
    if chosen not in values:
        raise ConfigError(got=f"baseline={chosen}", wanted=f"a value of {axis}", remedy=f"one of {', '.join(values)}")
    items = {run.directory: items_of(run.directory) for run in sweep.runs}
    by_values = {tuple(setting.values.items()): setting for setting in sweep.settings}
    found: dict[str, dict[int, Test]] = {}
    for number, setting in enumerate(sweep.settings):
        other = by_values.get(tuple({**setting.values, axis: chosen}.items()))
        if other is None or other is setting:
            continue
        for key, _ in sweep.measures:
            if (test := paired_test(setting.runs, other.runs, items, key)) is not None:
                found.setdefault(key, {})[number] = test
    tests = {key: _adjusted(some) for key, some in found.items()}
    settings = tuple(
        _scored(setting, sweep.measures, {key: some[n] for key, some in tests.items() if n in some})
        for n, setting in enumerate(sweep.settings)
    )
    return replace(sweep, settings=settings, baseline=(axis, chosen))


def paired(runs: Sequence[SweepRun]) -> list[dict[str, Test]]:
    """For each run but the first its differences to the first by metric, adjusted over all of them."""
    items = {run.directory: items_of(run.directory) for run in runs}
    keys = list(dict.fromkeys(key for some in items.values() for one in some.values() for key in one.values))
    found = {
        (number, key): test
        for number, run in enumerate(runs[1:])
        for key in keys
        if (test := paired_test([run], runs[:1], items, key)) is not None
    }
    adjusted = _adjusted(found)
    return [{key: test for (n, key), test in adjusted.items() if n == number} for number in range(len(runs) - 1)]


def items_of(directory: Path) -> dict[str, Items]:
    """The judged items of a run's tuned policy, by benchmark."""
    folders = sorted((directory / "eval" / "after").glob("*/"))
    return {folder.name: found for folder in folders if (found := read_items(folder)) is not None}


def paired_test(
    runs: Sequence[SweepRun], others: Sequence[SweepRun], items: Mapping[Path, Mapping[str, Items]], key: str
) -> Test | None:
    """The difference of two settings in one metric on the items and seeds that both have; None if they share none."""
    seeds = {run.seed for run in runs} & {run.seed for run in others}
    one, other = (_over_seeds([r for r in some if r.seed in seeds], items, key) for some in (runs, others))
    shared = [id_ for id_ in one if id_ in other]
    if not shared:
        return None
    result = paired_permutation(
        [one[id_][1] for id_ in shared],
        [other[id_][1] for id_ in shared],
        [one[id_][0] for id_ in shared],
        permutations=PERMUTATIONS,
        resamples=RESAMPLES,
        seed=SEED,
    )
    d = result.difference
    return Test(d.value, d.low, d.high, result.p_value, d.n)


def _over_seeds(runs: Sequence[SweepRun], items: Mapping[Path, Mapping[str, Items]], key: str) -> Values:
    """Items that every run was judged on, with the mean of their values; undefined ones are left out."""
    columns: list[Values] = []
    for run in runs:
        of_key = [some for some in items[run.directory].values() if key in some.values]
        columns.append(
            {
                id_: (group, value)
                for some in of_key
                for id_, group, value in zip(some.ids, some.groups, some.values[key].tolist(), strict=True)
                if not math.isnan(value)
            }
        )
    first, *rest = columns or [{}]
    return {
        id_: (group, float(np.mean([value, *(column[id_][1] for column in rest)])))
        for id_, (group, value) in first.items()
        if all(id_ in column for column in rest)
    }


def _scored(setting: Setting, measures: Sequence[tuple[str, str]], tests: Mapping[str, Test]) -> Setting:
    scores = {key: score for key, _ in measures if (score := _score(setting.runs, key, tests.get(key))) is not None}
    return replace(setting, scores=scores)


def _score(runs: Sequence[SweepRun], key: str, test: Test | None) -> Score | None:
    """Over seeds with their interval; with a single seed, the run's own over patients."""
    measured = [one for run in runs if value_of(one := run.results.get(key)) is not None]
    values = tuple(float(value_of(one) or 0.0) for one in measured)
    if not values:
        return None
    if len(values) == 1:
        ends = [measured[0].get(end) if isinstance(measured[0], Mapping) else None for end in ("low", "high")]
        low, high = (math.nan if end is None else float(end) for end in ends)
        return Score(values[0], low, high, values, test)
    interval = over_seeds({"all": values}, resamples=RESAMPLES, seed=SEED)
    return Score(interval.value, interval.low, interval.high, values, test)


def _adjusted(tests: Mapping[K, Test]) -> dict[K, Test]:
    names = {str(n): key for n, key in enumerate(tests)}
    p_values = holm({name: tests[key].p_value for name, key in names.items()})
    return {key: replace(tests[key], p_value=p_values[name]) for name, key in names.items()}
