"""Where pixels first appear: an `ImageRef` becomes a picture."""

from __future__ import annotations

from PIL import Image, UnidentifiedImageError

from cpo.errors import DataError
from cpo.records import ImageRef


def read_image(ref: ImageRef) -> Image.Image:
    """The picture behind a reference, as RGB, its edits applied in order.

    Raises:
        DataError: The file is absent, unreadable or truncated, or an edit is unknown.
    """
    if ref.edits or ref.time_s is not None:
        wanted_of = ref.edits[0].name if ref.edits else "a video frame"
        raise DataError(
            got=f"an image reference with {wanted_of}",
            wanted="a still picture without edits",
            remedy="leave that shift out",
        )
    try:
        with Image.open(ref.path) as picture:
            return picture.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        # neither the path nor the library's own words, which repeat it: a path may hold a patient's id
        raise DataError(
            got=f"an image that cannot be read ({type(error).__name__})",
            wanted="a readable image file",
            remedy="restore the file from the release, or leave its record out",
        ) from None
