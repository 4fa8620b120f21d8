from __future__ import annotations

import json
import math
import time
from pathlib import Path

import pytest

from cpo.commands.report import report
from cpo.errors import ConfigError, DataError
from cpo.evaluation.significance import with_statistics
from cpo.report import sweep_figures
from cpo.report.sweep_record import SweepRecord, read_sweep
from tests.unit.report.sweeps import write_job, write_sweep

LOSSES = ("dpo", "ipo", "cpo_plus", "simpo")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> SweepRecord:
    directory = tmp_path_factory.mktemp("sweeps") / "drift_x_loss-abcdefgh"
    return with_statistics(read_sweep(write_sweep(directory, ("sudden", "gradual"), LOSSES, (0, 1, 2), failed=True)))


def test_axes_are_what_the_jobs_differ_in_in_the_order_of_the_plan_and_seeds_are_none(sweep: SweepRecord) -> None:
    assert dict(sweep.axes) == {"drift": ("sudden", "gradual"), "loss": LOSSES}
    assert len(sweep.settings) == 8
    assert [run.seed for run in sweep.settings[0].runs] == [0, 1, 2]


def test_a_choice_left_at_its_default_is_a_value_of_its_axis(tmp_path: Path) -> None:
    directory = write_sweep(tmp_path / "s", ("sudden",), ("dpo", "ipo"), (0,))
    (next(directory.glob("*-dpo-*")) / "overrides.yaml").write_text("- drift=sudden\n- seed=0\n")
    assert set(read_sweep(directory).axes["loss"]) == {"ipo", "dpo"}


def test_numbers_on_an_axis_are_in_order_of_size(tmp_path: Path) -> None:
    for n, beta in enumerate(("1e-1", "5", "0.02")):
        run = write_job(tmp_path, "sudden", "dpo", n)
        (run / "overrides.yaml").write_text(f"- loss.beta={beta}\n")
    assert read_sweep(tmp_path).axes["loss.beta"] == ("0.02", "1e-1", "5")


def test_known_effects_are_marked_and_noise_is_not(sweep: SweepRecord) -> None:
    assert sweep.baseline == ("loss", "dpo")
    marks = {s.name: sweep_figures.marks(s.scores["balanced_accuracy"]) for s in sweep.settings}
    for drift in ("sudden", "gradual"):
        assert [marks[f"{drift} · {loss}"] for loss in LOSSES] == ["", "", "▲▲", "▼▼"]


def test_a_difference_is_the_mean_over_shared_items_and_seeds(sweep: SweepRecord) -> None:
    by_name = {setting.name: setting for setting in sweep.settings}
    one, other = by_name["sudden · cpo_plus"], by_name["sudden · dpo"]
    test = one.scores["accuracy"].test
    assert test is not None
    means = [
        sum(run.results["accuracy"]["value"] for run in setting.runs) / len(setting.runs) for setting in (one, other)
    ]
    assert test.difference == pytest.approx(means[0] - means[1])
    assert test.low < test.difference < test.high
    assert test.items == 240


def test_intervals_are_over_seeds_and_of_a_single_seed_the_run_s_own(sweep: SweepRecord, tmp_path: Path) -> None:
    score = sweep.settings[0].scores["accuracy"]
    assert min(score.by_seed) <= score.low <= score.value <= score.high <= max(score.by_seed)
    alone = with_statistics(read_sweep(write_sweep(tmp_path / "s", ("sudden",), ("dpo", "ipo"), (0,))))
    score = alone.settings[0].scores["accuracy"]
    assert (score.low, score.high) == pytest.approx((score.value - 0.03, score.value + 0.03))


def test_seeds_that_only_one_setting_has_are_not_compared(tmp_path: Path) -> None:
    write_job(tmp_path, "sudden", "dpo", 0)
    write_job(tmp_path, "sudden", "cpo_plus", 1)
    record = with_statistics(read_sweep(tmp_path))
    assert all(setting.scores["accuracy"].test is None for setting in record.settings)


def test_another_baseline_can_be_named_and_an_unknown_one_is_refused(sweep: SweepRecord) -> None:
    other = with_statistics(sweep, "simpo")
    assert other.baseline == ("loss", "simpo")
    assert sweep_figures.marks(other.settings[0].scores["accuracy"]) == "▲▲"
    with pytest.raises(ConfigError, match="baseline=orpo"):
        with_statistics(sweep, "orpo")


