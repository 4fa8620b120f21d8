"""The headline table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from cpo.report.headline import UNMEASURED, arms, concept_label, concepts, measures_of, shown


def eval_table(summary: Mapping[str, Any]) -> Table:
    """SFT, SFT continued and preference optimization by concept, with intervals.

    Arms that the run does not have get no column; the caption names them.

    Args:
        summary: As in `summary.json`.
    """
    evaluation = summary.get("eval", {})
    names = arms(summary.get("choices", {}))
    there = [arm for arm in names if arm in evaluation]
    measures, _ = measures_of(evaluation)
    absent = [names[arm] for arm in names if arm not in evaluation]
    if not there:
        return Table("This run was not judged.", box=None)
    table = Table(
        title="Held-out results",
        title_style="bold",
        caption=f"Not in this run: {', '.join(absent)}." if absent else None,
        caption_justify="left",
        box=None,
        header_style="bold",
        padding=(0, 2, 0, 0),
        min_width=60,
    )
    table.add_column("", no_wrap=True)
    for arm in there:
        table.add_column(names[arm], justify="right", max_width=24)
    for concept in concepts(evaluation):
        table.add_row(Text(concept_label(concept), style="bold"), end_section=False)
        for measure in measures:
            results = [shown(evaluation[arm].get(concept, {}).get(measure.key)) for arm in there]
            if all(value == UNMEASURED for value, _ in results):
                continue
            label = Text(f"  {'  ' if measure.sub else ''}{measure.label}", style="dim" if measure.sub else "")
            table.add_row(label, *(_cell(*result, dim=measure.sub) for result in results))
        table.add_row()
    return table


def _cell(value: str, detail: str, *, dim: bool) -> Text:
    cell = Text(value, style="dim" if dim else "")
    return cell.append(f" {detail}", style="dim") if detail else cell
