"""Signals: traffic lights, signs, arrow boards; larger than life, so that few pixels show them. As in `users`."""

from __future__ import annotations

from functools import partial

import numpy as np

from cpo.world.road.canvas import Canvas, Colour
from cpo.world.road.users import Paint

_POST_Z, _POST_X, _SIGN_Y, _SIGN_R = 10.5, 5.1, 3.6, 0.95
_RED: Colour = (214, 30, 34)
_WHITE: Colour = (246, 246, 244)
_BLACK: Colour = (24, 24, 26)
_BLUE: Colour = (26, 82, 180)
_LAMPS: dict[str, tuple[int, Colour]] = {
    "red": (0, (255, 40, 30)),
    "yellow": (1, (255, 196, 30)),
    "green": (2, (40, 235, 110)),
}


def _traffic_light(
    canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator, *, state: str
) -> None:
    z = 12.5 * distance
    canvas.plate(5.0, 0, z, 0.22, 5.6, (70, 72, 76), 0.4)
    canvas.plate(2.6, 5.45, z, 5.0, 0.18, (70, 72, 76), 0.4)
    place, colour = _LAMPS[state]
    for x, low in ((0.9, 2.9), (5.0, 1.9)):
        canvas.plate(x, low, z, 1.25, 3.3, (26, 28, 30), 0.35)
        for lamp in range(3):
            on = lamp == place
            y = low + 2.72 - 1.06 * lamp
            canvas.disc(x, y, z, 0.46, colour if on else (66, 60, 56), 1.0 if on else 0.3)
        canvas.glow(x, low + 2.72 - 1.06 * place, z, 1.5, colour, 1.6)


def _post(canvas: Canvas, left: bool, distance: float) -> tuple[float, float]:
    x, z = (-_POST_X if left else _POST_X), _POST_Z * distance
    canvas.plate(x, 0, z, 0.16, _SIGN_Y, (120, 122, 126), 0.5)
    return x, z


def _triangle(canvas: Canvas, x: float, z: float, *, down: bool = False, fill: Colour = _WHITE) -> None:
    for scale, colour in ((1.15, _RED), (0.72, fill)):
        r = _SIGN_R * scale
        outline = [(-r, _SIGN_Y - 0.58 * r), (r, _SIGN_Y - 0.58 * r), (0, _SIGN_Y + 1.15 * r)]
        if down:
            outline = [(dx, 2 * _SIGN_Y - y) for dx, y in outline]
        canvas.upright(x, z, outline, colour, 1.0)


def _round(canvas: Canvas, x: float, z: float, rim: Colour, fill: Colour) -> None:
    canvas.disc(x, _SIGN_Y, z, _SIGN_R, rim, 1.0)
    canvas.disc(x, _SIGN_Y, z, 0.74 * _SIGN_R, fill, 1.0)


def _bar(
    canvas: Canvas, x: float, z: float, ends: tuple[float, float, float, float], width: float, ink: Colour
) -> None:
    x0, y0, x1, y1 = ends
    length = float(np.hypot(x1 - x0, y1 - y0))
    nx, ny = -(y1 - y0) / length * width / 2, (x1 - x0) / length * width / 2
    outline = [(x0 + nx, y0 + ny), (x1 + nx, y1 + ny), (x1 - nx, y1 - ny), (x0 - nx, y0 - ny)]
    canvas.upright(x, z, [(dx, _SIGN_Y + dy) for dx, dy in outline], ink, 1.0)


