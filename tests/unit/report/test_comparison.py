from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cpo.commands.report import report
from cpo.errors import ConfigError, DataError
from tests.unit.report.sweeps import write_job


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [write_job(tmp_path / "runs", "sudden", loss, 0) for loss in ("dpo", "cpo_plus", "ipo")]


def test_runs_side_by_side_show_what_differs_and_whether_it_is_noise(runs: list[Path], tmp_path: Path) -> None:
    html = report(runs, out=tmp_path / "comparison.html").read_text()
    assert "<h1>3 runs side by side</h1>" in html
    differs = html[html.index("What differs between them") : html.index("</table>", html.index("What differs"))]
    assert ">loss<" in differs
    assert ">cpo_plus<" in differs
    assert ">dataset<" not in differs
    better, noise = html.split("B − A</th>")[1].split("C − A</th>")
    assert better.split(">margin<")[0].count("p &lt; 0.05") == 2  # both accuracies
    assert "p &lt; 0.05" not in noise.split(">margin<")[0]


def test_links_lead_from_the_page_to_the_runs(runs: list[Path], tmp_path: Path) -> None:
    html = report(runs, out=tmp_path / "elsewhere" / "page.html").read_text()
    assert f'href="../runs/{runs[0].name}/report.html"' in html


def test_curves_of_all_runs_stand_in_one_figure(runs: list[Path], tmp_path: Path) -> None:
    html = report(runs, out=tmp_path / "comparison.html").read_text()
    assert html.count('class="plot"') == 1  # the preference loss, the only metric there is
    assert all(f'"name":"{letter}"' in html for letter in "ABC")


def test_runs_judged_on_other_items_are_not_paired(runs: list[Path], tmp_path: Path) -> None:
    shutil.rmtree(runs[1] / "eval")
    html = report(runs[:2], out=tmp_path / "comparison.html").read_text()
    assert "was judged on other items, so nothing can be paired" in html


def test_a_directory_that_is_no_run_is_refused(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no directory"):
        report([runs[0], tmp_path / "absent"])


def test_a_baseline_is_for_sweeps(runs: list[Path]) -> None:
    with pytest.raises(ConfigError, match="--baseline dpo"):
        report(runs, baseline="dpo")
