"""Requests side by side: retried, paced, counted, and none made twice once it is finished."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpo.counterfactual.llm.asking import Asker, Pace
from cpo.counterfactual.llm.endpoint import Endpoint
from cpo.counterfactual.llm.exchange import Failure, Fault, Reply, Request
from cpo.counterfactual.llm.in_process import InProcess
from cpo.counterfactual.llm.journal import Journal
from cpo.errors import ConfigError
from cpo.records import Sample

Behaviour = Callable[[Request, int], Reply | Fault]


class Scripted:
    """An expert without a server: what it does with a request depends on how often the same came before."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour, self.seen, self.at = behaviour, Counter[str](), list[float]()
        self.now = self.most = 0

    async def ask(self, request: Request) -> Reply:
        self.at.append(time.monotonic())
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.005)
        self.now -= 1
        done = self.behaviour(request, self.seen[request.user])
        self.seen[request.user] += 1
        if isinstance(done, Fault):
            raise done
        return done

    async def close(self) -> None: ...


def endpoint(**knobs: Any) -> Endpoint:
    defaults: dict[str, Any] = {
        "url": "http://localhost:9/v1",
        "model": "tiny",
        "key_variable": "EXPERT_KEY",
        "local_hosts": [],
        "concurrency": 4,
        "requests_per_minute": -1,
        "retries": 2,
        "backoff_s": 0.001,
        "timeout_s": 2.0,
    }
    return Endpoint(**defaults | knobs)


def request(text: str) -> Request:
    return Request("tiny", "Rewrite.", text, "text", 0.0, 64)


def echo(request: Request, nth: int) -> Reply:
    return Reply(request.user.upper(), "stop", "tiny")


def ask_all(
    expert: Any, texts: Sequence[str], folder: Path, *, open_data: bool = True, **knobs: Any
) -> tuple[list[Reply | None], dict[str, float]]:
    """The replies to requests made at the same time, and the account."""

    async def run(asker: Asker) -> list[Reply | None]:
        return list(await asyncio.gather(*(asker.reply(request(text)) for text in texts)))

    with Journal(folder) as journal:
        asker = Asker(expert, endpoint(**knobs), journal, open_data=open_data)
        return asyncio.run(run(asker)), dict(asker.account)


def test_equal_requests_are_one_request_now_and_later(tmp_path: Path) -> None:
    expert = Scripted(echo)
    replies, account = ask_all(expert, ["a", "b", "a", "a"], tmp_path)
    assert [r and r.text for r in replies] == ["A", "B", "A", "A"]
    assert expert.seen == {"a": 1, "b": 1}
    assert account == {"asked": 2, "reused": 0, "given_up": 0, "torn": 0}
    again, account = ask_all(expert, ["a", "b", "c"], tmp_path)
    assert [r and r.text for r in again] == ["A", "B", "C"]
    assert expert.seen == {"a": 1, "b": 1, "c": 1}
    assert account == {"asked": 1, "reused": 2, "given_up": 0, "torn": 0}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.sampled_from([*Failure]), max_size=5), min_size=1, max_size=8))
def test_under_any_faults_each_request_is_finished_once_or_given_up_and_each_fault_counted(
    faults: list[list[Failure]],
) -> None:
    def behaviour(request: Request, nth: int) -> Reply | Fault:
        mine = faults[int(request.user)]
        return Fault(mine[nth]) if nth < len(mine) else echo(request, nth)

    def spent(mine: list[Failure]) -> list[Failure]:
        """The faults that are met before a reply or before the request is given up, with two retries."""
        fatal = next((i for i, f in enumerate(mine) if f is Failure.REFUSED), len(mine))
        return mine[: min(3, fatal + 1)]

    def answered(mine: list[Failure]) -> bool:
        return len(mine) < 3 and Failure.REFUSED not in mine

    expert, texts = Scripted(behaviour), [str(i) for i in range(len(faults))]
    with tempfile.TemporaryDirectory() as folder:
        replies, account = ask_all(expert, texts, Path(folder), concurrency=100)
    assert [reply is not None for reply in replies] == [answered(mine) for mine in faults]
    assert account["asked"] == sum(map(answered, faults))
    assert account["given_up"] == len(faults) - account["asked"]
    counted = {k.removeprefix("failed: "): n for k, n in account.items() if k.startswith("failed")}
    assert counted == Counter(f.value for mine in faults for f in spent(mine))
    assert expert.seen == {text: len(spent(m)) + answered(m) for text, m in zip(texts, faults, strict=True)}


