from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cpo.errors import ShapeError
from cpo.metrics.drivelm import DriveLMScores, coordinates, gated, language, match
from cpo.metrics.driving import bdd_x_difficulty, paired_regions, super_class

SAMPLES = Path(__file__).parents[3].parent / "shared" / "samples"


@pytest.mark.parametrize(
    ("answer", "truth", "f1"),
    [
        ("10.0,10.0", "10.0,10.0", 1.0),
        ("10.0,10.0", "18.0,17.9", 1.0),  # 15.9 pixels away
        ("10.0,10.0", "18.0,18.0", 0.0),  # 16 is too far
        ("10.0,10.0 10.0,10.0", "10.0,10.0", 2 / 3),  # a true point is found once
        ("10,10", "10.0,10.0", 0.0),  # integers are not seen
        ("10.0,10.0,5.0", "10.0,10.0", 1.0),  # a number without a partner is dropped
        ("nothing", "10.0,10.0", 0.0),
        ("", "", 0.0),
    ],
)
def test_points_are_matched_greedily_within_16_pixels(answer: str, truth: str, f1: float) -> None:
    assert match(answer, truth)[1] == pytest.approx(f1)


def test_the_nearest_true_point_is_taken_by_the_answers_in_their_order() -> None:
    found, f1 = match("0.0,0.0 3.0,0.0", "2.0,0.0 9.0,0.0")
    assert found.tolist() == [[2.0, 0.0], [9.0, 0.0]]
    assert f1 == 1


def test_questions_about_objects_that_were_not_found_are_not_asked() -> None:
    questions = [
        "Which objects matter?",
        "What of <c1,CAM_FRONT,10.0,20.0>?",
        "What of <c2,CAM_FRONT,90.0,20.0>?",
        "Why?",
    ]
    truths = ["<c1,CAM_FRONT,10.0,20.0> <c2,CAM_FRONT,90.0,20.0>", "a", "b", "c"]
    assert gated(questions, ["11.0,20.0", "", "", ""], truths) == [True, True, False, True]
    assert gated(questions[:1], ["none"], truths[:1]) == [True]
    assert gated([], [], []) == []
    with pytest.raises(ShapeError, match="1 answers"):
        gated(questions, ["x"], truths)


def test_the_total_exists_only_when_every_part_does() -> None:
    assert DriveLMScores(1, 100, 1, 100, match_judged=True).total == pytest.approx(1)
    assert math.isnan(DriveLMScores(1, 100, 1, 100).total)
    assert math.isnan(DriveLMScores(math.nan, 100, 1, 100, match_judged=True).total)


def test_language_is_the_mean_of_three_parts() -> None:
    perfect = dict.fromkeys(("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l"), 1.0) | {"cider": 10.0}
    assert language(perfect) == 1


def test_coordinates_of_a_tag_are_its_two_decimals() -> None:
    np.testing.assert_array_equal(coordinates("<c6,CAM_BACK_LEFT,1055.8,382.5>"), [[1055.8, 382.5]])


def test_regions_pair_within_their_super_class_in_order() -> None:
    assert paired_regions(["car", "car"], ["truck"]) == [(0, 0), (1, None)]
    assert super_class("traffic cone") == "traffic_cone"
    assert super_class("dog") == "miscellaneous"


def test_difficulties_follow_the_published_words() -> None:
    assert bdd_x_difficulty("The car changes lanes.", "") == "median"
    assert bdd_x_difficulty("The car ACCELERATES", "to turn") == "hard"
    counts = Counter(bdd_x_difficulty(*pair) for pair in [("slows", "red light"), ("moves", "the lane is free")])
    assert counts == {"easy": 1, "median": 1}
