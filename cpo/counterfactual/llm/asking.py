"""Many requests side by side: paced, counted, made again when they fail, and never again once they are finished."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping

from cpo.counterfactual.llm.endpoint import Endpoint
from cpo.counterfactual.llm.exchange import Expert, Fault, Reply, Request
from cpo.counterfactual.llm.journal import Journal
from cpo.errors import ConfigError

LONGEST_BACKOFF_S = 60.0


class Pace:
    """When the next request may begin.

    Args:
        per_minute: Requests begun in a minute, evenly; −1 for no limit.
    """

    def __init__(self, per_minute: int) -> None:
        self._interval = 60 / per_minute if per_minute > 0 else 0.0
        self._next = self._held_until = 0.0

    async def turn(self) -> None:
        """Waits until it is the caller's turn."""
        while True:
            now = time.monotonic()
            begin = max(now, self._next)
            self._next = begin + self._interval
            if begin > now:
                await asyncio.sleep(begin - now)
            if time.monotonic() >= self._held_until:
                return

    def hold(self, seconds: float) -> None:
        """Lets nobody begin for a while: the server has asked for it."""
        self._held_until = max(self._held_until, time.monotonic() + seconds)
        self._next = max(self._next, self._held_until)


class Asker:
    """Gets the reply to every request that has one.

    Args:
        expert: Answers.
        settings: Pace, retries and patience of the endpoint.
        journal: Open; knows the replies of earlier processes and gets every new one.
        open_data: Whether an error may quote what the server said, which may quote the request.
    """

    def __init__(self, expert: Expert, settings: Endpoint, journal: Journal, *, open_data: bool) -> None:
        self._expert, self._settings, self._journal, self._open_data = expert, settings, journal, open_data
        self._pace = Pace(-1 if settings.in_process else settings.requests_per_minute)
        self._under_way: dict[str, asyncio.Task[Reply | None]] = {}
        self._asked, self._reused = 0, 0
        self._given_up, self._in_a_row = 0, 0
        self._failures = Counter[str]()
        self._last = ""

    async def reply(self, request: Request) -> Reply | None:
        """The reply to a request, from the journal where it has one; None when it was given up.

        Raises:
            ConfigError: The endpoint answers nobody.
        """
        known = self._journal.replies.get(request.key)
        if known is not None:
            self._reused += 1
            return known
        task = self._under_way.get(request.key)
        if task is None:  # reports repeat, and with them requests
            task = self._under_way[request.key] = asyncio.create_task(self._get(request))
        return await task

    @property
    def account(self) -> Mapping[str, float]:
        """Requests answered and given up now, replies found in the journal, and its failures by kind and torn lines."""
        failures = {f"failed: {kind}": float(n) for kind, n in sorted(self._journal.failures.items())}
        counts = {"asked": self._asked, "reused": self._reused, "given_up": self._given_up, "torn": self._journal.torn}
        return {name: float(n) for name, n in counts.items()} | failures

    def refuse_silence(self) -> None:
        """To be called at the end: requests were made, and none was answered.

        Raises:
            ConfigError: The endpoint answers nobody.
        """
        self._refuse_silence(patience=1 if not self._asked else self._given_up + 1)

    def _refuse_silence(self, patience: int) -> None:
        """Raises when so many requests in a row were given up that the next would be too."""
        if self._in_a_row >= patience:
            kinds = ", ".join(f"{kind} × {n}" for kind, n in self._failures.most_common())
            raise ConfigError(
                got=f"{self._in_a_row} requests in a row with no reply from {self._settings.url}: {kinds}{self._last}",
                wanted="an endpoint that answers",
                remedy="start the server, or raise endpoint.timeout_s or .retries; what was replied is "
                "kept, and the same command goes on from there",
            )

    async def _get(self, request: Request) -> Reply | None:
        try:
            reply = await self._try(request)
        finally:
            del self._under_way[request.key]
        if reply is None:
            self._given_up += 1
            self._in_a_row += 1
            self._refuse_silence(max(PATIENCE, self._settings.concurrency))
        else:
            self._asked += 1
            self._in_a_row = 0
        return reply

    async def _try(self, request: Request) -> Reply | None:
        """The reply, after as many retries as it takes or there may be."""
        for retry in range(self._settings.retries + 1):
            await self._pace.turn()
            try:
                reply = await self._expert.ask(request)
            except Fault as fault:
                self._journal.add_failure(request, fault.failure)
                self._failures[fault.failure.value] += 1
                self._last = f" ({fault.note})" if fault.note and self._open_data else ""
                if not fault.failure.passing:
                    return None
                if retry < self._settings.retries:
                    await self._pause(request, fault, retry)
                continue
            self._journal.add(request, reply)
            return reply
        return None

    async def _pause(self, request: Request, fault: Fault, retry: int) -> None:
        """Waits before a retry: longer each time, never all at once, and as long as the server asks for."""
        if fault.wait_s:
            self._pace.hold(fault.wait_s)
        spread = 0.5 + int(request.key[:4], 16) / 0x20000  # between a half and one, by the request
        await asyncio.sleep(spread * min(LONGEST_BACKOFF_S, self._settings.backoff_s * 2**retry))


PATIENCE = 3
"""Requests given up in a row before the endpoint is given up, if it takes no more at a time."""
