"""Pairs about what must not count, balanced, and judged by interventions: the job as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
ASKED = ["counterfactual=invariance", "pairing.balance=conflict", "benchmark=[causal_effect]"]


@pytest.mark.slow
def test_a_policy_is_tuned_on_balanced_invariance_pairs_and_judged_by_interventions(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(PROJECT / "train.py"), "debug=smoke", "tracker=local", "control=false", *ASKED],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    run = Path(done.stdout.strip().splitlines()[-1].removeprefix("run: "))
    for phase in ("before", "after"):
        found = json.loads((run / "summary.json").read_text())["eval"][phase]["all"]
        assert 0 <= found["beneficial_sensitivity"]["low"] <= found["beneficial_sensitivity"]["high"] <= 1
        assert found["interventions"]["phrase"] == 16
        assert (run / "eval" / phase / "causal_effect" / "interventions.jsonl").is_file()
    rows = [json.loads(line) for line in (run / "pairs_sample.jsonl").read_text().splitlines()]
    for row in rows:
        thinking, answer = row["chosen"].split("</think>")
        assert all(text.startswith(thinking) for text in row["rejected"])
        assert not any(text.endswith(answer) for text in row["rejected"])