def test_the_matrix_has_a_cell_for_every_setting_and_says_where_there_is_none(sweep: SweepRecord) -> None:
    holed = SweepRecord(sweep.directory, sweep.axes, sweep.settings[1:], baseline=sweep.baseline)
    figure = sweep_figures.matrix_figure(holed, "accuracy", "Accuracy")
    assert figure is not None
    (heat,) = figure.figure["data"]
    assert (list(heat["y"]), list(heat["x"])) == (["sudden", "gradual"], list(LOSSES))
    assert heat["z"][0][0] is None
    assert heat["customdata"][0][0] == "no finished run"
    assert heat["text"][1][2].endswith("▲▲")


def test_the_ranking_is_from_the_highest_down_with_every_seed(sweep: SweepRecord) -> None:
    ranked = sweep_figures.ranked(sweep, "accuracy")
    values = [setting.scores["accuracy"].value for setting in ranked]
    assert values == sorted(values, reverse=True)
    figure = sweep_figures.ranking_figure(sweep, "accuracy", "Accuracy")
    assert figure is not None
    seeds, dots = figure.figure["data"]
    assert (len(seeds["x"]), len(dots["x"])) == (24, 8)


def test_a_search_is_drawn_axis_by_axis(tmp_path: Path) -> None:
    for n in range(6):
        run = write_job(tmp_path, "sudden", "dpo", n)
        (run / "overrides.yaml").write_text(f"- loss.beta={10**-n}\n- optim.lr={0.1 * n}\n")
    record = with_statistics(read_sweep(tmp_path))
    assert not sweep_figures.is_grid(record)
    beta, lr = sweep_figures.axis_figures(record, "accuracy", "Accuracy")
    assert (beta.title, lr.title) == ("Accuracy against loss.beta", "Accuracy against optim.lr")
    assert beta.figure["layout"]["xaxis"]["type"] == "log"
    assert "each axis is drawn by itself" in report([tmp_path]).read_text()


def test_the_page_says_what_is_missing_and_how_to_run_it_again(tmp_path: Path) -> None:
    directory = write_sweep(tmp_path / "s", ("sudden",), ("dpo", "ipo"), (0,), failed=True)
    write_job(directory, "gradual", "dpo", 5, finished=False)
    html = report([directory]).read_text()
    assert "2 finished jobs of 3: 1 failed; 1 began and did not finish" in html
    assert "python train.py loss=ipo" in html
    assert 'href="chest_world-sudden-dpo-seed0-aaaaaaaa/report.html"' in html
    assert "interquartile" not in html  # of single seeds


def test_the_same_directory_gives_the_same_page(tmp_path: Path) -> None:
    directory = write_sweep(tmp_path / "s", ("sudden",), ("dpo", "ipo"), (0, 1))
    first = report([directory]).read_text()
    assert report([directory], out=tmp_path / "s" / "again.html").read_text() == first


def test_what_is_no_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"metrics\.jsonl"):
        report([tmp_path])
    write_job(tmp_path, "sudden", "dpo", 0, finished=False)
    with pytest.raises(DataError, match="no job has finished"):
        report([tmp_path])


@pytest.mark.parametrize("seeds", [5, 1])
def test_a_hundred_jobs_take_about_ten_seconds_and_eight_megabytes(tmp_path: Path, seeds: int) -> None:
    drifts = [f"d{n}" for n in range(25 // seeds)]
    directory = write_sweep(tmp_path / "s", drifts, LOSSES, range(seeds))
    started = time.process_time()
    page = report([directory])
    assert time.process_time() - started < 15
    assert page.stat().st_size < 8e6


def test_a_measure_that_a_run_lacks_leaves_its_setting_out(tmp_path: Path) -> None:
    directory = write_sweep(tmp_path / "s", ("sudden",), ("dpo", "ipo"), (0,))
    path = next(directory.glob("*-ipo-*")) / "summary.json"
    summary = json.loads(path.read_text())
    del summary["eval"]["after"]["all"]["margin"]
    path.write_text(json.dumps(summary))
    record = with_statistics(read_sweep(directory))
    assert [setting.values["loss"] for setting in sweep_figures.ranked(record, "margin")] == ["dpo"]
    assert math.isnan(record.settings[0].mean("stages", "preference", "absent"))


def test_few_seeds_are_said_to_be_few(sweep: SweepRecord) -> None:
    figure = sweep_figures.ranking_figure(sweep, "accuracy", "Accuracy")
    assert figure is not None
    assert "Of 3 seeds such an interval is too narrow." in figure.caption
