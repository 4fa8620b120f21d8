"""The state of the road: what lies, stands or is painted on it. The functions are called as in `users`."""

from __future__ import annotations

import numpy as np

from cpo.world.road.backdrop import EDGE
from cpo.world.road.canvas import Canvas, Colour
from cpo.world.road.users import Paint

_PAINT: Colour = (240, 240, 236)
_ORANGE: Colour = (244, 110, 30)


def closed_barrier(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """A red and white barrier across the ego lane and the one to its right."""
    z = 10 * distance
    for foot in (-1.8, 1.4, 4.4):
        canvas.plate(foot, 0, z, 0.2, 1.0, (90, 90, 92), 0.5)
    for rail in (0.55, 1.15):
        for part in range(10):
            colour: Colour = (220, 40, 34) if part % 2 == 0 else (244, 244, 240)
            canvas.plate(-2.0 + 0.7 * part, rail, z, 0.71, 0.42, colour, 1.0)
    for lamp in (-2.1, 4.6):
        canvas.disc(lamp, 1.75, z, 0.16, (255, 60, 40), 1.0)
        canvas.glow(lamp, 1.75, z, 0.7, (255, 60, 40), 1.2)


def _cones(canvas: Canvas, side: int, strength: float, distance: float) -> None:
    count = 2 + round(5 * strength)
    for index in reversed(range(count)):
        x, z = side * 1.3, (4.6 + 1.7 * index) * distance
        canvas.plate(x, 0, z, 0.62, 0.08, (60, 40, 30), 0.6)
        canvas.upright(x, z, [(-0.26, 0.06), (0.26, 0.06), (0.06, 0.95), (-0.06, 0.95)], _ORANGE, 0.95)
        canvas.upright(x, z, [(-0.17, 0.38), (0.17, 0.38), (0.12, 0.62), (-0.12, 0.62)], (246, 246, 240), 1.0)


def cones_right(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """A row of cones along the right edge of the ego lane; its length tells the severity."""
    _cones(canvas, 1, strength, distance)


def cones_left(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """A row of cones along the left edge of the ego lane."""
    _cones(canvas, -1, strength, distance)


def _debris(canvas: Canvas, side: int, distance: float, rng: np.random.Generator) -> None:
    z = 7.5 * distance
    for dx, dz, size in ((0.9, 1.0, 0.75), (1.7, 0.5, 0.9), (1.15, 0.0, 0.6), (1.95, -0.4, 0.5)):
        box: Colour = (178, 132, 80) if rng.random() < 0.6 else (150, 108, 66)
        canvas.block(side * dx, z + dz, (size, size + 0.25, size), box, 0.7)
        canvas.plate(side * dx, 0.25 + 0.4 * size, z + dz, size, 0.1, (220, 200, 150), 0.8)


def debris_right(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """Boxes on the right edge of the ego lane."""
    _debris(canvas, 1, distance, rng)


def debris_left(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """Boxes on the left edge of the ego lane."""
    _debris(canvas, -1, distance, rng)


def speed_hump(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """A hump with yellow and black teeth across the ego lane."""
    z = 5.0 * distance
    canvas.shape([(-1.55, 0, z), (1.55, 0, z), (1.5, 0.16, z + 0.5), (-1.5, 0.16, z + 0.5)], (70, 66, 60), 0.6)
    canvas.shape(
        [(-1.5, 0.16, z + 0.5), (1.5, 0.16, z + 0.5), (1.5, 0, z + 1.3), (-1.5, 0, z + 1.3)], (54, 52, 50), 0.6
    )
    for tooth in range(6):
        x = -1.5 + 0.5 * tooth
        canvas.shape([(x, 0.01, z), (x + 0.34, 0.01, z), (x + 0.17, 0.17, z + 0.5)], (250, 206, 40), 1.0)
        canvas.shape([(x, 0.17, z + 0.5), (x + 0.34, 0.17, z + 0.5), (x + 0.17, 0, z + 1.3)], (250, 206, 40), 1.0)


def potholes(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """Dark holes with broken edges in the ego lane."""
    for dx, dz, size in ((-0.7, 4.2, 0.42), (0.55, 4.9, 0.5), (-0.2, 6.3, 0.55), (0.9, 7.4, 0.5)):
        x = dx + 0.15 * float(rng.normal())
        canvas.disc(x, 0, dz * distance, size * 1.15, (134, 130, 122), 0.8, flat=0.34)
        canvas.disc(x, 0, dz * distance, size, (30, 28, 28), 0.5, flat=0.3)


def standing_water(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """Puddles that reflect the sky, more and larger ones the more severe."""
    places = rng.uniform(size=(9, 2))
    for index, (across, along) in enumerate(places[: 2 + round(7 * strength)]):
        x, z = float(across * 2 - 1) * 3.6, (3.2 + 13 * (index + float(along)) / 9) * distance
        radius = 0.7 + 0.9 * strength
        canvas.disc(x, 0, z, radius * 1.08, (66, 72, 80), 0.6, flat=0.22)
        canvas.disc(x, 0, z, radius, (142, 172, 204), 0.75, flat=0.19)
        canvas.disc(x - 0.2 * radius, 0, z, radius * 0.5, (206, 222, 236), 0.85, flat=0.12)


def snow_on_the_road(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """White patches on road and verges; how much they cover tells the severity."""
    white: Colour = (240, 243, 248)
    for edge in (-1, 1):
        canvas.shape([(edge * EDGE, 0, 2), (edge * 9, 0, 2), (edge * 9, 0, 50), (edge * EDGE, 0, 50)], white, 0.5)
    places = rng.uniform(size=(100, 3))
    for across, along, turn in places[: round(100 * strength)]:
        x, z = float(across * 2 - 1) * EDGE, 2.0 * distance / (1.04 - float(along))
        radius = 0.25 + 0.35 * float(turn)
        canvas.disc(x, 0, z, radius, white, 0.75, flat=0.9 / max(1.0, 0.55 * z))


def zebra_crossing(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """White bars along the road, side by side across it."""
    z = 8.0 * distance
    for bar in range(9):
        x = -EDGE + 0.35 + 1.04 * bar
        canvas.ground((x, x + 0.56), (z, z + 3.2), _PAINT, 0.95)


def _turn_arrow(canvas: Canvas, side: int, distance: float) -> None:
    z, s = 3.3 * distance, side
    canvas.ground((-0.16, 0.16), (z, z + 2.6), _PAINT, 0.95)
    canvas.ground((min(0, 0.75 * s), max(0, 0.75 * s)), (z + 2.2, z + 2.9), _PAINT, 0.95)
    canvas.shape([(0.7 * s, 0, z + 1.4), (1.35 * s, 0, z + 2.55), (0.7 * s, 0, z + 3.7)], _PAINT, 0.95)


def left_arrow(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """An arrow to the left, painted on the ego lane."""
    _turn_arrow(canvas, -1, distance)


def right_arrow(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """An arrow to the right, painted on the ego lane."""
    _turn_arrow(canvas, 1, distance)


def merging_lane(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """Three chevrons on the ego lane that point ahead."""
    for start in (3.2, 4.7, 6.8):
        z = start * distance
        for edge in (-1, 1):
            arm = [(edge * 1.25, 0, z), (0, 0, z + 1.0), (0, 0, z + 1.7), (edge * 1.25, 0, z + 0.7)]
            canvas.shape(arm, _PAINT, 0.95)


PAINTS: dict[str, tuple[float, Paint]] = {
    "standing water": (900.0, standing_water),
    "snow on the road": (900.0, snow_on_the_road),
    "zebra crossing": (500.0, zebra_crossing),
    "potholes": (400.0, potholes),
    "left arrow marking": (400.0, left_arrow),
    "right arrow marking": (400.0, right_arrow),
    "merging lane marking": (400.0, merging_lane),
    "speed hump": (400.0, speed_hump),
    "closed barrier": (10.0, closed_barrier),
    "cones on the right": (7.0, cones_right),
    "cones on the left": (7.0, cones_left),
    "debris on the right": (7.5, debris_right),
    "debris on the left": (7.5, debris_left),
}
"""Order (what lies flat lies under everything else) and painter of each."""
