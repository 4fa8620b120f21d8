"""Every YAML under conf/ is what its target says it is. New files are found, not listed."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.utils import get_object

CONF = Path(__file__).parents[2] / "conf"
FILES = sorted(CONF.rglob("*.yaml"))
OVERLAYS = {"debug", "experiment", "hydra", "sweep", "tuned"}
"""Groups that set knobs of other files: a knob's meaning stands where the knob is."""
HYDRA_KEYS = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_", "defaults"}
BESIDE_THE_SIGNATURE = {"dataset": {"world", "suits"}}
"""Nodes that stand beside the knobs of the node around them, by group: generators, and what other groups take."""


def name(file: Path) -> str:
    return file.relative_to(CONF).with_suffix("").as_posix()


def group(file: Path) -> str:
    return file.relative_to(CONF).parts[0] if file.parent != CONF else ""


def target_nodes(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every mapping with a `_target_`, however deep, with its dotted path."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield path, node
        for key, child in node.items():
            yield from target_nodes(child, f"{path}.{key}".strip("."))
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from target_nodes(child, f"{path}[{index}]")


TARGETS = [
    pytest.param(file, node, id=f"{name(file)}:{path}".rstrip(":"))
    for file in FILES
    for path, node in target_nodes(yaml.safe_load(file.read_text(encoding="utf-8")))
]


def test_every_config_file_is_checked_here() -> None:
    seen = {Path(folder) / file for folder, _, files in os.walk(CONF) for file in files}

    assert seen, f"no configs in {CONF}"
    assert seen == set(FILES), "Hydra reads *.yaml only"
    assert TARGETS


@pytest.mark.parametrize("file", FILES, ids=name)
def test_a_config_says_in_its_first_comment_what_it_is(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    comments = [line for line in lines if not line.startswith("# @package")]

    assert comments[0].startswith("# ")
    assert comments[0].endswith("."), "a sentence on one line: `cpo list` shows it"


@pytest.mark.parametrize("file", [file for file in FILES if group(file) not in OVERLAYS], ids=name)
def test_every_knob_has_a_comment(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    header = next(row for row, line in enumerate(lines) if not line.startswith("#"))

    def bare_knobs(node: yaml.Node | None) -> Iterator[str]:
        if not isinstance(node, yaml.MappingNode):
            return
        for key, value in node.value:
            if key.value in HYDRA_KEYS or (node is root and key.value == "defaults"):
                continue
            if isinstance(value, yaml.MappingNode) and value.value:  # a node, whose class or children say what it is
                yield from bare_knobs(value)
                continue
            row = key.start_mark.line
            beside = " #" in lines[row][key.end_mark.column :]
            above = row > header and lines[row - 1].lstrip().startswith("# ")
            if not beside and not above:
                yield f"line {row + 1}: {key.value}"

    root = yaml.compose(text)
    assert list(bare_knobs(root)) == []


@pytest.mark.parametrize(("file", "node"), TARGETS)
def test_a_target_is_ours_and_exists(file: Path, node: dict[str, Any]) -> None:
    assert node["_target_"].startswith(("cpo.", "hydra_plugins.cpo_")), "a foreign config is data, not code"
    assert callable(get_object(node["_target_"]))


@pytest.mark.parametrize(("file", "node"), TARGETS)
def test_a_config_lists_the_knobs_of_its_target_and_no_others(file: Path, node: dict[str, Any]) -> None:
    parameters = inspect.signature(get_object(node["_target_"])).parameters.values()
    keys = set(node) - HYDRA_KEYS - BESIDE_THE_SIGNATURE.get(group(file), set())
    knobs = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    others = [p.name for p in parameters if p.name not in knobs]

    assert keys == knobs
    assert node.get("_partial_") or not others, "what is not a knob is given later: `_partial_: true`"
    assert all(p.annotation is not p.empty for p in parameters)
