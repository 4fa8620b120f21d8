"""Signs painted into the pleural space, the diaphragm, the chest wall and the bones; same arguments as in `lungs`."""

from __future__ import annotations

import numpy as np

from cpo.world.chest.canvas import Canvas
from cpo.world.chest.frame import Point, ramp
from cpo.world.chest.signs.lungs import Paint

_ALL = (slice(None), slice(None))


def _blunted_angle(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    u, y = canvas.body.angle(side)
    x = side * u
    window = canvas.frame.window(x, y, 0.30, 0.30)
    radius = 0.10 + 0.12 * grade
    canvas.fill(window, canvas.disc(window, x, y, radius, radius, 0.25))


def _fluid_meniscus(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    body = canvas.body
    outer, bottom = body.angle(side)
    height = 0.03 + 0.52 * grade**1.5
    top = bottom - height * (bottom - body.apex)
    share = np.clip(canvas.frame.x * np.float32(side / outer), 0, 1)
    # fluid climbs along the chest wall
    level = top + (0.10 + 0.08 * grade) * (1 - share * share)
    fluid = ramp(canvas.frame.y - level, 0.035)
    canvas.tissue += np.float32(0.05) * fluid * canvas.lungs[side]
    canvas.fill(_ALL, canvas.half(side) * fluid)


def _loculated_fluid(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    rows = canvas.frame.y[:, canvas.frame.size // 2]
    high, half = rng.uniform(-0.22, 0.02), 0.16 + 0.12 * grade
    # a lens against the chest wall: trapped fluid does not follow gravity
    depth = (0.06 + 0.20 * grade) * np.clip(1 - ((rows - high) / half) ** 2, 0, 1)
    inner = (canvas.body.lateral(side, rows) - depth).astype(np.float32)[:, None]
    lens = ramp(canvas.frame.x * np.float32(side) - inner, 0.02) * (depth > 0).astype(np.float32)[:, None]
    canvas.tissue += np.float32(0.05) * lens * canvas.lungs[side]
    canvas.fill(_ALL, lens)


def _apical_cap(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    rows = canvas.frame.y[:, canvas.frame.size // 2]
    thick = 0.06 + 0.10 * grade + rng.uniform(-0.01, 0.01)
    below = canvas.body.lateral(side, rows - thick)[:, None] - np.float32(0.02)
    cap = (
        canvas.lungs[side] * ramp(canvas.frame.x * np.float32(side) - below, 0.02) * ramp(-0.44 - canvas.frame.y, 0.16)
    )
    canvas.fill(_ALL, np.float32(0.30 + 0.70 * grade) * cap)


def _juxtaphrenic_peak(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    u = canvas.frame.x * np.float32(side)
    share = np.clip(1 - np.abs(u - np.float32(rng.uniform(0.46, 0.54))) * np.float32(1 / 0.18), 0, 1)
    # drawn up, not pushed up: its slopes are hollow
    tent = canvas.body.diaphragm(side, u) - np.float32(0.10 + 0.20 * grade) * share * np.sqrt(share)
    canvas.fill(_ALL, ramp(canvas.frame.y - tent, 0.02) * canvas.half(side) * (share > 0))


def _fissural_fluid(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    y = rng.uniform(-0.12, -0.04)
    points = np.linspace(0.22, 0.66, 9)
    thick = 0.012 + 0.034 * grade * np.sin(np.linspace(0, np.pi, 9))
    upper = [(side * float(u), y - float(t)) for u, t in zip(points, thick, strict=True)]
    lower = [(side * float(u), y + float(t)) for u, t in zip(points, thick, strict=True)]
    canvas.outline(upper + lower[::-1], 0.10 + 0.34 * grade)


def _border(canvas: Canvas, side: int, gap: float, y: float) -> Point:
    """A point of the border of a lung that has fallen away from the chest wall by `gap`, most at the apex."""
    body = canvas.body
    sunk = body.apex + 1.5 * gap
    depth = min(1.0, max(0.0, (y - sunk) / (0.62 - sunk)))
    width = float(body.lateral(side, y)) - gap * (1.0 - 0.75 * depth)
    return side * min(width, body.width * float(np.sqrt(1 - (1 - depth) ** 2.5))), y


def _apical_pleural_line(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    gap = 0.05 + 0.19 * grade
    top = canvas.body.apex + 1.5 * gap
    heights = np.linspace(top + 0.002, 0.20 + 0.25 * grade, 26)
    border = [_border(canvas, side, gap, float(y)) for y in heights]
    rows = canvas.frame.y[:, canvas.frame.size // 2]
    inner = np.interp(rows, heights, [abs(x) for x, _ in border]).astype(np.float32)
    inner = np.where(rows < top, np.float32(-1), np.where(rows > heights[-1], np.float32(2), inner))[:, None]
    _empty(canvas, side, canvas.lungs[side] * ramp(canvas.frame.x * np.float32(side) - inner, 0.02), grade)
    canvas.line([(side * 0.14, top + 0.015), *border], 0.015, 0.12 + 0.22 * grade)


def _empty(canvas: Canvas, side: int, region: np.ndarray, grade: float) -> None:
    # air without lung: blacker, and no markings
    canvas.markings *= 1 - region
    canvas.tissue -= np.float32(0.03 + 0.08 * grade) * region


def _lost_lung_markings(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    rows = canvas.frame.y[:, canvas.frame.size // 2]
    inner = (canvas.body.lateral(side, rows) - np.float32(0.08 + 0.16 * grade))[:, None]
    region = canvas.lungs[side] * ramp(canvas.frame.x * np.float32(side) - inner, 0.03)
    _empty(canvas, side, region, grade)


def _deep_sulcus(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    u, y = canvas.body.angle(side)
    canvas.add_blob(side * (u - 0.06), y - 0.12, 0.12, 0.20, -0.05 - 0.10 * grade)


def _pleural_thickening(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    rows = canvas.frame.y[:, canvas.frame.size // 2]
    waves = 1 + 0.35 * np.sin(rows * rng.uniform(9, 14) + rng.uniform(0, 6))
    extent = np.clip((rows + 0.62) / 0.15, 0, 1) * np.clip((0.5 - rows) / 0.15, 0, 1)
    inner = (canvas.body.lateral(side, rows) - (0.03 + 0.10 * grade) * waves * extent).astype(np.float32)[:, None]
    canvas.fill(_ALL, ramp(canvas.frame.x * np.float32(side) - inner, 0.02))


def _pleural_calcification(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    for y in np.linspace(-0.40, 0.30, 6):
        start = float(y) + rng.uniform(-0.03, 0.03)
        points = []
        for dy in (0.0, 0.04, 0.08):
            inner = float(canvas.body.lateral(side, start + dy)) - rng.uniform(0.05, 0.10)
            points.append((side * inner, start + dy))
        canvas.line(points, 0.034, 0.10 + 0.42 * grade)


def _chest_wall_air(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    for y in np.linspace(-0.60, 0.35, 11):
        inner = float(canvas.body.lateral(side, float(y))) + rng.uniform(0.05, 0.09)
        tilt = rng.uniform(0.02, 0.10)
        canvas.line([(side * inner, float(y) + tilt), (side * (inner + 0.14), float(y))], 0.024, -0.08 - 0.28 * grade)


def _rib_spot(canvas: Canvas, side: int, rng: np.random.Generator) -> Point:
    y = rng.uniform(-0.25, 0.15)
    return side * (float(canvas.body.lateral(side, y)) - 0.09), y


def _rib_break(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    x, y = _rib_spot(canvas, side, rng)
    strength = 0.06 + 0.24 * grade
    canvas.line([(x - side * 0.22, y - 0.08), (x - side * 0.02, y)], 0.05, strength)
    canvas.line([(x, y + 0.07), (x + side * 0.13, y + 0.16)], 0.05, strength)
    canvas.line([(x - side * 0.03, y + 0.08), (x + side * 0.01, y - 0.05)], 0.024, -0.06 - 0.24 * grade)


def _rib_callus(canvas: Canvas, side: int, grade: float, rng: np.random.Generator) -> None:
    x, y = _rib_spot(canvas, side, rng)
    window = canvas.frame.window(x, y, 0.16, 0.16)
    knot = canvas.disc(window, x, y, 0.095, 0.055, 0.3)
    canvas.bone[window] += np.float32(0.06 + 0.30 * grade) * knot


PLEURA_PAINTS: dict[str, Paint] = {
    "blunted costophrenic angle": _blunted_angle,
    "fluid meniscus": _fluid_meniscus,
    "loculated fluid": _loculated_fluid,
    "fissural fluid": _fissural_fluid,
    "apical pleural line": _apical_pleural_line,
    "lost lung markings": _lost_lung_markings,
    "deep sulcus": _deep_sulcus,
    "pleural thickening": _pleural_thickening,
    "apical cap": _apical_cap,
    "pleural calcification": _pleural_calcification,
    "juxtaphrenic peak": _juxtaphrenic_peak,
    "chest wall air": _chest_wall_air,
    "rib break": _rib_break,
    "rib callus": _rib_callus,
}
