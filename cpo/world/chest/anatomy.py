"""What every film shows: outline, mediastinum, heart, ribs, clavicles, scapulae, diaphragm and lung markings."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from cpo.world.chest.canvas import Canvas
from cpo.world.chest.frame import LEFT, RIGHT, Field, ramp

TREES = 12
_PHASES = 512


def draw_anatomy(canvas: Canvas) -> Field:
    """Draws the healthy organs of a body into its layers and returns the base density under them."""
    base = _outline(canvas)
    _mediastinum(canvas)
    _heart(canvas)
    _ribs(canvas)
    _spine(canvas)
    _clavicles(canvas)
    _scapulae(canvas)
    _hila(canvas)
    _abdomen(canvas)
    return base


def _outline(canvas: Canvas) -> Field:
    u, y = canvas.u, canvas.frame.y
    out = np.clip(u - 0.24, 0, None)
    shoulder = -0.99 + 0.34 * out
    skin = ramp(y - shoulder, 0.07)
    # soft tissue is thicker towards the middle
    return np.asarray(skin * (0.64 - 0.10 * u * u), dtype=np.float32)


def _mediastinum(canvas: Canvas) -> None:
    body, x, y = canvas.body, canvas.frame.x, canvas.frame.y
    rows = y[:, canvas.frame.size // 2][:, None]
    left = x - np.float32(body.shift)
    flare = 0.05 * np.clip(rows, 0, 1)
    half_left = body.mediastinum + flare
    stripe = body.stripe * np.clip(1 - np.abs(rows + 0.42) / 0.28, 0, 1)
    half_right = body.mediastinum + stripe + 0.35 * np.clip(-rows - 0.62, 0, 0.12) + flare
    band = np.minimum(ramp(half_left - left, 0.03), ramp(half_right + left, 0.03))
    aorta = body.unfolded * np.clip(1 - ((rows - 0.02) / 0.42) ** 2, 0, 1)
    descending = ramp(0.085 + aorta - np.abs(left - 0.05), 0.025) * ramp(rows + 0.34, 0.08)
    solid = np.maximum(band, descending)
    knob_x = body.shift + body.mediastinum * 0.75
    window = canvas.frame.window(knob_x, -0.34, body.knob * 1.3, body.knob * 1.5)
    solid[window] = np.maximum(
        solid[window], canvas.disc(window, knob_x, -0.34, body.knob * 1.05, body.knob * 1.25, 0.16)
    )
    canvas.air *= 1 - solid
    canvas.tissue += np.float32(0.10) * solid
    _trachea(canvas)


def _trachea(canvas: Canvas) -> None:
    body = canvas.body
    x = body.shift * 0.7 + body.trachea
    top, carina = (body.shift * 0.3 + body.trachea * 0.2, -1.0), (x + 0.01, -0.22)
    middle = (x, -0.58)
    canvas.line([top, middle, carina], 0.062, -0.16)
    out, up, dark = 0.10 * body.splay, 0.13 * body.splay, -0.13 - 0.07 * body.splay
    canvas.line([carina, (carina[0] - 0.13 - out, -0.08 - up)], 0.042, dark)
    canvas.line([carina, (carina[0] + 0.15 + out, -0.06 - up)], 0.042, dark)


def _heart(canvas: Canvas) -> None:
    body = canvas.body
    cx, cy, rx, ry = body.heart_axes()
    tilt = 0.50 + body.heart_drop
    window = canvas.frame.window(cx, cy, 1.35 * rx, 1.5 * ry)
    dx, dy = canvas.frame.x[window] - np.float32(cx), canvas.frame.y[window] - np.float32(cy)
    along = (dx * np.float32(np.cos(tilt)) + dy * np.float32(np.sin(tilt))) * np.float32(1 / (1.06 * rx))
    across = (dy * np.float32(np.cos(tilt)) - dx * np.float32(np.sin(tilt))) * np.float32(1 / (0.92 * ry))
    inside = 1 - along * along - across * across
    ventricle = ramp(inside, 0.12)
    atrium = canvas.disc(window, cx - 0.56 * rx, cy - 0.02, 0.52 * rx, 0.84 * ry, 0.07)
    trunk = canvas.disc(window, cx - 0.02 * rx, cy - 0.62 * ry, 0.42 * rx, 0.60 * ry, 0.10)
    solid = np.maximum(np.maximum(ventricle, atrium), trunk)
    canvas.air[window] *= 1 - solid
    canvas.tissue[window] += solid * (0.06 + 0.08 * np.clip(inside, 0, 1))


@lru_cache(maxsize=1)
def _rib_profile() -> tuple[Field, Field]:
    phase = np.arange(_PHASES) / _PHASES

    def profile(half: float, body: float, edge: float) -> Field:
        distance = np.abs(phase - 0.5)
        inside = np.clip((half - distance) / 0.03 + 0.5, 0, 1)
        rim = np.exp(-(((distance - half + 0.035) / 0.03) ** 2))
        return (body * inside + edge * rim).astype(np.float32)

    return profile(0.24, 0.055, 0.035), profile(0.20, 0.035, 0.022)


def _ribs(canvas: Canvas) -> None:
    u, y = canvas.u, canvas.frame.y
    body = canvas.body
    posterior, anterior = _rib_profile()
    share = u * np.float32(1 / body.width)
    spacing = np.float32((0.70 - body.apex) / 9.5)
    start = np.float32(body.apex - 0.06)
    back = (y - start - 0.30 * share * share + 0.10 * share) * (1 / spacing)
    front = (y - start - 0.34 + 0.36 * (share - 0.55)) * (1 / spacing)
    cage = ramp(np.float32(1.06) - share - np.clip(-y - 0.55, 0, 1) * 1.1, 0.05) * ramp(np.float32(0.62) - y, 0.10)
    cage[y < body.apex - 0.04] = 0
    index = (back * _PHASES).astype(np.int32) & (_PHASES - 1)
    ribs = posterior[index]
    index = (front * _PHASES).astype(np.int32) & (_PHASES - 1)
    ribs += anterior[index] * ramp(share - 0.42, 0.15) * ramp(front - 0.7, 0.2)
    canvas.bone += ribs * cage


def _spine(canvas: Canvas) -> None:
    half = int(0.14 * canvas.frame.size / 2)
    middle = canvas.frame.size // 2
    window = (slice(None), slice(middle - 3 * half, middle + 3 * half))
    x, y = canvas.frame.x[window], canvas.frame.y[window]
    column = ramp(0.085 - np.abs(x), 0.03)
    discs = np.abs(((y * np.float32(7.2)) % 1) - 0.5)
    canvas.bone[window] += column * (0.055 + 0.05 * np.clip((0.42 - discs) * 8, 0, 1))


def _clavicles(canvas: Canvas) -> None:
    rows = slice(0, int(0.42 * canvas.frame.size))
    u, y, x = canvas.u[rows], canvas.frame.y[rows], canvas.frame.x[rows]
    middle = -0.60 - 0.20 * u - 0.05 * np.sin(u * np.float32(5.5))
    seen = ramp(u - 0.10, 0.03)
    for side, step in canvas.body.clavicle_step.items():
        if step:
            middle += np.where(x * side > 0.52, np.float32(step), 0)
            seen *= ramp(np.abs(x * side - 0.52) - 0.025, 0.02)
    distance = np.abs(y - middle)
    rim = np.clip(1 - np.abs(distance - 0.030) * np.float32(1 / 0.012), 0, 1)
    canvas.bone[rows] += (0.13 * ramp(0.036 - distance, 0.014) + 0.06 * rim) * seen


def _scapulae(canvas: Canvas) -> None:
    body = canvas.body
    rows = slice(int(0.10 * canvas.frame.size), int(0.66 * canvas.frame.size))
    u, y = canvas.u[rows], canvas.frame.y[rows]
    border = body.scapula * body.width + np.float32(0.16) * (y + 0.55)
    plate = ramp(u - border, 0.03) * ramp(0.24 - y - 0.5 * (u - border), 0.04) * ramp(y + 0.66, 0.08)
    rim = np.clip(1 - np.abs(u - border - 0.015) * np.float32(1 / 0.016), 0, 1) * plate
    canvas.bone[rows] += 0.075 * plate + 0.075 * rim


def _hila(canvas: Canvas) -> None:
    body = canvas.body
    for side, y in ((RIGHT, -0.02), (LEFT, -0.06)):
        x = body.shift + side * (body.mediastinum + 0.07)
        size = body.hilum[side]
        canvas.add_blob(x, y, 0.06 * size, 0.11 * size, 0.16)


def _abdomen(canvas: Canvas) -> None:
    body, y = canvas.body, canvas.frame.y
    rows = slice(int(0.55 * canvas.frame.size), None)
    below = np.clip((y[rows] - 0.35) * 1.2, 0, 1) * (1 - np.clip(canvas.air[rows], 0, 1))
    canvas.tissue[rows] += 0.16 * below
    canvas.add_blob(0.40, body.dome[LEFT] + 0.17, 0.11, 0.05, -0.20)
    if body.breasts:
        for side in (RIGHT, LEFT):
            canvas.add_blob(side * 0.46, 0.40, 0.22, 0.20, body.breasts)


@lru_cache(maxsize=4)
def vessel_trees(size: int) -> tuple[Field, ...]:
    """Lung markings of a dozen patients, drawn once per process: branches that thin out from the hila."""
    return tuple(_vessel_tree(size, variant) for variant in range(TREES))


def _vessel_tree(size: int, variant: int) -> Field:
    rng = np.random.default_rng(np.random.SeedSequence([20, variant]))
    film = Image.new("L", (2 * size, 2 * size), 0)
    pen = ImageDraw.Draw(film)

    def pixel(x: float, y: float) -> tuple[float, float]:
        return (x + 1) * size, (y + 1) * size

    def grow(x: float, y: float, angle: float, length: float, width: float, bright: float) -> None:
        if length < 0.03:
            return
        to = x + length * np.cos(angle), y + length * np.sin(angle)
        pen.line([pixel(x, y), pixel(*to)], fill=int(bright), width=max(1, round(width * size)))
        for _ in range(2):
            turn = rng.normal(0, 0.42)
            grow(*to, angle + turn, length * rng.uniform(0.66, 0.86), width * 0.68, bright * 0.84)

    for side in (RIGHT, LEFT):
        for angle in np.linspace(-1.25, 1.45, 8):
            outward = angle if side == LEFT else np.pi - angle
            grow(side * 0.17, -0.02, outward + rng.normal(0, 0.1), rng.uniform(0.15, 0.20), 0.021, 205)
    smooth = film.filter(ImageFilter.GaussianBlur(size / 160)).reduce(2)
    return np.asarray(np.asarray(smooth, dtype=np.float32) * np.float32(0.30 / 255), dtype=np.float32)


@lru_cache(maxsize=4)
def mottles(size: int) -> tuple[Field, ...]:
    """Cloudy textures around 0, about -1 to 1, drawn once per process: what makes an opacity patchy."""
    out = []
    for variant in range(TREES):
        rng = np.random.default_rng(np.random.SeedSequence([21, variant]))
        total = np.zeros((size, size), dtype=np.float32)
        for cells, weight in ((7, 0.7), (15, 0.5), (30, 0.35)):
            coarse = Image.fromarray(rng.standard_normal((cells, cells)).astype(np.float32))
            total += weight * np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32)
        out.append(total)
    return tuple(out)
