"""The page of one run, made from its directory alone."""

from __future__ import annotations

from pathlib import Path

from cpo.files import write_text
from cpo.panels import PANELS
from cpo.report import sections
from cpo.report.headline import arms
from cpo.report.page import Section, render
from cpo.report.record import RunRecord, read_run
from cpo.report.thinking import thinking

TAGS = ("dataset", "policy", "drift", "shift", "counterfactual", "pairing", "loss")
"""The choices named under the heading; the others stand further down."""


def run_page(run_dir: Path) -> Path:
    """Writes `report.html` into a run directory; what the directory does not hold, the page says is missing.

    Raises:
        DataError: It is not a run directory, or a file in it is damaged.
    """
    run = read_run(run_dir)
    path = run_dir / "report.html"
    write_text(path, page(run))
    return path


def page(run: RunRecord) -> str:
    """The page as HTML."""
    thoughts = list(thinking(run))
    return render(
        run.directory.name,
        [
            Section("Result", list(sections.result(run))),
            Section("What was run", list(sections.what_was_run(run))),
            *(
                Section(group, list(sections.curves(run, group)))
                for group in dict.fromkeys(panel.group for panel in PANELS)
            ),
            *([Section("Drift behind thinking", thoughts)] if thoughts else []),
            Section("Examples of pairs", list(sections.examples(run))),
            Section("Data quality", list(sections.quality(run))),
            Section("Environment", list(sections.environment(run))),
        ],
        subtitle=f"{arms(run.choices)['after']}, judged against supervised fine-tuning on held-out data.",
        tags=[
            *(f"{g}: {run.choices[g]}" for g in TAGS if g in run.choices),
            f"seed: {run.summary.get('seed', 'unknown')}",
        ],
    )
