"""Real video files from drawn frames."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO

import numpy as np
from numpy.typing import NDArray


def encode_mp4(frames: Iterable[NDArray[np.uint8]], *, fps: int, size: int, crf: int) -> bytes:
    """An MP4 file of H.264 frames; equal frames give equal bytes.

    Args:
        frames: `[size, size, 3]`, RGB, 0 to 255.
        fps: Frames per second.
        size: Width and height in pixels, even.
        crf: Constant rate factor of x264: 18 looks lossless, 51 is the worst.
    """
    import av  # takes a while to import, and only videos need it

    buffer = BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        # one thread and no vector code: with them x264 makes other bytes of equal frames now and then
        options = {"crf": str(crf), "preset": "veryfast", "threads": "1", "x264-params": "asm=0"}
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()
