"""The figures of a sweep: its matrix, its ranking, and what a better score costs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cpo.report.blocks import Figure
from cpo.report.headline import UNMEASURED, number
from cpo.report.style import REFERENCE, as_json, colour, new_figure, short
from cpo.report.sweep_record import Score, Setting, SweepRecord

LEVELS = ((0.01, 2), (0.05, 1))
"""Adjusted p-values, and how many marks stand beside a number that is below."""
RANKED = 30
"""Settings drawn in the ranking; the table below it has all."""
SCALE = ((0.0, "#fbf1d5"), (0.5, "#b5dbd3"), (1.0, "#56b4e9"))
"""Low to high: darker step by step, so it reads without colours, and light enough for dark numbers in every cell."""
INK = "#14202b"
FEW_SEEDS = 5
"""A bootstrap over fewer has too few values to draw from."""
FILLED = 0.5
"""A matrix with more holes than that is a search, not a grid, and is not drawn."""


def matrix(sweep: SweepRecord) -> tuple[list[str], list[str], dict[tuple[str, str], Setting]]:
    """Rows, columns and the setting of each cell: the column axis against all others together."""
    column = sweep.column
    others = [axis for axis in sweep.axes if axis != column]
    cells = {
        (" · ".join(setting.values[axis] for axis in others), setting.values[column] if column else "all"): setting
        for setting in sweep.settings
    }
    rows = list(dict.fromkeys(row for row, _ in cells))
    columns = list(sweep.axes[column]) if column else ["all"]
    return rows, columns, cells


def is_grid(sweep: SweepRecord) -> bool:
    """Whether enough of the matrix is there to be looked at."""
    rows, columns, cells = matrix(sweep)
    return len(cells) >= FILLED * len(rows) * len(columns)


def marks(score: Score) -> str:
    """Arrows that say whether a score differs from the baseline's, and how surely.

    Example:
        >>> from cpo.report.sweep_record import Test
        >>> marks(Score(0.8, 0.7, 0.9, (0.8,), Test(-0.1, -0.2, -0.05, 0.004, items=500)))
        '▼▼'
    """
    if score.test is None:
        return ""
    count = next((count for level, count in LEVELS if score.test.p_value < level), 0)
    return ("▲" if score.test.difference > 0 else "▼") * count


def matrix_figure(sweep: SweepRecord, key: str, label: str) -> Figure | None:
    """The measure of each cell as a heat map, its number in it, with marks where it differs from the baseline."""
    rows, columns, cells = matrix(sweep)
    scores = [[_score(cells.get((row, column)), key) for column in columns] for row in rows]
    if not any(score for line in scores for score in line):
        return None
    column, others = sweep.column, [axis for axis in sweep.axes if axis != sweep.column]
    figure = new_figure(column or "", legend=False, hover="closest")
    figure.add_heatmap(
        x=columns,
        y=rows,
        z=[short(score.value if score else math.nan for score in line) for line in scores],
        text=[[f"{number(s.value)} {marks(s)}".strip() if s else UNMEASURED for s in line] for line in scores],
        customdata=[[told(s) if s else "no finished run" for s in line] for line in scores],
        texttemplate="%{text}",
        hovertemplate="%{y}<br>%{x}<br>%{customdata}<extra></extra>",
        hoverongaps=False,
        colorscale=SCALE,
        textfont={"color": INK, "size": 14},
        xgap=2,
        ygap=2,
        colorbar={"title": "", "thickness": 12, "outlinewidth": 0},
    )
    figure.update_xaxes(type="category", showline=False, ticks="")
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, ticks="")
    against = ""
    if sweep.baseline:
        against = (
            f" ▲ higher, ▼ lower than {sweep.baseline[0]}={sweep.baseline[1]} in the same row: one mark p < 0.05, two "
            "p < 0.01, paired by held-out item, patients exchanged whole, Holm over the matrix."
        )
    title = f"{label}, {' · '.join(others)} × {column}" if others else f"{label} by {column}" if column else label
    caption = f"Tuned policy, all held-out samples.{against}"
    return Figure(as_json(figure), title, caption=caption, height=110 + 42 * len(rows), wide=True)


def ranking_figure(sweep: SweepRecord, key: str, label: str) -> Figure | None:
    """Settings from the highest score to the lowest, with intervals and every seed."""
    best = ranked(sweep, key)
    if not best:
        return None
    shown = best[:RANKED]
    figure = new_figure(label, legend=False, hover="closest")
    places = list(range(len(shown)))
    scores = [setting.scores[key] for setting in shown]
    figure.add_scatter(
        x=short(value for score in scores for value in score.by_seed),
        y=[place for place, score in zip(places, scores, strict=True) for _ in score.by_seed],
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 9, "color": colour(0)},
        opacity=0.6,
        text=[f"seed {run.seed}" for setting in shown for run in setting.runs if key in run.results],
        hovertemplate="%{text}: %{x}<extra></extra>",
    )
    figure.add_scatter(
        x=short(score.value for score in scores),
        y=places,
        mode="markers",
        marker={"size": 9, "color": colour(0)},
        error_x={
            "array": [_gap(score.value, score.high) for score in scores],
            "arrayminus": [_gap(score.low, score.value) for score in scores],
            "color": colour(0),
            "thickness": 1.5,
            "width": 3,
        },
        text=[f"{setting.name}<br>{told(score)}" for setting, score in zip(shown, scores, strict=True)],
        hovertemplate="%{text}<extra></extra>",
    )
    figure.add_vline(scores[0].value, line=REFERENCE)
    names = [f"{setting.name} {marks(score)}".strip() for setting, score in zip(shown, scores, strict=True)]
    figure.update_xaxes(showgrid=True)
    figure.update_yaxes(tickvals=places, ticktext=names, range=[len(shown) - 0.5, -0.5], showgrid=False, ticks="")
    left = f" The highest {RANKED} of {len(best)}; the table has all." if best[RANKED:] else ""
    seeds = max(len(setting.runs) for setting in sweep.settings)
    few = f" Of {seeds} seeds such an interval is too narrow." if seeds < FEW_SEEDS else ""
    how = (
        f"Dots: interquartile mean over seeds with a bootstrap interval over them; ticks: single seeds.{few}"
        if seeds > 1
        else "Dots: one run each, with its bootstrap interval over patients; a single seed says nothing about others."
    )
    return Figure(
        as_json(figure), f"Ranking by {label.lower()}", caption=how + left, height=90 + 26 * len(shown), wide=True
    )


def cost_figure(sweep: SweepRecord, key: str, label: str) -> Figure | None:
    """Score against the seconds of the preference stage: what is better and what is dearer."""
    column = sweep.column
    figure = new_figure("seconds of the preference stage, mean over seeds", legend=column is not None, hover="closest")
    for n, value in enumerate(sweep.axes[column] if column else ("all",)):
        those = [s for s in sweep.settings if key in s.scores and (column is None or s.values[column] == value)]
        figure.add_scatter(
            x=short(setting.mean("stages", "preference", "seconds") for setting in those),
            y=short(setting.scores[key].value for setting in those),
            name=value,
            mode="markers",
            marker={"color": colour(n), "symbol": n % 6, "size": 10},
            text=[setting.name for setting in those],
            hovertemplate="%{text}<br>%{x} s, %{y}<extra></extra>",
        )
    if not any(x is not None for trace in figure.data for x in trace.x):
        return None
    return Figure(as_json(figure), f"{label} and time", label.lower(), "Up and to the left is better.", wide=True)


def ranked(sweep: SweepRecord, key: str) -> list[Setting]:
    """Settings that have the measure, the highest first."""
    return sorted((s for s in sweep.settings if key in s.scores), key=lambda s: -s.scores[key].value)


def told(score: Score) -> str:
    """A score in full: interval, seeds, difference."""
    seeds = f"{len(score.by_seed)} seed{'s' if len(score.by_seed) > 1 else ''}"
    interval = "" if math.isnan(score.low) else f" [{number(score.low)}, {number(score.high)}]"
    test = ""
    if score.test is not None:
        test = (
            f"<br>difference {number(score.test.difference)} [{number(score.test.low)}, {number(score.test.high)}], "
            f"p = {score.test.p_value:.2g} over {score.test.items} items"
        )
    return f"{number(score.value)}{interval}, {seeds}{test}"


def _score(setting: Setting | None, key: str) -> Score | None:
    return setting.scores.get(key) if setting else None


def _gap(low: float, high: float) -> float:
    return 0.0 if math.isnan(low) or math.isnan(high) else max(high - low, 0.0)


def axis_figures(sweep: SweepRecord, key: str, label: str) -> Sequence[Figure]:
    """For each axis of numbers with many values the score against it: what a search saw."""
    figures = []
    for axis, values in sweep.axes.items():
        try:
            numbers = [float(value) for value in values]
        except ValueError:
            continue
        if len(numbers) < 5:
            continue
        those = [setting for setting in sweep.settings if key in setting.scores]
        figure = new_figure(axis, legend=False, hover="closest")
        figure.add_scatter(
            x=short(float(setting.values[axis]) for setting in those),
            y=short(setting.scores[key].value for setting in those),
            mode="markers",
            marker={"color": colour(0), "size": 9},
            text=[setting.name for setting in those],
            hovertemplate="%{text}<br>%{y}<extra></extra>",
        )
        if min(numbers) > 0 and max(numbers) / min(numbers) >= 20:
            figure.update_xaxes(type="log")
        figures.append(Figure(as_json(figure), f"{label} against {axis}", label.lower()))
    return figures
