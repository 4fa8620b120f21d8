"""What stands in every scene: sky, verges, road and lanes, buildings or trees, and the ego car's bonnet."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import ImageDraw

from cpo.world.road.canvas import Canvas, Colour, mix, shade
from cpo.world.road.truth import Nuisances

LANE = 3.2
"""Width of a lane in metres: the ego lane in the middle, oncoming traffic to its left, a lane to its right."""
EDGE = 1.5 * LANE

_BANDS = (1.2, 2, 2.5, 3.1, 3.8, 4.6, 5.6, 6.8, 8.2, 10, 12, 14.5, 17.5, 21, 26, 33, 45, 70, 150, 600)
_LINE = 6.0  # a dash and the gap after it
_ASPHALT: Colour = (92, 94, 98)
_PAINT: Colour = (226, 226, 222)
_WALLS: tuple[Colour, ...] = ((176, 120, 96), (198, 182, 150), (150, 152, 160), (206, 200, 190), (160, 138, 116))
_LEAVES: tuple[Colour, ...] = ((52, 98, 48), (70, 116, 52), (44, 84, 56), (96, 122, 58))
_BONNETS: tuple[Colour, ...] = ((60, 70, 96), (120, 34, 34), (74, 78, 82), (34, 60, 48))


def draw_backdrop(canvas: Canvas, drive: np.random.Generator, nuisances: Nuisances, travel: float) -> None:
    """Draws all that is behind and below the things of a scene.

    Args:
        canvas: An empty one.
        drive: Random numbers that all scenes of a drive share.
        nuisances: City or country, bus lane, night.
        travel: Metres driven so far, which move everything towards the camera.
    """
    _sky(canvas, drive)
    look = int(drive.integers(2**31))
    verge: Colour = (150, 148, 144) if nuisances.place == "city" else (100, 132, 68)
    for near, far in reversed(list(pairwise(_BANDS))):
        lit = _headlights(near)
        canvas.ground((-900, 900), (near, far), verge, 0.6 * lit)
        canvas.ground((-EDGE, EDGE), (near, far), _ASPHALT, lit)
        if nuisances.bus_lane:
            canvas.ground((LANE / 2, EDGE), (near, far), (142, 70, 60), lit)
    _lines(canvas, travel)
    if nuisances.bus_lane:
        for start in (0, 15):
            _bus_letters(canvas, 6.5 + (start - travel) % 30)
    draw, step = (_house, 9.0) if nuisances.place == "city" else (_tree, 6.0)
    passed = int(travel // step)
    for row in reversed(range(10)):
        for side in (-1, 1):
            # the same house keeps its looks while it comes nearer
            rng = np.random.default_rng([look, passed + row, side + 1])
            draw(canvas, rng, side, 9.0 + (row + 1) * step - travel % step)


def draw_bonnet(canvas: Canvas, drive: np.random.Generator) -> None:
    """Draws the ego car's bonnet over the lower edge."""
    span = canvas.span
    colour = _BONNETS[int(drive.integers(len(_BONNETS)))]
    middle = canvas.camera.middle * span
    pen, lamp = ImageDraw.Draw(canvas.image), ImageDraw.Draw(canvas.light)
    for inset, factor in ((0.0, 0.5), (0.01, 0.85), (0.04, 1.1)):
        edges = (middle - (0.5 - inset) * span, (0.9 + inset) * span, middle + (0.5 - inset) * span, 1.25 * span)
        pen.ellipse(edges, fill=shade(colour, factor))
        lamp.ellipse(edges, fill=60)


def _headlights(z: float) -> float:
    return float(np.clip(1.2 - z / 18, 0.05, 0.9))


