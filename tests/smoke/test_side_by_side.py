"""Jobs that run at the same time on one cache share their stages and corrupt nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SMALL = ["debug=smoke", "tracker=local", "control=false"]
LOSSES = ("dpo", "ipo", "hinge", "simpo")

pytestmark = pytest.mark.slow


def test_four_jobs_at_once_train_sft_once(tmp_path: Path) -> None:
    jobs = [
        subprocess.Popen(
            [
                sys.executable,
                str(PROJECT / "train.py"),
                "debug=smoke",
                "tracker=local",
                "control=false",
                f"loss={loss}",
            ],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for loss in LOSSES
    ]
    directories = []
    for job in jobs:
        out, err = job.communicate(timeout=500)
        assert job.returncode == 0, err[-3000:]
        directories.append(Path(out.strip().splitlines()[-1].removeprefix("run: ")))
    summaries = [json.loads((directory / "summary.json").read_text()) for directory in directories]
    assert len({summary["fingerprints"]["sft"] for summary in summaries}) == 1
    assert sorted(summary["stages"]["sft"]["cached"] for summary in summaries) == [False, True, True, True]
    # what was judged before the preference stage is the same model on the same data
    assert len({json.dumps(summary["eval"]["before"]) for summary in summaries}) == 1
    assert len(list((tmp_path / "cache" / "worlds").glob("chest_world-*"))) == 1
    assert len([d for d in (tmp_path / "cache" / "sft").iterdir() if d.is_dir()]) == 1
