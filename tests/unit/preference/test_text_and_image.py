"""One pair of a sample holds a rejected text and a rejected image, or there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cpo.errors import DataError
from cpo.preference.one_negative import OneNegative
from cpo.preference.text_and_image import TextAndImage, Unpaired
from cpo.records import Counterfactual, ImageRef, Trajectory
from tests.unit.preference.test_pairing import Made, counterfactual, stream_of

OTHER = (ImageRef("other.jpg"),)


def image_of(name: str, factual: Trajectory) -> Counterfactual:
    return Counterfactual(name, "perception", "T9", factual, images=OTHER)


def test_the_first_text_and_the_first_image_make_a_pair() -> None:
    stream, made = stream_of([2, 1])
    one, _ = stream.samples
    both: dict[str, Any] = dict(made.by_sample)
    both["s0"] = (*both["s0"], image_of("s0", one.factual))
    pairs = TextAndImage().make(stream, Made(both))
    (pair,) = pairs.pairs
    assert [c.target for c in pair.rejected] == ["T0"]
    assert (pair.sample, pair.chosen, pair.image_rejected, pair.source) == (one, one.factual, OTHER, "thinking")
    assert pairs.dropped == {Unpaired.ONE_KIND.value: 1, Unpaired.SURPLUS.value: 1}


def test_another_rejected_image_is_another_pair() -> None:
    stream, made = stream_of([1])
    prints = set()
    for images in (OTHER, (ImageRef("third.jpg"),)):
        image = replace(image_of("s0", stream.samples[0].factual), images=images)
        prints.add(TextAndImage().make(stream, Made({"s0": (*made.by_sample["s0"], image)})).fingerprint)
    assert len(prints) == 2


def test_a_stream_without_images_leaves_no_pair() -> None:
    with pytest.raises(DataError, match="without both a rejected text and a rejected image"):
        TextAndImage().make(*stream_of([1, 2]))


def test_what_a_counterfactual_is_held_against_is_the_chosen_side() -> None:
    stream, _ = stream_of([0])
    own = Trajectory("Edited alike.", "The disease of this patient is Edema.")
    made = Made({"s0": (replace(counterfactual("s0", "T0"), chosen=own),)})
    assert OneNegative().make(stream, made).pairs[0].chosen == own
    same = Made({"s0": (replace(counterfactual("s0", "T0"), chosen=counterfactual("s0", "T0").trajectory),)})
    with pytest.raises(DataError, match="equal to the chosen"):
        OneNegative().make(stream, same)
