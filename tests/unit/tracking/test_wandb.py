from __future__ import annotations

import json
import math
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cpo.errors import ConfigError
from cpo.records import Exhibitor, Exhibits, Tracker
from cpo.tracking.local import LocalTracker
from cpo.tracking.wandb import WandbTracker, run_id


@pytest.fixture(scope="module", autouse=True)
def _service() -> Iterator[None]:
    import wandb

    yield
    wandb.teardown()


def chunks(data: bytes) -> Iterator[bytes]:
    """Records of a LevelDB log, which a .wandb file is: blocks of 32 KiB, headers of crc32, length and kind.

    W&B's own reader is compiled into its service and has no Python interface; the messages are read by its own types.
    """
    offset, pending = 7, b""  # after the file's own header
    while offset + 7 <= len(data):
        if (left := 32768 - offset % 32768) < 7:
            offset += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, offset)
        if offset + 7 + length > len(data):
            return  # still being written
        pending += data[offset + 7 : offset + 7 + length]
        offset += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield pending
            pending = b""


def offline_records(directory: Path) -> list[Any]:
    """What `wandb sync` would send, by W&B's own message types, once its service has written the end of each run."""
    from wandb.proto.wandb_internal_pb2 import Record

    deadline = time.monotonic() + 30
    while True:
        paths = sorted(directory.glob("wandb/offline-run-*/*.wandb"))
        runs = [[Record.FromString(chunk) for chunk in chunks(path.read_bytes())] for path in paths]
        if runs and all(any(record.HasField("exit") for record in run) for run in runs):
            return [record for run in runs for record in run]
        assert time.monotonic() < deadline, "the service did not finish writing"
        time.sleep(0.02)


def history(records: list[Any]) -> list[dict[str, Any]]:
    rows = [{("/".join(i.nested_key) or i.key): json.loads(i.value_json) for i in r.history.item} for r in records]
    return [{key: value for key, value in row.items() if not key.startswith("_")} for row in rows if row]


def open_tracker(directory: Path, **knobs: Any) -> WandbTracker:
    return WandbTracker(**{"project": "tests", "mode": "offline", "directory": directory, "access": "open", **knobs})


def test_an_offline_run_holds_every_row_with_its_stages_own_steps(tmp_path: Path) -> None:
    tracker = open_tracker(tmp_path, name="readable", group="sweep", tags=["a"], config={"loss": {"beta": 0.1}})
    assert isinstance(tracker, Tracker)
    tracker.log({"sft/loss": 2.0}, stage="sft", step=0)
    tracker.log({"sft/loss": 1.0}, stage="sft", step=5)
    tracker.log({"train/loss": 0.7, "drift/alarm": 0.0}, stage="train", step=0)
    tracker.log({"train/loss": math.nan}, stage="train", step=1)
    tracker.summary({"eval": {"after": {"all": {"accuracy": {"value": 0.8}}}}})
    tracker.finish()

    records = offline_records(tmp_path)
    assert history(records)[:3] == [
        {"sft/step": 0, "sft/loss": 2.0},
        {"sft/step": 5, "sft/loss": 1.0},
        {"train/step": 0, "train/loss": 0.7, "drift/alarm": 0.0},
    ]
    run = next(r.run for r in records if r.run.run_id)
    assert (run.run_id, run.display_name, run.run_group, list(run.tags)) == (
        run_id(tmp_path),
        "readable",
        "sweep",
        ["a"],
    )
    assert '{"beta":0.1}' in [item.value_json.replace(" ", "") for item in run.config.update if item.key == "loss"]
    axes = {
        r.metric.glob_name or r.metric.name: r.metric.step_metric
        for r in records
        if r.WhichOneof("record_type") == "metric"
    }
    assert axes["sft/*"] == "sft/step"
    assert axes["train/*"] == axes["drift/*"] == "train/step"
    assert axes["train/prequential/accuracy"] == "train/stream/position"
    finals = {("/".join(i.nested_key) or i.key): i.value_json for r in records for i in r.summary.update}
    assert finals["eval/after/all/accuracy/value"] == "0.8"


