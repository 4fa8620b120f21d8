"""The causal graph of the world: diseases cause diseases, diseases cause attributes, nuisances cause nothing.

A disease appears by itself with a small probability, and each of its causes may bring it about, independently (noisy
or). Where the concept graph says that two diseases exclude each other, the one drawn first wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cpo.graph.lexicon import SEVERITIES, SIDES, Mention
from cpo.graph.schema import ConceptGraph, Relation
from cpo.records import LabelState
from cpo.world.chest.truth import Causes, Nuisances

MOST_FINDINGS = 5
"""A report describes at most this many attributes, unless there are more diseases: each keeps one that decides."""

SITES = ("A", "B", "C")
DEVICE_NAMES = ("central line", "pacemaker", "endotracheal tube", "nasogastric tube", "sternal wires")


@dataclass(frozen=True, slots=True)
class Cause:
    """How a disease comes about.

    Args:
        alone: Probability that it appears by itself.
        causes: For each cause, the probability that this cause brings it about.
    """

    alone: float
    causes: Mapping[str, float] = field(default_factory=dict)


CAUSES: dict[str, Cause] = {
    "Fracture": Cause(0.035),
    "Cardiomegaly": Cause(0.20),
    "Enlarged Cardiomediastinum": Cause(0.035, {"Cardiomegaly": 0.04}),
    "Lung Lesion": Cause(0.05),
    "Pneumonia": Cause(0.105),
    "Consolidation": Cause(0.075, {"Pneumonia": 0.20}),
    "Edema": Cause(0.06, {"Cardiomegaly": 0.40}),
    "Pneumothorax": Cause(0.095, {"Fracture": 0.30}),
    "Pleural Effusion": Cause(
        0.12, {"Edema": 0.45, "Cardiomegaly": 0.15, "Pneumonia": 0.25, "Consolidation": 0.15, "Lung Lesion": 0.2}
    ),
    "Atelectasis": Cause(0.13, {"Pleural Effusion": 0.35, "Lung Lesion": 0.2, "Cardiomegaly": 0.08}),
    "Pleural Other": Cause(0.02, {"Fracture": 0.06}),
    "Lung Opacity": Cause(0.14, {"Pneumonia": 0.3, "Edema": 0.25}),
}
"""In causal order. Prevalence is long-tailed as in MIMIC-CXR; the commoner half is a little more common than there, so
that 500 studies hold at least 30 of each."""

SIGNS: dict[str, dict[str, float]] = {
    "Atelectasis": {
        "linear opacities": 0.75,
        "volume loss": 0.45,
        "displaced fissure": 0.20,
        "compensatory overinflation": 0.08,
        "juxtaphrenic peak": 0.08,
        "mediastinal pull": 0.15,
        "elevated hemidiaphragm": 0.20,
        "low lung volumes": 0.15,
        "crowded vessels": 0.15,
        "obscured heart border": 0.05,
    },
    "Cardiomegaly": {
        "enlarged heart": 0.97,
        "displaced apex": 0.20,
        "tortuous aorta": 0.10,
        "vascular congestion": 0.12,
        "upper zone redistribution": 0.10,
        "splayed carina": 0.10,
        "distended azygos vein": 0.08,
    },
    "Consolidation": {
        "dense lobar opacity": 1.0,
        "air bronchograms": 0.40,
        "obscured heart border": 0.15,
        "bulging fissure": 0.10,
    },
    "Edema": {
        "perihilar haze": 0.90,
        "septal lines": 0.45,
        "vascular congestion": 0.30,
        "bronchial cuffing": 0.15,
        "upper zone redistribution": 0.15,
        "distended azygos vein": 0.15,
        "fissural fluid": 0.10,
    },
    "Enlarged Cardiomediastinum": {
        "widened mediastinum": 0.85,
        "thick paratracheal stripe": 0.35,
        "tortuous aorta": 0.25,
        "deviated trachea": 0.20,
        "splayed carina": 0.15,
        "enlarged hilum": 0.10,
    },
    "Fracture": {
        "rib break": 0.60,
        "rib callus": 0.30,
        "clavicle step": 0.30,
        "chest wall air": 0.10,
        "mediastinal air": 0.05,
    },
    "Lung Lesion": {
        "mass": 0.55,
        "nodule": 0.55,
        "cavity": 0.15,
        "enlarged hilum": 0.20,
        "deviated trachea": 0.08,
        "apical cap": 0.08,
        "hyperinflation": 0.08,
        "flat hemidiaphragms": 0.06,
    },
    "Lung Opacity": {
        "hazy opacity": 0.90,
        "reticular pattern": 0.25,
        "honeycombing": 0.10,
        "low lung volumes": 0.10,
        "crowded vessels": 0.10,
    },
    "Pleural Effusion": {
        "fluid meniscus": 1.0,
        "loculated fluid": 0.10,
        "blunted costophrenic angle": 0.20,
        "fissural fluid": 0.15,
        "mediastinal push": 0.08,
        "elevated hemidiaphragm": 0.05,
    },
    "Pleural Other": {
        "pleural thickening": 0.75,
        "pleural calcification": 0.45,
        "apical cap": 0.30,
        "blunted costophrenic angle": 0.35,
        "mediastinal pull": 0.10,
    },
    "Pneumonia": {
        "patchy airspace opacity": 1.0,
        "air bronchograms": 0.20,
        "obscured heart border": 0.15,
        "bronchial cuffing": 0.10,
        "bulging fissure": 0.08,
        "cavity": 0.05,
    },
    "Pneumothorax": {
        "apical pleural line": 0.95,
        "lost lung markings": 0.30,
        "deep sulcus": 0.20,
        "mediastinal push": 0.15,
        "chest wall air": 0.15,
        "mediastinal air": 0.10,
        "hyperinflation": 0.05,
        "flat hemidiaphragms": 0.05,
    },
}
"""Probability that a disease shows each attribute associated with it; hallmarks first, the commonest first of all."""

INCIDENTAL: dict[str, float] = {
    "tortuous aorta": 0.04,
    "blunted costophrenic angle": 0.025,
    "low lung volumes": 0.04,
    "hyperinflation": 0.03,
    "flat hemidiaphragms": 0.02,
    "small heart": 0.03,
    "elevated hemidiaphragm": 0.02,
    "deviated trachea": 0.015,
    "enlarged hilum": 0.015,
    "apical cap": 0.015,
    "crowded vessels": 0.015,
}
"""Attributes that anyone may show: none of them decides for a disease."""

INCOMPATIBLE: tuple[frozenset[str], ...] = (
    frozenset({"mediastinal pull", "mediastinal push"}),
    frozenset({"hyperinflation", "low lung volumes"}),
    frozenset({"flat hemidiaphragms", "low lung volumes"}),
    frozenset({"flat hemidiaphragms", "elevated hemidiaphragm"}),
    frozenset({"hyperinflation", "elevated hemidiaphragm"}),
    frozenset({"small heart", "enlarged heart"}),
    frozenset({"small heart", "displaced apex"}),
    frozenset({"blunted costophrenic angle", "fluid meniscus"}),
    frozenset({"deep sulcus", "fluid meniscus"}),
    frozenset({"deep sulcus", "blunted costophrenic angle"}),
    frozenset({"juxtaphrenic peak", "fluid meniscus"}),
    frozenset({"juxtaphrenic peak", "flat hemidiaphragms"}),
    frozenset({"bulging fissure", "displaced fissure"}),
    frozenset({"bulging fissure", "fissural fluid"}),
    frozenset({"apical cap", "apical pleural line"}),
    frozenset({"crowded vessels", "hyperinflation"}),
    frozenset({"crowded vessels", "lost lung markings"}),
    frozenset({"loculated fluid", "pleural thickening"}),
)
"""Pairs that cannot show in one chest."""


def draw_diseases(rng: np.random.Generator, graph: ConceptGraph, uncertain_share: float) -> dict[str, LabelState]:
    """Diseases of one study, present or uncertain, in the graph's order; the others are absent."""
    found: dict[str, LabelState] = {}
    chances = rng.random(len(CAUSES))
    doubts = rng.random(len(CAUSES))
    for (disease, cause), chance, doubt in zip(CAUSES.items(), chances, doubts, strict=True):
        stays_away = 1 - cause.alone
        for parent, strength in cause.causes.items():
            stays_away *= 1 - strength * (parent in found)
        excluded = any(graph.disease_relation(disease, other) is Relation.EXCLUSION for other in found)
        if chance < 1 - stays_away and not excluded:
            found[disease] = LabelState.UNCERTAIN if doubt < uncertain_share else LabelState.PRESENT
    return {disease: found[disease] for disease in graph.diseases if disease in found}


