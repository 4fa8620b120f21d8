from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cpo.errors import DataError
from cpo.report.record import read_run
from cpo.report.run import run_page


def page_of(directory: Path) -> str:
    return run_page(directory).read_text(encoding="utf-8").split("/**\n* plotly.js")[0]


def test_the_page_is_written_into_the_run_directory_and_nothing_else(run_directory: Path) -> None:
    before = {path.name for path in run_directory.iterdir()}
    path = run_page(run_directory)
    assert path == run_directory / "report.html"
    assert {path.name for path in run_directory.iterdir()} - before == {"report.html"}
    assert path.stat().st_size < 8_000_000


def test_the_page_shows_each_part_of_a_complete_run(run_directory: Path) -> None:
    html = page_of(run_directory)
    for words in (
        "Counterfactual preference optimization",
        "SFT continued (control)",
        "pictures shuffled among patients",
        "[0.778, 0.840]",
        "concept_graph",
        "09e2b7f4c6d8a155",
        "experiment=demo",
        "0.6931",
        "Supervised fine-tuning loss",
        "Pair accuracy, tested before trained",
        '<mark class="after">Pneumothorax</mark>',
        "data:image/jpeg",
        "1 of 1 pictures could not be read.",
        "no FINDINGS section",
        "not UTF-8",
        "transformers",
    ):
        assert words in html, words
    assert "notice" not in html.split("<main")[1]


def test_the_same_run_gives_the_same_page(run_directory: Path) -> None:
    assert run_page(run_directory).read_bytes() == run_page(run_directory).read_bytes()


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("drift.json", "There is no drift.json in this run directory."),
        ("pairs_sample.jsonl", "There is no pairs_sample.jsonl in this run directory."),
        ("data_quality.json", "There is no data_quality.json in this run directory."),
        ("environment.json", "There is no environment.json in this run directory."),
        ("overrides.yaml", "There is no overrides.yaml in this run directory."),
        ("config.yaml", "The run does not say whether its data is open or credentialed."),
        ("metrics.jsonl", "Preference loss: no such metrics in this run."),
        ("summary.json", "This run was not judged"),
    ],
)
def test_a_missing_part_is_said_and_not_invented(run_directory: Path, file: str, said: str) -> None:
    (run_directory / file).unlink()
    assert said in page_of(run_directory)


def test_a_run_without_a_control_says_so(run_directory: Path) -> None:
    summary = json.loads((run_directory / "summary.json").read_text())
    del summary["eval"]["control"]
    (run_directory / "summary.json").write_text(json.dumps(summary))
    html = page_of(run_directory)
    assert "SFT continued (control): not part of this run" in html
    assert '<th scope="col">SFT continued (control)</th>' not in html


def test_credentialed_data_puts_a_warning_on_the_page(run_directory: Path) -> None:
    assert "must not leave this machine" not in page_of(run_directory)
    (run_directory / "config.yaml").write_text("dataset:\n  access: credentialed\n")
    assert "must not leave this machine" in page_of(run_directory)


def test_a_row_that_is_being_written_is_left_out_and_said(run_directory: Path) -> None:
    with (run_directory / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "train", "st')
    assert "The last row of the metrics is cut off" in page_of(run_directory)


def test_damaged_files_are_named(run_directory: Path) -> None:
    (run_directory / "drift.json").write_text("{")
    with pytest.raises(DataError, match=r"drift\.json"):
        run_page(run_directory)
    assert not (run_directory / "report.html").exists()


def test_something_else_than_a_run_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither summary\.json nor metrics\.jsonl"):
        read_run(tmp_path)


def test_the_report_needs_no_torch() -> None:
    script = (
        "import sys, cpo.report.run, cpo.report.terminal; sys.exit('torch' in sys.modules or 'wandb' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
