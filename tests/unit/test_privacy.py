from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpo.errors import PrivacyError
from cpo.privacy import allowed, local_key, require_allowed, row_hash, withhold

CONFIG: dict[str, Any] = {
    "seed": 3,
    "loss": {"_target_": "cpo.losses.dpo.DPO", "beta": 0.1, "label": None},
    "dataset": {"root": "/data/physionet/p10000032", "prompt": "What does this picture show?", "study": 50414267},
    "only": ["s50414267", "02aa804e-bde0afdd-112c0b34-7bc16630-4e384014", "AP"],
    "fingerprint": "3fa9c1d2e0b45678",
    "path": Path("relative"),
}


@pytest.mark.parametrize("access", ["open", "credentialed"])
@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("acknowledged", [True, False])
def test_only_unacknowledged_credentialed_data_to_elsewhere_is_not_allowed(
    access: Any, local: bool, acknowledged: bool
) -> None:
    forbidden = (access, local, acknowledged) == ("credentialed", False, False)
    assert allowed(access, local=local, acknowledged=acknowledged) is not forbidden


def test_a_refusal_names_the_rule_and_the_way_out() -> None:
    with pytest.raises(PrivacyError) as refused:
        require_allowed(
            "credentialed", what="report texts", destination="api.example.org", local=False, acknowledged=False
        )
    assert "PhysioNet" in refused.value.wanted
    assert "privacy=acknowledged" in refused.value.remedy
    assert "report texts of credentialed data on its way to api.example.org" in refused.value.got


def test_open_data_is_not_filtered() -> None:
    assert withhold(CONFIG, "open") == (CONFIG, {})


def test_text_paths_and_ids_of_credentialed_data_are_withheld_and_counted() -> None:
    kept, counts = withhold(CONFIG, "credentialed")
    assert kept == {
        "seed": 3,
        "loss": {"_target_": "cpo.losses.dpo.DPO", "beta": 0.1, "label": None},
        "dataset": {"root": "<withheld: path>", "prompt": "<withheld: text>", "study": "<withheld: id>"},
        "only": ["<withheld: id>", "<withheld: id>", "AP"],
        "fingerprint": "3fa9c1d2e0b45678",
        "path": "<withheld: path>",
    }
    assert counts == {"path": 2, "text": 1, "id": 3}


def test_ids_in_keys_are_withheld_without_merging_them() -> None:
    kept, counts = withhold({"p10000032": 1.0, "p10000764": 2.0, "eval/all/Pleural Effusion": 0.5}, "credentialed")
    assert kept == {"<withheld: key> 1": 1.0, "<withheld: key> 2": 2.0, "eval/all/Pleural Effusion": 0.5}
    assert counts == {"key": 2}


@settings(deadline=None)  # the machine may be busy
@given(
    st.recursive(
        st.sampled_from(["canary report text", "/canary/path", "s50000001canary", Path("canary"), b"canary", 3, "dpo"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b c"]), inner, max_size=3),
        max_leaves=10,
    )
)
def test_no_canary_survives_at_any_depth(value: Any) -> None:
    kept, _ = withhold({"config": value}, "credentialed")
    assert "canary" not in json.dumps(kept)


def test_row_hashes_need_the_local_key(tmp_path: Path) -> None:
    key = local_key(tmp_path / "key")
    assert local_key(tmp_path / "key") == key
    assert len(key) == 32
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0
    assert row_hash("s50414267", key=key) == row_hash("s50414267", key=key)
    assert row_hash("s50414267", key=key) not in {row_hash("s50414268", key=key), row_hash("s50414267", key=b"")}
