"""How every figure looks: palette, axes, margins. Colours that depend on the reader's theme are added by the page."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import plotly.graph_objects as go

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe & Ito 2008, without black and yellow, which vanish on a dark or on a light page."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
"""A second cue beside colour."""
REFERENCE = {"color": "rgba(128, 128, 128, 0.8)", "dash": "dot", "width": 1}
"""Lines to hold the data against: chance, a change of the stream."""


def new_figure(x_label: str, *, legend: bool, hover: str = "x unified") -> go.Figure:
    """An empty figure with axes."""
    figure = go.Figure(
        layout={
            "template": go.layout.Template(),
            "margin": {"l": 44, "r": 24, "t": 36 if legend else 12, "b": 44},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "hovermode": hover,
            "showlegend": legend,
            "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"},
        }
    )
    shared = {"zeroline": False, "ticks": "outside", "automargin": True}
    title = {"text": x_label, "standoff": 8, "font": {"size": 13}}
    figure.update_xaxes(title=title, showgrid=False, showline=True, **shared)
    figure.update_yaxes(showgrid=True, **shared)
    return figure


def as_json(figure: go.Figure) -> dict[str, Any]:
    """A figure as plain data for a page."""
    plain: dict[str, Any] = figure.to_plotly_json()
    plain["layout"].pop("template")
    return plain


def short(values: Iterable[float]) -> list[float | None]:
    """Values to six digits, which is more than a figure shows; null where there is none.

    Example:
        >>> short([0.123456789, math.nan])
        [0.123457, None]
    """
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]


def colour(index: int) -> str:
    """A colour of the palette, over and over."""
    return PALETTE[index % len(PALETTE)]


def tint(index: int, other: int = 0, share: float = 0.0, *, alpha: float) -> str:
    """A translucent colour of the palette, mixed with a `share` of another one.

    Example:
        >>> tint(0, alpha=0.1)
        'rgba(0, 114, 178, 0.1)'
    """
    pair = [[int(colour(i)[k : k + 2], 16) for k in (1, 3, 5)] for i in (index, other)]
    mixed = (round(a + share * (b - a)) for a, b in zip(*pair, strict=True))
    return f"rgba({', '.join(map(str, mixed))}, {alpha})"
