"""The headline: SFT, SFT continued and preference optimization side by side, by concept. Page and terminal share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

ALL = "all"
"""Key of the results over all concepts."""
UNMEASURED = "–"


@dataclass(frozen=True, slots=True)
class Measure:
    """A row of the headline table.

    Args:
        key: In `summary.json`.
        label: Of the row.
        sub: It belongs to the row above.
        detail: It stands among the results over all concepts alone.
        benchmark: That measured it; empty where the run does not say.
    """

    key: str
    label: str
    sub: bool = False
    detail: bool = False
    benchmark: str = ""


THINKING = (
    Measure("thinking_drift", "Drift along the thinking, bits", detail=True),
    Measure("thinking_peak", "largest step", sub=True, detail=True),
    Measure("thinking_decided_at", "Decided at, share of the thinking", detail=True),
    Measure("thinking_early_area", "Area over early answering", detail=True),
    Measure("thinking_alarms", "Alarms per thinking", detail=True),
    Measure("synonym_changes_forced", "Harmless swaps that change the diagnosis", detail=True),
    Measure("synonym_changes_continued", "the policy going on", sub=True, detail=True),
    Measure("synonym_divergence_forced", "Harmless swaps: divergence, bits", detail=True),
    Measure("synonym_divergence_continued", "the policy going on", sub=True, detail=True),
    Measure("word_changes_forced", "Swaps of any word that change the diagnosis", detail=True),
    Measure("word_changes_continued", "the policy going on", sub=True, detail=True),
    Measure("word_divergence_forced", "Swaps of any word: divergence, bits", detail=True),
    Measure("word_divergence_continued", "the policy going on", sub=True, detail=True),
    Measure("thinking_missing", "Samples without a thinking", detail=True),
    Measure("synonym_missing", "Samples without a harmless swap", detail=True),
)
"""Drift behind thinking, which has a section of its own by concept."""

MEASURES = (
    Measure("balanced_accuracy", "Balanced accuracy"),
    Measure("shuffled_balanced_accuracy", "with shuffled pictures", sub=True),
    Measure("accuracy", "Accuracy"),
    Measure("shuffled_accuracy", "with shuffled pictures", sub=True),
    Measure("pair_accuracy", "Pair accuracy"),
    Measure("margin", "Margin, nats"),
    Measure("margin_q10", "a tenth below", sub=True, detail=True),
    Measure("margin_q50", "half below", sub=True, detail=True),
    Measure("margin_q90", "a tenth above", sub=True, detail=True),
    Measure("logratio_chosen", "Log-ratio of chosen, nats", detail=True),
    Measure("logratio_rejected", "Log-ratio of rejected, nats", detail=True),
    Measure("calibration_error", "Calibration error", detail=True),
    Measure("confidence", "mean confidence", sub=True, detail=True),
    Measure("malformed", "Malformed answers"),
    *THINKING,
)

GLOSSARY = (
    "Balanced accuracy: mean over diseases of (sensitivity + specificity) / 2; 0.5 is chance. With pictures shuffled "
    "among patients, a model that reads the picture falls to chance. Pair accuracy: share of held-out pairs whose "
    "chosen trajectory is likelier than the rejected one; margin: by how much. Malformed answers count as wrong."
)
PESSIMISTIC, REASONS = "_pessimistic", "_unparsed"
"""Endings of keys beside a judge's score: the mean with unparsed replies as the lowest, and why they are."""


def arms(choices: Mapping[str, str]) -> dict[str, str]:
    """The arms of a run by their key in `summary.json`, named after what they are.

    A rejected trajectory that is another patient's makes plain DPO, not the counterfactual method.

    Example:
        >>> arms({"loss": "dpo", "counterfactual": "concept_graph"})["after"]
        'Counterfactual preference optimization'
        >>> arms({"loss": "dpo", "counterfactual": "random"})["after"]
        'Preference optimization, random negatives'
    """
    plain = choices.get("counterfactual") == "random"
    preference = "Preference optimization, random negatives" if plain else "Counterfactual preference optimization"
    if choices.get("loss") == "sft":
        preference = "SFT on the stream"
    return {"before": "SFT", "control": "SFT continued (control)", "after": preference}


