"""Support devices on the film: they cause nothing and are caused by nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cpo.world.chest.canvas import Canvas
from cpo.world.chest.frame import LEFT


def _pacemaker(canvas: Canvas) -> None:
    shift = canvas.body.shift
    canvas.outline([(0.50, -0.62), (0.64, -0.62), (0.67, -0.58), (0.67, -0.46), (0.50, -0.46), (0.48, -0.50)], 0.75)
    lead = [(0.50, -0.56), (0.34, -0.66), (0.12 + shift, -0.60), (-0.08 + shift, -0.30), (-0.10 + shift, 0.05)]
    canvas.line([*lead, (0.02 + shift, 0.24), (0.16 + shift, canvas.body.dome[LEFT] - 0.10)], 0.013, 0.34)


def _central_line(canvas: Canvas) -> None:
    shift = canvas.body.shift
    vein = [(-0.30, -1.0), (-0.22, -0.78), (-0.13, -0.60), (-0.115 + shift, -0.30), (-0.11 + shift, -0.08)]
    canvas.line(vein, 0.016, 0.36)


def _endotracheal_tube(canvas: Canvas) -> None:
    x = canvas.body.trachea + 0.7 * canvas.body.shift
    for edge in (-0.018, 0.018):
        canvas.line([(0.3 * x + edge, -1.0), (x + edge, -0.44)], 0.012, 0.40)
    canvas.line([(x - 0.018, -0.44), (x + 0.018, -0.41)], 0.014, 0.45)


def _nasogastric_tube(canvas: Canvas) -> None:
    dome = canvas.body.dome[LEFT]
    canvas.line([(0.03, -1.0), (0.035, -0.2), (0.05, 0.3), (0.16, dome + 0.12), (0.36, dome + 0.24)], 0.016, 0.34)


def _sternal_wires(canvas: Canvas) -> None:
    for y in np.linspace(-0.46, 0.26, 6):
        low, high = float(y) - 0.022, float(y) + 0.022
        canvas.line([(-0.045, low), (0.045, high), (0.045, low), (-0.045, high), (-0.045, low)], 0.014, 0.55)


DEVICES: dict[str, Callable[[Canvas], None]] = {
    "pacemaker": _pacemaker,
    "central line": _central_line,
    "endotracheal tube": _endotracheal_tube,
    "nasogastric tube": _nasogastric_tube,
    "sternal wires": _sternal_wires,
}
