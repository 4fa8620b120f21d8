"""What was replied is on the disk, whatever happens to the process that asked."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from filelock import Timeout
from hypothesis import given, settings
from hypothesis import strategies as st

from cpo.counterfactual.llm import journal as module
from cpo.counterfactual.llm.exchange import Failure, Reply, Request
from cpo.counterfactual.llm.journal import Journal


def request(number: int) -> Request:
    return Request("tiny", "Rewrite.", f"Findings {number}.", "text", 0.0, 64)


def reply(number: int) -> Reply:
    return Reply(f"Reply {number}\n\u2028 with ünicode and half a character \ud83d.", "stop", "tiny-v2")


def filled(folder: Path, n: int) -> None:
    with Journal(folder) as journal:
        for number in range(n):
            journal.add(request(number), reply(number))


def test_a_line_names_the_prompt_by_its_hash_and_the_model_that_answered(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    (line,) = (tmp_path / "00000.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "prompt": request(0).key,
        "model": "tiny-v2",
        "finish": "stop",
        "text": reply(0).text,
    }


def test_replies_and_failures_of_earlier_processes_are_known(tmp_path: Path) -> None:
    filled(tmp_path, 3)
    with Journal(tmp_path) as journal:
        journal.add_failure(request(7), Failure.TIMEOUT)
    with Journal(tmp_path) as journal:
        journal.add_failure(request(7), Failure.TIMEOUT)
        assert journal.replies == {request(n).key: reply(n) for n in range(3)}
        assert journal.failures == {"timeout": 2}
    assert len(list(tmp_path.glob("*.jsonl"))) == 3


def test_a_process_that_only_reads_leaves_no_shard(tmp_path: Path) -> None:
    with Journal(tmp_path):
        pass
    assert list(tmp_path.glob("*.jsonl")) == []


def test_a_full_shard_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINES_PER_SHARD", 4)
    filled(tmp_path, 10)
    assert [len(p.read_text().splitlines()) for p in sorted(tmp_path.glob("*.jsonl"))] == [4, 4, 2]
    with Journal(tmp_path) as journal:
        assert len(journal.replies) == 10


def test_requests_differ_by_whatever_decides_the_reply() -> None:
    changes = [("a", "s", "u", "text", 0.0, 1), ("m", "t", "u", "text", 0.0, 1), ("m", "s", "v", "text", 0.0, 1)]
    changes += [
        ("m", "s", "u", "json_schema", 0.0, 1),
        ("m", "s", "u", "text", 0.5, 1),
        ("m", "s", "u", "text", 0.0, 2),
    ]
    assert len({Request(*c).key for c in [*changes, ("m", "s", "u", "text", 0.0, 1)]}) == 7


@settings(max_examples=50, deadline=None)
@given(st.integers(min_value=0), st.binary(max_size=12))
def test_a_shard_torn_anywhere_loses_its_last_line_alone_and_goes_on(cut: int, tail: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        filled(folder, 3)
        shard = folder / "00000.jsonl"
        content = shard.read_bytes()
        left = content[: cut % (len(content) + 1)] + tail.replace(b"\n", b"")
        shard.write_bytes(left)
        whole = left.count(b"\n")
        with Journal(folder) as journal:
            assert list(journal.replies) == [request(n).key for n in range(whole)]
            assert journal.torn == (not left.endswith(b"\n") and left != b"")
            journal.add(request(9), reply(9))
        with Journal(folder) as journal:
            assert list(journal.replies) == [request(n).key for n in (*range(whole), 9)]
        assert shard.read_bytes() == left


def test_one_process_at_a_time_holds_a_journal(tmp_path: Path) -> None:
    with Journal(tmp_path):
        other = Journal(tmp_path)
        other._lock.timeout = 0.05
        with pytest.raises(Timeout):
            other.__enter__()
    with other:
        pass
