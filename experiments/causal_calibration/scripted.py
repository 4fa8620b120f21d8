"""A policy with set responses over reports with a set distribution, so that every effect is known in closed form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from cpo.diagnostics.causal import Floats
from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph
from cpo.policy.results import Thought
from cpo.records import LabelState, Provenance, Sample, Trajectory

RESULTS = ("Pleural Effusion", "Lung Lesion", "Pneumonia", "No Finding")
SEVERITIES = {"mild": 0.5, "moderate": 0.3, "severe": 0.2}
"""How often a patient's fluid is of each grade; all studies of a patient share it, so patients are clusters."""
FLUID = {"mild": 0.25, "moderate": 0.45, "severe": 0.65}
"""What fluid adds to the effusion."""
NODULE, DAMPED, VIEW, WORDING, FLOOR = 0.20, 0.8, 0.08, 0.04, 0.05
"""A nodule adds to the lesion and damps the effusion; the AP view, and any but the first wording of the fluid, add to
pneumonia, which neither should; the floor of each result."""
VIEWS = {"AP": "Portable AP view of the chest.", "PA": "PA view of the chest."}
ATTRIBUTE, DENIED = "fluid meniscus", "nodule"

LEXICON = Lexicon(ConceptGraph.load("chest"))
WORDINGS = LEXICON.choices(ATTRIBUTE, LabelState.PRESENT)


def draw_patient(number: int, rng: np.random.Generator) -> list[Sample]:
    """One to four studies of a patient with an effusion of one grade."""
    severity = str(rng.choice(list(SEVERITIES), p=list(SEVERITIES.values())))
    return [draw_study(f"{number}-{n}", str(number), severity, rng) for n in range(int(rng.integers(1, 5)))]


def draw_study(name: str, patient: str, severity: str, rng: np.random.Generator) -> Sample:
    """A view, fluid in one of its wordings, no nodule."""
    view = str(rng.choice(list(VIEWS)))
    fluid = LEXICON.write(ATTRIBUTE, LabelState.PRESENT, "left", severity, int(rng.integers(WORDINGS)))
    thinking = f"{VIEWS[view]} {fluid} {LEXICON.write(DENIED, LabelState.ABSENT)}"
    labels = dict.fromkeys(RESULTS, LabelState.ABSENT) | {RESULTS[0]: LabelState.PRESENT}
    answer = Trajectory(thinking, f"The disease of this patient is {RESULTS[0]}.")
    source = Provenance("scripted", "none", name, "open")
    return Sample(name, patient, "test", (), "Which disease?", answer, labels, RESULTS[:1], {"view": view}, source)


class ScriptedPolicy:
    """Answers by the words of the thinking alone, as the constants above say."""

    results = RESULTS

    def distributions(self, thoughts: Sequence[Thought], *, batch_size: int) -> Iterator[Floats]:
        """As `ResultScorer.distributions`."""
        for thought in thoughts:
            yield self._answer(thought.thinking)[None]

    def _answer(self, thinking: str) -> Floats:
        sentences = LEXICON.split_sentences(thinking)
        said = {m.attribute: (m, s) for s in sentences for m in LEXICON.mentions(s) if m.state is LabelState.PRESENT}
        effusion, lesion, pneumonia = FLOOR, FLOOR, FLOOR + VIEW * (" AP " in sentences[0] or "ortable" in sentences[0])
        if ATTRIBUTE in said:
            mention, sentence = said[ATTRIBUTE]
            severity = str(mention.severity)
            effusion += FLUID[severity]
            first = LEXICON.write(ATTRIBUTE, LabelState.PRESENT, mention.side, severity)
            pneumonia += WORDING * (sentence != first)
        if DENIED in said:
            effusion, lesion = effusion * DAMPED, lesion + NODULE
        return np.array([effusion, lesion, pneumonia, 1 - effusion - lesion - pneumonia])


def truth() -> dict[str, float]:
    """What the benchmark should find, by summing over everything that a study can be; nothing is simulated."""
    other = 1 - 1 / WORDINGS
    kinds = product(SEVERITIES, (0.0, VIEW), ((0.0, 1 / WORDINGS), (WORDING, other)))
    irrelevant = sum(
        SEVERITIES[grade] * 0.5 * chance * abs(share(effusion, rest) - share(DAMPED * effusion, rest))
        for grade, view, (wording, chance) in kinds
        for effusion, rest in [(FLOOR + FLUID[grade], FLOOR + view + wording)]
    )
    # denied: the fluid's share goes, and with it what its wording added elsewhere
    denied = sum(SEVERITIES[grade] * FLUID[grade] for grade in SEVERITIES) + WORDING * other
    # a paraphrase takes one of two sentences; of the fluid's, the first wording comes or goes in 2 of n draws
    paraphrase = 0.5 * WORDING * 2 / WORDINGS
    beneficial, detrimental = (denied + NODULE) / 2, (irrelevant + paraphrase + VIEW) / 3
    return {
        "beneficial_sensitivity": beneficial,
        "detrimental_sensitivity": detrimental,
        "sensitivity_ratio": detrimental / beneficial,
        "denied_sensitivity": denied,
        "asserted_sensitivity": NODULE,
        "irrelevant_sensitivity": irrelevant,
        "paraphrase_sensitivity": paraphrase,
        "phrase_sensitivity": VIEW,
    }


def share(one: float, other: float) -> float:
    """Of two results."""
    return one / (one + other)
