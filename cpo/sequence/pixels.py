"""Where pixels first appear: an `ImageRef` becomes a picture."""

from __future__ import annotations

import numpy as np
from PIL import Image, UnidentifiedImageError

from cpo.errors import DataError
from cpo.records import ImageRef
from cpo.sequence.edits import apply_edits

WHITE_16 = 65_535
"""Grey value of white in a 16-bit picture (PadChest), as torchxrayvision reads them."""


def read_image(ref: ImageRef) -> Image.Image:
    """The picture behind a reference, or the frame of a video at its time, as RGB, its edits applied in order.

    Raises:
        DataError: The file is absent, unreadable or truncated, has no frame at that time, or an edit is unknown.
    """
    picture = _still(ref.path) if ref.time_s is None else _frame(ref.path, ref.time_s)
    return apply_edits(picture, ref.edits)


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
            picture: Image.Image = shown.to_image()  # type: ignore[no-untyped-call]
            return picture.convert("RGB")
    except (FFmpegError, OSError, IndexError) as error:
        raise _unreadable("a video", error) from None


def _unreadable(what: str, error: Exception) -> DataError:
    # neither the path nor the library's own words, which repeat it: a path may hold a patient's id
    return DataError(
        got=f"{what} that cannot be read ({type(error).__name__})",
        wanted="a readable file",
        remedy="restore the file from the release, or leave its record out",
    )
