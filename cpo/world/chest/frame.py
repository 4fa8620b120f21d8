"""The film's coordinates: where a point of the body falls on the picture.

Body coordinates: x from -1 (the patient's right, which is on the left of the film) to 1, y from -1 (neck) to 1
(abdomen); the spine is at x = 0. Sides are signs: -1 right, +1 left.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Window = tuple[slice, slice]
Point = tuple[float, float]

RIGHT, LEFT = -1, 1


@lru_cache(maxsize=4)
def _grid(size: int) -> tuple[Field, Field]:
    line = ((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1).astype(np.float32)
    x, y = np.meshgrid(line, line)
    return x, y


class Frame:
    """How one patient stood before the film: a small turn, a shift and a zoom.

    Args:
        size: Width and height of the picture, in pixels.
        angle: Turn in radians, clockwise on the film.
        zoom: Above 1 the body is larger than the film.
        shift: Of the body's centre, in halves of the film's width.
    """

    def __init__(self, size: int, angle: float = 0.0, zoom: float = 1.0, shift: Point = (0.0, 0.0)) -> None:
        self.size = size
        self._cos, self._sin, self._zoom, self._shift = float(np.cos(angle)), float(np.sin(angle)), zoom, shift
        film_x, film_y = _grid(size)
        dx, dy = film_x - np.float32(shift[0]), film_y - np.float32(shift[1])
        cos, sin = np.float32(self._cos / zoom), np.float32(self._sin / zoom)
        self.x: Field = dx * cos + dy * sin
        self.y: Field = dy * cos - dx * sin

    def pixel(self, point: Point) -> Point:
        """Column and row of a point of the body, in pixels from the upper left corner."""
        x, y = point[0] * self._zoom, point[1] * self._zoom
        film_x = x * self._cos - y * self._sin + self._shift[0]
        film_y = y * self._cos + x * self._sin + self._shift[1]
        return (film_x + 1) * self.size / 2, (film_y + 1) * self.size / 2

    def pixels(self, points: Sequence[Point]) -> list[Point]:
        """Columns and rows of several points."""
        return [self.pixel(point) for point in points]

    def window(self, x: float, y: float, rx: float, ry: float) -> Window:
        """Rows and columns that hold the box of half-widths `rx`, `ry` around a point, clipped to the film."""
        column, row = self.pixel((x, y))
        # a turned box needs a little more room
        half = self.size / 2 * self._zoom
        wide, high = half * (rx + abs(self._sin) * ry), half * (ry + abs(self._sin) * rx)
        rows = slice(max(0, int(row - high)), max(0, min(self.size, int(row + high) + 2)))
        columns = slice(max(0, int(column - wide)), max(0, min(self.size, int(column + wide) + 2)))
        return rows, columns


def ramp(distance: NDArray[np.floating[Any]], width: float) -> Field:
    """A soft edge: 0 outside, 1 inside, linear over `width` around distance 0."""
    return np.asarray(np.clip(distance * np.float32(1 / width) + np.float32(0.5), 0, 1), dtype=np.float32)
