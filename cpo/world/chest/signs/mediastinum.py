"""Signs painted along the mediastinum; same arguments as in `lungs`."""

from __future__ import annotations

import numpy as np

from cpo.world.chest.canvas import Canvas
from cpo.world.chest.frame import LEFT, RIGHT
from cpo.world.chest.signs.lungs import Paint


def _distended_azygos_vein(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    body = canvas.body
    # an oval in the angle between trachea and right main bronchus, half outside the mediastinum
    x, y = body.shift - body.mediastinum - 0.5 * body.stripe - 0.035, rng.uniform(-0.28, -0.24)
    window = canvas.frame.window(x, y, 0.14, 0.16)
    vein = canvas.disc(window, x, y, 0.04 + 0.045 * grade, 0.05 + 0.05 * grade, 0.2)
    canvas.fill(window, vein)
    canvas.tissue[window] += np.float32(0.04 + 0.12 * grade) * vein


def _mediastinal_air(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    body = canvas.body
    for each in (RIGHT, LEFT):
        edge = body.shift + each * body.mediastinum
        heights = np.linspace(-0.74, -0.02, 7)
        air = [(edge - each * (0.015 + rng.uniform(0, 0.012)), float(y)) for y in heights]
        canvas.line([(each * 0.16, -0.98), (each * 0.14, -0.84), *air], 0.032, -0.10 - 0.28 * grade)
        # the pleura that the air has lifted off
        canvas.line([(x + each * 0.034, y) for x, y in air], 0.014, 0.10 + 0.22 * grade)


MEDIASTINUM_PAINTS: dict[str, Paint] = {
    "distended azygos vein": _distended_azygos_vein,
    "mediastinal air": _mediastinal_air,
}