def stop_sign(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """A red octagon."""
    x, z = _post(canvas, False, distance)
    for scale, colour in ((1.12, _WHITE), (1.0, _RED)):
        turns = np.arange(8) * np.pi / 4 + np.pi / 8
        ring = [(float(np.cos(t)) * _SIGN_R * scale, _SIGN_Y + float(np.sin(t)) * _SIGN_R * scale) for t in turns]
        canvas.upright(x, z, ring, colour, 1.0)
    canvas.letter(x, _SIGN_Y, z, "STOP", 0.66, _WHITE)


def yield_sign(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """A white triangle with a red rim that stands on its tip."""
    _triangle(canvas, *_post(canvas, False, distance), down=True)


def school_sign(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """A warning triangle with two children."""
    x, z = _post(canvas, False, distance)
    _triangle(canvas, x, z, fill=(252, 214, 60))
    for dx, size in ((-0.22, 0.36), (0.2, 0.28)):
        canvas.disc(x + dx, _SIGN_Y + size - 0.05, z, 0.11, _BLACK, 1.0)
        _bar(canvas, x, z, (dx, -0.38, dx, size - 0.15), 0.2, _BLACK)


def roadworks_sign(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """A warning triangle with a digger at a heap."""
    x, z = _post(canvas, True, distance)
    _triangle(canvas, x, z, fill=(252, 180, 60))
    canvas.upright(x, z, [(0.0, _SIGN_Y - 0.36), (0.46, _SIGN_Y - 0.36), (0.24, _SIGN_Y)], _BLACK, 1.0)
    _bar(canvas, x, z, (-0.3, -0.36, -0.1, 0.2), 0.16, _BLACK)
    canvas.disc(x - 0.05, _SIGN_Y + 0.36, z, 0.12, _BLACK, 1.0)


def crossroads_sign(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """A warning triangle with a cross."""
    x, z = _post(canvas, True, distance)
    _triangle(canvas, x, z)
    _bar(canvas, x, z, (0, -0.38, 0, 0.48), 0.2, _BLACK)
    _bar(canvas, x, z, (-0.38, -0.08, 0.38, -0.08), 0.2, _BLACK)


def speed_limit_sign(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """A number in a red ring."""
    x, z = _post(canvas, False, distance)
    _round(canvas, x, z, _RED, _WHITE)
    canvas.letter(x, _SIGN_Y, z, ("30", "50", "60", "80")[int(rng.integers(4))], 1.05, _BLACK)


def end_of_limit_sign(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """A white disc with black stripes."""
    x, z = _post(canvas, False, distance)
    _round(canvas, x, z, (90, 90, 92), _WHITE)
    for step in (-0.3, 0.0, 0.3):
        _bar(canvas, x, z, (-0.45 + step, -0.45 - step, 0.45 + step, 0.45 - step), 0.15, _BLACK)


def _arrow(canvas: Canvas, x: float, z: float, side: int, ink: Colour) -> None:
    _bar(canvas, x, z, (-0.45 * side, 0, 0.2 * side, 0), 0.26, ink)
    tip = [(0.15 * side, _SIGN_Y - 0.42), (0.62 * side, _SIGN_Y), (0.15 * side, _SIGN_Y + 0.42)]
    canvas.upright(x, z, tip, ink, 1.0)


def _turn_sign(
    canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator, *, to: int, forbidden: bool
) -> None:
    x, z = _post(canvas, True, distance)
    _round(canvas, x, z, _RED if forbidden else _BLUE, _WHITE if forbidden else _BLUE)
    _arrow(canvas, x, z, to, _BLACK if forbidden else _WHITE)
    if forbidden:
        _bar(canvas, x, z, (-0.6, 0.6, 0.6, -0.6), 0.18, _RED)


def _arrow_board(
    canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator, *, to: int
) -> None:
    # it stands in the lane that it sends traffic away from
    x, z = -to * 3.0, 10 * distance
    canvas.plate(x, 0.2, z, 1.6, 0.6, (236, 170, 40), 0.7)
    canvas.plate(x, 0.8, z, 2.9, 2.0, (26, 26, 28), 0.4)
    dots = [(-1.1, 1.8), (-0.7, 1.8), (-0.3, 1.8), (0.1, 1.8), (0.5, 1.8), (0.9, 1.8)]
    dots += [(0.5, 2.2), (0.1, 2.6), (0.5, 1.4), (0.1, 1.0)]
    for dx, y in dots:
        canvas.disc(x + to * dx, y, z, 0.17, (255, 190, 50), 1.0)
    canvas.glow(x + to * 0.4, 1.8, z, 1.7, (255, 180, 40), 1.0)


PAINTS: dict[str, tuple[float, Paint]] = {
    "red light": (12.5, partial(_traffic_light, state="red")),
    "yellow light": (12.5, partial(_traffic_light, state="yellow")),
    "green light": (12.5, partial(_traffic_light, state="green")),
    "stop sign": (_POST_Z, stop_sign),
    "yield sign": (_POST_Z, yield_sign),
    "school sign": (_POST_Z, school_sign),
    "roadworks sign": (_POST_Z, roadworks_sign),
    "speed limit sign": (_POST_Z, speed_limit_sign),
    "end of limit sign": (_POST_Z, end_of_limit_sign),
    "left turn sign": (_POST_Z, partial(_turn_sign, to=-1, forbidden=False)),
    "right turn sign": (_POST_Z, partial(_turn_sign, to=1, forbidden=False)),
    "no left turn sign": (_POST_Z, partial(_turn_sign, to=-1, forbidden=True)),
    "no right turn sign": (_POST_Z, partial(_turn_sign, to=1, forbidden=True)),
    "crossroads sign": (_POST_Z, crossroads_sign),
    "arrow board to the left": (10.0, partial(_arrow_board, to=-1)),
    "arrow board to the right": (10.0, partial(_arrow_board, to=1)),
}
"""Distance in metres and painter of each."""
