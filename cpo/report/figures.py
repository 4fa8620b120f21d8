"""The figures of a run: panels of the one specification as curves, and the headline as dots with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from cpo.panels import Panel, PanelKind
from cpo.report.bands import draw_bands
from cpo.report.blocks import Figure
from cpo.report.headline import ALL, arms, concepts, shown, value_of
from cpo.report.record import RunRecord
from cpo.report.style import DASHES, REFERENCE, as_json, colour, new_figure, short

Array = NDArray[np.float64]

STAGES = {"sft": "SFT", "control": "SFT continued (control)", "train": "preference optimization"}
POINTS = 2000
"""Most points per curve; longer ones are thinned after smoothing."""
SMOOTHED_FROM = 60
"""Curves of at least so many points get a running mean, with the raw values faint behind it."""


def panel_figure(panel: Panel, run: RunRecord) -> Figure | None:
    """A panel as a figure; None when the run has none of its metrics."""
    curves = {key: run.series(key, panel.x) for key in panel.select(run.keys)}
    curves = {key: points for key, points in curves.items() if points[0]}
    if not curves:
        return None
    figure = new_figure(panel.x_label, legend=len(curves) > 1)
    remarks = [panel.note]
    for number, (key, (x, y)) in enumerate(curves.items()):
        remarks += _draw(figure, _name(key, list(curves)), np.array(x), np.array(y), number)
    if panel.kind is PanelKind.BAND:
        draw_bands(figure, run.drift, run.summary.get("alarms") or ())
    caption = " ".join(dict.fromkeys(filter(None, remarks)))
    wide = panel.kind is PanelKind.BAND or len(curves) > 2
    return Figure(as_json(figure), panel.title, panel.y, caption, wide=wide)


def headline_figure(evaluation: Mapping[str, Mapping[str, Any]], choices: Mapping[str, str]) -> Figure | None:
    """Balanced accuracy of each arm by concept, with its interval; hollow, the same with pictures shuffled."""
    names, labels = concepts(evaluation), arms(choices)
    figure = new_figure("balanced accuracy", legend=True, hover="closest")
    for number, (arm, label) in enumerate(labels.items()):  # an arm keeps its colour and place where others are missing
        results = evaluation.get(arm, {})
        heights = [place + 0.2 * (number - 1) for place in range(len(names))]
        for key, hollow in (("balanced_accuracy", False), ("shuffled_balanced_accuracy", True)):
            measured = [results.get(name, {}).get(key) for name in names]
            _draw_dots(figure, label, measured, heights, number, hollow=hollow)
    if not figure.data:
        return None
    figure.add_vline(0.5, line=REFERENCE, annotation_text="chance", annotation_position="bottom right")
    figure.update_xaxes(showgrid=True)
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=["all" if name == ALL else name for name in names],
        range=[len(names) - 0.5, -0.5],
        showgrid=False,
        ticks="",
    )
    return Figure(
        as_json(figure),
        "Balanced accuracy by concept",
        caption="Dots with their intervals; hollow: the same model with pictures shuffled among patients.",
        height=130 + 80 * len(names),
        wide=True,
    )


def _draw(figure: go.Figure, name: str, x: Array, y: Array, number: int) -> list[str]:
    """Draws a curve, smoothed when it is long; returns what was done to it, for the caption."""
    line = {"color": colour(number), "dash": DASHES[number % len(DASHES)], "width": 2}
    stride = -(-len(x) // POINTS)
    thinned = [f"Every {stride}th point is drawn."] if stride > 1 else []
    if len(x) < SMOOTHED_FROM:
        mode = "lines+markers" if len(x) < 20 else "lines"
        figure.add_scatter(x=short(x), y=short(y), name=name, mode=mode, line=line)
        return []
    window = len(x) // 20 | 1  # odd: as many points before as after
    faint = {"color": colour(number), "width": 1}
    points = {"x": short(x[::stride]), "mode": "lines"}
    figure.add_scatter(
        **points,
        y=short(y[::stride]),
        line=faint,
        opacity=0.3,
        showlegend=False,
        hoverinfo="skip",
        name=f"{name} (raw)",
    )
    figure.add_scatter(**points, y=short(running_mean(y, window)[::stride]), line=line, name=name)
    return [f"Running mean over {window} points, raw values faint.", *thinned]


def running_mean(values: Array, window: int) -> Array:
    """Mean over a centred window, shorter at the ends; nan is left out.

    Example:
        >>> running_mean(np.array([1.0, 2.0, 6.0, np.nan]), 3).tolist()
        [1.5, 3.0, 4.0, 6.0]
    """
    known = ~np.isnan(values)
    ones = np.ones(window)
    total = np.convolve(np.where(known, values, 0.0), ones, mode="same")
    count = np.convolve(known.astype(float), ones, mode="same")
    mean: Array = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0.5)
    return mean


def _draw_dots(
    figure: go.Figure, name: str, measured: Sequence[Any], heights: Sequence[float], number: int, *, hollow: bool
) -> None:
    values = [value_of(one) for one in measured]
    if all(value is None for value in values):
        return
    ends = [one if isinstance(one, Mapping) else {} for one in measured]
    up = [_gap(value, end.get("high")) for value, end in zip(values, ends, strict=True)]
    down = [_gap(end.get("low"), value) for value, end in zip(values, ends, strict=True)]
    figure.add_scatter(
        x=values,
        y=short(heights),
        name=f"{name}, pictures shuffled" if hollow else name,
        showlegend=not hollow,
        mode="markers",
        marker={"color": colour(number), "size": 9, "symbol": "circle-open" if hollow else "circle"},
        error_x={"array": up, "arrayminus": down, "color": colour(number), "thickness": 1.5, "width": 3},
        opacity=0.75 if hollow else 1.0,
        text=[" ".join(shown(one)) for one in measured],
        hovertemplate="%{fullData.name}<br>%{text}<extra></extra>",
    )


def _gap(low: float | None, high: float | None) -> float:
    return 0.0 if low is None or high is None else high - low


def _name(key: str, keys: Sequence[str]) -> str:
    """What tells a curve from the others of its panel: its stage, or the last part of its key."""
    stage, _, rest = key.partition("/")
    return STAGES.get(stage, stage) if len({k.partition("/")[0] for k in keys}) > 1 else rest.rpartition("/")[2]
