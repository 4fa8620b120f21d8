"""The headline: SFT, SFT continued and preference optimization side by side, by concept. Page and terminal share it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
    """

    key: str
    label: str
    sub: bool = False


MEASURES = (
    Measure("balanced_accuracy", "Balanced accuracy"),
    Measure("shuffled_balanced_accuracy", "with shuffled pictures", sub=True),
    Measure("accuracy", "Accuracy"),
    Measure("shuffled_accuracy", "with shuffled pictures", sub=True),
    Measure("pair_accuracy", "Pair accuracy"),
    Measure("margin", "Margin, nats"),
    Measure("malformed", "Malformed answers"),
)

GLOSSARY = (
    "Balanced accuracy: mean over diseases of (sensitivity + specificity) / 2; 0.5 is chance. With pictures shuffled "
    "among patients, a model that reads the picture falls to chance. Pair accuracy: share of held-out pairs whose "
    "chosen trajectory is likelier than the rejected one; margin: by how much. Malformed answers count as wrong."
)


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


def shown(measured: Any) -> tuple[str, str]:
    """A measured value and what qualifies it, as text.

    Args:
        measured: An interval (`value`, `low`, `high`), a count of malformed answers, a bare number, or None.

    Example:
        >>> shown({"value": 0.8125, "low": 0.78, "high": 0.84})
        ('0.812', '[0.780, 0.840]')
        >>> shown({"count": 3, "answers": 500}), shown(-0.25), shown(None)
        (('3', 'of 500'), ('−0.250', ''), ('–', ''))
    """
    if isinstance(measured, Mapping):
        if "count" in measured:
            return str(measured["count"]), f"of {measured['answers']}" if "answers" in measured else ""
        ends = [measured.get("low"), measured.get("high")]
        return number(measured.get("value")), "" if None in ends else f"[{number(ends[0])}, {number(ends[1])}]"
    return number(measured), ""


def number(value: float | None, digits: int = 3) -> str:
    """A number with a real minus sign; a dash where there is none."""
    return UNMEASURED if value is None else f"{value:.{digits}f}".replace("-", "−")


def value_of(measured: Any) -> float | None:
    """The bare value of an interval or a number."""
    value = measured.get("value") if isinstance(measured, Mapping) else measured
    return None if value is None else float(value)


def measures_of(evaluation: Mapping[str, Mapping[str, Any]]) -> tuple[list[Measure], list[Measure]]:
    """The measures that some arm has, and those that none has."""
    results = [result for arm in evaluation.values() for result in arm.values()]
    have = [any(measure.key in result for result in results) for measure in MEASURES]
    split = list(zip(MEASURES, have, strict=True))
    return [m for m, there in split if there], [m for m, there in split if not there]
