"""The headline table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from cpo.report.headline import ALL, UNMEASURED, Measure, arms, concept_label, concepts, judged_by, measures_of, shown


def eval_table(summary: Mapping[str, Any], *, names: Mapping[str, str] | None = None) -> Table:
    """SFT, SFT continued and preference optimization by concept and benchmark, with intervals.

    Measures that are a detail stand once, over all concepts. Arms that the run does not have get no column; the caption
    names them.

    Args:
        summary: As in `summary.json`.
        names: What the arms are called; those of a training run unless given.
    """
    evaluation = summary.get("eval", {})
    names = arms(summary.get("choices", {})) if names is None else names
    there = [arm for arm in names if arm in evaluation]
    benchmarks = summary.get("benchmarks") or {}
    measures, _ = measures_of(evaluation, benchmarks)
    absent = [names[arm] for arm in names if arm not in evaluation]
    if not there:
        return Table("This run was not judged.", box=None)
    table = Table(
        title="Held-out results",
        title_style="bold",
        caption_justify="left",
        box=None,
        header_style="bold",
        padding=(0, 2, 0, 0),
        min_width=60,
    )
    table.add_column("", no_wrap=True)
    for arm in there:
        table.add_column(names[arm], justify="right", max_width=24)
    judges: dict[str, None] = {}
    for concept in concepts(evaluation):
        rows = list(_rows([evaluation[arm].get(concept, {}) for arm in there], measures, everywhere=concept == ALL))
        if not rows:
            continue
        table.add_row(Text(concept_label(concept), style="bold"), end_section=False)
        heading = ""
        for measure, measured in rows:
            if not measure.sub:
                judges |= dict.fromkeys(f"{measure.label}: {who}." for one in measured if (who := judged_by(one)))
            if measure.benchmark != heading and len(benchmarks) > 1:
                heading = measure.benchmark
                table.add_row(Text(f" {heading}", style="italic dim"))
            label = Text(f"  {'  ' if measure.sub else ''}{measure.label}", style="dim" if measure.sub else "")
            table.add_row(label, *(_cell(*shown(one, brief=True), dim=measure.sub) for one in measured))
        table.add_row()
    notes = [*judges, *([f"Not in this run: {', '.join(absent)}."] if absent else [])]
    table.caption = "\n".join(notes) or None
    return table


def _rows(
    results: Sequence[Mapping[str, Any]], measures: Sequence[Measure], *, everywhere: bool
) -> Iterator[tuple[Measure, list[Any]]]:
    """The measures that some arm has, with what each arm has of it; details only among the results of `everywhere`."""
    for measure in measures:
        measured = [result.get(measure.key) for result in results]
        if (everywhere or not measure.detail) and any(shown(one)[0] != UNMEASURED for one in measured):
            yield measure, measured


def _cell(value: str, detail: str, *, dim: bool) -> Text:
    cell = Text(value, style="dim" if dim else "")
    return cell.append(f" {detail}", style="dim") if detail else cell
