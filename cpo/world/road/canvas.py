"""The canvas of a scene: a camera over a flat world, and shapes given in metres.

The world: x to the right of the ego lane's middle, y up from the road, z ahead of the camera. Pictures are drawn at
twice their size and reduced, which smooths edges. Every shape is veiled by the fog between it and the camera.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Point = tuple[float, float, float]

OVERSAMPLING = 2
_HEIGHT = 1.5  # of the camera, in metres


@dataclass(frozen=True, slots=True)
class Camera:
    """Where the camera looks.

    Args:
        size: Width and height of the picture in pixels.
        focal: Focal length as a share of the size.
        horizon: Height of the horizon as a share of the size, from the top.
        middle: Where straight ahead is, as a share of the size, from the left.
    """

    size: int
    focal: float = 0.72
    horizon: float = 0.42
    middle: float = 0.5

    def project(self, x: float, y: float, z: float) -> tuple[float, float]:
        """Pixel (on the larger canvas) of a point in the world."""
        span = self.size * OVERSAMPLING
        scale = self.focal * span / max(z, 0.3)
        return self.middle * span + x * scale, self.horizon * span - (y - _HEIGHT) * scale

    def pixels(self, metres: float, z: float) -> float:
        """Length on the canvas of something at a distance."""
        return metres * self.focal * self.size * OVERSAMPLING / max(z, 0.3)


@dataclass(frozen=True, slots=True)
class Glow:
    """A light that shines over what is around it: where on the canvas, how far, in which colour, how strongly."""

    x: float
    y: float
    radius: float
    colour: Colour
    strength: float


@dataclass
class Canvas:
    """A picture in the making.

    Args:
        camera: The view.
        night: Keep the mask of what shines by itself or reflects the headlights.
        fog: Share of the light that fog takes per metre.
        fog_colour: Colour of the fog.
    """

    camera: Camera
    night: bool = False
    fog: float = 0.0
    fog_colour: Colour = (200, 204, 208)
    glows: list[Glow] = field(default_factory=list)
    extent: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        span = self.camera.size * OVERSAMPLING
        self.image = Image.new("RGB", (span, span))
        self.light = Image.new("L", (span, span), 0)
        self._pen, self._lamp = ImageDraw.Draw(self.image), ImageDraw.Draw(self.light)

    @property
    def span(self) -> int:
        """Width and height of the canvas in its own pixels."""
        return self.camera.size * OVERSAMPLING

    def begin(self) -> None:
        """Starts to measure what is drawn from here on."""
        self.extent = [math.inf, math.inf, -math.inf, -math.inf]

    def box(self) -> tuple[int, int, int, int] | None:
        """x, y, width and height in the picture of what was drawn since `begin`; None if nothing of it is in view."""
        left, top, right, bottom = (
            min(max(edge / OVERSAMPLING, 0), self.camera.size) if math.isfinite(edge) else 0 for edge in self.extent
        )
        x, y = int(left), int(top)
        width, height = math.ceil(right) - x, math.ceil(bottom) - y
        return (x, y, width, height) if width > 0 and height > 0 else None

    def shape(self, points: Sequence[Point], colour: Colour, lit: float = 0.0) -> None:
        """A filled polygon.

        Args:
            points: Its corners in the world.
            colour: Its colour by day.
            lit: How much of it is seen at night, in [0, 1].
        """
        flat = [self.camera.project(*point) for point in points]
        self._measure(flat)
        z = sum(point[2] for point in points) / len(points)
        self._pen.polygon(flat, fill=self._veiled(colour, z))
        if self.night:
            self._lamp.polygon(flat, fill=self._shining(lit, z))

    def upright(
        self, x: float, z: float, outline: Sequence[tuple[float, float]], colour: Colour, lit: float = 0
    ) -> None:
        """A polygon that stands at (x, z) and faces the camera; its outline in metres from there."""
        self.shape([(x + dx, y, z) for dx, y in outline], colour, lit)

    def plate(
        self, x: float, y: float, z: float, width: float, height: float, colour: Colour, lit: float = 0.0
    ) -> None:
        """An upright rectangle whose lower edge has its middle at (x, y, z)."""
        half = width / 2
        self.upright(x, z, [(-half, y), (half, y), (half, y + height), (-half, y + height)], colour, lit)

    def ground(self, x: tuple[float, float], z: tuple[float, float], colour: Colour, lit: float = 0.0) -> None:
        """A rectangle that lies on the road."""
        corners = ((x[0], z[0]), (x[1], z[0]), (x[1], z[1]), (x[0], z[1]))
        self.shape([(across, 0, along) for across, along in corners], colour, lit)

    def disc(
        self, x: float, y: float, z: float, radius: float, colour: Colour, lit: float = 0.0, flat: float = 1.0
    ) -> None:
        """A circle that faces the camera, or an ellipse `flat` times as high as wide."""
        (cx, cy), r = self.camera.project(x, y, z), self.camera.pixels(radius, z)
        edges = (cx - r, cy - r * flat, cx + r, cy + r * flat)
        self._measure([edges[:2], edges[2:]])
        self._pen.ellipse(edges, fill=self._veiled(colour, z))
        if self.night:
            self._lamp.ellipse(edges, fill=self._shining(lit, z))

    def block(self, x: float, z: float, size: tuple[float, float, float], colour: Colour, lit: float = 0.15) -> None:
        """A box on the road with its near face at z: the near face, and the side that the camera sees.

        Args:
            x: Of its middle.
            z: Of its near face.
            size: Width, height and length.
            colour: Of the near face; the side is darker.
            lit: How much of it is seen at night.
        """
        width, height, length = size
        inner = x - width / 2 if x > 0 else x + width / 2
        side = [(inner, 0.25, z), (inner, height, z), (inner, height, z + length), (inner, 0.25, z + length)]
        self.shape(side, shade(colour, 0.7), lit * 0.6)
        if height < _HEIGHT:
            left, right, far = x - width / 2, x + width / 2, z + length
            top = [(left, height, z), (right, height, z), (right, height, far), (left, height, far)]
            self.shape(top, shade(colour, 0.85), lit * 0.8)
        self.plate(x, 0.25, z, width, height - 0.25, colour, lit)

    def letter(self, x: float, y: float, z: float, text: str, height: float, colour: Colour) -> None:
        """Writes a word around (x, y, z), `height` metres high."""
        font = ImageFont.load_default(size=max(6, self.camera.pixels(height, z)))
        place = self.camera.project(x, y, z)
        self._pen.text(place, text, fill=self._veiled(colour, z), font=font, anchor="mm")

    def glow(self, x: float, y: float, z: float, radius: float, colour: Colour, strength: float = 1.0) -> None:
        """A light at a point of the world that shines `radius` metres around it; far more so at night."""
        px, py = self.camera.project(x, y, z)
        strength *= (1.0 if self.night else 0.35) * self._clear(z)
        self.glows.append(Glow(px, py, self.camera.pixels(radius, z), colour, strength))

    def _measure(self, points: Sequence[tuple[float, float]]) -> None:
        if self.extent:
            xs, ys = [p[0] for p in points], [p[1] for p in points]
            left, top, right, bottom = self.extent
            self.extent = [min(left, *xs), min(top, *ys), max(right, *xs), max(bottom, *ys)]

    def _shining(self, lit: float, z: float) -> int:
        clear = self._clear(z)
        return round(255 * (lit * clear + 0.35 * (1 - clear)))  # fog throws the headlights back

    def _clear(self, z: float) -> float:
        return math.exp(-self.fog * z)

    def _veiled(self, colour: Colour, z: float) -> Colour:
        return mix(self.fog_colour, colour, self._clear(z)) if self.fog else colour


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """A colour between two, `share` of the way to the other."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def shade(colour: Colour, factor: float) -> Colour:
    """A colour made darker, or lighter beyond 1."""
    red, green, blue = (min(255, round(value * factor)) for value in colour)
    return red, green, blue
