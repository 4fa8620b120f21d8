"""Pictures behind references: stills of every depth, and the frame that a video shows at a time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from cpo.errors import DataError
from cpo.records import Edit, ImageRef
from cpo.sequence.edits import box_edit
from cpo.sequence.pixels import read_image

FPS = 4
LEVELS = tuple(range(20, 240, 10))
"""Grey of each frame: five and a half seconds, each frame told from its neighbours."""

FORMATS: dict[str, dict[str, Any]] = {
    "lossless.mov": {"codec": "png", "pix_fmt": "rgb24", "options": {}, "tolerance": 0},
    # few key frames, and frames stored out of order: what seeking may get wrong
    "compressed.mp4": {"codec": "libx264", "pix_fmt": "yuv420p", "options": {"g": "9", "bf": "2"}, "tolerance": 4},
}


def write_video(path: Path, levels: tuple[int, ...] = LEVELS) -> Path:
    kind = FORMATS[path.name]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(kind["codec"], rate=FPS, options=kind["options"])
        stream.width, stream.height, stream.pix_fmt = 64, 48, kind["pix_fmt"]
        for number, level in enumerate(levels):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, dtype=np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def level_at(path: Path, time_s: float) -> int:
    """The grey of the frame at a time, which is one all over."""
    pixels = np.asarray(read_image(ImageRef(str(path), time_s))).astype(int)
    assert pixels.shape == (48, 64, 3)
    assert np.ptp(pixels) <= FORMATS[path.name]["tolerance"]
    return int(np.median(pixels))


@pytest.fixture(scope="module", params=FORMATS)
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("videos") / request.param)


def test_every_frame_is_found_by_every_time_at_which_it_is_shown(video: Path) -> None:
    tolerance = FORMATS[video.name]["tolerance"]
    for number, level in enumerate(LEVELS):
        for part in (0.0, 0.4, 0.9):
            assert abs(level_at(video, (number + part) / FPS) - level) <= tolerance


def test_times_are_asked_for_in_any_order_and_beyond_either_end(video: Path) -> None:
    tolerance = FORMATS[video.name]["tolerance"]
    for time_s, level in ((3.0, LEVELS[12]), (0.5, LEVELS[2]), (99.0, LEVELS[-1]), (-1.0, LEVELS[0])):
        assert abs(level_at(video, time_s) - level) <= tolerance


def test_a_frame_is_edited_like_any_picture(video: Path) -> None:
    boxed = read_image(ImageRef(str(video), 1.0, (box_edit(10, 10, 20, 20),)))
    assert np.asarray(boxed)[10, 20].tolist() == [255, 0, 0]


@pytest.mark.parametrize("content", [b"", b"no video at all", b"\x00\x00\x00\x18ftypmp42" + bytes(64)])
def test_a_video_that_cannot_be_read_is_said_without_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret.mp4"
    path.write_bytes(content)
    with pytest.raises(DataError, match="a video") as caught:
        read_image(ImageRef(str(path), 1.0))
    assert "secret" not in str(caught.value)


def test_a_missing_file_is_said_without_its_name(tmp_path: Path) -> None:
    for time_s, what in ((None, "an image"), (0.0, "a video")):
        with pytest.raises(DataError, match=f"{what} that cannot be read") as caught:
            read_image(ImageRef(str(tmp_path / "secret"), time_s))
        assert "secret" not in str(caught.value)


def test_sixteen_bits_become_eight_without_clipping(tmp_path: Path) -> None:
    grey = np.array([[0, 257, 32_896, 65_535]], dtype=np.uint16)
    Image.fromarray(grey).save(tmp_path / "deep.png")
    pixels = np.asarray(read_image(ImageRef(str(tmp_path / "deep.png"))))
    assert pixels.tolist() == [[[level] * 3 for level in (0, 1, 128, 255)]]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "CMYK"])
def test_pictures_of_any_kind_become_rgb(tmp_path: Path, mode: str) -> None:
    kind = "tiff" if mode == "CMYK" else "png"
    Image.new("RGB", (6, 4), "white").convert(mode).save(tmp_path / f"white.{kind}")
    picture = read_image(ImageRef(str(tmp_path / f"white.{kind}")))
    assert (picture.mode, picture.size) == ("RGB", (6, 4))
    assert np.asarray(picture).min() == 255


def test_a_truncated_picture_is_said(tmp_path: Path) -> None:
    path = tmp_path / "half.jpg"
    Image.effect_noise((200, 200), 60).save(path)
    path.write_bytes(path.read_bytes()[:3_000])
    with pytest.raises(DataError, match="an image that cannot be read"):
        read_image(ImageRef(str(path)))


def test_an_unknown_edit_is_named_with_those_there_are(tmp_path: Path) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "x.png")
    with pytest.raises(DataError, match=r"'sharpen'[\s\S]*one of .*box"):
        read_image(ImageRef(str(tmp_path / "x.png"), edits=(Edit("sharpen"),)))