def test_a_resumed_job_keeps_its_run_id_and_a_new_one_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "inherited")
    monkeypatch.setenv("WANDB_SWEEP_ID", "inherited")
    for step in range(2):
        tracker = open_tracker(tmp_path / "a")
        tracker.log({"sft/loss": 1.0}, stage="sft", step=step)
        tracker.finish()
    open_tracker(tmp_path / "b").finish()
    first = {r.run.run_id for r in offline_records(tmp_path / "a") if r.run.run_id}
    second = {r.run.run_id for r in offline_records(tmp_path / "b") if r.run.run_id}
    assert first == {run_id(tmp_path / "a")}
    assert second == {run_id(tmp_path / "b")}
    assert first.isdisjoint(second | {"inherited"})


def test_what_wandb_sync_would_send_of_a_killed_run_is_what_the_local_record_holds(tmp_path: Path) -> None:
    for done, end in ((0, 7), (4, 9)):  # killed at step 7, with a checkpoint of step 4
        trackers: list[Tracker] = [LocalTracker(directory=tmp_path), open_tracker(tmp_path)]
        for tracker in trackers:
            tracker.rewind(stage="train", step=done)
            for step in range(done + 1, end + 1):
                tracker.log({"train/loss": end + 1 / step, "train/rewards/margins": math.nan}, stage="train", step=step)
                tracker.log({"drift/alarm/error/adwin": 8.0 * step}, stage="train", step=step)
                tracker.log({"sft/loss": 0.1 * step}, stage="sft", step=step)
            tracker.finish()

    sent: dict[tuple[str, int], dict[str, float]] = {}
    for row in history(offline_records(tmp_path)):  # of steps that stand there twice, the later ones count
        ((axis, step),) = [(key, value) for key, value in row.items() if key.endswith("/step")]
        sent.setdefault((axis.removesuffix("/step"), step), {}).update({k: v for k, v in row.items() if k != axis})
    kept: dict[tuple[str, int], dict[str, float]] = {}
    for line in (tmp_path / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        values = {k: math.nan if v is None else v for k, v in row.items() if "/" in k}
        kept.setdefault((row["stage"], row["step"]), {}).update(values)
    assert len(kept) == 18
    assert sent.keys() == kept.keys()
    for place, values in kept.items():
        assert sent[place] == pytest.approx(values, nan_ok=True)


EXHIBITS = Exhibits(
    {"Rewards": {"data": [{"type": "scatter", "y": [1.0, 2.0]}], "layout": {"title": {"text": "Rewards"}}}},
    {"alarms": (["position", "detector"], [[8, "adwin"], [None, "ddm"]])},
    [(0, 10, 0), (10, 20, 1)],
)


def write_finished_run(directory: Path) -> None:
    files = {
        "summary.json": json.dumps(
            {
                "choices": {"loss": "dpo", "drift": "sudden"},
                "fingerprints": {"dataset": "aaaaaaaaaaaaaaaa", "pairs": "bbbbbbbbbbbbbbbb", "sft": "cccccccccccccccc"},
                "stages": {"preference": {"seconds": 2.0}},
                "dataset": "world",
            }
        ),
        "adapter/adapter_model.safetensors": "canary weights",
        "eval/preference.json": json.dumps({"protocol": "canary text", "scores": {"all": {"margin": 1.5}}}),
    }
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)


def artifacts(records: list[Any]) -> dict[str, Any]:
    found = [r.request.log_artifact.artifact for r in records if r.request.HasField("log_artifact")]
    found += [r.artifact for r in records if r.HasField("artifact")]
    return {artifact.type: artifact for artifact in found if artifact.type != "run_table"}  # W&B's own, of a table


