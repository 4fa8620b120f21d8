"""Films: every sign is seen, where it belongs, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cpo.graph.lexicon import SEVERITIES, Mention
from cpo.graph.schema import ConceptGraph
from cpo.records import LabelState
from cpo.world.chest.causes import DEVICE_NAMES
from cpo.world.chest.devices import DEVICES
from cpo.world.chest.picture import SITES, draw_picture, encode_jpeg
from cpo.world.chest.signs import BENDS, PAINTS
from cpo.world.chest.truth import Nuisances
from cpo.world.difficulty import DIFFICULTIES

GRAPH = ConceptGraph.load("chest")
PLAIN = Nuisances(view="PA", site="A", devices=(), phrase=0, lungs_first=False)
LATERAL = [name for name, attribute in GRAPH.attributes.items() if attribute.lateral]
SHIFTS = {"mediastinal pull", "mediastinal push", "deviated trachea", "volume loss"}
"""Signs that move the middle of the chest, and so both sides of the film."""


def film(*findings: Mention, nuisances: Nuisances = PLAIN, seed: int = 5, noise: float = 0.0) -> NDArray[np.float64]:
    patient, study = np.random.default_rng([1, seed]), np.random.default_rng([2, seed])
    picture = draw_picture(patient, study, findings, nuisances, size=112, noise=noise)
    return picture.astype(float) / 255


def finding(name: str, side: str = "left", state: LabelState = LabelState.PRESENT) -> Mention:
    attribute = GRAPH.attributes[name]
    return Mention(name, state, side if attribute.lateral else None, "severe" if attribute.graded else None)


def change(name: str, side: str = "left", state: LabelState = LabelState.PRESENT) -> NDArray[np.float64]:
    return np.abs(film(finding(name, side, state)) - film())


def test_every_attribute_and_every_device_can_be_drawn() -> None:
    assert set(BENDS) | set(PAINTS) == set(GRAPH.attributes)
    assert set(DEVICES) == set(DEVICE_NAMES)
    assert set(SITES) == {"A", "B", "C"}


@pytest.mark.parametrize("name", GRAPH.attributes)
def test_a_sign_is_seen_at_the_size_of_the_smallest_policy(name: str) -> None:
    assert (change(name) > 0.06).sum() >= 20, "of 112 × 112 pixels"


@pytest.mark.parametrize("name", GRAPH.attributes)
def test_the_faintest_sure_sign_of_an_easy_world_stands_out_of_its_grain(name: str) -> None:
    level = DIFFICULTIES["easy"]
    grades = [grade for grade, share in zip(SEVERITIES, level.severities, strict=True) if share]
    faintest = replace(finding(name), severity=grades[0] if GRAPH.attributes[name].graded else None)

    assert grades == ["moderate", "severe"]
    assert (np.abs(film(faintest) - film()) > 5 * 1.3 * level.noise).sum() >= 20, "of 112 × 112 pixels"


@pytest.mark.parametrize("name", sorted(set(LATERAL) - SHIFTS))
def test_a_sign_is_on_its_side(name: str) -> None:
    for side, own, other in (("right", np.s_[:, :56], np.s_[:, 56:]), ("left", np.s_[:, 56:], np.s_[:, :56])):
        difference = change(name, side)
        assert difference[own].sum() > 3 * difference[other].sum(), (name, side)


@pytest.mark.parametrize(("name", "toward"), [("mediastinal pull", 1), ("mediastinal push", -1), ("volume loss", 1)])
def test_the_mediastinum_moves_the_right_way(name: str, toward: int) -> None:
    def middle(picture: NDArray[np.float64]) -> float:
        band = np.clip(picture[56:70] - 0.55, 0, None).sum(axis=0)[20:92]
        return float((band * np.arange(72)).sum() / band.sum())

    assert toward * (middle(film(finding(name, "left"))) - middle(film())) > 1.5
    assert toward * (middle(film(finding(name, "right"))) - middle(film())) < -1.5


def test_an_uncertain_finding_is_fainter_than_a_sure_one() -> None:
    for name in ("fluid meniscus", "nodule", "perihilar haze", "enlarged heart", "apical pleural line"):
        assert 0.1 < change(name, state=LabelState.UNCERTAIN).sum() / change(name).sum() < 0.8, name


def test_only_the_sign_differs_between_two_films_of_one_study() -> None:
    difference = np.abs(film(finding("nodule"), noise=0.02) - film(noise=0.02))

    assert 0 < (difference > 0).mean() < 0.03


def test_nuisance_is_what_differs_between_films_of_one_chest() -> None:
    def spread(strength: float) -> float:
        films = []
        for study in range(8):
            rngs = np.random.default_rng([1, 5]), np.random.default_rng([2, study])
            plain = Nuisances("PA", "ABC"[study % 3], (), 0, False)
            films.append(draw_picture(*rngs, (), plain, size=64, noise=0.0, nuisance=strength).astype(float))
        return float(np.std(films, axis=0).mean())

    assert spread(0.0) < 0.7 * spread(0.5)
    assert spread(0.5) < spread(1.0) < spread(1.6)


@pytest.mark.parametrize("strength", [0.5, 1.6])
def test_view_and_devices_are_seen_however_strong_the_nuisances(strength: float) -> None:
    def seen(nuisances: Nuisances) -> NDArray[np.float64]:
        rngs = np.random.default_rng([1, 5]), np.random.default_rng([2, 5])
        return draw_picture(*rngs, (), nuisances, size=112, noise=0.0, nuisance=strength).astype(float) / 255

    plain = seen(PLAIN)
    for other in (Nuisances("AP", "A", (), 0, False), *(Nuisances("PA", "A", (d,), 0, False) for d in DEVICE_NAMES)):
        assert (np.abs(seen(other) - plain) > 0.06).sum() >= 20


def test_a_portable_film_shows_a_larger_heart() -> None:
    def heart(view: str) -> float:
        rows = [film(nuisances=Nuisances(view, "A", (), 0, False), seed=s)[62:68].mean(axis=0) for s in range(12)]
        return float(np.mean([(row[15:97] > 0.6).sum() for row in rows]))

    assert heart("AP") > heart("PA") + 1


@pytest.mark.parametrize(
    "other",
    [
        Nuisances("AP", "A", (), 0, False),
        Nuisances("PA", "B", (), 0, False),
        Nuisances("PA", "C", (), 0, False),
        *(Nuisances("PA", "A", (device,), 0, False) for device in DEVICE_NAMES),
    ],
    ids=lambda n: " ".join((n.view, n.site, *n.devices)),
)
def test_view_site_and_devices_are_seen(other: Nuisances) -> None:
    assert (np.abs(film(nuisances=other) - film()) > 0.06).sum() >= 20


def test_habits_of_speech_are_not_seen() -> None:
    assert (film(nuisances=Nuisances("PA", "A", (), 1, True)) == film()).all()


def test_two_studies_of_a_patient_are_more_alike_than_two_patients() -> None:
    def drawn(patient: int, study: int) -> NDArray[np.uint8]:
        rngs = np.random.default_rng([1, patient]), np.random.default_rng([2, study])
        return draw_picture(*rngs, (), PLAIN, size=112, noise=0.0)

    def distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
        return float(np.abs(one.astype(float) - other).mean())

    own = np.mean([distance(drawn(p, 2 * p), drawn(p, 2 * p + 1)) for p in range(8)])
    others = np.mean([distance(drawn(p, 2 * p), drawn(p + 1, 2 * p + 1)) for p in range(8)])
    assert own < others


@pytest.mark.parametrize("size", [64, 112, 224, 512])
def test_a_film_of_any_size_is_grey_and_square(size: int) -> None:
    rngs = np.random.default_rng(1), np.random.default_rng(2)
    every = tuple(finding(name) for name in GRAPH.attributes)
    picture = draw_picture(*rngs, every, Nuisances("AP", "B", DEVICE_NAMES, 0, False), size=size, noise=0.02)

    with Image.open(BytesIO(encode_jpeg(picture, 90))) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "L", (size, size))
    assert picture.std() > 20
