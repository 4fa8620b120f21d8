"""The layers of a film while it is drawn: air, vessels, soft tissue, bone and thin lines.

Signs change the layers; `Canvas.density` adds them up. Densities are on a scale from 0 (black) to 1 (white).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from cpo.world.chest.body import Body
from cpo.world.chest.frame import LEFT, RIGHT, Field, Frame, Point, Window, ramp

_LINE_SCALE = 2  # thin lines are drawn at twice the size and averaged down


class Canvas:
    """Layers over one frame.

    Args:
        frame: Coordinates.
        body: The shape that the layers are cut to.

    Attributes:
        u: Distance from the spine.
        lungs: Area of each lung, by side, 0 to 1.
        air: Air per pixel, 0 to 1: what a dense sign takes away.
        markings: Share of the vessels that is seen, 0 to 1.
        tissue: Soft tissue and opacities, added.
        bone: Ribs, clavicles, spine, added.
        focus: Centre of the densest opacity of a lung, by side, once there is one: where its bronchi stand out.
    """

    def __init__(self, frame: Frame, body: Body) -> None:
        self.frame, self.body = frame, body
        self.u: Field = np.abs(frame.x)
        shape = frame.x.shape
        self.lungs = {side: self._lung(side) for side in (RIGHT, LEFT)}
        self.air: Field = self.lungs[RIGHT] + self.lungs[LEFT]
        self.markings: Field = np.ones(shape, dtype=np.float32)
        self.tissue: Field = np.zeros(shape, dtype=np.float32)
        self.bone: Field = np.zeros(shape, dtype=np.float32)
        self.focus: dict[int, Point] = {}
        self._films: dict[bool, Image.Image] = {}

    def _lung(self, side: int) -> Field:
        x, y, body = self.frame.x, self.frame.y, self.body
        u = x * np.float32(side)
        rows = y[:, self.frame.size // 2]
        # the turn is small: the lateral border, costly to compute, is taken per row
        lateral = body.lateral(side, rows)[:, None]
        inner = np.float32(0.06) + np.float32(0.10) * np.clip(-rows - 0.55, 0, 1)[:, None]
        mask = ramp(lateral - u, 0.022) * ramp(u - inner, 0.03)
        return np.asarray(mask * ramp(body.diaphragm(side, u) - y, 0.025), dtype=np.float32)

    def blob(self, window: Window, x: float, y: float, rx: float, ry: float) -> Field:
        """A bell of height 1 around a point, in a window; it is 0.37 at the radii and 0 beyond twice those."""
        dx = (self.frame.x[window] - np.float32(x)) * np.float32(1 / rx)
        dy = (self.frame.y[window] - np.float32(y)) * np.float32(1 / ry)
        bell = np.clip(1 - (dx * dx + dy * dy) * np.float32(0.25), 0, 1)
        bell *= bell
        return np.asarray(bell * bell, dtype=np.float32)

    def disc(self, window: Window, x: float, y: float, rx: float, ry: float, edge: float) -> Field:
        """A filled ellipse, 1 inside and 0 outside, with an edge that is soft over a share `edge` of the radius."""
        dx = (self.frame.x[window] - np.float32(x)) * np.float32(1 / rx)
        dy = (self.frame.y[window] - np.float32(y)) * np.float32(1 / ry)
        return ramp(1 - (dx * dx + dy * dy), 2 * edge)

    def half(self, side: int) -> Field:
        """1 on one side of the spine, 0 on the other."""
        return ramp(self.frame.x * np.float32(side), 0.03)

    def fill(self, window: Window, amount: Field) -> None:
        """Replaces a share of the air by something dense."""
        self.air[window] *= 1 - np.minimum(amount, 1)

    def add_blob(self, x: float, y: float, rx: float, ry: float, amount: float) -> None:
        """Adds a soft round density, or takes one away when `amount` is negative."""
        window = self.frame.window(x, y, 2 * rx, 2 * ry)
        self.tissue[window] += np.float32(amount) * self.blob(window, x, y, rx, ry)

    def fill_blob(self, x: float, y: float, rx: float, ry: float, amount: float) -> None:
        """Fills the air inside a soft ellipse."""
        window = self.frame.window(x, y, 2 * rx, 2 * ry)
        self.fill(window, np.float32(amount) * self.blob(window, x, y, rx, ry))

    def line(self, points: Sequence[Point], width: float, strength: float, *, in_lung: bool = False) -> None:
        """Draws a thin line.

        Args:
            points: Through which it runs.
            width: In body coordinates.
            strength: From -1 (black) to 1 (white); 0.4 is clearly seen.
            in_lung: It is a change of the lung: faint where heart or fluid leave no air.
        """
        corners = [(x * _LINE_SCALE, y * _LINE_SCALE) for x, y in self.frame.pixels(points)]
        pixels = max(1, round(width * self.frame.size / 2 * _LINE_SCALE))
        self._pen(in_lung).line(corners, fill=int(128 + 127 * strength), width=pixels, joint="curve")

    def outline(self, points: Sequence[Point], strength: float) -> None:
        """Fills a polygon, as opaque as a line of this strength."""
        corners = [(x * _LINE_SCALE, y * _LINE_SCALE) for x, y in self.frame.pixels(points)]
        self._pen(False).polygon(corners, fill=int(128 + 127 * strength))

    def _pen(self, in_lung: bool) -> ImageDraw.ImageDraw:
        if in_lung not in self._films:
            side = self.frame.size * _LINE_SCALE
            self._films[in_lung] = Image.new("L", (side, side), 128)
        return ImageDraw.Draw(self._films[in_lung])

    def _lines(self, in_lung: bool) -> Field:
        soft = self._films[in_lung].reduce(_LINE_SCALE).filter(ImageFilter.BoxBlur(self.frame.size / 450))
        return (np.asarray(soft, dtype=np.float32) - 128) * np.float32(1 / 127)

    def density(self, vessels: Field, base: Field) -> Field:
        """The film as it would be without noise and exposure.

        Args:
            vessels: Lung markings, seen where there is air.
            base: The chest without lungs: the body's outline, mediastinum, abdomen.
        """
        total = base + self.tissue + self.bone
        total += (vessels * self.markings - np.float32(0.50 * self.body.lucency)) * self.air
        if False in self._films:
            total += self._lines(False)
        if True in self._films:
            total += self._lines(True) * (np.float32(0.55) + np.float32(0.45) * self.air)
        return np.asarray(total, dtype=np.float32)
