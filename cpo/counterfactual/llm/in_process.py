"""A model of this process as the expert: requests that wait at the same moment are one batch."""

from __future__ import annotations

import asyncio

from cpo.counterfactual.llm.exchange import Reply, Request
from cpo.records import Generator, Provenance, Sample, Trajectory


class InProcess:
    """Answers requests by a `Generator`, which nothing leaves.

    Args:
        generator: Reads a prompt without pictures.
    """

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._waiting: list[tuple[Request, asyncio.Future[Reply]]] = []

    async def ask(self, request: Request) -> Reply:
        """See `Expert.ask`."""
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Reply] = loop.create_future()
        self._waiting.append((request, reply))
        if len(self._waiting) == 1:
            loop.call_soon(self._answer)  # after all that are about to ask have asked
        return await reply

    async def close(self) -> None:
        """Nothing was opened."""

    def _answer(self) -> None:
        batch, self._waiting = self._waiting, []
        try:
            texts = self._generator.generate([_as_sample(request) for request, _ in batch])
        except Exception as error:
            for _, reply in batch:
                reply.set_exception(error)
            return
        for (request, reply), text in zip(batch, texts, strict=True):
            reply.set_result(Reply(text, "stop", request.model))


def _as_sample(request: Request) -> Sample:
    """A request in the form that a generator reads: a prompt, no picture."""
    empty, origin = Trajectory("", ""), Provenance("request", "none", "0", "credentialed")
    return Sample(request.key, "", "train", (), f"{request.system}\n\n{request.user}", empty, {}, (), {}, origin)
