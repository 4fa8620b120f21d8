"""An OpenAI-compatible endpoint: where it is, whether data may go there, and one request to it."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import math
import os
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import openai

from cpo.counterfactual.llm.exchange import Failure, Fault, Reply, Request
from cpo.errors import ConfigError
from cpo.privacy import require_allowed
from cpo.records import Access

IN_PROCESS = "in_process"
_WRONG_SETTINGS = {401, 403, 404, 405}
"""What a server says to every request when key, model or address are wrong; redirects besides."""
_SCHEMA = {
    "type": "object",
    "properties": {"findings": {"type": "string"}},
    "required": ["findings"],
    "additionalProperties": False,
}


class Endpoint:
    """A server that speaks OpenAI's chat protocol (vLLM, TGI, llama.cpp, `transformers serve`, a hosted one).

    Redirects are not followed: they could lead data elsewhere. An endpoint of this machine is reached past any proxy.

    Args:
        url: Address up to and with `/v1`; `in_process` for a model that the job hands in.
        model: Name of the model as the server knows it.
        key_variable: Environment variable that holds the key; a server of this machine may do without.
        local_hosts: Hosts besides this machine that credentialed data may go to.
        concurrency: Requests under way at the same time, ≥ 1.
        requests_per_minute: At most so many are begun in a minute; −1 for no limit.
        retries: How often a failed request is made again, ≥ 0.
        backoff_s: Pause before the first retry in seconds, > 0; doubled from retry to retry, up to a minute. A longer
            pause that the server asks for (Retry-After) is kept by all requests.
        timeout_s: Longest time for one request in seconds, > 0.

    Raises:
        ConfigError: A knob out of its range, or an address that is none.
    """

    def __init__(
        self,
        *,
        url: str,
        model: str,
        key_variable: str,
        local_hosts: list[str],
        concurrency: int,
        requests_per_minute: int,
        retries: int,
        backoff_s: float,
        timeout_s: float,
    ) -> None:
        rules = {
            "url is http(s)://HOST…/v1 or in_process": url == IN_PROCESS or _host(url) != "",
            "concurrency ≥ 1": concurrency >= 1,
            "requests_per_minute ≥ 1 or −1": requests_per_minute >= 1 or requests_per_minute == -1,
            "retries ≥ 0": retries >= 0,
            "backoff_s > 0": backoff_s > 0,
            "timeout_s > 0": timeout_s > 0,
        }
        broken = [rule for rule, holds in rules.items() if not holds]
        if broken:
            raise ConfigError(
                got=f"an endpoint that breaks: {', '.join(broken)}",
                wanted=", ".join(rules),
                remedy="set endpoint.KNOB=VALUE within its range",
            )
        self.url, self.model, self.key_variable = url, model, key_variable
        self.concurrency, self.requests_per_minute, self.retries = concurrency, requests_per_minute, retries
        self.backoff_s, self.timeout_s = backoff_s, timeout_s
        self.in_process, self.host = url == IN_PROCESS, _host(url)
        self._local_hosts = {host.lower() for host in local_hosts}
        self._client: openai.AsyncOpenAI | None = None

    @property
    def local(self) -> bool:
        """Whether a request stays on this machine, or goes to a host that is listed as local."""
        return self.in_process or _loopback(self.host) or self.host in self._local_hosts

    def refuse_unless_allowed(self, access: Access, *, acknowledged: bool) -> None:
        """Refuses to send credentialed reports to a host that is neither this machine nor listed as local.

        Raises:
            PrivacyError: Before a byte is sent.
        """
        require_allowed(
            access,
            what="reports",
            destination=f"{self.host} (endpoint.url; not in endpoint.local_hosts)",
            local=self.local,
            acknowledged=acknowledged,
        )

    async def ask(self, request: Request) -> Reply:
        """See `Expert.ask`.

        Raises:
            Fault: No reply, for a reason that concerns this request or passes.
            ConfigError: No reply, for a reason that concerns every request.
        """
        client = self._client = self._client or self._open()
        try:
            async with asyncio.timeout(self.timeout_s):
                # the body is read here: the library neither checks it nor says what is wrong with it
                answered = await client.chat.completions.with_raw_response.create(**_body(request))
        except (TimeoutError, openai.APITimeoutError) as error:
            raise Fault(Failure.TIMEOUT) from error
        except openai.APIConnectionError as error:
            raise Fault(Failure.DROPPED) from error
        except openai.APIStatusError as error:
            raise self._fault(error) from error
        return _reply(answered.http_response.content)

    async def close(self) -> None:
        """Ends the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _open(self) -> openai.AsyncOpenAI:
        key = os.environ.get(self.key_variable, "")
        if not key and not self.local:
            raise ConfigError(
                got=f"no key for {self.host}: the environment variable {self.key_variable} is not set",
                wanted="a key, which no config and no run directory ever holds",
                remedy=f"export {self.key_variable}=…, or name another in endpoint.key_variable",
            )
        transport = openai.DefaultAsyncHttpxClient(follow_redirects=False, trust_env=not self.local)
        # retries are ours, so that each failure is counted
        return openai.AsyncOpenAI(base_url=self.url, api_key=key or "none", max_retries=0, http_client=transport)

    def _fault(self, error: openai.APIStatusError) -> Exception:
        status = error.status_code
        if status in _WRONG_SETTINGS or status < 400:
            return ConfigError(
                got=f"status {status} from {self.url} for model {self.model!r}",
                wanted="an OpenAI-compatible endpoint that knows the model and accepts the key",
                remedy="check endpoint.url, .model and .key_variable; `GET …/models` lists the models",
            )
        if status == 429:
            return Fault(Failure.RATE_LIMITED, retry_after(error.response.headers.get("retry-after")))
        if status >= 500 or status in (408, 409):
            return Fault(Failure.SERVER_ERROR, retry_after(error.response.headers.get("retry-after")))
        return Fault(Failure.REFUSED, note=f"status {status}: {error.message[:300]}")


