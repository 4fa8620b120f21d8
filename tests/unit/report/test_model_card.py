"""The card beside an adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cpo.errors import DataError
from cpo.report.model_card import write_model_card

BASE = "/models/sft/0123456789abcdef"


@pytest.fixture
def with_adapter(run_directory: Path) -> Path:
    (run_directory / "adapter").mkdir()
    config = {"base_model_name_or_path": BASE, "r": 16, "lora_alpha": 32}
    (run_directory / "adapter" / "adapter_config.json").write_text(json.dumps(config))
    (run_directory / "adapter" / "README.md").write_text("[More Information Needed]")
    return run_directory


def card(directory: Path) -> tuple[dict[str, Any], str]:
    _, head, body = write_model_card(directory).read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(head), body


def test_the_card_replaces_the_empty_template(with_adapter: Path) -> None:
    head, body = card(with_adapter)

    assert head["library_name"] == "peft"
    assert head["base_model"] == BASE
    assert "More Information Needed" not in body
    assert [line[3:] for line in body.splitlines() if line.startswith("## ")] == [
        *("Access", "How to load it", "Base", "Data", "Training", "Scores", "Limits")
    ]


def test_the_card_holds_provenance_scores_and_the_base(with_adapter: Path) -> None:
    _, body = card(with_adapter)

    assert "dataset: chest_world, access open" in body
    assert "2,961 train, 491 validate, 512 test; left out 33, quarantined 2" in body
    assert "change of concept: samples 900 to 1,300" in body
    assert f"base = {BASE!r}" in body
    rows = [line.split(" | ") for line in body.splitlines() if line.startswith("| Balanced accuracy")]
    assert [row[1].split()[0] for row in rows] == ["0.812", "0.834", "0.790"]
    assert "**Open.**" in body


@pytest.mark.parametrize(("access", "said"), [("credentialed", "**Credentialed.**"), ("", "treat it as credentialed")])
def test_what_may_not_be_shared_is_said(with_adapter: Path, access: str, said: str) -> None:
    node = f"\n  access: {access}" if access else " {}"
    (with_adapter / "config.yaml").write_text(f"dataset:{node}\n")
    _, body = card(with_adapter)

    assert said in body
    assert "**Open.**" not in body


def test_no_text_and_no_id_of_the_data_is_in_the_card(with_adapter: Path) -> None:
    _, body = card(with_adapter)

    for row in (with_adapter / "pairs_sample.jsonl").read_text().splitlines():
        pair = json.loads(row)
        assert pair["id"] not in body
        assert pair["chosen"][:40] not in body
    assert "p10000032" not in body, "quarantined records are counted, not named"


def test_a_run_that_was_not_judged_says_so(with_adapter: Path) -> None:
    summary = json.loads((with_adapter / "summary.json").read_text())
    (with_adapter / "summary.json").write_text(json.dumps(summary | {"eval": {}}))

    assert "Not judged." in card(with_adapter)[1]


def test_a_run_without_its_adapter_is_refused(run_directory: Path) -> None:
    with pytest.raises(DataError, match=r"without adapter/adapter_config\.json"):
        write_model_card(run_directory)
