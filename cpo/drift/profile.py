"""What a stream looks like along its positions: concepts, labels and attributes, stretch by stretch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from cpo.drift.shift import Shift
from cpo.errors import ConfigError
from cpo.records import LabelState, Sample, Stream

VALUES = 8
"""A metadata key with more values than this (a date, a time) is no attribute to follow."""

Value = Callable[[Sample], float]


def profile(stream: Stream, shifts: Mapping[str, Shift], bins: int) -> dict[str, Any]:
    """Rates in equal stretches of a stream.

    Args:
        stream: Not empty.
        shifts: Those it was made with, by name.
        bins: Stretches, ≥ 1; no more than there are samples.

    Returns:
        `truth`, the stream's `DriftTruth`; `positions`, the middle of each stretch in samples; `samples` in each;
        `concepts`, the share of each in each stretch; `shifts`, by name what each measures in each stretch. And
        `results` (share of samples with each), `attributes` (share with each metadata value) and `contents` (means of
        what their names say), each by name: `along` the stretches, and `by_concept` over all its samples, nan of none.

    Raises:
        ConfigError: `bins` below 1.
    """
    if bins < 1:
        raise ConfigError(got=f"{bins} stretches", wanted="1 or more", remedy="pass bins=20")
    n, truth = len(stream.samples), stream.truth
    edges = np.linspace(0, n, min(bins, n) + 1).round().astype(np.int64)
    parts = [stream.samples[low:high] for low, high in pairwise(edges)]
    at = np.array(truth.concept_at)
    wholes = [[stream.samples[i] for i in np.flatnonzero(at == c.index)] for c in truth.concepts]

    def rates(value: Value) -> dict[str, list[float]]:
        return {"along": [_mean(value, p) for p in parts], "by_concept": [_mean(value, w) for w in wholes]}

    results = sorted({name for s in stream.samples for name in s.results})
    return {
        "truth": asdict(truth),
        "positions": ((edges[:-1] + edges[1:] - 1) / 2).tolist(),
        "samples": [len(part) for part in parts],
        "concepts": {
            c.name: [float(np.mean(at[low:high] == c.index)) for low, high in pairwise(edges)] for c in truth.concepts
        },
        "shifts": {name: _measured(shift, parts) for name, shift in shifts.items()},
        "results": {name: rates(partial(_has_result, name)) for name in results},
        "attributes": {
            f"{key} {value}": rates(partial(_has_value, key, value)) for key, value in _attributes(stream.samples)
        },
        "contents": {name: rates(value) for name, value in CONTENTS.items()},
    }


CONTENTS: Mapping[str, Value] = {
    "words of thinking": lambda s: len(s.factual.thinking.split()),
    "results per sample": lambda s: len(s.results),
    "labels in doubt per sample": lambda s: sum(state is LabelState.UNCERTAIN for state in s.labels.values()),
    "samples with an edited image": lambda s: any(image.edits for image in s.images),
}
"""What shifts that change samples leave behind in them."""


def _measured(shift: Shift, parts: Sequence[Sequence[Sample]]) -> dict[str, list[float]]:
    found = [shift.measure(part) for part in parts]
    return {key: [one.get(key, 0.0) for one in found] for key in dict.fromkeys(k for one in found for k in one)}


def _attributes(samples: Sequence[Sample]) -> list[tuple[str, str]]:
    """Metadata keys with a few values, each with its values."""
    found: list[tuple[str, str]] = []
    for key in sorted(set[str]().union(*(s.metadata for s in samples))):
        values = {s.metadata[key] for s in samples if key in s.metadata}
        if 1 < len(values) <= VALUES:
            found += [(key, value) for value in sorted(values)]
    return found


def _mean(value: Value, samples: Sequence[Sample]) -> float:
    return float(np.mean([value(s) for s in samples])) if samples else float("nan")


def _has_result(name: str, sample: Sample) -> bool:
    return name in sample.results


def _has_value(key: str, value: str, sample: Sample) -> bool:
    return sample.metadata.get(key) == value
