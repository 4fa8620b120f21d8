"""Small hand-made chest reports in the graph's own words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from cpo.graph.lexicon import SEVERITIES, SIDES, Lexicon
from cpo.graph.schema import ConceptGraph
from cpo.records import ImageRef, LabelState, Provenance, Sample, Trajectory

LABELS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Enlarged Cardiomediastinum",
    "Fracture",
    "Lung Lesion",
    "Lung Opacity",
    "No Finding",
    "Pleural Effusion",
    "Pleural Other",
    "Pneumonia",
    "Pneumothorax",
    "Support Devices",
)
COMMONLY_NEGATED = (
    "enlarged heart",
    "widened mediastinum",
    "fluid meniscus",
    "apical pleural line",
    "perihilar haze",
    "septal lines",
    "fissural fluid",
    "vascular congestion",
    "mediastinal push",
)

MakeSample = Callable[..., Sample]


@pytest.fixture(scope="session")
def graph() -> ConceptGraph:
    return ConceptGraph.load("chest")


@pytest.fixture(scope="session")
def lexicon(graph: ConceptGraph) -> Lexicon:
    return Lexicon(graph)


@pytest.fixture(scope="session")
def make_sample(graph: ConceptGraph, lexicon: Lexicon) -> MakeSample:
    """A sample from its thinking; labels and results follow from the text by the graph's rule."""

    def make(thinking: str, *, id: str = "s1", group: str = "", devices: bool = False) -> Sample:
        said = {m.attribute: m.state for s in lexicon.split_sentences(thinking) for m in lexicon.mentions(s)}
        labels = dict.fromkeys(LABELS, LabelState.UNMENTIONED) | graph.labels(said)
        if devices:
            labels["Support Devices"] = LabelState.PRESENT
        if not any(labels[d] is LabelState.PRESENT for d in graph.diseases):
            labels["No Finding"] = LabelState.PRESENT
        results = tuple(name for name in LABELS if labels[name] is LabelState.PRESENT)
        return Sample(
            id=id,
            group=group or id,
            split="train",
            images=(ImageRef(f"{id}.jpg"),),
            prompt="Which disease?",
            factual=Trajectory(thinking, f"The disease of this patient is {', '.join(results)}."),
            labels={name: labels[name] for name in LABELS},
            results=results,
            metadata={},
            provenance=Provenance("hand", "none", id, "open"),
        )

    return make


@pytest.fixture(scope="session")
def make_pool(graph: ConceptGraph, lexicon: Lexicon, make_sample: MakeSample) -> Callable[[int, int], Sequence[Sample]]:
    """A pool of reports: none to three compatible diseases, their signs, some hedges, negations and other sentences."""

    def make(n: int, seed: int) -> Sequence[Sample]:
        rng = np.random.default_rng(seed)
        return [make_sample(report(graph, lexicon, rng), id=f"s{i}", group=f"p{i // 2}") for i in range(n)]

    return make


def report(graph: ConceptGraph, lexicon: Lexicon, rng: np.random.Generator) -> str:
    diseases: list[str] = []
    for disease in rng.permutation(graph.diseases)[: rng.choice(4, p=(0.3, 0.4, 0.2, 0.1))]:
        if all(graph.disease_relation(disease, d).value != "exclusion" for d in diseases):
            diseases.append(str(disease))
    states: dict[str, LabelState] = {}
    for disease in diseases:
        states[str(rng.choice(graph.hallmarks(disease)))] = LabelState.PRESENT
        states[str(rng.choice(graph.attributes_of(disease)))] = LabelState.PRESENT
    hedge = str(rng.choice(graph.diseases))
    if rng.random() < 0.2 and all(graph.disease_relation(hedge, d).value == "irrelevance" for d in diseases):
        states.setdefault(graph.hallmarks(hedge)[0], LabelState.UNCERTAIN)
    for attribute in COMMONLY_NEGATED:
        if rng.random() < 0.4 and not {*graph.diseases_of(attribute)} & {*diseases, hedge}:
            states.setdefault(attribute, LabelState.ABSENT)
    sentences = [
        lexicon.write(
            attribute,
            state,
            str(rng.choice(SIDES)),
            str(rng.choice(SEVERITIES)),
            int(rng.integers(lexicon.choices(attribute, state))),
        )
        for attribute, state in states.items()
    ]
    ordered = [sentences[i] for i in rng.permutation(len(sentences))]
    return " ".join(["Portable view of the chest.", *ordered, "A pacemaker is in place."])
