"""What a run is made of and what it made: dataset → counterfactual set → SFT → preference → evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from cpo.files import read_json


@dataclass(frozen=True, slots=True)
class Link:
    """One thing in the line.

    Args:
        kind: `dataset`, `counterfactuals`, `sft`, `preference` or `evaluation`.
        identity: The same content has the same one in every run.
        facts: What describes it.
        files: It consists of; None for an input of the run, which is named and not copied.
        made_from: Name of the thing before it; empty for the first.
        weights: Its files may hold what a policy was trained on.
    """

    kind: str
    identity: str
    facts: Mapping[str, Any]
    files: Mapping[str, Path] | None = None
    made_from: str = ""
    weights: bool = field(default=False)

    @property
    def name(self) -> str:
        """Kind and identity."""
        return f"{self.kind}-{self.identity}"


def lineage(directory: Path, key: str) -> list[Link]:
    """The line that leads to a run's scores, as far as its directory tells.

    Args:
        directory: The run directory.
        key: Of the run, unique: what it made is named by it.
    """
    summary = read_json(directory / "summary.json")
    prints, stages, choices = (summary.get(name) or {} for name in ("fingerprints", "stages", "choices"))
    regime = {group: choices.get(group) for group in ("drift", "shift", "counterfactual", "pairing")}
    adapter = {path.name: path for path in sorted((directory / "adapter").glob("*")) if path.is_file()}
    scores = {path.name: path for path in sorted((directory / "eval").glob("*.json"))}
    tuned = {"loss": choices.get("loss"), "seed": summary.get("seed"), **stages.get("preference", {})}
    line = [
        Link("dataset", prints.get("dataset", ""), {"dataset": summary.get("dataset")}),
        Link("counterfactuals", prints.get("pairs", ""), {**regime, "stream": prints.get("stream")}),
        Link("sft", prints.get("sft", ""), {"policy": prints.get("policy")}),
        Link("preference", key if adapter else "", tuned, adapter, weights=True),
        Link("evaluation", key if scores else "", {"benchmarks": len(scores)}, scores),
    ]
    known = [link for link in line if link.identity]
    return [*known[:1], *(replace(link, made_from=before.name) for before, link in pairwise(known))]
