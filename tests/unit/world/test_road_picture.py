"""Pictures of the road: every attribute is seen by day and by night, and nothing else changes."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cpo.graph.lexicon import Mention
from cpo.graph.schema import ConceptGraph
from cpo.records import LabelState
from cpo.world.road import words
from cpo.world.road.causes import draw_causes
from cpo.world.road.picture import PAINTS, WEATHER, Picture, draw_picture
from cpo.world.road.truth import Nuisances

GRAPH = ConceptGraph.load("driving")
DAY = Nuisances(night=False, bus_lane=False, place="country", phrase=0)
NIGHT = Nuisances(night=True, bus_lane=False, place="city", phrase=0)
GRADED = [name for name, attribute in GRAPH.attributes.items() if attribute.graded]
LATERAL = [name for name, attribute in GRAPH.attributes.items() if attribute.lateral]


def drawn(*findings: Mention, nuisances: Nuisances = DAY, seed: int = 5, noise: float = 0.0, **more: float) -> Picture:
    drive, scene = np.random.default_rng([1, seed]), np.random.default_rng([2, seed])
    return draw_picture(drive, scene, findings, nuisances, size=112, noise=noise, **more)


def pixels(*findings: Mention, nuisances: Nuisances = DAY, noise: float = 0.0) -> NDArray[np.float64]:
    return drawn(*findings, nuisances=nuisances, noise=noise).pixels.astype(float) / 255


def finding(name: str, side: str = "left", state: LabelState = LabelState.PRESENT, severity: str = "severe") -> Mention:
    attribute = GRAPH.attributes[name]
    return Mention(name, state, side if attribute.lateral else None, severity if attribute.graded else None)


def change(mention: Mention, nuisances: Nuisances = DAY) -> NDArray[np.float64]:
    return np.abs(pixels(mention, nuisances=nuisances) - pixels(nuisances=nuisances)).max(axis=-1)


def test_every_attribute_can_be_drawn() -> None:
    assert set(PAINTS) | set(WEATHER) == set(GRAPH.attributes)
    assert not set(PAINTS) & set(WEATHER)


@pytest.mark.parametrize("nuisances", [DAY, NIGHT], ids=["day", "night"])
@pytest.mark.parametrize("name", GRAPH.attributes)
def test_an_attribute_is_seen_at_the_size_of_the_smallest_policy(name: str, nuisances: Nuisances) -> None:
    assert (change(finding(name, severity="moderate"), nuisances) > 0.1).sum() >= 30, "of 112 × 112 pixels"


def test_an_attribute_is_seen_beside_the_others_of_its_scene() -> None:
    for index in range(80):
        rng = np.random.default_rng([13, index])
        findings = draw_causes(rng, GRAPH, uncertain_share=0.0, severities=(0.0, 0.25, 0.75)).findings
        for hidden in findings:
            others = [finding for finding in findings if finding is not hidden]
            difference = np.abs(pixels(*findings) - pixels(*others)).max(axis=-1)
            assert (difference > 0.1).sum() >= 20, (hidden.attribute, [f.attribute for f in others])


@pytest.mark.parametrize("name", GRADED)
def test_the_more_severe_the_more_is_seen(name: str) -> None:
    mild, moderate, severe = (change(finding(name, severity=s)).sum() for s in ("mild", "moderate", "severe"))

    assert 0 < mild < moderate < severe


@pytest.mark.parametrize("name", LATERAL)
def test_an_attribute_is_on_its_side(name: str) -> None:
    for side, own, other in (("left", np.s_[:, :56], np.s_[:, 56:]), ("right", np.s_[:, 56:], np.s_[:, :56])):
        difference = change(finding(name, side))
        assert difference[own].sum() > 2 * difference[other].sum(), (name, side)


@pytest.mark.parametrize("name", GRAPH.attributes)
def test_an_uncertain_attribute_is_fainter_than_a_sure_one(name: str) -> None:
    doubted = change(finding(name, state=LabelState.UNCERTAIN)).sum()

    assert 0.1 < doubted / change(finding(name)).sum() < 0.85


@pytest.mark.parametrize("name", PAINTS)
def test_a_box_holds_what_it_is_drawn_around(name: str) -> None:
    without, picture = drawn(), drawn(finding(name))
    x, y, width, height = picture.boxes[name]
    # a light shines beyond its box
    difference = np.abs(picture.pixels.astype(float) - without.pixels).max(axis=-1) / 255 > 0.2
    inside = difference[y : y + height, x : x + width].sum()

    assert set(picture.boxes) == {name}
    assert all(isinstance(edge, int) for edge in (x, y, width, height))
    assert 0 <= x < x + width <= 112
    assert 0 <= y < y + height <= 112
    assert inside > 0.6 * difference.sum()
    if words.OBJECTS[name][1]:
        assert width * height < 112 * 112 / 6, "an object is no scenery"


def test_weather_has_no_box() -> None:
    assert drawn(*(finding(name) for name in WEATHER)).boxes == {}


def test_only_the_attribute_differs_between_two_pictures_of_one_scene() -> None:
    difference = np.abs(pixels(finding("stop sign"), noise=0.02) - pixels(noise=0.02))

    assert 0 < (difference > 0).mean() < 0.05


@pytest.mark.parametrize(
    "other",
    [Nuisances(True, False, "country", 0), Nuisances(False, True, "country", 0), Nuisances(False, False, "city", 0)],
    ids=["night", "bus lane", "city"],
)
def test_nuisances_are_seen(other: Nuisances) -> None:
    assert (np.abs(pixels(nuisances=other) - pixels()).max(axis=-1) > 0.1).sum() >= 300


def test_habits_of_speech_are_not_seen() -> None:
    assert (pixels(nuisances=Nuisances(False, False, "country", 1)) == pixels()).all()


def test_scenes_of_one_drive_share_their_surroundings() -> None:
    def seen(drive: int, scene: int) -> NDArray[np.float64]:
        rngs = np.random.default_rng([1, drive]), np.random.default_rng([2, scene])
        return draw_picture(*rngs, (), DAY, size=64, noise=0.0, nuisance=0.0).pixels.astype(float)

    assert (seen(1, 1) == seen(1, 2)).all()
    assert np.abs(seen(1, 1) - seen(2, 1)).mean() > 3


def test_driving_on_moves_the_surroundings_and_coming_nearer_enlarges_things() -> None:
    near, far = (drawn(finding("slow truck"), approach=a).boxes["slow truck"] for a in (1.0, 1.5))

    assert near[2] * near[3] > 1.5 * far[2] * far[3]
    assert np.abs(drawn(travel=3.0).pixels.astype(float) - drawn().pixels).mean() > 1


@pytest.mark.parametrize("size", [64, 112, 224, 512])
def test_a_picture_of_any_size_is_in_colour_and_square(size: int) -> None:
    rngs = np.random.default_rng(1), np.random.default_rng(2)
    every = tuple(finding(name) for name in GRAPH.attributes)
    picture = draw_picture(*rngs, every, NIGHT, size=size, noise=0.02)

    with Image.open(BytesIO(picture.jpeg(90))) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (size, size))
    assert picture.pixels.std() > 20