def draw_findings(
    rng: np.random.Generator, graph: ConceptGraph, diseases: Mapping[str, LabelState], severities: Sequence[float]
) -> tuple[Mention, ...]:
    """The attributes that a study shows: for every disease at least one hallmark, then a few more.

    Args:
        rng: Random numbers.
        graph: Says what each disease excludes.
        diseases: Present or uncertain; the hallmarks of an uncertain one are uncertain too, and mild.
        severities: Shares of mild, moderate and severe.
    """
    extra: list[tuple[str, LabelState, str, str]] = []
    chosen: dict[str, Mention] = {}
    for disease, state in diseases.items():
        side = SIDES[int(rng.integers(2))]
        grade = "mild" if state is LabelState.UNCERTAIN else SEVERITIES[int(rng.choice(3, p=severities))]
        signs = [name for name, chance in SIGNS[disease].items() if rng.random() < chance]
        decisive = (s for s in (*signs, *SIGNS[disease]) if s in graph.hallmarks(disease))
        first = next((s for s in decisive if _fits(graph, s, chosen, diseases)), None)
        assert first is not None, f"{disease} has no hallmark that fits {sorted(chosen)}"
        chosen[first] = _mention(graph, first, state, side, grade)
        # only the hallmarks of a doubtful disease are doubtful; its other signs are left out
        keep = state is LabelState.PRESENT
        extra += [(sign, state, side, grade) for sign in signs if keep and sign != first]
    for name, chance in INCIDENTAL.items():
        if rng.random() < chance:
            grade = SEVERITIES[int(rng.choice(3, p=severities))]
            extra.append((name, LabelState.PRESENT, SIDES[int(rng.integers(2))], grade))
    for index in rng.permutation(len(extra)):
        name, state, side, grade = extra[index]
        if len(chosen) < MOST_FINDINGS and name not in chosen and _fits(graph, name, chosen, diseases):
            chosen[name] = _mention(graph, name, state, side, grade)
    return tuple(chosen[name] for name in graph.attributes if name in chosen)