def test_a_request_that_was_given_up_is_made_again_by_the_next_job(tmp_path: Path) -> None:
    expert = Scripted(lambda r, nth: Fault(Failure.TIMEOUT) if nth < 3 and r.user == "a" else echo(r, nth))
    replies, account = ask_all(expert, ["a", "b"], tmp_path)
    assert [r and r.text for r in replies] == [None, "B"]
    assert (account["given_up"], account["failed: timeout"]) == (1, 3)
    replies, account = ask_all(expert, ["a", "b"], tmp_path)
    assert [r and r.text for r in replies] == ["A", "B"]
    assert expert.seen == {"a": 4, "b": 1}


def test_a_server_that_asks_for_a_pause_gets_it_from_everyone(tmp_path: Path) -> None:
    def behaviour(request: Request, nth: int) -> Reply | Fault:
        return Fault(Failure.RATE_LIMITED, 0.3) if request.user == "a" and nth == 0 else echo(request, nth)

    async def run() -> None:
        await asyncio.gather(asker.reply(request("a")), late(request("b")))

    async def late(other: Request) -> None:
        await asyncio.sleep(0.05)
        await asker.reply(other)

    expert = Scripted(behaviour)
    with Journal(tmp_path) as journal:
        asker = Asker(expert, endpoint(), journal, open_data=True)
        asyncio.run(run())
    first, *rest = expert.at
    assert len(rest) == 2
    assert all(0.3 <= at - first < 5 for at in rest)


def test_retries_wait_longer_each_time_and_not_all_equally_long(tmp_path: Path) -> None:
    expert = Scripted(lambda r, nth: Fault(Failure.SERVER_ERROR) if nth < 3 else echo(r, nth))
    ask_all(expert, ["a"], tmp_path, retries=3, backoff_s=0.05)
    waits = [b - a - 0.005 for a, b in zip(expert.at, expert.at[1:], strict=False)]
    for retry, wait in enumerate(waits):
        assert 0.025 * 2**retry <= wait < 0.05 * 2**retry + 2


def test_requests_begin_at_the_pace_that_was_set(tmp_path: Path) -> None:
    expert = Scripted(echo)
    ask_all(expert, list("abcdef"), tmp_path, requests_per_minute=1200)
    assert 0.24 <= expert.at[-1] - expert.at[0] < 5


def test_without_a_limit_nobody_waits() -> None:
    async def turns() -> None:
        pace = Pace(-1)
        for _ in range(1000):
            await pace.turn()

    started = time.monotonic()
    asyncio.run(turns())
    assert time.monotonic() - started < 1


def test_an_endpoint_that_answers_nobody_is_given_up_soon(tmp_path: Path) -> None:
    expert = Scripted(lambda *_: Fault(Failure.REFUSED, note="status 400: no `response_format` here"))
    with pytest.raises(ConfigError, match=r"4 requests in a row with no reply.*4xx × 4 \(status 400: no") as error:
        ask_all(expert, [str(i) for i in range(40)], tmp_path)
    assert "goes on from there" in error.value.remedy


def test_what_the_server_said_of_credentialed_data_is_not_quoted(tmp_path: Path) -> None:
    expert = Scripted(lambda *_: Fault(Failure.REFUSED, note="status 400: bad text 'Mr Smith has …'"))
    with pytest.raises(ConfigError, match="4xx") as error:
        ask_all(expert, [str(i) for i in range(40)], tmp_path, open_data=False)
    assert "Smith" not in str(error.value)


def test_a_model_of_this_process_gets_what_waits_as_one_batch(tmp_path: Path) -> None:
    batches: list[list[str]] = []

    class Model:
        def generate(self, samples: Sequence[Sample]) -> list[str]:
            batches.append([sample.prompt for sample in samples])
            assert all(sample.images == () for sample in samples)
            return [sample.prompt.upper() for sample in samples]

    replies, account = ask_all(InProcess(Model()), ["a", "b", "a"], tmp_path, url="in_process", requests_per_minute=1)
    assert batches == [["Rewrite.\n\na", "Rewrite.\n\nb"]]
    assert [r and r.text for r in replies] == ["REWRITE.\n\nA", "REWRITE.\n\nB", "REWRITE.\n\nA"]
    assert account["asked"] == 2


def test_an_error_of_the_model_reaches_the_caller(tmp_path: Path) -> None:
    class Broken:
        def generate(self, samples: Sequence[Sample]) -> list[str]:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        ask_all(InProcess(Broken()), ["a", "b"], tmp_path, url="in_process")
