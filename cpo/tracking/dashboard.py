"""The one panel specification as a W&B workspace and a W&B report; the page draws the same list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cpo.errors import ConfigError
from cpo.panels import PANELS, STEP, Panel, PanelKind

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2 import Report
    from wandb_workspaces.workspaces import Workspace

NAME = "Counterfactual preference optimization"
FIGURES = "Figures of the run pages"
COLUMNS = 24
"""Width of W&B's grid."""
HEIGHT = 8
ALARMS = Panel(
    title="Alarms of the drift detectors",
    kind=PanelKind.LINE,
    keys=("drift/alarm/*",),
    y="position in the stream, samples",
    x="train/step",
)
"""Stands beside panels over the stream, in which W&B cannot draw marks; the runs' own figures have them."""
SCORES = ("balanced_accuracy", "pair_accuracy", "margin")
"""Measures of the tuned policy that head the dashboard, from the run's summary."""


def workspace(entity: str, project: str, panels: Sequence[Panel] = PANELS) -> Workspace:
    """A saved view of a project: a section per group of panels, after the scores and before the runs' own figures.

    Args:
        entity: User or team.
        project: W&B project.
        panels: In drawing order.
    """
    interface, charts = _libraries()
    sections = [
        interface.Section(name=heading, panels=drawn, is_open=True) for heading, drawn in _groups(charts, panels)
    ]
    return interface.Workspace(
        entity=entity,
        project=project,
        name=NAME,
        sections=sections,
        settings=interface.WorkspaceSettings(smoothing_type="none"),
    )


def report(entity: str, project: str, panels: Sequence[Panel] = PANELS) -> Report:
    """The same as a report: headings, each panel's note, and grids of panels over all runs of the project.

    Args:
        entity: User or team.
        project: W&B project.
        panels: In drawing order.
    """
    _, charts = _libraries()
    blocks: list[Any] = [charts.TableOfContents()]
    for heading, drawn in _groups(charts, panels):
        blocks.append(charts.H2(text=heading))
        notes = [f"{p.title}: {p.note}" for p in panels if p.group == heading and p.note]
        blocks += [charts.P(text=note) for note in notes]
        blocks.append(charts.PanelGrid(runsets=[charts.Runset(entity=entity, project=project)], panels=drawn))
    return charts.Report(entity=entity, project=project, title=NAME, blocks=blocks, width="fluid")


def _groups(charts: ModuleType, panels: Sequence[Panel]) -> list[tuple[str, list[Any]]]:
    groups: list[tuple[str, list[Any]]] = [("Scores", _scores(charts))]
    for heading in dict.fromkeys(panel.group for panel in panels):
        own = [part for panel in panels if panel.group == heading for part in _parts(panel)]
        own += [ALARMS] if any(panel.kind is PanelKind.BAND for panel in own) else []
        groups.append((heading, [_chart(charts, panel, place) for place, panel in enumerate(own)]))
    figures = charts.MediaBrowser(
        title=FIGURES,
        media_keys=[f"figures/{panel.title}" for panel in panels],
        layout=charts.Layout(x=0, y=0, w=COLUMNS, h=2 * HEIGHT),
    )
    return [*groups, (FIGURES, [figures])]


def _scores(charts: ModuleType) -> list[Any]:
    return [
        charts.BarPlot(
            title=measure.replace("_", " ").capitalize(),
            metrics=[f"eval/all/{measure}"],
            layout=_place(charts, place),
        )
        for place, measure in enumerate(SCORES)
    ]


def _parts(panel: Panel) -> list[Panel]:
    """A panel of several stages as one per stage: each counts its own steps, and a chart of W&B has one axis."""
    stages = list(dict.fromkeys(key.partition("/")[0] for key in panel.keys))
    if panel.x != STEP or len(stages) == 1:
        return [panel]
    return [
        replace(panel, title=f"{panel.title}, {stage}", keys=tuple(k for k in panel.keys if k.startswith(f"{stage}/")))
        for stage in stages
    ]


def _chart(charts: ModuleType, panel: Panel, place: int) -> Any:
    """A panel as W&B draws it; keys with wildcards become a regular expression."""
    layout = _place(charts, place)
    if panel.kind in (PanelKind.BAR, PanelKind.TABLE):
        return charts.BarPlot(title=panel.title, metrics=list(panel.keys), title_y=panel.y, layout=layout)
    patterns = [key for key in panel.keys if "*" in key]
    exact = [key for key in panel.keys if "*" not in key]
    if panel.kind is PanelKind.BAND:
        exact.append("drift/concept")
    return charts.LinePlot(
        title=panel.title,
        x=f"{panel.keys[0].partition('/')[0]}/step" if panel.x == STEP else panel.x,
        y=exact,
        metric_regex="|".join(f"^{key.replace('*', '.*')}$" for key in patterns) or None,
        title_x=panel.x_label,
        title_y=panel.y,
        layout=layout,
    )


def _place(charts: ModuleType, place: int) -> Any:
    width = COLUMNS // 3
    return charts.Layout(x=place % 3 * width, y=place // 3 * HEIGHT, w=width, h=HEIGHT)


def _libraries() -> tuple[ModuleType, ModuleType]:
    """Workspaces, and the charts that workspaces and reports share."""
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # its models are of an older pydantic's style
            import wandb_workspaces.reports.v2 as charts
            import wandb_workspaces.workspaces as interface
    except ImportError as error:
        raise ConfigError(
            got="no package wandb-workspaces",
            wanted="the extra `dashboards`",
            remedy="pip install 'cpo[dashboards]'",
        ) from error
    return interface, charts
