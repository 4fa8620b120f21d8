"""An endpoint gives a reply or says what went wrong; and data that may not leave does not reach it."""

from __future__ import annotations

import asyncio
import json
import time
from email.utils import formatdate
from typing import Any

import pytest

from cpo.counterfactual.llm.endpoint import Endpoint, retry_after
from cpo.counterfactual.llm.exchange import Failure, Fault, Reply, Request, findings_of
from cpo.errors import ConfigError, PrivacyError
from tests.fixtures.chat_server import Answer, ChatServer

REQUEST = Request("tiny", "Rewrite.", "Findings: clear lungs.", "json_schema", 0.0, 64)


def make(url: str, **knobs: Any) -> Endpoint:
    defaults: dict[str, Any] = {
        "model": "tiny",
        "key_variable": "EXPERT_KEY",
        "local_hosts": [],
        "concurrency": 4,
        "requests_per_minute": -1,
        "retries": 2,
        "backoff_s": 0.01,
        "timeout_s": 10.0,
    }
    return Endpoint(url=url, **defaults | knobs)


def ask(answer: Answer, request: Request = REQUEST, **knobs: Any) -> tuple[Reply, dict[str, Any]]:
    """The reply of a server that gives this answer, and the request as it arrived."""

    async def once(endpoint: Endpoint) -> Reply:
        try:
            return await endpoint.ask(request)
        finally:
            await endpoint.close()

    with ChatServer(lambda *_: answer) as server:
        return asyncio.run(once(make(server.url, **knobs))), server.requests[0]


def test_a_request_says_what_it_wants_and_brings_the_reply() -> None:
    reply, sent = ask(Answer("Hazy lungs."))
    assert reply == Reply("Hazy lungs.", "stop", "tiny")
    assert [m["content"] for m in sent["messages"]] == ["Rewrite.", "Findings: clear lungs."]
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("tiny", 0.0, 64)
    assert sent["response_format"]["json_schema"]["schema"]["required"] == ["findings"]


def test_a_server_that_knows_no_forms_is_not_asked_for_one() -> None:
    _, sent = ask(Answer("Hazy lungs."), Request("tiny", "a", "b", "text", 0.0, 64))
    assert "response_format" not in sent


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (Answer(status=429, body=b"{}", headers={"retry-after": "7"}), Failure.RATE_LIMITED),
        (Answer(status=500, body=b"oh"), Failure.SERVER_ERROR),
        (Answer(status=503, body=b"{}"), Failure.SERVER_ERROR),
        (Answer(status=400, body=b'{"error": {"message": "too long"}}'), Failure.REFUSED),
        (Answer("late", delay_s=5), Failure.TIMEOUT),
        (Answer(drop=True), Failure.DROPPED),
        (Answer(body=b'{"choices": [{"mess'), Failure.BROKEN_BODY),
        (Answer(body=b'{"choices"', headers={"content-length": "90"}, drop=True), Failure.DROPPED),
        (Answer(body=b'{"choices"', headers={"content-length": "90"}), Failure.TIMEOUT),
        (Answer(body=b"<html>", headers={"content-type": "text/html"}), Failure.BROKEN_BODY),
        (Answer(body=b"[]"), Failure.BROKEN_BODY),
        (Answer(body=b'{"choices": []}'), Failure.EMPTY_CHOICE),
        (Answer(body=b'{"choices": null}'), Failure.EMPTY_CHOICE),
        (Answer(body=b'{"choices": [null]}'), Failure.EMPTY_CHOICE),
        (Answer(body=b'{"choices": [{"finish_reason": "stop"}]}'), Failure.EMPTY_CHOICE),
        (Answer(body=b'{"choices": ["text"]}'), Failure.EMPTY_CHOICE),
        (Answer(body=b'{"choices": 7}'), Failure.EMPTY_CHOICE),
        (Answer("  \n"), Failure.EMPTY_CHOICE),
        (Answer(None), Failure.EMPTY_CHOICE),
    ],
)
def test_every_way_to_get_no_reply_has_its_kind(answer: Answer, failure: Failure) -> None:
    with pytest.raises(Fault) as fault:
        ask(answer, timeout_s=0.3 if failure is Failure.TIMEOUT else 10.0)
    assert fault.value.failure is failure
    assert fault.value.wait_s == (7.0 if failure is Failure.RATE_LIMITED else None)