def concepts(evaluation: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Every concept that some arm was judged on, all together first."""
    seen = dict.fromkeys(name for arm in evaluation.values() for name in arm)
    return [*([ALL] if ALL in seen else []), *(name for name in seen if name != ALL)]


def concept_label(concept: str) -> str:
    """How a concept is headed.

    Example:
        >>> concept_label("all"), concept_label("tied")
        ('All held-out samples', 'Concept “tied”')
    """
    return "All held-out samples" if concept == ALL else f"Concept “{concept}”"


def shown(measured: Any, *, brief: bool = False) -> tuple[str, str]:
    """A measured value and what qualifies it, as text: an interval, and of a judge's score who judged and how well.

    Args:
        measured: An interval (`value`, `low`, `high`), a count of malformed answers, a bare number, or None.
        brief: Leave out who judged, where `judged_by` says it nearby.

    Example:
        >>> shown({"value": 0.8125, "low": 0.78, "high": 0.84})
        ('0.812', '[0.780, 0.840]')
        >>> shown({"count": 3, "answers": 500}), shown(-0.25), shown(None)
        (('3', 'of 500'), ('−0.250', ''), ('–', ''))
        >>> shown({"value": 6.5, "judge": "m-1", "prompt": "0af3", "unparsed": 2, "answers": 50})
        ('6.500', '2 of 50 unparsed, by m-1, prompt 0af3')
    """
    if not isinstance(measured, Mapping):
        return number(measured), ""
    if "count" in measured:
        return str(measured["count"]), f"of {measured['answers']}" if "answers" in measured else ""
    ends = [measured.get("low"), measured.get("high")]
    details = [] if None in ends else [f"[{number(ends[0])}, {number(ends[1])}]"]
    if "judge" in measured:
        details.append(f"{measured['unparsed']} of {measured['answers']} unparsed")
        details += [] if brief else [judged_by(measured)]
    return number(measured.get("value")), ", ".join(details)


def judged_by(measured: Any) -> str:
    """Who gave a judge's score, and by which prompt; empty for any other measure.

    Example:
        >>> judged_by({"value": 6.5, "judge": "m-1", "served": ["m-1-0513"], "prompt": "0af3"})
        'by m-1 (served as m-1-0513), prompt 0af3'
    """
    if not isinstance(measured, Mapping) or "judge" not in measured:
        return ""
    others = [name for name in measured.get("served", ()) if name != measured["judge"]]
    served = f" (served as {', '.join(others)})" if others else ""
    return f"by {measured['judge']}{served}, prompt {measured['prompt']}"


def number(value: float | None, digits: int = 3) -> str:
    """A number with a real minus sign; a dash where there is none."""
    return UNMEASURED if value is None else f"{value:.{digits}f}".replace("-", "−")


def value_of(measured: Any) -> float | None:
    """The bare value of an interval or a number."""
    value = measured.get("value") if isinstance(measured, Mapping) else measured
    return None if value is None else float(value)


def measures_of(
    evaluation: Mapping[str, Mapping[str, Any]], benchmarks: Mapping[str, Sequence[str]] | None = None
) -> tuple[list[Measure], list[Measure]]:
    """The measures that some arm has, benchmark by benchmark, and those of the common ones that none has.

    Args:
        evaluation: Arm → concept → metric → measured.
        benchmarks: The metrics of each benchmark, as `summary.json` has them.
    """
    results = [result for arm in evaluation.values() for result in arm.values()]
    there = dict.fromkeys(key for result in results for key, value in result.items() if _is_measured(key, value))
    known = {measure.key: measure for measure in MEASURES}
    of = {key: name for name, keys in (benchmarks or {}).items() for key in keys}
    keys = sorted(there, key=lambda key: (_place(list(benchmarks or ()), of.get(key, "")), _place(list(known), key)))
    found = [replace(known.get(key) or _named_after(key), benchmark=of.get(key, "")) for key in keys]
    common = any(key in there for key in known)
    return found, [m for m in MEASURES if common and not m.detail and m.key not in there]


def _place(names: Sequence[str], name: str) -> int:
    return names.index(name) if name in names else len(names)


def _is_measured(key: str, value: Any) -> bool:
    """Whether a value is one that `shown` can show and no other does, and not what else a benchmark has to say."""
    if isinstance(value, Mapping) and not key.endswith(REASONS):
        return "value" in value or isinstance(value.get("count"), int)
    return isinstance(value, int | float)


def _named_after(key: str) -> Measure:
    """The row of a measure that has no words of its own.

    Example:
        >>> _named_after("bleu_4").label, _named_after("judge_pessimistic")
        ('Bleu 4', Measure(key='judge_pessimistic', label='unparsed as lowest', sub=True, detail=True, benchmark=''))
    """
    if key.endswith(PESSIMISTIC):
        return Measure(key, "unparsed as lowest", sub=True, detail=True)
    return Measure(key, key.replace("_", " ").capitalize())
