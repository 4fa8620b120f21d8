"""Image edits: what an `Edit` of a record does to the pixels.

Every edit is deterministic in its numbers; where it draws, `seed` is one of them. `APPEARANCES` share the parameter
`strength`, from 0 (nothing) to 1 (the most), so that they can be compared and dialled. A new one is a function and its
name there.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from cpo.errors import DataError
from cpo.records import Edit

Params = Mapping[str, float]
PixelEdit = Callable[[Image.Image, Params], Image.Image]
Pixels = npt.NDArray[np.float64]
"""Grey values in [0, 255], `[height, width, channels]`."""

NOISE = 60.0
"""Standard deviation of the strongest noise, in grey values."""
FOG = 200.0
"""Grey of the fog itself."""
FOG_PATCHES = 6
"""Patches of thicker and thinner fog along each side."""
NIGHT_TINT = (0.75, 0.85, 1.0)
"""Share of red, green and blue that is left at night, relative to each other."""


def apply_edits(picture: Image.Image, edits: tuple[Edit, ...]) -> Image.Image:
    """A picture with its edits done in order.

    Args:
        picture: In RGB.
        edits: Of its reference.

    Raises:
        DataError: An unknown edit, or one without a number that it needs.
    """
    for edit in edits:
        if edit.name not in EDITS:
            raise DataError(
                got=f"the image edit {edit.name!r}",
                wanted=f"one of {', '.join(EDITS)}",
                remedy="correct the name, or leave that shift out",
            )
        try:
            picture = EDITS[edit.name](picture, dict(edit.params))
        except KeyError as error:
            raise DataError(
                got=f"the image edit {edit.name!r} without {error.args[0]!r}",
                wanted="every number that it needs",
                remedy="make edits by box_edit and by shifts",
            ) from None
    return picture


def box_edit(x: float, y: float, width: float, height: float) -> Edit:
    """The edit that draws a red box."""
    return Edit("box", (("height", height), ("width", width), ("x", x), ("y", y)))


def _box(picture: Image.Image, params: Params) -> Image.Image:
    """A red rectangle of the given line width, as CODA-LM's own script draws it (x, y, width, height in pixels)."""
    drawn = picture.copy()
    x, y, width, height = (params[key] for key in ("x", "y", "width", "height"))
    ImageDraw.Draw(drawn).rectangle((x, y, x + width, y + height), outline="red", width=int(params.get("line", 2)))
    return drawn


def _contrast(picture: Image.Image, params: Params) -> Image.Image:
    """Grey values drawn towards their mean, at most to a tenth of their distance."""
    pixels = _pixels(picture)
    mean = pixels.mean()
    return _picture(mean + (1 - 0.9 * params["strength"]) * (pixels - mean))


def _noise(picture: Image.Image, params: Params) -> Image.Image:
    """Gaussian noise, the same in every channel."""
    pixels = _pixels(picture)
    noise = _generator(params).normal(size=pixels.shape[:2])
    return _picture(pixels + NOISE * params["strength"] * noise[..., None])


def _resolution(picture: Image.Image, params: Params) -> Image.Image:
    """Made smaller, at most to a tenth of its sides, and brought back to its size."""
    small = [max(1, round(side * (1 - 0.9 * params["strength"]))) for side in picture.size]
    return picture.resize((small[0], small[1]), Image.Resampling.BOX).resize(picture.size, Image.Resampling.BILINEAR)


def _jpeg(picture: Image.Image, params: Params) -> Image.Image:
    """Compressed, from quality 95 down to 5; at strength 0 not at all."""
    if params["strength"] == 0:
        return picture
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=round(95 - 90 * params["strength"]))
    with Image.open(file) as compressed:
        return compressed.convert("RGB")


def _fog(picture: Image.Image, params: Params) -> Image.Image:
    """Light grey over the picture, in thicker and thinner patches, thicker towards the upper edge: far away."""
    pixels = _pixels(picture)
    rows, columns = pixels.shape[:2]
    patches = (255 * _generator(params).random((FOG_PATCHES, FOG_PATCHES))).astype(np.uint8)
    drift = np.asarray(Image.fromarray(patches).resize((columns, rows), Image.Resampling.BICUBIC)) / 255
    far = np.linspace(1.0, 0.5, rows)[:, None]
    opacity = (params["strength"] * far * (0.8 + 0.2 * drift))[..., None]
    return _picture(pixels + opacity * (FOG - pixels))


def _night(picture: Image.Image, params: Params) -> Image.Image:
    """Darker, dark parts most, and bluish; lamps stay bright."""
    strength, light = params["strength"], _pixels(picture) / 255
    tint = 1 - strength * (1 - np.array(NIGHT_TINT))
    return _picture(255 * light ** (1 + 2 * strength) * (1 - 0.3 * strength) * tint)


def crop_edit(x: float, y: float, side: float) -> Edit:
    """The edit that shows a part of the picture alone, as large as the whole.

    Args:
        x: Left edge of the part, as a share of the width, in [0, 1 − side].
        y: Upper edge, as a share of the height, in [0, 1 − side].
        side: Width and height of the part, as shares of the picture's, in (0, 1].
    """
    return Edit("crop", (("side", side), ("x", x), ("y", y)))


def _crop(picture: Image.Image, params: Params) -> Image.Image:
    """A part of the picture, brought to the size of the whole."""
    x, y, side = (params[key] for key in ("x", "y", "side"))
    width, height = (max(1, round(side * length)) for length in picture.size)
    left = min(round(x * picture.width), picture.width - width)
    upper = min(round(y * picture.height), picture.height - height)
    part = picture.crop((left, upper, left + width, upper + height))
    return part.resize(picture.size, Image.Resampling.BICUBIC)


APPEARANCES: Mapping[str, PixelEdit] = {
    "contrast": _contrast,
    "noise": _noise,
    "resolution": _resolution,
    "jpeg": _jpeg,
    "fog": _fog,
    "night": _night,
}
"""Edits that make another picture of the same scene, by name."""

EDITS: Mapping[str, PixelEdit] = {"box": _box, "crop": _crop, **APPEARANCES}
"""Every edit by name; its parameters are those of the `Edit`."""


def _generator(params: Params) -> np.random.Generator:
    return np.random.default_rng(int(params["seed"]))


def _pixels(picture: Image.Image) -> Pixels:
    return np.asarray(picture, dtype=np.float64)


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
