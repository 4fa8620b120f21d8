"""Where pixels first appear: an `ImageRef` becomes a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, UnidentifiedImageError

from cpo.errors import DataError
from cpo.records import Edit, ImageRef

WHITE_16 = 65_535
"""Grey value of white in a 16-bit picture (PadChest), as torchxrayvision reads them."""


def read_image(ref: ImageRef) -> Image.Image:
    """The picture behind a reference, or the frame of a video at its time, as RGB, its edits applied in order.

    Raises:
        DataError: The file is absent, unreadable or truncated, has no frame at that time, or an edit is unknown.
    """
    picture = _still(ref.path) if ref.time_s is None else _frame(ref.path, ref.time_s)
    for edit in ref.edits:
        if edit.name not in EDITS:
            raise DataError(
                got=f"the image edit {edit.name!r}",
                wanted=f"one of {', '.join(EDITS)}",
                remedy="correct the name, or leave that shift out",
            )
        picture = EDITS[edit.name](picture, dict(edit.params))
    return picture


def _still(path: str) -> Image.Image:
    try:
        with Image.open(path) as picture:
            picture.load()
            return _eight_bit(picture).convert("RGB")
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise _unreadable("an image", error) from None


def _eight_bit(picture: Image.Image) -> Image.Image:
    # PIL clips 16-bit greys to white when it converts them
    if not picture.mode.startswith("I"):
        return picture
    grey = np.asarray(picture, dtype=np.float64) * (255 / WHITE_16)
    return Image.fromarray(np.clip(np.rint(grey), 0, 255).astype(np.uint8))


def _frame(path: str, time_s: float) -> Image.Image:
    import av  # takes a while to import, and only videos need it
    from av.error import FFmpegError

    try:
        with av.open(path) as container:
            stream = container.streams.video[0]
            # to the key frame before, then on to the last frame that is shown at that time
            container.seek(int(max(time_s, 0.0) * av.time_base), backward=True)
            shown = None
            for frame in container.decode(stream):
                if shown is not None and frame.time is not None and frame.time > time_s:
                    break
                shown = frame
            if shown is None:
                raise DataError(
                    got=f"a video without a frame at {time_s:g} s",
                    wanted="a time within the video",
                    remedy="check that the video belongs to the annotation",
                )
            return shown.to_image().convert("RGB")
    except (FFmpegError, OSError, IndexError) as error:
        raise _unreadable("a video", error) from None


def _box(picture: Image.Image, params: Mapping[str, float]) -> Image.Image:
    """A red rectangle of the given line width, as CODA-LM's own script draws it (x, y, width, height in pixels)."""
    drawn = picture.copy()
    x, y, width, height = (params[key] for key in ("x", "y", "width", "height"))
    ImageDraw.Draw(drawn).rectangle((x, y, x + width, y + height), outline="red", width=int(params.get("line", 2)))
    return drawn


EDITS: Mapping[str, Callable[[Image.Image, Mapping[str, Any]], Image.Image]] = {"box": _box}
"""Every edit by name; its parameters are those of the `Edit`."""


def box_edit(x: float, y: float, width: float, height: float) -> Edit:
    """The edit that draws a red box."""
    return Edit("box", (("height", height), ("width", width), ("x", x), ("y", y)))


def _unreadable(what: str, error: Exception) -> DataError:
    # neither the path nor the library's own words, which repeat it: a path may hold a patient's id
    return DataError(
        got=f"{what} that cannot be read ({type(error).__name__})",
        wanted="a readable file",
        remedy="restore the file from the release, or leave its record out",
    )
