"""What a run's page shows, for trackers that show more than numbers: its figures and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cpo.panels import PANELS
from cpo.privacy import allowed, withhold
from cpo.records import Access, Exhibits
from cpo.report.bands import bands
from cpo.report.blocks import Figure
from cpo.report.figures import headline_figure, panel_figure
from cpo.report.headline import arms
from cpo.report.record import RunRecord

Rows = list[list[Any]]


def exhibits(run: RunRecord, *, acknowledged: bool) -> Exhibits:
    """The page's own figures and tables, drawn from what may leave this machine.

    Args:
        run: As its directory holds it.
        acknowledged: The user takes responsibility for credentialed data (`privacy=acknowledged`).
    """
    access: Access = "open" if run.access == "open" else "credentialed"
    if not allowed(access, local=False, acknowledged=acknowledged):
        run = shareable(run)
    evaluation = run.summary.get("eval") or {}
    drawn = [headline_figure(evaluation, run.choices), *(panel_figure(panel, run) for panel in PANELS)]
    tables = {
        "headline": (("arm", "concept", "measure", "value", "low", "high"), _headline(run)),
        "detection": _detection(run.summary.get("detection") or {}),
        "alarms": _records(run.summary.get("alarms") or ()),
        "concepts": (("start", "end", "concept"), _concepts(run)),
    }
    return Exhibits(
        {figure.title: _titled(figure) for figure in drawn if figure},
        {name: table for name, table in tables.items() if table[1]},
        [(int(band.start), int(band.end), band.after) for band in bands(run.drift)],
    )


def shareable(run: RunRecord) -> RunRecord:
    """A run of credentialed data without what may not leave: summary, drift and metrics only, filtered."""
    refused = {key for key in run.keys if withhold({key: 0}, "credentialed")[1]}
    metrics = [{key: value for key, value in row.items() if key not in refused} for row in run.metrics]
    return replace(
        run,
        summary=withhold(run.summary, "credentialed")[0],
        drift=withhold(run.drift, "credentialed")[0],
        metrics=metrics if refused else run.metrics,
        pairs=(),
        quality={},
        environment={},
        overrides=(),
        config="",
    )


def _titled(figure: Figure) -> dict[str, Any]:
    """A figure that stands alone: its heading and its y axis are written into it."""
    layout = {**figure.figure["layout"], "title": {"text": figure.title}}
    if figure.y:
        layout["yaxis"] = {**layout.get("yaxis", {}), "title": {"text": figure.y}}
    return {"data": figure.figure["data"], "layout": layout}


def _headline(run: RunRecord) -> Rows:
    names = arms(run.choices)
    return [
        [names.get(arm, arm), concept, measure, *(measured.get(key) for key in ("value", "low", "high"))]
        for arm, concepts in (run.summary.get("eval") or {}).items()
        for concept, measures in concepts.items()
        for measure, measured in measures.items()
        if isinstance(measured, Mapping) and "value" in measured
    ]


def _detection(detection: Mapping[str, Mapping[str, Any]]) -> tuple[Sequence[str], Rows]:
    columns, rows = _records([{"watcher": name, **scores} for name, scores in detection.items()])
    return columns, rows


def _records(rows: Sequence[Mapping[str, Any]]) -> tuple[Sequence[str], Rows]:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return columns, [[row.get(column) for column in columns] for row in rows]


def _concepts(run: RunRecord) -> Rows:
    names = {concept["index"]: concept["name"] for concept in run.drift.get("concepts", ())}
    return [
        [band.start, band.end, names.get(band.before, "") if not band.changing else "changing"]
        for band in bands(run.drift)
    ]
