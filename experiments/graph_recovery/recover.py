"""How many of a world's true relations are found in its reports, and how many of those found are true?

    python -m experiments.graph_recovery.recover [--worlds FOLDER] [--seeds 0 1 2]

writes `results.csv` and `recovery.svg` beside this file.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from cpo.dataset.mimic_cxr import MimicCXR
from cpo.graph.build import Measured, build_graph
from cpo.graph.extraction import LexiconExtractor
from cpo.graph.lexicon import Lexicon, split_sentences
from cpo.graph.schema import ConceptGraph, Relation
from cpo.records import LabelState, Sample
from cpo.world.chest import ChestWorld

HERE = Path(__file__).parent
SIZES = (250, 500, 1000, 2000, 4000)
SUPPORTED = 50
EDGES = (Relation.ASSOCIATION, Relation.EXCLUSION)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=Path, default=Path("cache/worlds"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    graph = ConceptGraph.load("chest")
    rows = []
    for seed in arguments.seeds:
        samples = reports(arguments.worlds, seed)
        print(f"seed {seed}: {agreement(samples, graph):.4%} of mentions read as they were written")
        true = truth(samples, graph)
        for studies in SIZES:
            for conditioned in (True, False):
                rows.append({"seed": seed, "studies": studies, "conditioned": conditioned})
                rows[-1] |= recovery(samples[:studies], graph, true, conditioned=conditioned)
                print(rows[-1])
    with (HERE / "results.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (HERE / "recovery.svg").write_text("\n".join(drawing(rows)) + "\n", encoding="utf-8")


def reports(worlds: Path, seed: int) -> list[Sample]:
    """The studies of a default world, split by split; small films, since only the words are read."""
    world = ChestWorld(studies=max(SIZES), seed=seed, image_size=64)
    dataset = MimicCXR(name=f"chest_world, seed {seed}", root=str(world.write(worlds)), access="open")
    return [sample for split in dataset.splits for sample in dataset.samples(split)]


def agreement(samples: Sequence[Sample], graph: ConceptGraph) -> float:
    """Share of the mentions in the reports that the extractor reads as the exact lexicon does, side and grade too."""
    exact, extractor = Lexicon(graph), LexiconExtractor(graph)
    sentences = [sentence for sample in samples for sentence in split_sentences(sample.factual.thinking)]
    told = [(set(exact.mentions(sentence)), set(extractor.mentions(sentence))) for sentence in sentences]
    return sum(len(one & other) for one, other in told) / sum(len(one | other) for one, other in told)


def truth(samples: Sequence[Sample], graph: ConceptGraph) -> dict[tuple[str, str], Relation]:
    """The true relation of every disease with every attribute that the world ever shows."""
    extractor = LexiconExtractor(graph)
    told = (extractor.read(sample.factual.thinking).attributes.items() for sample in samples)
    shown = {name for states in told for name, state in states if state is not LabelState.ABSENT}
    return {(disease, name): graph.relation(disease, name) for disease in graph.diseases for name in shown}


def recovery(
    samples: Sequence[Sample], graph: ConceptGraph, true: Mapping[tuple[str, str], Relation], *, conditioned: bool
) -> dict[str, float]:
    """Counts, precision and recall of associations and exclusions, of all and of those with support."""
    begun = time.perf_counter()
    built = build_graph(samples, LexiconExtractor(graph), graph, source="chest_world", conditioned=conditioned)
    seconds = time.perf_counter() - begun
    measured = [(m, true[m.one, m.other]) for m in built.relations]
    found = [(m, t) for m, t in measured if m.relation in EDGES]
    there = [(m, t) for m, t in measured if t in EDGES]
    wanted = [(m, t) for m, t in there if m.support(t) >= SUPPORTED]
    claimed = [(m, t) for m, t in found if m.support(m.relation) >= SUPPORTED]
    return {
        "supported_true": len(wanted),
        "supported_found": len(claimed),
        "precision": share(claimed),
        "recall": share(wanted),
        "true": sum(relation in EDGES for relation in true.values()),
        "found": len(found),
        "precision_all": share(found),
        "recall_all": round(sum(m.relation is t for m, t in there) / sum(t in EDGES for t in true.values()), 4),
        "seconds": round(seconds, 2),
    }


def share(relations: Sequence[tuple[Measured, Relation]]) -> float:
    """Of the relations, those that are as they truly are; nan of none."""
    return round(float(np.mean([m.relation is t for m, t in relations])), 4) if relations else float("nan")


def drawing(rows: Sequence[dict[str, float]]) -> Iterator[str]:
    """Precision and recall against the number of studies, two panels side by side."""
    yield '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 300" font-family="sans-serif" font-size="12">'
    yield '<rect width="720" height="300" fill="white"/>'
    for left, title, keys in (
        (50, f"relations with at least {SUPPORTED} studies", ("precision", "recall")),
        (410, "all relations", ("precision_all", "recall_all")),
    ):
        yield f'<text x="{left}" y="20" font-weight="bold">{title}</text>'
        for level in (0, 0.25, 0.5, 0.75, 0.9, 1):
            y = 250 - 210 * level
            yield f'<path d="M{left} {y}h280" stroke="#ddd"/>'
            yield f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{level:g}</text>'
        for index, size in enumerate(SIZES):
            yield f'<text x="{left + 20 + 60 * index}" y="268" text-anchor="middle">{size:,}</text>'
        yield f'<text x="{left + 140}" y="288" text-anchor="middle">studies</text>'
        for key, colour in zip(keys, ("#0072B2", "#D55E00"), strict=True):
            for conditioned in (True, False):
                yield from curve([row for row in rows if row["conditioned"] is conditioned], key, colour, left)
    yield '<text x="120" y="205" fill="#0072B2">precision</text><text x="120" y="220" fill="#D55E00">recall</text>'
    yield '<text x="120" y="235">dashed: other diseases not held fixed</text></svg>'


def curve(rows: Sequence[dict[str, float]], key: str, colour: str, left: int) -> Iterator[str]:
    """Mean over the seeds as a line, each seed as a dot."""
    dash, points = ("" if rows[0]["conditioned"] else ' stroke-dasharray="5 4" opacity="0.6"'), []
    for index, size in enumerate(SIZES):
        values = [row[key] for row in rows if row["studies"] == size and not np.isnan(row[key])]
        x = left + 20 + 60 * index
        if values:
            points.append(f"{x} {250 - 210 * float(np.mean(values)):.1f}")
        for value in values if not dash else []:
            yield f'<circle cx="{x}" cy="{250 - 210 * value:.1f}" r="2.5" fill="{colour}"/>'
    yield f'<path d="M{" L".join(points)}" fill="none" stroke="{colour}" stroke-width="1.8"{dash}/>'


if __name__ == "__main__":
    main()