def _fits(graph: ConceptGraph, name: str, chosen: Mapping[str, Mention], diseases: Mapping[str, LabelState]) -> bool:
    if any(graph.relation(disease, name) is Relation.EXCLUSION for disease in diseases):
        return False
    return not any(name in pair and pair & set(chosen) - {name} for pair in INCOMPATIBLE)


def _mention(graph: ConceptGraph, name: str, state: LabelState, side: str, grade: str) -> Mention:
    attribute = graph.attributes[name]
    return Mention(name, state, side if attribute.lateral else None, grade if attribute.graded else None)


def draw_causes(
    rng: np.random.Generator, graph: ConceptGraph, *, uncertain_share: float, severities: Sequence[float]
) -> Causes:
    """Diseases and findings of one study."""
    diseases = draw_diseases(rng, graph, uncertain_share)
    return Causes(diseases, draw_findings(rng, graph, diseases, severities))


def draw_nuisances(rng: np.random.Generator, *, ap_share: float, device_share: float) -> Nuisances:
    """View, site, devices and habits of one study, drawn without a look at its diseases."""
    devices: tuple[str, ...] = ()
    if rng.random() < device_share:
        count = 1 if rng.random() < 0.7 else 2
        drawn = set(rng.choice(len(DEVICE_NAMES), size=count, replace=False, p=(0.35, 0.25, 0.15, 0.15, 0.10)))
        devices = tuple(name for index, name in enumerate(DEVICE_NAMES) if index in drawn)
    return Nuisances(
        view="AP" if rng.random() < ap_share else "PA",
        site=SITES[int(rng.choice(3, p=(0.5, 0.3, 0.2)))],
        devices=devices,
        phrase=int(rng.integers(2)),
        lungs_first=bool(rng.random() < 0.5),
    )
