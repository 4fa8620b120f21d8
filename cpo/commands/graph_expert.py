"""Reports read by a language model: every question asked side by side, every reply kept."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from cpo.counterfactual.llm.asking import Asker
from cpo.counterfactual.llm.endpoint import Endpoint
from cpo.counterfactual.llm.exchange import Reply, Request
from cpo.counterfactual.llm.journal import Journal

SYSTEM = "You are a radiologist who reads reports for a registry of findings."
MAX_TOKENS = 1024


def endpoint_of(url: str, model: str, local_hosts: Sequence[str]) -> Endpoint:
    """An OpenAI-compatible endpoint with the defaults of `counterfactual=llm_expert`.

    Args:
        url: Up to and with `/v1`.
        model: As the server knows it.
        local_hosts: Hosts besides this machine that credentialed reports may go to.
    """
    return Endpoint(
        url=url,
        model=model,
        key_variable="OPENAI_API_KEY",
        local_hosts=list(local_hosts),
        concurrency=16,
        requests_per_minute=-1,
        retries=5,
        backoff_s=1.0,
        timeout_s=120.0,
    )


def replies_to(prompts: Sequence[str], endpoint: Endpoint, journal: Path, *, open_data: bool) -> Mapping[str, str]:
    """The reply to each prompt that has one; a killed job asks again only what was not answered.

    Args:
        prompts: What to ask.
        endpoint: Whom.
        journal: Folder in which replies are kept.
        open_data: Whether an error may quote what the server said.

    Raises:
        ConfigError: The endpoint answers nobody.
    """
    requests = {p: Request(endpoint.model, SYSTEM, p, "text", 0.0, MAX_TOKENS) for p in dict.fromkeys(prompts)}
    with Journal(journal) as kept:
        asker = Asker(endpoint, endpoint, kept, open_data=open_data)
        found = asyncio.run(_side_by_side(requests, asker, endpoint))
        asker.refuse_silence()
    return {prompt: reply.text for prompt, reply in found.items() if reply is not None}


async def _side_by_side(requests: Mapping[str, Request], asker: Asker, endpoint: Endpoint) -> dict[str, Reply | None]:
    room = asyncio.Semaphore(endpoint.concurrency)

    async def ask(prompt: str, request: Request) -> tuple[str, Reply | None]:
        async with room:
            return prompt, await asker.reply(request)

    tasks = [asyncio.create_task(ask(prompt, request)) for prompt, request in requests.items()]
    console = Console(stderr=True)
    try:
        waiting = asyncio.as_completed(tasks)
        shown = track(waiting, "reading reports", len(tasks), console=console, disable=not console.is_terminal)
        return dict([await done for done in shown])
    finally:
        for task in tasks:
            task.cancel()
        await endpoint.close()
