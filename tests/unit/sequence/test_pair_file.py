from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from cpo.errors import DataError
from cpo.records import ImageRef, PreferencePair
from cpo.sequence.edits import box_edit
from cpo.sequence.pair_file import image_of, pair_row

IMAGES = (ImageRef("a.png"), ImageRef("clip.mp4", 1.5), ImageRef("b.png", edits=(box_edit(1, 2, 3, 4),)))


def test_images_of_a_row_are_those_of_the_pair(make_pairs: Callable[..., list[PreferencePair]]) -> None:
    (pair,) = make_pairs(n=1)
    row = json.loads(json.dumps(pair_row(replace(pair, sample=replace(pair.sample, images=IMAGES)))))
    assert row["images"][0] == "a.png", "a plain picture is a plain path"
    assert tuple(map(image_of, row["images"])) == IMAGES


@pytest.mark.parametrize("entry", [7, None, {"path": "a.mp4"}, {"path": "a.mp4", "time_s": "soon", "edits": []}])
def test_an_entry_that_is_no_image_is_said(entry: object) -> None:
    with pytest.raises(DataError, match="neither a path nor"):
        image_of(entry)
