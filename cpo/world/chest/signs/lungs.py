"""Signs painted into the lungs.

Every function takes the canvas, the side (-1 right, +1 left, 0 neither), a grade from 0 to 1 and random numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from cpo.world.chest.anatomy import mottles
from cpo.world.chest.canvas import Canvas
from cpo.world.chest.frame import LEFT, RIGHT, Point, ramp

Paint = Callable[[Canvas, int, float, np.random.Generator], None]


def _spot(canvas: Canvas, side: int, rng: np.random.Generator) -> Point:
    """A place well inside a lung, clear of heart and hilum."""
    y = rng.uniform(-0.50, 0.15)
    outer = float(canvas.body.lateral(side, y))
    return side * rng.uniform(0.48, 0.74) * outer, y


def _perihilar_haze(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    for each in (RIGHT, LEFT):
        x = each * (0.30 + rng.uniform(-0.02, 0.02)) + canvas.body.shift
        y = rng.uniform(-0.06, 0.02)
        canvas.fill_blob(x, y, 0.24, 0.34, 0.20 + 0.65 * grade)


def _septal_lines(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    for each in (RIGHT, LEFT):
        _, angle = canvas.body.angle(each)
        for k in range(8):
            y = angle - 0.14 - 0.062 * k + rng.uniform(-0.01, 0.01)
            outer = float(canvas.body.lateral(each, y)) - 0.02
            inner = outer - rng.uniform(0.11, 0.18)
            ends = [(each * outer, y), (each * inner, y + rng.uniform(-0.015, 0.015))]
            canvas.line(ends, 0.014, 0.08 + 0.36 * grade, in_lung=True)


def _bronchial_cuffing(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    turn = np.linspace(0, 2 * np.pi, 13)
    for each in (RIGHT, LEFT):
        for _ in range(5):
            x = each * rng.uniform(0.24, 0.40) + canvas.body.shift
            y = rng.uniform(-0.28, 0.14)
            ring = [(x + 0.034 * float(np.cos(t)), y + 0.034 * float(np.sin(t))) for t in turn]
            canvas.line(ring, 0.018, 0.06 + 0.26 * grade, in_lung=True)


def _dense_lobar_opacity(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    upper = bool(rng.random() < 0.4)
    x, y = side * rng.uniform(0.40, 0.46), rng.uniform(-0.40, -0.34) if upper else rng.uniform(0.14, 0.20)
    rx, ry = 0.22 + 0.16 * grade, 0.20 + 0.16 * grade
    window = canvas.frame.window(x, y, 1.2 * rx, 1.2 * ry)
    fissure = y + (0.5 * ry if upper else -0.5 * ry)
    slope = np.float32(side * rng.uniform(-0.12, 0.12))
    below = canvas.frame.y[window] - fissure - slope * (canvas.frame.x[window] - np.float32(x))
    beyond = -below if upper else below
    region = canvas.disc(window, x, y, rx, ry, 0.25) * ramp(beyond, 0.02)
    canvas.fill(window, np.float32(min(0.94, 0.50 + 0.55 * grade)) * region)
    canvas.focus[side] = (x, y + (-0.08 if upper else 0.04))


def _air_bronchograms(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    if side not in canvas.focus:
        canvas.focus[side] = (side * rng.uniform(0.38, 0.44), rng.uniform(-0.05, 0.15))
        canvas.fill_blob(*canvas.focus[side], 0.16, 0.16, 0.55)
    x, y = canvas.focus[side]
    root = (x - side * 0.20, y - 0.02)
    for angle in (-0.55, 0.0, 0.55):
        turn = angle + rng.uniform(-0.1, 0.1)
        fork = _step(root, side, turn)
        canvas.line([root, fork], 0.028, -0.08 - 0.22 * grade)
        for bend in (-0.35, 0.35):
            canvas.line([fork, _step(fork, side, turn + bend)], 0.020, -0.06 - 0.20 * grade)


def _step(start: Point, side: int, turn: float) -> Point:
    return start[0] + side * 0.15 * float(np.cos(turn)), start[1] + 0.15 * float(np.sin(turn))


def _obscured_heart_border(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    cx, cy, rx, _ = canvas.body.heart_axes()
    x = cx + (0.85 * rx if side == LEFT else -1.0 * rx)
    canvas.fill_blob(x + side * 0.05, cy + 0.02, 0.15, 0.20, 0.30 + 0.70 * grade)


def _patchy_airspace_opacity(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    low = rng.random() < 0.7
    mottle = mottles(canvas.frame.size)[int(rng.integers(12))]
    for _ in range(round(5 + 5 * grade)):
        y = rng.uniform(-0.14, 0.36) if low else rng.uniform(-0.55, 0.0)
        x = side * rng.uniform(0.45, 0.90) * float(canvas.body.lateral(side, y))
        rx, ry = rng.uniform(0.065, 0.105, size=2)
        window = canvas.frame.window(x, y, 2 * rx, 2 * ry)
        fluffy = np.clip(1 + 0.5 * mottle[window], 0.3, 1.5)
        canvas.fill(window, np.float32(0.30 + 0.70 * grade) * canvas.blob(window, x, y, rx, ry) * fluffy)
    canvas.focus.setdefault(side, (side * 0.44, 0.14 if low else -0.25))


def _hazy_opacity(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    x, y = side * 0.46, rng.uniform(-0.28, 0.10)
    rx, ry = 0.34, rng.uniform(0.34, 0.42)
    window = canvas.frame.window(x, y, 1.2 * rx, 1.2 * ry)
    canvas.fill(window, np.float32(0.10 + 0.46 * grade) * canvas.disc(window, x, y, rx, ry, 0.42))


def _reticular_pattern(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    for _ in range(60):
        y = rng.uniform(-0.20, 0.42)
        x = side * rng.uniform(0.42, 0.95) * float(canvas.body.lateral(side, y))
        turn, length = rng.uniform(0, np.pi), rng.uniform(0.025, 0.05)
        dx, dy = length * float(np.cos(turn)), length * float(np.sin(turn))
        canvas.line([(x - dx, y - dy), (x + dx, y + dy)], 0.013, 0.06 + 0.24 * grade, in_lung=True)


def _linear_opacities(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    dome = canvas.body.dome[side]
    tilt, bow = rng.uniform(-0.05, 0.07), rng.uniform(0.01, 0.03)
    for k in range(3):
        y = dome - 0.06 - 0.095 * k + rng.uniform(-0.012, 0.012)
        inner, outer = rng.uniform(0.24, 0.30), rng.uniform(0.56, 0.68)
        middle = (side * (inner + outer) / 2, y + tilt / 2 - bow)
        canvas.line([(side * inner, y), middle, (side * outer, y + tilt)], 0.030, 0.08 + 0.30 * grade, in_lung=True)


def _bulging_fissure(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    middle, sag = -0.20 + rng.uniform(-0.03, 0.03), 0.10 + 0.12 * grade
    u, y = canvas.frame.x * np.float32(side), canvas.frame.y
    across = (u - np.float32(0.42)) / np.float32(0.34)
    # convex downward: the lobe above it is swollen
    edge = middle + np.float32(sag) * (1 - across * across)
    lobe = ramp(edge - y, 0.02) * ramp(y - edge + np.float32(0.34), 0.24) * ramp(1 - np.abs(across), 0.10)
    canvas.fill((slice(None), slice(None)), np.float32(0.22 + 0.44 * grade) * lobe * canvas.lungs[side])
    points = np.linspace(-0.9, 0.9, 9)
    line = [(side * (0.42 + 0.34 * float(p)), middle + sag * (1 - float(p) ** 2)) for p in points]
    canvas.line(line, 0.020, 0.10 + 0.22 * grade, in_lung=True)


def _honeycombing(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    turn = np.linspace(0, 2 * np.pi, 11)
    _, angle = canvas.body.angle(side)
    for row, column in product(range(5), range(3)):
        y = angle - 0.16 - 0.082 * row + rng.uniform(-0.006, 0.006)
        u = float(canvas.body.lateral(side, y)) - 0.06 - 0.084 * (column + 0.5 * (row % 2))
        cyst = [(side * u + 0.038 * float(np.cos(t)), y + 0.038 * float(np.sin(t))) for t in turn]
        canvas.line(cyst, 0.020, 0.08 + 0.34 * grade, in_lung=True)


def _crowded_vessels(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    foot = canvas.body.dome[side] - 0.05
    beside = 0.10 if side == LEFT else 0.0  # the heart
    for k in range(6):
        top = (side * (0.24 + 0.5 * beside + 0.022 * k) + canvas.body.shift, -0.08 + rng.uniform(-0.02, 0.02))
        bend = (side * (0.31 + beside + 0.032 * k) + rng.uniform(-0.008, 0.008), (foot - 0.08) / 2)
        canvas.line([top, bend, (side * (0.36 + beside + 0.042 * k), foot)], 0.020, 0.07 + 0.28 * grade, in_lung=True)


def _compensatory_overinflation(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    upper = canvas.lungs[side] * ramp(-0.06 - canvas.frame.y, 0.16)
    # the same vessels in more air: sparse and dark
    canvas.markings *= 1 - np.float32(0.75) * upper
    canvas.tissue -= np.float32(0.02 + 0.06 * grade) * upper


def _volume_loss(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    haze = np.float32(0.12 + 0.30 * grade) * ramp(canvas.frame.y + 0.2, 0.8)
    canvas.fill((slice(None), slice(None)), canvas.half(side) * haze)


def _displaced_fissure(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    root, tip = -0.10 + rng.uniform(-0.03, 0.03), -0.62
    u, y = canvas.frame.x * np.float32(side), canvas.frame.y
    share = np.clip((u - 0.10) / 0.55, 0, 1)
    # concave towards the hilum: the upper lobe has shrunk to a wedge against the mediastinum
    edge = root + (tip - root) * np.sqrt(share)
    wedge = ramp(edge - y, 0.02) * canvas.half(side)
    canvas.fill((slice(None), slice(None)), wedge * np.float32(0.30 + 0.60 * grade))


def _nodule(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    x, y = _spot(canvas, side, rng)
    radius = rng.uniform(0.055, 0.070)
    window = canvas.frame.window(x, y, 1.2 * radius, 1.2 * radius)
    canvas.tissue[window] += np.float32(0.08 + 0.34 * grade) * canvas.disc(window, x, y, radius, radius, 0.15)


def _mass(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    x, y = _spot(canvas, side, rng)
    window = canvas.frame.window(x, y, 0.30, 0.30)
    solid = canvas.disc(window, x, y, 0.13, 0.13, 0.15)
    for turn in rng.uniform(0, 2 * np.pi, size=4):
        bump = canvas.disc(window, x + 0.09 * float(np.cos(turn)), y + 0.09 * float(np.sin(turn)), 0.08, 0.08, 0.2)
        solid = np.maximum(solid, bump)
    canvas.tissue[window] += np.float32(0.10 + 0.36 * grade) * solid * canvas.air[window]


def _cavity(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    x, y = _spot(canvas, side, rng)
    window = canvas.frame.window(x, y, 0.20, 0.20)
    wall = canvas.disc(window, x, y, 0.14, 0.14, 0.15) - 1.25 * canvas.disc(window, x, y, 0.085, 0.085, 0.2)
    canvas.tissue[window] += np.float32(0.08 + 0.32 * grade) * wall * canvas.air[window]


def _enlarged_hilum(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    x = canvas.body.shift + side * (canvas.body.mediastinum + 0.12)
    for dy in (-0.10, 0.02, 0.12):
        canvas.fill_blob(x, -0.03 + dy, 0.075, 0.075, 0.25 + 0.75 * grade)


LUNG_PAINTS: dict[str, Paint] = {
    "perihilar haze": _perihilar_haze,
    "septal lines": _septal_lines,
    "bronchial cuffing": _bronchial_cuffing,
    "dense lobar opacity": _dense_lobar_opacity,
    "patchy airspace opacity": _patchy_airspace_opacity,
    "air bronchograms": _air_bronchograms,
    "obscured heart border": _obscured_heart_border,
    "hazy opacity": _hazy_opacity,
    "reticular pattern": _reticular_pattern,
    "linear opacities": _linear_opacities,
    "volume loss": _volume_loss,
    "displaced fissure": _displaced_fissure,
    "bulging fissure": _bulging_fissure,
    "honeycombing": _honeycombing,
    "crowded vessels": _crowded_vessels,
    "compensatory overinflation": _compensatory_overinflation,
    "nodule": _nodule,
    "mass": _mass,
    "cavity": _cavity,
    "enlarged hilum": _enlarged_hilum,
}