def test_a_reply_says_whether_it_was_cut_off_or_declined() -> None:
    assert ask(Answer("Hazy", finish="length"))[0].finish == "length"
    assert ask(Answer("No.", finish="content_filter"))[0].finish == "refusal"
    message = {"choices": [{"message": {"content": None, "refusal": "I will not."}, "finish_reason": "stop"}]}
    assert ask(Answer(body=json.dumps(message).encode()))[0] == Reply("I will not.", "refusal", "")


@pytest.mark.parametrize("status", [401, 403, 404, 307])
def test_what_would_fail_for_every_request_is_an_error_at_once(status: int) -> None:
    elsewhere = {"location": "http://127.0.0.1:9/v1/chat/completions"}
    with pytest.raises(ConfigError, match=f"status {status} from http://127"):
        ask(Answer(status=status, body=b"{}", headers=elsewhere))


def test_a_local_endpoint_is_reached_past_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert ask(Answer("Hazy lungs."))[0].text == "Hazy lungs."


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:8000/v1", True),
        ("http://LOCALHOST:8000/v1", True),
        ("http://127.0.0.1:8000/v1", True),
        ("http://127.9.9.9/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://gpu7.hospital:8000/v1", True),
        ("in_process", True),
        ("https://api.openai.com/v1", False),
        ("http://localhost.evil.example/v1", False),
        ("http://127.0.0.1.evil.example/v1", False),
        ("http://192.168.1.7/v1", False),
        ("http://evil.example/localhost", False),
        ("http://evil.example#@localhost", False),
    ],
)
def test_credentialed_data_goes_to_this_machine_and_to_listed_hosts_only(url: str, local: bool) -> None:
    endpoint = make(url, local_hosts=["GPU7.hospital"])
    endpoint.refuse_unless_allowed("open", acknowledged=False)
    endpoint.refuse_unless_allowed("credentialed", acknowledged=True)
    if local:
        endpoint.refuse_unless_allowed("credentialed", acknowledged=False)
    else:
        with pytest.raises(PrivacyError, match="credentialed data stays on this machine"):
            endpoint.refuse_unless_allowed("credentialed", acknowledged=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "ftp://localhost/v1",
        "http://",
        "http://me:secret@localhost/v1",
        "http://[::1/v1",
        "http://evil.example\\@localhost/v1",
    ],
)
def test_what_is_no_plain_address_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ConfigError, match="url is http") as error:
        make(url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "knob",
    [{"concurrency": 0}, {"requests_per_minute": 0}, {"retries": -1}, {"backoff_s": 0.0}, {"timeout_s": 0.0}],
    ids=str,
)
def test_knobs_out_of_range_are_refused(knob: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"breaks: {next(iter(knob))}"):
        make("http://localhost/v1", **knob)


def test_a_hosted_endpoint_needs_the_key_and_the_error_names_its_variable() -> None:
    with pytest.raises(ConfigError, match="EXPERT_KEY is not set"):
        asyncio.run(make("https://api.example/v1").ask(REQUEST))


def test_a_pause_is_read_as_seconds_or_as_a_date() -> None:
    assert retry_after("3") == 3.0
    assert retry_after("-3") == 0.0
    assert retry_after("nan") is retry_after("later") is retry_after("") is retry_after(None) is None
    in_a_minute = retry_after(formatdate(time.time() + 60, usegmt=True))
    assert in_a_minute is not None
    assert 58 < in_a_minute <= 60


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        ('{"findings": "Clear."}', "Clear."),
        ('```json\n{"findings": " Clear. "}\n```', "Clear."),
        ('<think>{"findings": 1}</think>{"findings": "Clear."} Done.', "Clear."),
        ('{"findings": "Cle', None),
        ('{"findings": ["Clear."]}', None),
        ('{"findings": ""}', None),
        ('{"findings": "half \\ud83d"}', None),
        ('["Clear."]', None),
        ("Clear.", None),
        ("{" * 5000, None),
        ('{"findings": ' + "[" * 100_000, None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_findings_are_read_from_the_object_that_was_asked_for(text: str, findings: str | None) -> None:
    assert findings_of(Reply(text, "stop", "m"), "json_schema") == findings
