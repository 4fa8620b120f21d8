"""Image edits: exact where they can be computed by hand, and monotone in their strength."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cpo.errors import DataError
from cpo.records import Edit, ImageRef
from cpo.sequence.edits import APPEARANCES, EDITS, apply_edits, box_edit, crop_edit
from cpo.sequence.pixels import read_image


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """A grey ramp with a texture, wider than high."""
    rows, columns = np.mgrid[:48, :64]
    grey = (columns * 3 + 40 * ((rows // 3 + columns // 3) % 2)).astype(np.uint8)
    return Image.fromarray(np.stack([grey, grey, np.full_like(grey, 90)], axis=-1))


def edit(name: str, strength: float, seed: int = 0) -> Edit:
    return Edit(name, (("seed", float(seed)), ("strength", strength)))


def change(before: Image.Image, after: Image.Image) -> float:
    return float(np.abs(np.asarray(before, dtype=float) - np.asarray(after, dtype=float)).mean())


@pytest.mark.parametrize("name", APPEARANCES)
def test_strength_0_is_the_picture_and_more_strength_changes_more(name: str, picture: Image.Image) -> None:
    steps = [apply_edits(picture, (edit(name, strength),)) for strength in (0.0, 0.3, 0.6, 1.0)]
    assert all(step.size == picture.size and step.mode == "RGB" for step in steps)
    assert change(picture, steps[0]) < 0.5
    changes = [change(picture, step) for step in steps]
    assert changes == sorted(changes)
    assert changes[-1] > 5


@pytest.mark.parametrize("name", APPEARANCES)
def test_an_edit_is_decided_by_its_numbers(name: str, picture: Image.Image) -> None:
    before = np.asarray(picture).copy()
    one, again = (np.asarray(apply_edits(picture, (edit(name, 0.7),))) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(np.asarray(picture), before)
    other = np.asarray(apply_edits(picture, (edit(name, 0.7, seed=1),)))
    assert (other != one).any() == (name in ("noise", "fog")), "what draws has a seed"


def test_contrast_draws_grey_values_to_their_mean() -> None:
    # mean 100; (1 − .9 · .5) = .55 of each distance: 100 ± 55
    flat = Image.fromarray(np.array([[[0] * 3, [200] * 3]], dtype=np.uint8))
    assert np.asarray(apply_edits(flat, (edit("contrast", 0.5),))).tolist() == [[[45] * 3, [155] * 3]]


def test_noise_has_the_standard_deviation_of_its_strength() -> None:
    grey = Image.fromarray(np.full((100, 100, 3), 128, dtype=np.uint8))
    noisy = np.asarray(apply_edits(grey, (edit("noise", 0.25),)), dtype=float)
    assert noisy.std() == pytest.approx(15, rel=0.03)
    np.testing.assert_array_equal(noisy[..., 0], noisy[..., 2])


def test_a_night_is_bluish_and_lamps_stay_brightest() -> None:
    lamp = Image.fromarray(np.array([[[255] * 3, [128] * 3]], dtype=np.uint8))
    # 255 · (1 − .3) · (.75, .85, 1), and (128 / 255)³ of that
    assert np.asarray(apply_edits(lamp, (edit("night", 1.0),))).tolist() == [[[134, 152, 178], [17, 19, 23]]]


def test_fog_is_thicker_far_away() -> None:
    black = Image.fromarray(np.zeros((90, 60, 3), dtype=np.uint8))
    foggy = np.asarray(apply_edits(black, (edit("fog", 1.0),)), dtype=float)
    assert foggy[:30].mean() > foggy[30:60].mean() > foggy[60:].mean()
    assert foggy.max() <= 200


def test_a_box_is_drawn_where_it_belongs() -> None:
    black = Image.new("RGB", (20, 20))
    drawn = np.asarray(apply_edits(black, (box_edit(5, 6, 10, 8),)))
    assert drawn[6, 5].tolist() == [255, 0, 0]
    assert drawn[10, 10].tolist() == [0, 0, 0]


def test_edits_are_done_in_order_when_the_picture_is_read(picture: Image.Image, tmp_path: Path) -> None:
    picture.save(tmp_path / "a.png")
    edits = (edit("night", 0.5), edit("noise", 0.5))
    found = read_image(ImageRef(str(tmp_path / "a.png"), edits=edits))
    np.testing.assert_array_equal(np.asarray(found), np.asarray(apply_edits(picture, edits)))
    turned = apply_edits(picture, edits[::-1])
    assert (np.asarray(found) != np.asarray(turned)).any()


def test_an_unknown_edit_and_a_missing_number_are_named(picture: Image.Image) -> None:
    with pytest.raises(DataError, match=f"one of {', '.join(EDITS)}"):
        apply_edits(picture, (Edit("blur"),))
    with pytest.raises(DataError, match="'noise' without 'seed'"):
        apply_edits(picture, (Edit("noise", (("strength", 0.5),)),))


def test_a_crop_shows_a_part_as_large_as_the_whole() -> None:
    picture = Image.new("RGB", (40, 20), "blue")
    picture.paste("red", (0, 0, 20, 20))
    left, right = (apply_edits(picture, (crop_edit(x, 0.25, 0.5),)) for x in (0.0, 0.5))
    assert left.size == right.size == picture.size
    assert (np.asarray(left) == (255, 0, 0)).all()
    assert (np.asarray(right) == (0, 0, 255)).all()
