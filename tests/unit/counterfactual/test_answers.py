"""The answer sentence read and rewritten."""

from __future__ import annotations

import pytest

from cpo.counterfactual.answers import named_results, replace_result

ORDER = ("Atelectasis", "Edema", "No Finding", "Pneumonia", "Support Devices")


def test_names_are_whole_words() -> None:
    assert named_results("Edematous, no Pneumonias.", ORDER) == frozenset()
    assert named_results("Nothing.", []) == frozenset()


@pytest.mark.parametrize(
    ("results", "old", "new", "expected"),
    [
        (("Edema",), "Edema", "Pneumonia", "It is Pneumonia."),
        (("Edema", "Pneumonia"), "Pneumonia", "Atelectasis", "It is Atelectasis, Edema."),
        (("No Finding", "Support Devices"), "No Finding", "Pneumonia", "It is Pneumonia, Support Devices."),
        (("Edema", "Pneumonia"), "Edema", "Unlisted", "It is Unlisted, Pneumonia."),
    ],
)
def test_one_result_is_replaced_in_the_datasets_order(
    results: tuple[str, ...], old: str, new: str, expected: str
) -> None:
    assert replace_result(f"It is {', '.join(results)}.", results, old, new, ORDER) == expected


@pytest.mark.parametrize(
    ("answer", "results"),
    [
        ("Fluid.", ("Edema",)),
        ("It is Edema. Yes, Edema.", ("Edema",)),
        ("It is Pneumonia, Edema.", ("Edema", "Pneumonia")),
    ],
)
def test_an_answer_that_does_not_name_its_results_once_is_left_alone(answer: str, results: tuple[str, ...]) -> None:
    assert replace_result(answer, results, "Edema", "Atelectasis", ORDER) is None


def test_a_result_that_is_not_named_cannot_be_replaced() -> None:
    assert replace_result("It is Edema.", ("Edema",), "Pneumonia", "Atelectasis", ORDER) is None
