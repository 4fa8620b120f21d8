from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cpo.commands.compare import compare_runs
from cpo.errors import ConfigError, DataError
from cpo.evaluation.items import compare_items, keep_items, read_items
from cpo.metrics.findings import contributions, score_findings


def judged(folder: Path, ids: range, shift: float) -> Path:
    values = {"score": [n / 100 + shift for n in ids], "other": [float("nan")] * len(ids)}
    keep_items(folder / "eval/after/demo", [[n] for n in ids], [str(n // 2) for n in ids], values)
    (folder / "summary.json").write_text(json.dumps({}))
    return folder


def test_runs_are_compared_on_the_items_that_both_have(tmp_path: Path) -> None:
    first, second = judged(tmp_path / "a", range(0, 40), 0.1), judged(tmp_path / "b", range(10, 50), 0.0)
    one, other = (read_items(run / "eval/after/demo") for run in (first, second))
    assert one is not None
    assert other is not None
    found = compare_items(one, other, seed=0)
    mean_one, mean_other, test = found["score"]
    assert (mean_one - mean_other, test.difference.value) == pytest.approx((0.1, 0.1))
    assert (test.difference.n, test.difference.clusters) == (30, 15)
    assert test.p_value < 0.001
    assert found["other"][2].difference.n == 0


def test_the_table_names_every_metric_and_marks_what_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    runs = [str(judged(tmp_path / name, range(30), shift)) for name, shift in (("a", 0.1), ("b", 0.0))]
    compare_runs(runs)
    shown = capsys.readouterr().out
    assert "demo: score" in shown
    assert "+0.100 to +0.100" in shown


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    run = str(judged(tmp_path / "a", range(5), 0))
    with pytest.raises(ConfigError, match="two run directories"):
        compare_runs([run])
    with pytest.raises(DataError, match="no directory"):
        compare_runs([run, str(tmp_path / "nowhere")])
    with pytest.raises(DataError, match="different items"):
        compare_runs([run, str(judged(tmp_path / "b", range(5, 9), 0))])


def test_contributions_average_to_the_reported_metrics() -> None:
    rng = np.random.default_rng(0)
    names = ("A", "B", "C")
    truth = [{n for n in names if rng.random() < 0.4} for _ in range(60)]
    read = [frozenset(n for n in names if (n in t) ^ (rng.random() < 0.3)) for t in truth]
    scores = score_findings(read, truth, range(60), results=names, diseases=names, min_positives=1, resamples=2, seed=0)
    values = contributions(read, truth, names)
    assert values["balanced_accuracy"].mean() == pytest.approx(scores.balanced_accuracy.value)
    assert values["accuracy"].mean() == pytest.approx(scores.accuracy.value)
