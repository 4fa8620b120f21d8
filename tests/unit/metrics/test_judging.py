from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpo.errors import ShapeError
from cpo.metrics.driving import paired_regions
from cpo.metrics.judging import CODA_LM, Unparsed, Verdicts, bare_rating, bracketed_rating


def verdicts(*found: float | Unparsed) -> Verdicts:
    return Verdicts(found, CODA_LM, "judge-2024-05-13", ("judge-2024-05-13",), "0123456789abcdef")


@pytest.mark.parametrize(
    ("reply", "rating"),
    [
        ("Good. So, Rating: [[8]]", 8.0),
        ("Rating: [[7.5]] and Rating: [[2]]", 7.5),  # the first one
        ("[[3]] at first, but the rating is: [[6]]", 6.0),  # the mark counts, not the place
        ("rating is: [[4]], Rating: [[9]]", 9.0),
        ("I say [[1]].", 1.0),
        ("Rating: [[ 10 ]]", 10.0),
        ("Rating: [[eight]], [[8]]", Unparsed.NO_RATING),  # what follows the mark is no number: no second guess
        ("Rating: [[8", Unparsed.NO_RATING),
        ("Rating: 8", Unparsed.NO_RATING),
        ("[[8/10]]", Unparsed.NO_RATING),
        ("[[nan]]", Unparsed.NO_RATING),
        ("[[0]]", Unparsed.OUT_OF_RANGE),
        ("[[80]]", Unparsed.OUT_OF_RANGE),
        ("", Unparsed.NO_RATING),
    ],
)
def test_a_coda_lm_rating_is_parsed_in_the_published_order(reply: str, rating: float | Unparsed) -> None:
    assert bracketed_rating(reply) == rating


@pytest.mark.parametrize(
    ("reply", "rating"),
    [("62", 62.0), (" 0\n", 0.0), ("78.5", 78.5), ("Score: 62", Unparsed.NO_RATING), ("101", Unparsed.OUT_OF_RANGE)],
)
def test_a_drivelm_rating_is_the_whole_reply(reply: str, rating: float | Unparsed) -> None:
    assert bare_rating(reply) == rating


@given(st.text(max_size=60))
def test_any_reply_has_a_rating_on_the_scale_or_a_reason(reply: str) -> None:
    for found, low, high in ((bracketed_rating(reply), 1, 10), (bare_rating(reply), 0, 100)):
        assert isinstance(found, Unparsed) or low <= found <= high


def test_the_mean_is_over_parsed_replies_and_the_pessimistic_one_over_all() -> None:
    scores = verdicts(8.0, 4.0, Unparsed.NO_RATING, Unparsed.NO_REPLY).scores("abcd", name="s", resamples=20, seed=0)
    assert scores["s"]["value"] == 6
    assert scores["s_pessimistic"]["value"] == (8 + 4 + 1 + 1) / 4
    assert (scores["s"]["n"], scores["s_pessimistic"]["n"]) == (2, 4)
    assert scores["s_unparsed"] == {"count": 2, "answers": 4, "no rating in the reply": 1, "no reply": 1}


def test_no_score_is_without_judge_prompt_and_unparsed_count() -> None:
    scores = verdicts(8.0, Unparsed.DECLINED).scores("ab", name="s", resamples=20, seed=0)
    for name in ("s", "s_pessimistic"):
        assert scores[name].items() >= {
            "judge": "judge-2024-05-13", "prompt": "0123456789abcdef", "unparsed": 1, "answers": 2,
        }.items()  # fmt: skip


def test_without_any_rating_the_mean_is_undefined_and_the_pessimistic_one_is_the_lowest() -> None:
    scores = verdicts(Unparsed.NO_RATING).scores("a", name="s", resamples=20, seed=0)
    assert scores["s"]["value"] is None
    assert scores["s_pessimistic"]["value"] == 1
    assert math.isnan(verdicts(Unparsed.NO_RATING).ratings[0])


def test_a_group_is_needed_for_every_text() -> None:
    with pytest.raises(ShapeError, match="1 groups for 2 judged texts"):
        verdicts(1.0, 2.0).scores("a", name="s", resamples=20, seed=0)


@given(st.lists(st.sampled_from(["car", "bus", "bollard", "pedestrian", "suitcace"]), max_size=8))
def test_answers_to_every_region_pair_by_super_class_as_they_were_asked(categories: list[str]) -> None:
    assert paired_regions(categories, categories) == [(n, n) for n in range(len(categories))]
