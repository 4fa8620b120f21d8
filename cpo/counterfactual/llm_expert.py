"""Counterfactuals by a language model: told what the concept graph knows, checked like any other, never asked twice."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from cpo.counterfactual.answers import replace_result
from cpo.counterfactual.base import CounterfactualMethod, Need, Proposer, Rejection
from cpo.counterfactual.llm.asking import Asker
from cpo.counterfactual.llm.endpoint import Endpoint
from cpo.counterfactual.llm.exchange import Expert, Reply, ReplyFormat, Request, findings_of
from cpo.counterfactual.llm.in_process import InProcess
from cpo.counterfactual.llm.instruction import SYSTEM, instruction
from cpo.counterfactual.llm.journal import Journal
from cpo.counterfactual.llm.targets import Targets, differing
from cpo.counterfactual.planning import Plan
from cpo.counterfactual.validity import Judge, Validity, lexicon_judge
from cpo.errors import ConfigError
from cpo.graph.extraction import LexiconExtractor
from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph
from cpo.records import Access, Counterfactual, Generator, Sample, Trajectory, fingerprint

logger = logging.getLogger(__name__)
SECONDS_BETWEEN_NOTES = 60.0

JudgeName = Literal["free_text", "wordings"]
Proposal = Counterfactual | Rejection


class LLMExpertCounterfactual(CounterfactualMethod):
    """One true disease of a sample replaced by a confusable one, in words of a language model.

    `Planner` chooses the targets as for the concept-graph method; the model gets the findings and what the graph knows
    of both diseases, and writes new findings; the answer sentence is edited by rule. What `Validity` rejects is asked
    for again with the reason named. The order of targets does not depend on the seed, and a reply that was once given
    is kept: the same journal gives the same counterfactuals.

    Args:
        graph: A shipped concept graph by name, or the path of a JSON file.
        targets: Counterfactuals per sample, each for another of its most confusable targets, ≥ 1.
        max_edit_ratio: Largest ratio of edited words of the thinking, in (0, 1].
        judge: Who reads reports and replies: `free_text` finds the graph's terms, negation and doubt in any words;
            `wordings` knows the graph's own sentences alone.
        attempts: Replies to ask for before a target is dropped, ≥ 1.
        reply_format: `json_schema` makes the server hold the model to the form, where it can; `text` asks for nothing
            that a server may not know.
        temperature: Of the model's sampling, ≥ 0; 0 is greedy.
        max_tokens: Longest reply in tokens, ≥ 1; a longer one is cut off and rejected.
        journal: Folder of finished requests; each combination of model, settings and graph has its own inside.
        endpoint: Where the model is.

    Raises:
        ConfigError: A knob out of its range.
        DataError: The graph is not found or not a concept graph.

    Source:
        arXiv 2505.13081, whose expert is a language model that is given report, concept graph and target. The words
        of the instruction are ours.
    """

    def __init__(
        self,
        *,
        graph: str,
        targets: int,
        max_edit_ratio: float,
        judge: JudgeName,
        attempts: int,
        reply_format: ReplyFormat,
        temperature: float,
        max_tokens: int,
        journal: str,
        endpoint: Endpoint,
    ) -> None:
        super().__init__("llm_expert", targets)
        rules = {
            f"judge one of {', '.join(get_args(JudgeName))}": judge in get_args(JudgeName),
            "attempts ≥ 1": attempts >= 1,
            f"reply_format one of {', '.join(get_args(ReplyFormat))}": reply_format in get_args(ReplyFormat),
            "temperature ≥ 0": temperature >= 0,
            "max_tokens ≥ 1": max_tokens >= 1,
        }
        broken = [rule for rule, holds in rules.items() if not holds]
        if broken:
            raise ConfigError(
                got=f"a language model as expert that breaks: {', '.join(broken)}",
                wanted=", ".join(rules),
                remedy="set counterfactual.KNOB=VALUE within its range",
            )
        self.graph, self.attempts, self.endpoint = ConceptGraph.load(graph), attempts, endpoint
        self.reply_format, self.temperature, self.max_tokens = reply_format, temperature, max_tokens
        self.max_edit_ratio, self._journal = max_edit_ratio, Path(journal)
        self._model = endpoint.model
        self._expert: Expert | None = None if endpoint.in_process else endpoint
        self.needs: Need | None = "generator" if endpoint.in_process else None
        self.judge_by(judge_of(judge, self.graph))
        self._acknowledged = False
        self._account: Mapping[str, float] = {}

    def judge_by(self, judge: Judge) -> None:
        """Lets another judge read reports and replies."""
        self._judge = judge
        self._validity = Validity(graph=self.graph, judge=judge, max_edit_ratio=self.max_edit_ratio)

    def use(self, generator: Generator, *, identity: str) -> None:
        """Makes a model of this process the expert, as `endpoint.url=in_process` asks for.

        Args:
            generator: Reads a prompt without pictures.
            identity: Tells its weights from others; the journal keeps replies by it.
        """
        self._expert, self._model = InProcess(generator), f"{self.endpoint.model} {identity}"

    def refuse_unless_allowed(self, access: Access, *, acknowledged: bool) -> None:
        """Refuses data that may not go to the endpoint; to be called before a dataset is opened.

        `make` asks again, sample by sample, and takes nothing for acknowledged that was not acknowledged here.

        Raises:
            PrivacyError: The endpoint is neither this machine nor listed as local.
        """
        self._acknowledged = acknowledged
        self.endpoint.refuse_unless_allowed(access, acknowledged=acknowledged)

    def proposer(self, pool: Sequence[Sample]) -> Proposer:
        """Asks for all samples of the pool side by side; see `CounterfactualMethod.proposer`.

        Raises:
            PrivacyError: A sample may not go to the endpoint; nothing was sent.
            ConfigError: There is no model in this process, or the endpoint answers nobody.
        """
        for access in sorted({sample.provenance.access for sample in pool}):
            self.endpoint.refuse_unless_allowed(access, acknowledged=self._acknowledged)
        found = self._ask_for_all(pool)

        def propose(sample: Sample, rng: np.random.Generator) -> Iterator[Proposal]:
            return iter(found[sample.id])

        return propose

    def account(self) -> Mapping[str, float]:
        """What became of the requests of the last making; see `Asker.account`."""
        return self._account

    def _ask_for_all(self, pool: Sequence[Sample]) -> Mapping[str, Sequence[Proposal]]:
        """The proposals of each sample."""
        if self._expert is None:
            raise ConfigError(
                got="counterfactual.endpoint.url=in_process, and no model in this process",
                wanted="a model that the job hands in, or a server's address",
                remedy="pass counterfactual.endpoint.url=http://localhost:8000/v1",
            )
        settings = [self._model, self.reply_format, self.temperature, self.max_tokens]
        folder = self._journal / fingerprint([settings, self.graph.fingerprint])
        open_data = all(sample.provenance.access == "open" for sample in pool)
        targets = Targets(self.graph, self._judge, pool, self.targets_per_sample)
        with Journal(folder) as journal:
            asker = Asker(self._expert, self.endpoint, journal, open_data=open_data)
            try:
                return asyncio.run(self._side_by_side(self._expert, targets, asker))
            finally:
                self._account = asker.account

    async def _side_by_side(self, expert: Expert, targets: Targets, asker: Asker) -> Mapping[str, Sequence[Proposal]]:
        """As many samples at the same time as there may be requests."""
        found: dict[str, Sequence[Proposal]] = {}
        waiting, noted = iter(targets.pool), time.monotonic()

        async def work() -> None:
            nonlocal noted
            for sample in waiting:
                found[sample.id] = await self._proposals(sample, targets.plans(sample), asker)
                if time.monotonic() - noted >= SECONDS_BETWEEN_NOTES:
                    noted = time.monotonic()
                    logger.info("%d of %d samples: %s", len(found), len(targets.pool), dict(asker.account))

        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(self.endpoint.concurrency, len(targets.pool))):
                    workers.create_task(work())
        except* Exception as errors:
            raise errors.exceptions[0] from None
        finally:
            await expert.close()
        asker.refuse_silence()
        return found

    async def _proposals(self, sample: Sample, plans: Sequence[Plan], asker: Asker) -> Sequence[Proposal]:
        """Of one sample, target by target."""
        return [p for plan in plans for p in await self._argued(sample, plan, asker)] or [Rejection.NOT_REACHABLE]

    async def _argued(self, sample: Sample, plan: Plan, asker: Asker) -> Sequence[Proposal]:
        """Attempts at one target until one is valid, and why those before it were not."""
        order, phrases, said = tuple(sample.labels), self.graph.phrases, sample.factual.answer
        answer = replace_result(said, sample.results, plan.replaced, plan.target, order, phrases)
        if answer is None:
            return [Rejection.ANSWER_NOT_NAMED]
        rejected: list[Rejection] = []
        while len(rejected) < self.attempts:
            reply = await asker.reply(self._request(sample, plan, rejected))
            if reply is None:
                return [*rejected, Rejection.NO_REPLY]
            proposal = self._read(sample, plan, answer, reply)
            if isinstance(proposal, Counterfactual):
                return [*rejected, proposal]
            rejected.append(proposal)
        return rejected

    def _request(self, sample: Sample, plan: Plan, rejected: Sequence[Rejection]) -> Request:
        reasons = [reason.value for reason in rejected]
        task = instruction(self.graph, sample, plan, self.reply_format, reasons)
        return Request(self._model, SYSTEM, task, self.reply_format, self.temperature, self.max_tokens)

    def _read(self, sample: Sample, plan: Plan, answer: str, reply: Reply) -> Proposal:
        """The counterfactual in a reply, or why there is none."""
        if reply.finish != "stop":
            return Rejection.REPLY_CUT_OFF if reply.finish == "length" else Rejection.REPLY_DECLINED
        thinking = findings_of(reply, self.reply_format)
        if thinking is None:
            return Rejection.FORMAT_BROKEN
        interventions = differing(self._judge(sample.factual.thinking), self._judge(thinking))
        made = Counterfactual(sample.id, self.name, plan.target, Trajectory(thinking, answer), interventions)
        return self._validity.rejection(sample, made) or made


def judge_of(name: JudgeName, graph: ConceptGraph) -> Judge:
    """The judge of that name."""
    if name == "wordings":
        return lexicon_judge(Lexicon(graph))
    extractor = LexiconExtractor(graph)
    return lambda text: extractor.read(text).attributes
