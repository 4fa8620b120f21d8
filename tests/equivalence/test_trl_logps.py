"""Log-probs equal TRL's, completion by completion, in every layout; `tests/goldens/trl_logps.py` made the numbers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cpo.policy.loaded import LoadedPolicy
from cpo.records import PreferencePair
from cpo.sequence.layouts import Layout, Packed, Padded, PrefixShared
from tests.goldens import trl_logps

GOLDEN: dict[str, Any] = json.loads(trl_logps.FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[LoadedPolicy, list[PreferencePair]]:
    folder = tmp_path_factory.mktemp("drawn")
    return trl_logps.policy(folder), trl_logps.pairs(folder)


def test_what_is_scored_is_what_trl_was_given(drawn: tuple[LoadedPolicy, list[PreferencePair]]) -> None:
    assert trl_logps.keys(*drawn) == GOLDEN["keys"]
    assert len(GOLDEN["logps"]) == len(drawn[1]) == 4


@pytest.mark.parametrize(
    "layout", [Padded(), PrefixShared(), Packed(max_tokens=10_000)], ids=["padded", "shared", "packed"]
)
def test_log_probs_are_trl_s(drawn: tuple[LoadedPolicy, list[PreferencePair]], layout: Layout) -> None:
    loaded, pairs = drawn
    policy = LoadedPolicy(loaded.model, loaded.encoder, layout, loaded.max_length, loaded.directory)
    (ours,) = policy.logps(pairs, batch_size=len(pairs))
    assert ours.chosen.tolist() == pytest.approx([pair["chosen"] for pair in GOLDEN["logps"]], abs=1e-4)
    assert ours.rejected[:, 0].tolist() == pytest.approx([pair["rejected"] for pair in GOLDEN["logps"]], abs=1e-4)


@pytest.mark.peer
def test_the_goldens_are_what_trl_computes(tmp_path: Path) -> None:
    if subprocess.run([trl_logps.PYTHON, "-c", "import trl"], capture_output=True, check=False).returncode:
        pytest.skip("no TRL in this environment; CPO_PEER_PYTHON names an interpreter that has it")
    again = trl_logps.compute(tmp_path)
    assert again["keys"] == GOLDEN["keys"]
    for now, golden in zip(again["logps"], GOLDEN["logps"], strict=True):
        assert now == pytest.approx(golden, abs=1e-4), f"by TRL {again['made_by']['trl']}"
