from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from cpo.privacy import withhold
from cpo.tracking.naming import run_name

CHOICES = {"dataset": "mimic_cxr", "loss": "dpo", "drift": "gradual", "shift": "[spurious,vocabulary]", "debug": "none"}


def test_a_name_reads_in_the_order_of_the_stages() -> None:
    name = run_name(CHOICES, seed=3, overrides=["seed=3"])
    assert re.fullmatch(r"mimic_cxr-gradual-spurious_vocabulary-dpo-seed3-[a-p]{8}", name)


def test_the_order_of_overrides_does_not_matter_and_their_values_do() -> None:
    assert run_name({}, seed=0, overrides=["a=1", "b=2"]) == run_name({}, seed=0, overrides=["b=2", "a=1"])
    assert run_name({}, seed=0, overrides=["a=1"]) != run_name({}, seed=0, overrides=["a=2"])


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.text(max_size=20)), st.integers(0, 99_999))
def test_a_name_is_safe_as_a_file_and_may_always_be_shown(overrides: list[str], seed: int) -> None:
    name = run_name(CHOICES, seed=seed, overrides=overrides)
    assert re.fullmatch(r"[\w.+-]+", name)
    assert withhold({"name": name}, "credentialed") == ({"name": name}, {})