def test_a_finished_run_shows_figures_tables_concepts_and_the_line_it_stands_on(tmp_path: Path) -> None:
    write_finished_run(tmp_path)
    tracker = open_tracker(tmp_path)
    assert isinstance(tracker, Exhibitor)
    tracker.exhibit(EXHIBITS)
    tracker.finish()

    records = offline_records(tmp_path)
    shown, *concepts = history(records)
    assert {key: value for key, value in shown.items() if key.endswith("_type")} == {
        "figures/Rewards/_type": "plotly-file",
        "tables/alarms/_type": "table-file",
    }
    (table,) = tmp_path.glob("wandb/offline-run-*/files/media/table/tables/*.json")
    assert json.loads(table.read_text())["data"] == [[8, "adwin"], [None, "ddm"]]
    assert [(row["train/stream/position"], row["drift/concept"]) for row in concepts] == [
        (0, 0),
        (9, 0),
        (10, 1),
        (19, 1),
    ]
    line = artifacts(records)
    assert list(line) == ["dataset", "counterfactuals", "sft", "preference", "evaluation"]
    before = {kind: json.loads(artifact.metadata)["made_from"] for kind, artifact in line.items()}
    assert before["dataset"] == ""
    assert before["preference"] == line["sft"].name == "sft-cccccccccccccccc"
    assert before["evaluation"] == line["preference"].name
    assert [f.path for f in line["preference"].manifest.contents] == ["about.json", "adapter_model.safetensors"]


def test_weights_and_texts_of_credentialed_data_are_in_no_artifact(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_finished_run(tmp_path)
    tracker = open_tracker(tmp_path, access="credentialed")
    tracker.exhibit(EXHIBITS)
    tracker.finish()

    line = artifacts(offline_records(tmp_path))
    assert [f.path for f in line["preference"].manifest.contents] == ["about.json"]
    sent = [Path(f.local_path) for artifact in line.values() for f in artifact.manifest.contents]
    assert not [path for path in sent if "canary" in path.read_text()]
    (scores,) = [path for path in sent if path.name == "preference.json"]
    assert json.loads(scores.read_text())["scores"]["all"]["margin"] == 1.5
    assert "'weights': 1" in caplog.text


def test_the_line_is_left_out_when_it_is_not_wanted(tmp_path: Path) -> None:
    write_finished_run(tmp_path)
    tracker = open_tracker(tmp_path, artifacts=False)
    tracker.exhibit(Exhibits())
    tracker.finish()
    assert artifacts(offline_records(tmp_path)) == {}


def test_of_credentialed_data_only_numbers_and_plain_names_are_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    canaries = {"text": "canary report text", "root": "/canary/p10000032", "id": "s50414267canary"}
    knobs = {"config": canaries, "name": "canary name", "group": "p10000032", "tags": ["canary tag"]}
    tracker = open_tracker(tmp_path, access="credentialed", **knobs)
    tracker.log({"sft/loss": 1.25, "sft/s50414267canary": 1.0}, stage="sft", step=0)
    tracker.summary(canaries)
    tracker.finish()
    (row,) = history(offline_records(tmp_path))
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"canary" not in written
    assert b"10000032" not in written
    assert {"sft/step": 0, "sft/loss": 1.25}.items() <= row.items()
    assert "withheld from Weights & Biases" in caplog.text


def test_acknowledged_data_is_shown_as_it_is(tmp_path: Path) -> None:
    tracker = open_tracker(tmp_path, access="credentialed", acknowledged=True, config={"prompt": "canary text"})
    tracker.finish()
    assert any("canary text" in i.value_json for r in offline_records(tmp_path) for i in r.run.config.update)


@pytest.mark.parametrize(
    ("environment", "mode"),
    [
        ({}, "offline"),
        ({"WANDB_API_KEY": "x" * 40}, "online"),
        ({"WANDB_API_KEY": "x", "WANDB_MODE": "disabled"}, "disabled"),
    ],
)
def test_auto_is_offline_unless_logged_in_or_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], mode: str
) -> None:
    from cpo.tracking.wandb import _resolved

    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert _resolved("auto") == mode


def test_a_login_kept_in_netrc_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cpo.tracking.wandb import _resolved

    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    (tmp_path / "netrc").write_text("machine wandb.example.org login user password none\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert _resolved("auto") == "offline"
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert _resolved("auto") == "online"


def test_mistakes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mode='ofline'"):
        open_tracker(tmp_path, mode="ofline")
    with pytest.raises(ConfigError, match=r"tracker\.wandb\.project"):
        open_tracker(tmp_path, project="")
