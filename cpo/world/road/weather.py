"""Light and weather: what lies over the whole picture, or hangs in the sky."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from cpo.world.road.canvas import Canvas, Colour, Glow

Veil = Callable[[Canvas, float, np.random.Generator], None]
"""Paints one attribute over the canvas, at a strength in [0, 1]."""

FOG_PER_METRE = 0.075
"""Share of the light that the densest fog takes per metre."""


def storm_clouds(canvas: Canvas, strength: float, rng: np.random.Generator) -> None:
    """Clouds over the horizon, the darker the surer, and a flash."""
    span, horizon = canvas.span, canvas.camera.horizon * canvas.span
    pen, lamp = ImageDraw.Draw(canvas.image), ImageDraw.Draw(canvas.light)
    for x, y, tone in rng.uniform(size=(30, 3))[: round(4 + 26 * strength)]:
        width = span * (0.10 + 0.09 * float(tone))
        cx, cy = float(x) * span, (0.05 + 0.55 * float(y)) * horizon
        grey = round(52 + 46 * float(y) + 80 * (0.85 - strength))
        edges = (cx - width, cy - width * 0.42, cx + width, cy + width * 0.42)
        pen.ellipse(edges, fill=(grey, grey + 3, grey + 12))
        lamp.ellipse(edges, fill=90)
    x = float(rng.uniform(0.2, 0.4)) * span
    flash = [
        (x, 0.45 * horizon),
        (x - 0.03 * span, 0.68 * horizon),
        (x + 0.01 * span, 0.7 * horizon),
        (x - 0.02 * span, 0.93 * horizon),
    ]
    pen.line(flash, fill=(255, 250, 200), width=max(2, span // 90))
    lamp.line(flash, fill=255, width=max(2, span // 90))


def glare(canvas: Canvas, strength: float, rng: np.random.Generator) -> None:
    """A light low over the road that washes out what is around it: the sun, or at night full beams."""
    x = (0.5 + float(rng.uniform(-0.06, 0.06))) * canvas.span
    y = (canvas.camera.horizon - 0.07) * canvas.span
    warm: Colour = (255, 244, 214)
    for reach, share in ((0.10, 1.6), (0.30, 0.9), (0.62, 0.55)):
        canvas.glows.append(Glow(x, y, reach * canvas.span, warm, share * (0.35 + 0.65 * strength)))


def rain(canvas: Canvas, strength: float, rng: np.random.Generator) -> None:
    """Slanting streaks, and a grey veil."""
    span = canvas.span
    veil = Image.new("RGB", canvas.image.size, (120, 128, 140))
    canvas.image.paste(Image.blend(canvas.image, veil, 0.08 + 0.17 * strength))
    canvas.light.paste(canvas.light.point(lambda value: min(255, value + 8)))
    pen, lamp = ImageDraw.Draw(canvas.image), ImageDraw.Draw(canvas.light)
    for x, y, reach in rng.uniform(size=(260, 3))[: round(40 + 220 * strength)]:
        px, py, length = float(x) * span, float(y) * span, span * (0.03 + 0.04 * float(reach))
        streak = (px, py, px - 0.25 * length, py + length)
        pen.line(streak, fill=(206, 216, 230), width=max(1, span // 220))
        lamp.line(streak, fill=130, width=max(1, span // 220))


def falling_snow(canvas: Canvas, strength: float, rng: np.random.Generator) -> None:
    """White flakes, near ones large."""
    span = canvas.span
    pen, lamp = ImageDraw.Draw(canvas.image), ImageDraw.Draw(canvas.light)
    for x, y, near in rng.uniform(size=(240, 3))[: round(30 + 210 * strength)]:
        px, py, radius = float(x) * span, float(y) * span, span * (0.004 + 0.008 * float(near) ** 3)
        edges = (px - radius, py - radius, px + radius, py + radius)
        pen.ellipse(edges, fill=(250, 251, 255))
        lamp.ellipse(edges, fill=210)
