"""What a page shows of a written world: its knobs, how often what occurs, and studies with their truth."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cpo.graph.schema import ConceptGraph
from cpo.world.chest.reading import told
from cpo.world.chest.sheet import image_of, read_truth, report_of

_SPLITS = ("train", "validate", "test")
_GRADES = ("mild", "moderate", "severe")


def gallery(root: Path, n: int) -> dict[str, Any]:
    """Everything that `cpo.report.studies` shows of a world.

    Args:
        root: Folder of a written world.
        n: Number of studies, at least 1, spread evenly over the world.

    Returns:
        `name`; `facts`, names and values; `tables`, each `caption`, `columns` and `rows` of a label and counts; and
        `studies`, each `title`, `image`, `report` (sections of sentences, each with whether it states a finding) and
        `truth` (names and texts).

    Raises:
        DataError: `root` is not a written world.
    """
    root = Path(root)
    records = read_truth(root)
    marker = json.loads((root / "truth" / "world.json").read_text(encoding="utf-8"))
    graph = ConceptGraph.load(root / "truth" / "concept_graph.json")
    step = max(1, len(records) // n)
    return {
        "name": root.name,
        "facts": _facts(marker, records),
        "tables": [_diseases(graph, records), _together(graph, records), _attributes(graph, records)],
        "studies": [_study(root, record) for record in records[::step][:n]],
    }


def _facts(marker: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    level = (f"{name} {value}" for name, value in marker["difficulty"].items())
    ill = Counter(min(len(record["diseases"]), 3) for record in records)
    shares = (f"{ill[k] / len(records):.0%} {k if k < 3 else '3 or more'}" for k in range(4))
    splits = Counter(record["split"] for record in records)
    return [
        ("Difficulty", f"{marker['knobs']['difficulty']}: {', '.join(level)}"),
        ("Studies", f"{len(records):,} of {len({record['subject_id'] for record in records}):,} patients"),
        ("Splits, by patient", ", ".join(f"{splits[split]:,} {split}" for split in _SPLITS)),
        ("Diseases per study", ", ".join(shares)),
        (
            "Other knobs",
            ", ".join(f"{k} {v}" for k, v in marker["knobs"].items() if k not in ("difficulty", "studies")),
        ),
        ("Fingerprint", f"{marker['fingerprint']}, generator version {marker['version']}"),
    ]


def _diseases(graph: ConceptGraph, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    seen = Counter((d, state, r["split"]) for r in records for d, state in r["diseases"].items())

    def count(disease: str, state: str, splits: Sequence[str] = _SPLITS) -> int:
        return sum(seen[disease, state, split] for split in splits)

    return {
        "caption": "Studies with each disease",
        "columns": ["Disease", "present", *(f"of them in {split}" for split in _SPLITS), "uncertain"],
        "rows": [
            (d, [count(d, "present"), *(count(d, "present", [s]) for s in _SPLITS), count(d, "uncertain")])
            for d in sorted(graph.diseases, key=lambda d: -count(d, "present"))
        ],
    }


def _together(graph: ConceptGraph, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    alone = Counter(d for r in records for d in r["diseases"])
    pairs = Counter((one, other) for r in records for one in r["diseases"] for other in r["diseases"] if one < other)

    def lift(pair: tuple[str, str]) -> float:
        return pairs[pair] * len(records) / (alone[pair[0]] * alone[pair[1]])

    return {
        "caption": "Diseases that come together more often than chance would bring them (the ten commonest pairs)",
        "columns": ["Pair", "studies", "times chance"],
        "rows": [
            (" + ".join(pair), [pairs[pair], round(lift(pair), 1)])
            for pair in [pair for pair, _ in pairs.most_common() if lift(pair) > 1.2][:10]
        ],
    }


def _attributes(graph: ConceptGraph, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    shown = Counter((a["name"], a["state"]) for r in records for a in r["attributes"])
    graded = Counter((a["name"], a["severity"]) for r in records for a in r["attributes"] if a["state"] == "present")
    denied = Counter(name for r in records for name in r["negated"])
    return {
        "caption": "Studies whose report states or denies each attribute",
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


def _study(root: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    nuisances = record["nuisances"]
    film = (f"view {nuisances['view']}", f"site {nuisances['site']}", *nuisances["devices"])
    return {
        "title": f"Study {record['study_id']} of patient {record['subject_id']}, {record['split']}",
        "image": image_of(root, record),
        "report": told(report_of(root, record)),
        "truth": [
            ("Diseases", ", ".join(_doubted(d, state) for d, state in record["diseases"].items()) or "No Finding"),
            ("Shown by the film", "; ".join(map(_finding, record["attributes"])) or "nothing"),
            ("Denied by the report", ", ".join(record["negated"])),
            ("Nuisances", ", ".join(film)),
        ],
    }


def _doubted(name: str, state: str) -> str:
    return name if state == "present" else f"{name} ({state})"


def _finding(attribute: Mapping[str, Any]) -> str:
    return ", ".join(
        word
        for word in (_doubted(attribute["name"], attribute["state"]), attribute["side"], attribute["severity"])
        if word
    )
