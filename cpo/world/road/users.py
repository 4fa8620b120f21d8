"""Road users: what moves, or could.

Each function paints one attribute: the canvas, the side that it is on (-1 left, 1 right, 0 neither), its strength in
[0, 1], a factor on its distance, and random numbers that decide its looks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cpo.world.road.backdrop import EDGE, LANE
from cpo.world.road.canvas import Canvas, Colour, shade

Paint = Callable[[Canvas, int, float, float, np.random.Generator], None]

_CARS: tuple[Colour, ...] = ((178, 42, 40), (46, 84, 150), (206, 208, 210), (52, 56, 62), (198, 150, 52), (70, 120, 84))
_CLOTHES: tuple[Colour, ...] = ((196, 60, 48), (40, 92, 160), (226, 190, 60), (120, 60, 130))
_SKIN: Colour = (224, 182, 150)
_DARK: Colour = (34, 36, 40)
_GLASS: Colour = (60, 76, 92)
_RED: Colour = (255, 40, 30)
_AMBER: Colour = (255, 170, 30)
_WHITE: Colour = (255, 250, 230)


def crossing_pedestrian(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """A person on the road, walking away from the side that they came from."""
    _person(
        canvas,
        side * (0.2 + 1.4 * strength * (distance - 0.2)),
        8.5 * distance,
        1.9,
        _pick(rng, _CLOTHES),
        stride=-side,
    )


def crossing_cyclist(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """A cyclist across the road."""
    x, z = side * (0.2 + 1.2 * strength * (distance - 0.2)), 10 * distance
    for wheel in (-0.62, 0.62):
        canvas.disc(x + wheel, 0.42, z, 0.42, _DARK, 0.6)
        canvas.disc(x + wheel, 0.42, z, 0.30, (150, 152, 154), 0.5)
    canvas.upright(x, z, [(-0.6, 0.42), (0.0, 1.0), (0.6, 0.42), (0.0, 0.5)], (230, 120, 30), 0.8)
    canvas.upright(x, z, [(-0.1, 0.5), (0.12, 0.5), (0.1, 1.1), (-0.2, 1.1)], _DARK, 0.5)
    canvas.upright(
        x,
        z,
        [(-0.35, 1.0), (0.1, 1.0), (-side * 0.35 + 0.15, 1.65), (-side * 0.35 - 0.15, 1.65)],
        _pick(rng, _CLOTHES),
        0.8,
    )
    canvas.disc(x - side * 0.38, 1.82, z, 0.2, _SKIN, 0.8)


def children(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """Two children with a ball on the verge."""
    z = 11.5 * distance
    for step, colour in ((0.0, (240, 80, 60)), (1.1, (60, 130, 220))):
        _person(canvas, side * (EDGE + 0.5 + step), z, 1.35 + 0.1 * strength, colour, stride=side)
    canvas.disc(side * (EDGE - 0.1), 0.3, z, 0.3, (250, 210, 50), 0.9)


def animal(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """A deer on the verge that looks at the road."""
    x, z, fur = side * (EDGE + 0.6), 11.5 * distance, (142, 96, 56)
    for leg in (-0.6, -0.4, 0.4, 0.6):
        canvas.plate(x + leg, 0, z, 0.13, 0.85, shade(fur, 0.7), 0.6)
    canvas.disc(x, 1.1, z, 0.85, fur, 0.7, flat=0.42)
    canvas.upright(x - side * 0.6, z, [(-0.16, 1.1), (0.2, 1.1), (0.12, 1.9), (-0.12, 1.9)], fur, 0.7)
    canvas.disc(x - side * 0.8, 1.95, z, 0.26, fur, 0.8, flat=0.7)
    for tip in (-0.28, 0.28):
        canvas.upright(x - side * 0.66, z, [(-0.04, 2.1), (0.04, 2.1), (tip, 2.75)], (96, 64, 40), 0.6)
    canvas.disc(x - side * 0.86, 2.0, z, 0.06, (255, 255, 200), 1.0)


def police_officer(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """An officer in a bright vest, one arm raised, who faces the camera."""
    z = 8 * distance
    _person(canvas, 0.0, z, 1.95, (210, 240, 40), arm=True)
    canvas.plate(0, 1.8, z, 0.44, 0.16, (24, 40, 90), 0.8)
    canvas.plate(0, 1.18, z, 0.5, 0.1, (240, 240, 240), 1.0)


def emergency_vehicle(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """An ambulance that comes towards the camera, its blue lights on."""
    x, z = -LANE, 12 * distance
    canvas.block(x, z, (2.3, 2.7, 5), (238, 238, 236), 0.6)
    canvas.plate(x, 1.55, z, 2.0, 0.75, _GLASS, 0.3)
    canvas.plate(x, 0.8, z, 2.3, 0.35, (226, 60, 40), 0.8)
    for offset in (-0.7, 0.7):
        canvas.plate(x + offset, 2.7, z, 0.7, 0.4, (60, 110, 255), 1.0)
        canvas.glow(x + offset, 2.9, z, 2.0, (50, 110, 255), 1.6)
        canvas.glow(x + offset, 0.6, z, 0.9, _WHITE, 0.9)


def merging_car(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """A car half in the ego lane, its indicator on."""
    x, z = side * (1.5 + 0.3 * distance), 8.5 * distance
    _car(canvas, x, z, _pick(rng, _CARS), tail=0.5)
    canvas.plate(x - side * 0.8, 0.85, z, 0.3, 0.25, _AMBER, 1.0)
    canvas.glow(x - side * 0.8, 0.95, z, 0.9, _AMBER, 1.6)


def braking_car(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """A car close ahead with bright brake lights."""
    z = 8.0 * distance
    _car(canvas, 0, z, _pick(rng, _CARS), tail=1.0)
    canvas.plate(0, 1.3, z, 0.7, 0.09, _RED, 1.0)
    for lamp in (-0.72, 0.72):
        canvas.plate(lamp, 0.8, z, 0.42, 0.3, _RED, 1.0)
        canvas.glow(lamp, 0.95, z, 1.0, _RED, 1.8)


def slow_truck(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """The back of a truck that fills the lane."""
    z, colour = 11 * distance, _pick(rng, ((222, 224, 226), (66, 110, 160), (190, 120, 60)))
    canvas.block(0, z, (2.6, 3.7, 8), colour, 0.35)
    canvas.plate(0, 0.9, z, 0.06, 2.7, shade(colour, 0.6), 0.3)
    canvas.plate(0, 0.35, z, 2.6, 0.4, _DARK, 0.2)
    for stripe in range(4):
        canvas.plate(-0.98 + 0.65 * stripe, 0.78, z, 0.33, 0.25, (240, 60, 40), 0.9)
    for lamp in (-1.0, 1.0):
        canvas.plate(lamp, 0.4, z, 0.3, 0.22, (190, 30, 30), 0.9)
        canvas.plate(lamp * 0.8, 0, z, 0.5, 0.45, (20, 20, 20), 0.1)


def cyclist_ahead(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """A cyclist in the ego lane, seen from behind."""
    x, z = 0.35, 8 * distance
    canvas.plate(x, 0, z, 0.14, 0.85, (20, 20, 22), 0.4)
    canvas.upright(x, z, [(-0.3, 0.75), (0.3, 0.75), (0.16, 0.3), (-0.16, 0.3)], (40, 44, 70), 0.5)
    canvas.upright(x, z, [(-0.3, 0.8), (0.3, 0.8), (0.38, 1.5), (-0.38, 1.5)], _pick(rng, _CLOTHES), 0.8)
    canvas.plate(x, 0.95, z, 0.9, 0.07, _DARK, 0.3)
    canvas.disc(x, 1.75, z, 0.24, (240, 240, 236), 0.8)
    canvas.plate(x, 0.6, z, 0.16, 0.14, _RED, 1.0)
    canvas.glow(x, 0.68, z, 0.4, _RED, 1.2)


def stalled_car(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """A car that blocks the right lane, hazard lights on, a warning triangle behind it."""
    x, z = 2.5, 10 * distance
    _car(canvas, x, z, _pick(rng, _CARS), tail=0.0)
    for lamp in (-0.75, 0.75):
        canvas.plate(x + lamp, 0.8, z, 0.36, 0.28, _AMBER, 1.0)
        canvas.glow(x + lamp, 0.95, z, 1.0, _AMBER, 1.6)
    canvas.upright(1.9, z - 1.5, [(-0.4, 0.05), (0.4, 0.05), (0, 0.75)], (230, 40, 30), 1.0)
    canvas.upright(1.9, z - 1.5, [(-0.2, 0.16), (0.2, 0.16), (0, 0.5)], (240, 236, 226), 1.0)


def car_over_the_line(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """An oncoming car on the centre line."""
    _oncoming(canvas, -LANE / 2 - 0.3, 7.5 * distance, _pick(rng, _CARS))


def oncoming_car(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """An oncoming car that keeps to its lane."""
    _oncoming(canvas, -LANE - 0.35, 12 * distance, _pick(rng, _CARS))


def parked_cars(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """Three cars at the kerb, without lights."""
    for place in (21.0, 15.0, 9.5):
        _car(canvas, side * (EDGE + 0.9), place * distance, _pick(rng, _CARS), tail=0.0)


def bus_at_the_stop(canvas: Canvas, side: int, strength: float, distance: float, rng: np.random.Generator) -> None:
    """A bus at the right edge, and the sign of its stop."""
    x, z = LANE + 0.4, 13 * distance
    colour = _pick(rng, ((214, 168, 40), (190, 50, 46), (60, 140, 120)))
    canvas.block(x, z, (2.5, 3.3, 10), colour, 0.4)
    for window in range(4):
        near = z + 0.8 + 2.3 * window
        pane = [(x - 1.25, 1.5, near), (x - 1.25, 2.6, near), (x - 1.25, 2.6, near + 1.8), (x - 1.25, 1.5, near + 1.8)]
        canvas.shape(pane, _GLASS, 0.6)
    canvas.plate(x, 1.5, z, 2.1, 1.0, _GLASS, 0.5)
    canvas.plate(x, 2.65, z, 1.4, 0.4, (30, 30, 30), 0.4)
    canvas.plate(x, 2.73, z, 1.1, 0.24, (255, 190, 60), 1.0)
    for lamp in (-1.0, 1.0):
        canvas.plate(x + lamp, 0.6, z, 0.3, 0.3, (200, 40, 30), 1.0)


PAINTS: dict[str, tuple[float, Paint]] = {
    "crossing pedestrian": (8.5, crossing_pedestrian),
    "crossing cyclist": (10.0, crossing_cyclist),
    "children at the roadside": (11.5, children),
    "animal at the roadside": (11.5, animal),
    "police officer": (8.0, police_officer),
    "emergency vehicle": (12.0, emergency_vehicle),
    "merging car": (8.5, merging_car),
    "braking car": (8.0, braking_car),
    "slow truck": (11.0, slow_truck),
    "cyclist ahead": (8.0, cyclist_ahead),
    "stalled car on the right": (10.0, stalled_car),
    "car over the line": (7.5, car_over_the_line),
    "oncoming car": (12.0, oncoming_car),
    "parked cars": (14.0, parked_cars),
    "bus at the stop": (13.0, bus_at_the_stop),
}
"""Distance in metres, which orders what hides what, and painter of each road user."""


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    return colours[int(rng.integers(len(colours)))]


def _person(
    canvas: Canvas, x: float, z: float, height: float, colour: Colour, *, stride: int = 0, arm: bool = False
) -> None:
    unit = height / 1.9
    hip, shoulder = 0.9 * unit, 1.5 * unit
    for leg in (-1, 1):
        foot = 0.14 * leg * unit + (0.2 * leg * unit if stride else 0)
        canvas.upright(x, z, [(-0.05 + foot, 0), (0.13 + foot, 0), (0.14, hip), (-0.14, hip)], (44, 50, 72), 0.6)
    canvas.upright(
        x, z, [(-0.2 * unit, hip), (0.2 * unit, hip), (0.27 * unit, shoulder), (-0.27 * unit, shoulder)], colour, 0.85
    )
    for reach in (-1, 1):
        up = arm and reach > 0
        hand = (reach * 0.55 * unit, 2.2 * unit) if up else (reach * 0.42 * unit, 0.95 * unit)
        elbow = [
            (reach * 0.2 * unit, shoulder),
            (reach * 0.32 * unit, shoulder - 0.08),
            (hand[0] + 0.08, hand[1]),
            (hand[0] - 0.08, hand[1]),
        ]
        canvas.upright(x, z, elbow, shade(colour, 0.85), 0.8)
    canvas.disc(x, 1.72 * unit, z, 0.2 * unit, _SKIN, 0.85)


def _car(canvas: Canvas, x: float, z: float, colour: Colour, *, tail: float) -> None:
    canvas.block(x, z, (1.9, 0.95, 3.8), colour, 0.45)
    roof = [(-0.85, 0.95), (0.85, 0.95), (0.66, 1.55), (-0.66, 1.55)]
    canvas.upright(x, z + 0.5, roof, shade(colour, 0.9), 0.4)
    canvas.upright(x, z + 0.5, [(-0.7, 1.0), (0.7, 1.0), (0.56, 1.45), (-0.56, 1.45)], _GLASS, 0.3)
    canvas.plate(x, 0.25, z, 1.9, 0.2, _DARK, 0.2)
    for wheel in (-0.7, 0.7):
        canvas.plate(x + wheel, 0, z, 0.32, 0.4, (18, 18, 20), 0.1)
        canvas.plate(x + wheel, 0.7, z, 0.36, 0.18, shade((210, 40, 34), 0.6 + 0.4 * tail), 0.5 + 0.5 * tail)
    canvas.plate(x, 0.5, z, 0.5, 0.14, (232, 232, 224), 0.7)


def _oncoming(canvas: Canvas, x: float, z: float, colour: Colour) -> None:
    _car(canvas, x, z, colour, tail=0.0)
    canvas.plate(x, 0.68, z, 1.9, 0.24, shade(colour, 0.8), 0.4)
    for lamp in (-0.68, 0.68):
        canvas.disc(x + lamp, 0.72, z, 0.17, _WHITE, 1.0)
        canvas.glow(x + lamp, 0.72, z, 0.8, _WHITE, 1.3)
