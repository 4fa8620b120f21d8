from __future__ import annotations

import json
import re

import pytest

from cpo.commands.dashboard import push
from cpo.errors import ConfigError
from cpo.panels import PANELS, STEP, Panel, PanelKind

pytest.importorskip("wandb_workspaces", reason="the extra `dashboards` is not installed")

from cpo.tracking.dashboard import ALARMS, FIGURES, report, workspace

WIDE = Panel("All of it", PanelKind.LINE, ("train/rewards/*", "train/loss"), y="nats", group="More")


def test_every_panel_of_the_specification_is_a_chart_with_its_title_metrics_and_axes() -> None:
    sections = {section.name: section.panels for section in workspace("me", "project").sections}
    assert list(sections) == ["Scores", *dict.fromkeys(panel.group for panel in PANELS), FIGURES]
    for panel in PANELS:
        charts = [chart for chart in sections[panel.group] if chart.title.startswith(panel.title)]
        assert {key for chart in charts for key in chart.y} >= set(panel.keys)
        for chart in charts:
            assert (chart.title_x, chart.title_y) == (panel.x_label, panel.y)
            assert chart.x == (f"{chart.y[0].split('/')[0]}/step" if panel.x == STEP else panel.x)


def test_the_stream_s_concepts_and_alarms_are_drawn_with_the_accuracy_on_the_stream() -> None:
    bands = [panel.title for panel in PANELS if panel.kind is PanelKind.BAND]
    beside = {s.name: [c.title for c in s.panels] for s in workspace("me", "project").sections}
    assert all(ALARMS.title in beside[panel.group] for panel in PANELS if panel.kind is PanelKind.BAND)
    charts = [chart for section in workspace("me", "project").sections for chart in section.panels]
    assert bands
    assert [c.title for c in charts if "drift/concept" in getattr(c, "y", ())] == bands


def test_a_pattern_of_keys_becomes_a_regular_expression() -> None:
    *_, more, _ = workspace("me", "project", [WIDE]).sections
    (chart,) = more.panels
    assert chart.y == ["train/loss"]
    assert re.search(chart.metric_regex, "train/rewards/chosen")
    assert not re.search(chart.metric_regex, "eval/train/rewards/chosen")


def test_charts_of_a_section_do_not_overlap() -> None:
    for section in workspace("me", "project").sections:
        places = [(chart.layout.x, chart.layout.y) for chart in section.panels]
        assert len(set(places)) == len(places)


def test_the_workspace_is_what_the_library_can_send() -> None:
    view = workspace("me", "project")
    sent = view._to_model().spec.section.panel_bank_config.sections
    assert [(s.name, len(s.panels)) for s in sent][: len(view.sections)] == [
        (s.name, len(s.panels)) for s in view.sections
    ]


def test_the_report_says_what_to_look_for_and_holds_every_chart() -> None:
    blocks = report("me", "project").blocks
    drawn = [chart.title for block in blocks for chart in getattr(block, "panels", ())]
    assert all(any(title.startswith(panel.title) for title in drawn) for panel in PANELS)
    texts = [str(block.text) for block in blocks if hasattr(block, "text")]
    assert all(any(panel.note in text for text in texts) for panel in PANELS if panel.note)


def test_a_dry_run_prints_both_and_sends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    push(["me/project", "dry_run=true"])
    shown = json.loads(capsys.readouterr().out)
    assert (shown["workspace"]["entity"], shown["report"]["project"]) == ("me", "project")
    assert shown["workspace"]["sections"][1]["panels"][0]["kind"] == "LinePlot"


@pytest.mark.parametrize("given", [[], ["project"], ["a/b/c"], ["a/b", "c/d"], ["a/b", "dry_run=yes"], ["a/b", "x=1"]])
def test_anything_but_one_project_is_refused(given: list[str]) -> None:
    with pytest.raises(ConfigError):
        push(given)