def _sky(canvas: Canvas, drive: np.random.Generator) -> None:
    span, horizon = canvas.span, canvas.camera.horizon * canvas.span
    pen, lamp = ImageDraw.Draw(canvas.image), ImageDraw.Draw(canvas.light)
    top: Colour = (104, 152, 208)
    low: Colour = (206, 220, 232)
    steps = 24
    for step in range(steps):
        colour = mix(mix(top, low, step / steps), canvas.fog_colour, 1 - 1 / (1 + 12 * canvas.fog))
        pen.rectangle((0, horizon * step / steps, span, horizon * (step + 1) / steps + 1), fill=colour)
    pale = mix((240, 242, 246), canvas.fog_colour, 1 - 1 / (1 + 12 * canvas.fog))
    for _ in range(5):
        x, y, width = drive.uniform(0, span), drive.uniform(0.08, 0.75) * horizon, drive.uniform(0.07, 0.16) * span
        for part in range(4):
            cx, cy = x + (part - 1.5) * width * 0.5, y + drive.uniform(-0.1, 0.1) * width
            pen.ellipse((cx - width * 0.5, cy - width * 0.16, cx + width * 0.5, cy + width * 0.16), fill=pale)
    if canvas.night:
        for x, y in drive.uniform(0, 1, size=(40, 2)):
            lamp.ellipse((x * span, y * horizon * 0.8, x * span + 2, y * horizon * 0.8 + 2), fill=200)


def _lines(canvas: Canvas, travel: float) -> None:
    for z in np.arange(-travel % _LINE - _LINE, 60, _LINE):
        near, far = max(float(z), 1.3), float(z) + 2.6
        if far > near:
            canvas.ground((LANE / 2 - 0.09, LANE / 2 + 0.09), (near, far), _PAINT, _headlights(near))
    for x, colour in ((-LANE / 2, (222, 186, 70)), (-EDGE + 0.25, _PAINT), (EDGE - 0.25, _PAINT)):
        for near, far in pairwise(_BANDS):
            canvas.ground((x - 0.09, x + 0.09), (near, far), colour, _headlights(near))


def _bus_letters(canvas: Canvas, z: float) -> None:
    strokes = {
        "B": ((0, 0, 0.2, 5), (0, 0, 0.8, 0.8), (0, 2.1, 0.8, 2.9), (0, 4.2, 0.8, 5), (0.7, 0.6, 0.9, 4.4)),
        "U": ((0, 0, 0.2, 5), (0.7, 0, 0.9, 5), (0, 0, 0.9, 0.8)),
        "S": ((0, 0, 0.9, 0.8), (0.7, 0.8, 0.9, 2.5), (0, 2.1, 0.9, 2.9), (0, 2.5, 0.2, 4.2), (0, 4.2, 0.9, 5)),
    }
    for index, letter in enumerate("BUS"):
        left = LANE - 1.25 + 0.9 * index
        for x0, z0, x1, z1 in strokes[letter]:
            box = (left + 0.8 * x0, left + 0.8 * x1), (z + 0.8 * z0, z + 0.8 * z1)
            canvas.ground(*box, (236, 214, 120), _headlights(z))


def _house(canvas: Canvas, rng: np.random.Generator, side: int, z: float) -> None:
    height, width, wall = rng.uniform(6, 15), rng.uniform(6.0, 8.4), _WALLS[int(rng.integers(len(_WALLS)))]
    inner, outer = side * 8.6, side * 22.0
    lit = 0.10
    canvas.shape([(inner, 0, z), (outer, 0, z), (outer, height, z), (inner, height, z)], wall, lit)
    far = z + width
    facade = [(inner, 0, z), (inner, height, z), (inner, height, far), (inner, 0, far)]
    canvas.shape(facade, shade(wall, 0.8), lit)
    for floor in range(int(height // 3)):
        for column in range(3):
            near = z + (column + 0.25) / 3 * width
            y, shining = 1.2 + 3 * floor, rng.random() < 0.4
            pane = [(inner, y, near), (inner, y + 1.5, near), (inner, y + 1.5, near + 1), (inner, y, near + 1)]
            glass: Colour = (250, 220, 140) if canvas.night and shining else (86, 104, 124)
            canvas.shape(pane, glass, 0.8 if shining else 0.1)


def _tree(canvas: Canvas, rng: np.random.Generator, side: int, z: float) -> None:
    x, height = side * rng.uniform(8.5, 15), rng.uniform(3.2, 6.5)
    leaves = _LEAVES[int(rng.integers(len(_LEAVES)))]
    canvas.plate(x, 0, z, 0.4, 0.6 * height, (92, 72, 54), 0.12)
    for dx, dy, size in ((0, 0.75, 0.38), (-0.25, 0.6, 0.28), (0.26, 0.62, 0.27)):
        canvas.disc(x + dx * height, dy * height, z, size * height, shade(leaves, rng.uniform(0.85, 1.15)), 0.1)
