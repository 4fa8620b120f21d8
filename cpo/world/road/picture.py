"""From what is true of a scene to its pixels, and to the boxes around what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cpo.graph.lexicon import Mention
from cpo.records import LabelState
from cpo.world.road import signals, surface, users, weather
from cpo.world.road.backdrop import draw_backdrop, draw_bonnet
from cpo.world.road.canvas import OVERSAMPLING, Camera, Canvas
from cpo.world.road.truth import Nuisances

Box = tuple[int, int, int, int]

PAINTS = surface.PAINTS | users.PAINTS | signals.PAINTS
"""What stands or lies somewhere: distance and painter."""
SKIES = {"storm clouds": weather.storm_clouds}
"""What hangs behind everything else."""
VEILS = {"rain": weather.rain, "falling snow": weather.falling_snow, "glare": weather.glare}
"""What lies over everything else."""
WEATHER = ("fog", *SKIES, *VEILS)

_GRADES = {"mild": 0.35, "moderate": 0.65, "severe": 1.0, None: 0.85}
_DOUBT = 0.5  # an uncertain attribute is half seen through
_SIDES = {"left": -1, "right": 1, None: 0}
_AMBIENT = np.array([0.26, 0.29, 0.40], dtype=np.float32)  # what is left of the colours at night


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn scene.

    Args:
        pixels: `[size, size, 3]`, RGB, 0 to 255.
        boxes: x, y, width and height in pixels of what stands or lies in the scene, by attribute.
    """

    pixels: NDArray[np.uint8]
    boxes: dict[str, Box]

    def jpeg(self, quality: int) -> bytes:
        """The picture as a JPEG file."""
        buffer = BytesIO()
        Image.fromarray(self.pixels).save(buffer, "JPEG", quality=quality)
        return buffer.getvalue()


def draw_picture(
    drive: np.random.Generator,
    scene: np.random.Generator,
    findings: Sequence[Mention],
    nuisances: Nuisances,
    *,
    size: int,
    noise: float,
    nuisance: float = 1.0,
    travel: float = 0.0,
    approach: float = 1.0,
    grain: int = 0,
) -> Picture:
    """The picture of one scene.

    Args:
        drive: Random numbers that all scenes of a drive share.
        scene: Random numbers of this scene.
        findings: Attributes to show.
        nuisances: Night, bus lane, surroundings.
        size: Width and height in pixels.
        noise: Standard deviation of the grain, as a share of the grey scale.
        nuisance: How much the camera's place and exposure and the distances differ; 0 not at all, 1 ordinarily.
        travel: Metres driven since the drive began.
        approach: Factor on the distance of what the scene shows; above 1 it is still farther away.
        grain: Which of the scene's grains: frames of one clip differ in it.
    """
    # separate streams: the picture of another finding differs in that finding only
    stance, painting, exposure = scene.spawn(3)
    background, paint = drive.spawn(2)
    shown = {finding.attribute: finding for finding in findings}
    shake, away = nuisance * stance.normal(size=2), 1 + 0.10 * nuisance * stance.uniform(-1, 1)
    camera = Camera(size, 0.72, 0.42 + 0.008 * float(shake[0]), 0.5 + 0.010 * float(shake[1]))
    fog = weather.FOG_PER_METRE * _strength(shown["fog"]) if "fog" in shown else 0.0
    canvas = Canvas(camera, nuisances.night, fog)
    seeds = zip(sorted((*PAINTS, *WEATHER)), painting.integers(2**32, size=len(PAINTS) + len(WEATHER)), strict=True)
    looks = {name: np.random.default_rng(int(seed)) for name, seed in seeds if name in shown}
    draw_backdrop(canvas, background, nuisances, travel)
    for name, sky in SKIES.items():
        if name in shown:
            sky(canvas, _strength(shown[name]), looks[name])
    boxes = _draw_things(canvas, shown, looks, float(away) * approach)
    draw_bonnet(canvas, paint)
    for name, veil in VEILS.items():
        if name in shown:
            veil(canvas, _strength(shown[name]), looks[name])
    return Picture(_expose(canvas, exposure, noise, nuisance, grain), boxes)


def _strength(finding: Mention) -> float:
    return _GRADES[finding.severity] * (_DOUBT if finding.state is LabelState.UNCERTAIN else 1.0)


def _draw_things(
    canvas: Canvas, shown: dict[str, Mention], looks: dict[str, np.random.Generator], distance: float
) -> dict[str, Box]:
    boxes = {}
    for name in sorted((n for n in PAINTS if n in shown), key=lambda n: -PAINTS[n][0]):
        finding = shown[name]
        doubt = finding.state is LabelState.UNCERTAIN
        before = (canvas.image.copy(), canvas.light.copy(), len(canvas.glows)) if doubt else None
        canvas.begin()
        PAINTS[name][1](canvas, _SIDES[finding.side], _GRADES[finding.severity], distance, looks[name])
        if before:
            canvas.image.paste(Image.blend(before[0], canvas.image, _DOUBT))
            canvas.light.paste(Image.blend(before[1], canvas.light, _DOUBT))
            del canvas.glows[before[2] :]  # what is half seen does not shine
        box = canvas.box()
        if box:
            boxes[name] = box
    return boxes


def _expose(canvas: Canvas, rng: np.random.Generator, noise: float, nuisance: float, grain: int) -> NDArray[np.uint8]:
    size = canvas.camera.size
    film: NDArray[np.float32] = np.asarray(canvas.image.reduce(OVERSAMPLING), dtype=np.float32) / np.float32(255)
    if canvas.night:
        light = np.asarray(canvas.light.reduce(OVERSAMPLING), dtype=np.float32)[..., None] / np.float32(255)
        film *= _AMBIENT + (np.float32(1) - _AMBIENT) * light
    for glow in canvas.glows:
        _shine(
            film, glow.x / OVERSAMPLING, glow.y / OVERSAMPLING, glow.radius / OVERSAMPLING, glow.colour, glow.strength
        )
    gain, level = 1 + 0.06 * nuisance * rng.uniform(-1, 1), 0.02 * nuisance * rng.normal()
    grains = np.random.default_rng([int(rng.integers(2**31)), grain])
    film = film * np.float32(gain) + np.float32(level)
    film += grains.standard_normal((size, size, 1), dtype=np.float32) * np.float32(noise)
    return np.asarray(np.clip(film * 255 + 0.5, 0, 255), dtype=np.uint8)


def _shine(
    film: NDArray[np.float32], x: float, y: float, radius: float, colour: tuple[int, int, int], strength: float
) -> None:
    size = film.shape[0]
    left, right = max(0, int(x - 2 * radius)), min(size, int(x + 2 * radius) + 2)
    top, bottom = max(0, int(y - 2 * radius)), min(size, int(y + 2 * radius) + 2)
    if left >= right or top >= bottom or radius <= 0:
        return
    across = np.exp(-(((np.arange(left, right, dtype=np.float32) - x) / radius) ** 2) * 2)
    down = np.exp(-(((np.arange(top, bottom, dtype=np.float32) - y) / radius) ** 2) * 2)
    halo = (np.float32(0.5 * strength) * down[:, None] * across[None, :])[..., None]
    film[top:bottom, left:right] += halo * (np.array(colour, dtype=np.float32) / 255)
