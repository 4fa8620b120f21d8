"""The known truth about a stream as bands behind a curve: which concept is where, and when it changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from cpo.report.style import REFERENCE, colour, tint

SLICES = 12
"""Steps in which a gradual change is shaded from one concept's colour to the next."""


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch `[start, end)` of the stream under one concept, or between two while it changes.

    Args:
        start: First position, in samples.
        end: The position after the last.
        before: Index of the concept; while it changes, of the one that goes.
        after: The same index; while it changes, that of the one that comes.
    """

    start: float
    end: float
    before: int
    after: int

    @property
    def changing(self) -> bool:
        """Whether the concept changes within."""
        return self.before != self.after


def bands(drift: Mapping[str, Any]) -> list[Band]:
    """The stream's bands in order, from the dictionary of a `records.DriftTruth`.

    Between two changes the concept is the one that most of the positions have.

    Example:
        >>> truth = {"concept_at": [0, 0, 0, 1, 0, 1, 1, 1], "changes": [[3, 5]]}
        >>> [(b.start, b.end, b.before, b.after) for b in bands(truth)]
        [(0, 3, 0, 0), (3, 5, 0, 1), (5, 8, 1, 1)]
    """
    concept_at = drift.get("concept_at") or []
    if not concept_at:
        return []
    changes = sorted((start, end) for start, end in drift.get("changes") or ())
    starts = [0, *(end for _, end in changes)]
    ends = [*(start for start, _ in changes), len(concept_at)]
    pure = [
        Band(start, end, concept, concept)
        for start, end in zip(starts, ends, strict=True)
        if start < end
        for concept in [Counter(concept_at[start:end]).most_common(1)[0][0]]
    ]
    between = [Band(a.end, b.start, a.before, b.before) for a, b in pairwise(pure) if a.end < b.start]
    return sorted([*pure, *between], key=lambda band: band.start)


ALARMS = 60
"""Most alarms that are drawn; a detector that fires more often says nothing."""


def draw_bands(figure: go.Figure, drift: Mapping[str, Any], alarms: Sequence[Mapping[str, Any]] = ()) -> None:
    """Shades the concepts behind a figure over the stream, names them, and marks where changes begin and end.

    Args:
        figure: Over the stream.
        drift: The dictionary of a `records.DriftTruth`.
        alarms: Of detectors, each `position`, `detector` and `signal`: triangles at the foot.
    """
    names = {concept["index"]: concept["name"] for concept in drift.get("concepts", ())}
    stretches = bands(drift)
    shades = [shade for band in stretches for shade in _shades(band)]
    lines = sorted({position for change in drift.get("changes") or () for position in change})
    place = {"showarrow": False, "xanchor": "left", "yref": "paper", "y": 1, "yanchor": "bottom"}
    figure.update_layout(
        # all at once: adding shapes one by one copies those already there
        shapes=[*shades, *(_line(position) for position in lines)],
        annotations=[
            *({"text": names.get(b.before, ""), "x": b.start, **place} for b in stretches if not b.changing),
            *(_mark(alarm) for alarm in alarms[:ALARMS]),
        ],
        margin_t=28,  # room for the names, above the curves
    )


def _shades(band: Band) -> list[dict[str, Any]]:
    """One rectangle, or while the concept changes, some that go over from one colour to the other."""
    slices = SLICES if band.changing else 1
    width = (band.end - band.start) / slices
    return [
        {
            "type": "rect",
            "x0": band.start + i * width,
            "x1": band.start + (i + 1) * width,
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "fillcolor": tint(band.before, band.after, (i + 0.5) / slices, alpha=0.1),
            "line": {"width": 0},
            "layer": "below",
        }
        for i in range(slices)
    ]


def _mark(alarm: Mapping[str, Any]) -> dict[str, Any]:
    told = f"alarm at sample {alarm['position']:,}: {alarm['detector']} on {alarm['signal']}"
    place = {"yref": "paper", "y": 0, "yanchor": "bottom", "showarrow": False}
    return {"text": "▲", "x": alarm["position"], "hovertext": told, **place, "font": {"color": colour(1), "size": 11}}


def _line(position: float) -> dict[str, Any]:
    ends = {"x0": position, "x1": position, "yref": "paper", "y0": 0, "y1": 1}
    return {"type": "line", **ends, "line": {**REFERENCE, "dash": "dash"}}
