"""From what is true of a study to the pixels of its film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cpo.graph.lexicon import Mention
from cpo.records import LabelState
from cpo.world.chest.anatomy import TREES, draw_anatomy, vessel_trees
from cpo.world.chest.body import draw_body
from cpo.world.chest.canvas import Canvas
from cpo.world.chest.devices import DEVICES
from cpo.world.chest.frame import LEFT, RIGHT, Field, Frame
from cpo.world.chest.signs import BENDS, PAINTS
from cpo.world.chest.truth import Nuisances

_GRADES = {"mild": 0.55, "moderate": 0.8, "severe": 1.0, None: 0.85}
_DOUBT = 0.5  # an uncertain finding is drawn at half the strength of a sure one
_SIDES = {"right": RIGHT, "left": LEFT, None: 0}


@dataclass(frozen=True, slots=True)
class SiteStyle:
    """How a site's films look.

    Args:
        gamma: Contrast curve; below 1 the film is lighter.
        collimation: Widest black margin, as a share of the film.
        round_corners: Margins of a round tube instead of straight leaves.
        markers: Lead letters by view: text, column and row as shares of the film.
    """

    gamma: float
    collimation: float
    round_corners: bool
    markers: dict[str, tuple[tuple[str, float, float], ...]]


SITES: dict[str, SiteStyle] = {
    "A": SiteStyle(1.0, 0.0, False, {"AP": (("PORTABLE", 0.56, 0.01), ("L", 0.92, 0.09)), "PA": (("L", 0.92, 0.03),)}),
    "B": SiteStyle(1.3, 0.045, False, {"AP": (("AP PORT", 0.06, 0.05), ("R", 0.06, 0.13)), "PA": (("R", 0.06, 0.05),)}),
    "C": SiteStyle(0.8, 0.0, True, {"AP": (("BEDSIDE", 0.02, 0.02), ("L", 0.90, 0.92)), "PA": (("L", 0.90, 0.92),)}),
}


def draw_picture(
    patient: np.random.Generator,
    study: np.random.Generator,
    findings: Sequence[Mention],
    nuisances: Nuisances,
    *,
    size: int,
    noise: float,
    nuisance: float = 1.0,
) -> NDArray[np.uint8]:
    """The film of one study.

    Args:
        patient: Random numbers that all studies of a patient share.
        study: Random numbers of this study.
        findings: Attributes to show.
        nuisances: View, site and devices.
        size: Width and height in pixels.
        noise: Standard deviation of the grain, as a share of the grey scale.
        nuisance: How much position, exposure and the site's style differ between films; 0 not at all, 1 ordinarily.

    Returns:
        Grey values, `[size, size]`, 0 black to 255 white.
    """
    # separate streams: the film of another finding differs in that finding only
    stance, painting, exposure = study.spawn(3)
    signs = {f.attribute: (_SIDES[f.side], _grade(f)) for f in findings}
    body = draw_body(patient, stance, view=nuisances.view)
    for name, bend in BENDS.items():
        if name in signs:
            bend(body, *signs[name])
    portable = nuisances.view == "AP"
    shake = 0.018 * nuisance * (1.6 if portable else 1.0)
    shift = (shake * stance.normal(), shake * stance.normal())
    frame = Frame(size, shake * stance.normal(), 0.985 + nuisance * stance.uniform(-0.035, 0.035), shift)
    canvas = Canvas(frame, body)
    base = draw_anatomy(canvas)
    for name, paint in PAINTS.items():
        if name in signs:
            paint(canvas, *signs[name], painting)
    for device in nuisances.devices:
        DEVICES[device](canvas)
    tree = vessel_trees(size)[int(patient.integers(TREES))]
    upper = np.clip(-0.05 - frame.y, 0, 0.3) * np.float32(2.5 * body.upper_vessels)
    density = canvas.density(tree * (np.float32(body.vessels) + upper), base)
    return _expose(density, exposure, nuisances, noise, nuisance)


def encode_jpeg(picture: NDArray[np.uint8], quality: int) -> bytes:
    """The picture as a grey JPEG file."""
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _grade(finding: Mention) -> float:
    return _GRADES[finding.severity] * (_DOUBT if finding.state is LabelState.UNCERTAIN else 1.0)


def _expose(
    density: Field, rng: np.random.Generator, nuisances: Nuisances, noise: float, nuisance: float
) -> NDArray[np.uint8]:
    style, size = SITES[nuisances.site], density.shape[0]
    portable = nuisances.view == "AP"
    # a portable tube is weaker: flatter contrast, more grain
    gain = (0.99 + nuisance * rng.uniform(-0.05, 0.05)) * (0.92 if portable else 1.0)
    level = 0.5 + nuisance * rng.normal(0, 0.015)
    density -= np.float32(0.5)
    density *= np.float32(gain)
    density += np.float32(level)
    density += rng.standard_normal(density.shape, dtype=np.float32) * np.float32(noise * (1.3 if portable else 1.0))
    curve = np.linspace(0, 1, 1024) ** (style.gamma**nuisance) * 255
    index = np.clip(density * 1023, 0, 1023).astype(np.int32)
    film = curve.astype(np.uint8)[index]
    film *= _collimate(rng, style, size, nuisance)
    for text, column, row in style.markers[nuisances.view]:
        stamp = _stamp(text, size)
        top, left = int(row * size + rng.integers(0, 3)), int(column * size + rng.integers(-2, 3))
        place = film[top : top + stamp.shape[0], left : left + stamp.shape[1]]
        np.maximum(place, stamp[: place.shape[0], : place.shape[1]], out=place)
    return np.asarray(film, dtype=np.uint8)


def _collimate(rng: np.random.Generator, style: SiteStyle, size: int, nuisance: float) -> NDArray[np.uint8]:
    if style.round_corners:
        return _round_field(size)
    field = np.ones((size, size), dtype=np.uint8)
    if style.collimation:
        top, bottom, left, right = (int(m) for m in rng.uniform(0.3, 1, size=4) * style.collimation * nuisance * size)
        field[:top], field[size - bottom :], field[:, :left], field[:, size - right :] = 0, 0, 0, 0
    return field


@lru_cache(maxsize=4)
def _round_field(size: int) -> NDArray[np.uint8]:
    line = np.linspace(-1, 1, size) ** 4
    return np.asarray(line[:, None] + line[None, :] < 1.45, dtype=np.uint8)


@lru_cache(maxsize=32)
def _stamp(text: str, size: int) -> NDArray[np.uint8]:
    font = ImageFont.load_default(size=max(8, size // 16))
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text))
    film = Image.new("L", (right - left + 2, bottom - top + 2), 0)
    ImageDraw.Draw(film).text((1 - left, 1 - top), text, fill=245, font=font)
    return np.asarray(film)
