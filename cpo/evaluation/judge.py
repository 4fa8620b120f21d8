"""A language model as a judge of texts: asked once for each, at any OpenAI-compatible endpoint, and never again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cpo.counterfactual.llm.asking import Asker
from cpo.counterfactual.llm.endpoint import Endpoint
from cpo.counterfactual.llm.exchange import Reply, Request, findings_of
from cpo.counterfactual.llm.journal import Journal
from cpo.errors import ConfigError
from cpo.metrics.judging import Scale, Unparsed, Verdicts
from cpo.records import Access, fingerprint

TEMPERATURE = 0.0
"""Of the judge's sampling: the same text gets the same rating."""


@dataclass(frozen=True)
class Instruction:
    """What a judge is told besides the texts, and how its replies are read.

    Args:
        system: Its task.
        form: A reference and a prediction → the judge's turn.
        read: A reply → its rating, or why there is none.
        scale: Of the ratings.
        shots: Worked examples: reference, prediction, reply.
    """

    system: str
    form: Callable[[str, str], str]
    read: Callable[[str], float | Unparsed]
    scale: Scale
    shots: tuple[tuple[str, str, str], ...] = ()

    @cached_property
    def prompt(self) -> str:
        """Fingerprint of all that the judge is told besides the texts."""
        return fingerprint([self.system, self.form("{reference}", "{prediction}"), self.shots, TEMPERATURE])

    def request(self, model: str, reference: str, prediction: str, max_tokens: int) -> Request:
        """What the judge is asked about one prediction."""
        shots = tuple((self.form(*texts), reply) for *texts, reply in self.shots)
        user = self.form(reference, prediction)
        return Request(model, self.system, user, "text", TEMPERATURE, max_tokens, shots)


class Judge:
    """Rates predictions against references, reading no image.

    Replies are kept in a journal by all that decides them: a judgement that was interrupted, or is repeated, asks only
    what has no reply yet.

    Args:
        max_tokens: Longest reply in tokens, ≥ 1; a longer one is cut off and has no rating.
        journal: Folder of finished requests; each model has its own inside.
        endpoint: Where the model is. Its name should be a dated or otherwise fixed one: it stands beside every score.

    Raises:
        ConfigError: A knob out of its range, or a model of this process.
    """

    def __init__(self, *, max_tokens: int, journal: str, endpoint: Endpoint) -> None:
        if max_tokens < 1 or endpoint.in_process:
            raise ConfigError(
                got=f"max_tokens={max_tokens}, endpoint.url={endpoint.url}",
                wanted="max_tokens ≥ 1; the address of a server, for a judge that is another model than the judged",
                remedy="pass judge.endpoint.url=http://localhost:8000/v1 under the benchmark's name",
            )
        self.max_tokens, self.endpoint, self._journal = max_tokens, endpoint, Path(journal)

    def require_name(self) -> None:
        """Refuses a judge whose name could not stand beside its scores.

        Raises:
            ConfigError: No model is named.
        """
        if not self.endpoint.model:
            raise ConfigError(
                got="a judge without a name",
                wanted="the model that judges, as its server knows it",
                remedy="pass judge.endpoint.model=… under the benchmark's name",
            )

    def refuse_unless_allowed(self, access: Access, *, acknowledged: bool) -> None:
        """Refuses texts that may not go to the endpoint.

        Raises:
            PrivacyError: Nothing was sent.
        """
        self.endpoint.refuse_unless_allowed(access, acknowledged=acknowledged)

    def rate(
        self, texts: Sequence[tuple[str, str]], instruction: Instruction, *, access: Access, acknowledged: bool
    ) -> Verdicts:
        """Ratings of predictions.

        Args:
            texts: Of each its reference and the prediction.
            instruction: What the judge is told.
            access: Of the texts; credentialed ones go to this machine and to hosts listed as local only.
            acknowledged: The user answers for other hosts (`privacy=acknowledged`).

        Raises:
            ConfigError: No model is named, or the endpoint answers nobody; what it answered before is kept.
            PrivacyError: The texts may not go there; nothing was sent.
        """
        self.require_name()
        self.refuse_unless_allowed(access, acknowledged=acknowledged)
        model = self.endpoint.model
        asked = [instruction.request(model, *pair, self.max_tokens) for pair in texts]
        with Journal(self._journal / fingerprint(["judge", model])) as journal:
            asker = Asker(self.endpoint, self.endpoint, journal, open_data=access == "open")
            replies = asyncio.run(self._side_by_side(asked, asker))
        served = sorted({reply.model for reply in replies if reply is not None and reply.model})
        found = [_rating(reply, instruction) for reply in replies]
        return Verdicts(found, instruction.scale, model, tuple(served), instruction.prompt)

    async def _side_by_side(self, asked: Sequence[Request], asker: Asker) -> list[Reply | None]:
        """The replies, with as many requests under way as there may be."""
        replies: list[Reply | None] = [None] * len(asked)
        waiting = iter(enumerate(asked))

        async def work() -> None:
            for place, request in waiting:
                replies[place] = await asker.reply(request)

        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(self.endpoint.concurrency, len(asked))):
                    workers.create_task(work())
        except* Exception as errors:
            raise errors.exceptions[0] from None
        finally:
            await self.endpoint.close()
        asker.refuse_silence()
        return replies


def _rating(reply: Reply | None, instruction: Instruction) -> float | Unparsed:
    if reply is None:
        return Unparsed.NO_REPLY
    if reply.finish == "refusal":
        return Unparsed.DECLINED
    text = findings_of(reply, "text")  # without what a reasoning model thinks first
    rating = Unparsed.NO_RATING if text is None else instruction.read(text)
    # a rating that was given before the reply grew too long is one
    return Unparsed.CUT_OFF if rating is Unparsed.NO_RATING and reply.finish == "length" else rating
