"""What a page shows of a written road world: its knobs, how often what occurs, and scenes with their truth."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cpo.graph.schema import ConceptGraph
from cpo.world.road import bdd_x
from cpo.world.road.reading import told
from cpo.world.road.sheet import doubted, image_of, read_truth

_SPLITS = ("train", "validate", "test")
_GRADES = ("mild", "moderate", "severe")
_Records = Sequence[Mapping[str, Any]]


def gallery(root: Path, n: int) -> dict[str, Any]:
    """Everything that `cpo.report.studies` shows of a world.

    Args:
        root: Folder of a written world.
        n: Number of scenes, at least 1, spread evenly over the world.

    Returns:
        `name`; `facts`, names and values; `tables`, each `caption`, `columns` and `rows` of a label and counts; and
        `studies`, each `title`, `image`, `report` (sections of sentences, each with whether it states an attribute)
        and `truth` (names and texts).

    Raises:
        DataError: `root` is not a written world.
    """
    root = Path(root)
    records = read_truth(root)
    marker = json.loads((root / "truth" / "world.json").read_text(encoding="utf-8"))
    graph = ConceptGraph.load(root / "truth" / "concept_graph.json")
    shown = records[:: max(1, len(records) // n)][:n]
    return {
        "name": root.name,
        "facts": _facts(marker, records),
        "tables": [_actions(graph, records), _attributes(graph, records)],
        "studies": [
            _study(graph, record, image_of(root, record), texts)
            for record, texts in zip(shown, _texts(root, shown), strict=True)
        ],
    }


def _texts(root: Path, records: _Records) -> list[tuple[str, str]]:
    """What is said of each scene, and the sentence that names its actions."""
    if any("start" in record for record in records):
        table = bdd_x.read_table(root)
        return [(table[r["study_id"]][1], table[r["study_id"]][0]) for r in records]
    texts = []
    for record in records:
        file = root / "CODA" / "CODA-LM" / f"{record['study_id']}.json"
        content = json.loads(file.read_text(encoding="utf-8"))
        texts.append((content["general_perception"]["description and explanation"], content["driving_suggestion"]))
    return texts


def _facts(marker: Mapping[str, Any], records: _Records) -> list[tuple[str, str]]:
    level = (f"{name} {value}" for name, value in marker["difficulty"].items())
    busy = Counter(min(len(record["actions"]), 3) for record in records)
    shares = (f"{busy[k] / len(records):.0%} {k if k < 3 else '3 or more'}" for k in range(4))
    splits = Counter(record["split"] for record in records)
    other = (f"{k} {v}" for k, v in marker["knobs"].items() if k != "difficulty")
    return [
        ("Difficulty", f"{marker['knobs']['difficulty']}: {', '.join(level)}"),
        ("Scenes", f"{len(records):,} of {len({record['drive'] for record in records}):,} drives"),
        ("Splits, by drive", ", ".join(f"{splits[split]:,} {split}" for split in _SPLITS)),
        ("Actions per scene", ", ".join(shares)),
        ("Other knobs", ", ".join(other)),
        ("Fingerprint", f"{marker['fingerprint']}, generator version {marker['version']}"),
    ]


def _actions(graph: ConceptGraph, records: _Records) -> dict[str, Any]:
    seen = Counter((a, state, r["split"]) for r in records for a, state in r["actions"].items())

    def count(action: str, state: str, splits: Sequence[str] = _SPLITS) -> int:
        return sum(seen[action, state, split] for split in splits)

    return {
        "caption": "Scenes with each action",
        "columns": ["Action", "present", *(f"of them in {split}" for split in _SPLITS), "uncertain"],
        "rows": [
            (a, [count(a, "present"), *(count(a, "present", [s]) for s in _SPLITS), count(a, "uncertain")])
            for a in sorted(graph.diseases, key=lambda a: -count(a, "present"))
        ],
    }


def _attributes(graph: ConceptGraph, records: _Records) -> dict[str, Any]:
    shown = Counter((a["name"], a["state"]) for r in records for a in r["attributes"])
    graded = Counter((a["name"], a["severity"]) for r in records for a in r["attributes"] if a["state"] == "present")
    denied = Counter(name for r in records for name in r["negated"])
    return {
        "caption": "Scenes whose text states or denies each attribute",
        "columns": ["Attribute", "present", *_GRADES, "uncertain", "denied"],
        "rows": [
            (
                name,
                [
                    shown[name, "present"],
                    *((graded[name, grade] if attribute.graded else "") for grade in _GRADES),
                    shown[name, "uncertain"],
                    denied[name],
                ],
            )
            for name, attribute in graph.attributes.items()
        ],
    }


def _study(graph: ConceptGraph, record: Mapping[str, Any], image: Path, texts: tuple[str, str]) -> dict[str, Any]:
    nuisances = record["nuisances"]
    seen = (nuisances["place"], *(name.replace("_", " ") for name in ("night", "bus_lane") if nuisances[name]))
    time = [("Seconds", f"{record['start']} to {record['end']}")] if "start" in record else []
    actions = [doubted(name, state) for name, state in record["actions"].items()]
    return {
        "title": f"Scene {record['study_id']} of drive {record['drive']}, {record['split']}",
        "image": image,
        "report": [("DESCRIPTION", told(texts[0])), ("ACTION", told(texts[1]))],
        "truth": [
            *time,
            ("Actions", ", ".join(actions) or graph.default),
            ("Shown by the picture", "; ".join(map(_finding, record["attributes"])) or "nothing"),
            ("Denied by the text", ", ".join(record["negated"])),
            ("Nuisances", ", ".join(seen)),
        ],
    }


def _finding(attribute: Mapping[str, Any]) -> str:
    words = (doubted(attribute["name"], attribute["state"]), attribute["side"], attribute["severity"])
    return ", ".join(word for word in words if word)
