"""Writes the report of a study: sections and line breaks of MIMIC-CXR, sentences of the concept graph."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cpo.graph.lexicon import Lexicon
from cpo.records import LabelState
from cpo.world.chest import words
from cpo.world.chest.truth import Causes, Nuisances

_TITLE = "FINAL REPORT"
_WIDTH = 79
_ROUTINELY, _RARELY = 0.8, 0.01
"""Chance that an attribute is denied: one of the routine, any other."""


@dataclass(frozen=True, slots=True)
class Report:
    """The text of a report file, and the attributes that it denies."""

    text: str
    negated: tuple[str, ...]


def write_report(rng: np.random.Generator, lexicon: Lexicon, causes: Causes, nuisances: Nuisances, sex: str) -> Report:
    """The report of one study; `read` gives back what was put in."""
    opening = words.PHRASES[nuisances.site, nuisances.view][nuisances.phrase]
    devices = [words.DEVICES[name][int(rng.integers(2))] for name in nuisances.devices]
    sentences: dict[str, str] = {}
    for f in causes.findings:
        wording = int(rng.integers(lexicon.choices(f.attribute, f.state)))
        sentences[f.attribute] = lexicon.write(f.attribute, f.state, f.side, f.severity, wording)
    denials = _deny(rng, lexicon, causes)
    negated = tuple(name for name in lexicon.graph.attributes if name in denials)
    body = _arrange(sentences | denials, nuisances.lungs_first)
    findings = " ".join([opening, *devices, *body])
    person = "woman" if sex == "F" else "man"
    sections = {
        "EXAMINATION": words.PROCEDURES[nuisances.site, nuisances.view],
        "INDICATION": words.INDICATIONS[int(rng.integers(len(words.INDICATIONS)))].format(person=person),
        "FINDINGS": findings,
        "IMPRESSION": _impression(rng, causes.diseases),
    }
    return Report(_lay_out(sections), negated)


def _deny(rng: np.random.Generator, lexicon: Lexicon, causes: Causes) -> dict[str, str]:
    """Denials of what no present disease causes: routine ones mostly made, others now and then, always at least one."""
    graph = lexicon.graph
    taken = {f.attribute for f in causes.findings} | {a for d in causes.diseases for a in graph.attributes_of(d)}
    free = [name for name in graph.attributes if name not in taken]
    chance = np.array([_ROUTINELY if name in words.COMMONLY_NEGATED else _RARELY for name in free])
    drawn = rng.random(len(free)) / chance
    chosen = [name for name, waits in zip(free, drawn.tolist(), strict=True) if waits < 1] or [free[drawn.argmin()]]
    return {
        name: lexicon.write(
            name, LabelState.ABSENT, wording=int(rng.integers(lexicon.choices(name, LabelState.ABSENT)))
        )
        for name in chosen
    }


def _arrange(sentences: Mapping[str, str], lungs_first: bool) -> list[str]:
    """Findings as a systematic reader dictates them: part by part, and in each part always in the same order."""
    places = ("lungs", "pleura", "heart", "bones") if lungs_first else ("heart", "lungs", "pleura", "bones")
    return [sentences[name] for place in places for name in words.PLACES[place] if name in sentences]


def _impression(rng: np.random.Generator, diseases: Mapping[str, LabelState]) -> str:
    if not diseases:
        return words.NOTHING[int(rng.integers(len(words.NOTHING)))]
    lines = []
    for disease, state in diseases.items():
        forms = words.SURE if state is LabelState.PRESENT else words.UNSURE
        line = forms[int(rng.integers(len(forms)))].format(disease=words.IMPRESSIONS[disease])
        lines.append(line[:1].upper() + line[1:])
    if len(lines) == 1:
        return lines[0]
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))


def _lay_out(sections: Mapping[str, str]) -> str:
    lines = [_TITLE.center(_WIDTH).rstrip()]
    for header, text in sections.items():
        if header in ("FINDINGS", "IMPRESSION"):
            lines += [f" {header}: ", " "]
            for paragraph in text.split("\n"):
                lines += textwrap.wrap(paragraph, _WIDTH, initial_indent=" ", subsequent_indent=" ")
        else:
            lines += textwrap.wrap(f"{header}:  {text}", _WIDTH, initial_indent=" ", subsequent_indent=" ")
        lines.append(" ")
    return "\n".join(lines[:-1]) + "\n"
