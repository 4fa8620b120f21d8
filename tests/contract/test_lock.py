"""requirements.lock pins what pyproject.toml asks for, and works for anybody."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = [
    Requirement(line)
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
WANTED = [Requirement(text) for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]]


@pytest.mark.parametrize("pin", PINS, ids=lambda pin: pin.name)
def test_a_line_of_the_lock_is_one_exact_public_version(pin: Requirement) -> None:
    (specifier,) = pin.specifier

    assert specifier.operator == "=="
    assert "+" not in specifier.version, "a local version is only on the machine that made it"
    assert pin.url is None
    assert not pin.name.startswith(("nvidia", "triton")), "torch brings its own where there is a GPU"


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: wanted.name)
def test_what_the_project_asks_for_is_pinned_within_its_range(wanted: Requirement) -> None:
    (pin,) = [pin for pin in PINS if canonicalize_name(pin.name) == canonicalize_name(wanted.name)]
    (specifier,) = pin.specifier

    assert wanted.specifier.contains(specifier.version)