def retry_after(value: str | None) -> float | None:
    """Seconds that a server asks to be left alone, from its header: a number or a date; None where it says neither.

    Example:
        >>> retry_after("2.5"), retry_after("soon"), retry_after("Wed, 21 Oct 2015 07:28:00 GMT")
        (2.5, None, 0.0)
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _body(request: Request) -> dict[str, Any]:
    schema = {"name": "findings", "strict": True, "schema": _SCHEMA}
    form = {"response_format": {"type": "json_schema", "json_schema": schema}}
    shown = [turn for task, reply in request.shots for turn in (("user", task), ("assistant", reply))]
    turns = [("system", request.system), *shown, ("user", request.user)]
    return {
        "model": request.model,
        "messages": [{"role": role, "content": said} for role, said in turns],
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        **(form if request.reply_format == "json_schema" else {}),
    }


def _reply(body: bytes) -> Reply:
    """The reply in a body; servers differ, so nothing is taken for granted."""
    try:
        completion = _mapping(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise Fault(Failure.BROKEN_BODY) from error
    if "choices" not in completion:
        raise Fault(Failure.BROKEN_BODY)
    choices = completion["choices"]
    choice = _mapping(choices[0]) if isinstance(choices, list) and choices else {}
    message, finish = _mapping(choice.get("message")), choice.get("finish_reason")
    text, refusal, model = message.get("content"), message.get("refusal"), str(completion.get("model", ""))
    if refusal or finish == "content_filter":
        return Reply(str(refusal or text or ""), "refusal", model)
    if not isinstance(text, str) or not text.strip():
        raise Fault(Failure.EMPTY_CHOICE)
    return Reply(text, "length" if finish == "length" else "stop", model)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _host(url: str) -> str:
    """The host of a web address, in lower case; empty for anything else."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return ""
    # what two parsers could read in two ways is no address
    return host if parts.scheme in ("http", "https") and parts.username is None and "\\" not in url else ""


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
