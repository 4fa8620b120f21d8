from __future__ import annotations

from pathlib import Path

import pytest

from cpo.evaluation.benchmark import begin_anew, merged, unfinished


def test_what_an_interrupted_judgement_made_stays_and_a_finished_one_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "eval" / "after" / "demo"

    def interrupted() -> None:
        with unfinished(folder):
            (folder / "predictions.jsonl").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    begin_anew(folder)
    assert (folder / "predictions.jsonl").read_text() == "half"
    with unfinished(folder):
        (folder / "predictions.jsonl").write_text("whole")
    assert [file.name for file in folder.iterdir()] == ["predictions.jsonl"]
    begin_anew(folder)
    assert not folder.exists()


def test_two_benchmarks_with_a_metric_of_one_name_keep_both() -> None:
    found = {"first": {"all": {"accuracy": {"value": 1.0}}}, "second": {"all": {"accuracy": {"value": 2.0}}, "x": {}}}
    scores, measures = merged(found)
    assert scores == {"all": {"accuracy": {"value": 1.0}, "second_accuracy": {"value": 2.0}}, "x": {}}
    assert measures == {"first": ["accuracy"], "second": ["second_accuracy"]}
