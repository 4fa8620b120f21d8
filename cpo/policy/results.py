"""What a policy would answer if its thinking stopped here: distributions over results after prefixes of a thinking.

The thinking is teacher-forced up to a cut, then closed, and every result's answer is scored: z_i ∝ π(answer | image,
prompt, thinking up to i). All cuts and all results of a sample share prompt and thinking in one row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cpo.answers import CLOSE, OPEN, AnswerFormat
from cpo.errors import DataError
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.logps import compute_logps
from cpo.records import Sample
from cpo.sequence.trunk import Trunk, lay_out

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Thought:
    """A thinking forced on a sample, and where it is cut.

    Args:
        sample: Gives images and prompt.
        thinking: The text between the tags.
        cuts: Characters of the thinking after which results are scored; `len(thinking)` is the whole of it. A cut
            inside a token counts from that token's end.
    """

    sample: Sample
    thinking: str
    cuts: tuple[int, ...]


class ResultScorer:
    """Scores every result after prefixes of a thinking.

    Each result is scored as the answer that names it alone, end token included, and the log-probs are normalised over
    the results: a distribution over single results.

    Args:
        policy: To be asked.
        answers: Writes the answer of each result.
        results: Those to score; None for all.
        max_branch_tokens: Tokens of answers per row, at most; more are scored in several forward passes.
    """

    def __init__(
        self,
        policy: LoadedPolicy,
        answers: AnswerFormat,
        *,
        results: Sequence[str] | None = None,
        max_branch_tokens: int = 512,
    ) -> None:
        self.policy, self.results = policy, tuple(answers.results if results is None else results)
        self.max_branch_tokens = max_branch_tokens
        texts = [f" {CLOSE} {answers.write([result])}" for result in self.results]
        self._endings = [policy.encoder.text(text) for text in texts]

    def tokens_of(self, thinking: str) -> tuple[list[int], list[int]]:
        """The thinking's token ids behind the opening tag, and for each the character at which it ends.

        A text whose end falls inside a word still tokenises as the whole text does: only whole tokens are cut.
        """
        tokenizer = self.policy.encoder.tokenizer
        encoded = tokenizer(f"{OPEN} {thinking}", add_special_tokens=False, return_offsets_mapping=True)
        lead = len(OPEN) + 1
        return list(encoded["input_ids"]), [end - lead for _, end in encoded["offset_mapping"]]

    def logps(self, thoughts: Sequence[Thought], *, batch_size: int = 8) -> Iterator[Floats]:
        """Log-probability of each result's answer after each cut, `[cuts, results]` per thought, in nats.

        Args:
            thoughts: In any number.
            batch_size: Thoughts per forward pass.

        Raises:
            DataError: A thought is too long for the policy.
        """
        model, training = self.policy.model, self.policy.model.training
        model.eval()
        try:
            for start in range(0, len(thoughts), batch_size):
                yield from self._batch(thoughts[start : start + batch_size])
        finally:
            model.train(training)

    def distributions(self, thoughts: Sequence[Thought], *, batch_size: int = 8) -> Iterator[Floats]:
        """The same normalised over the results, `[cuts, results]` per thought."""
        for logps in self.logps(thoughts, batch_size=batch_size):
            weights = np.exp(logps - logps.max(axis=1, keepdims=True))
            yield weights / weights.sum(axis=1, keepdims=True)

    @torch.no_grad()
    def _batch(self, thoughts: Sequence[Thought]) -> list[Floats]:
        per_pass = max(1, self.max_branch_tokens // sum(map(len, self._endings)))
        longest = max(len(thought.cuts) for thought in thoughts)
        found: list[list[Floats]] = [[] for _ in thoughts]
        for start in range(0, longest, per_pass):
            members = [n for n, thought in enumerate(thoughts) if thought.cuts[start : start + per_pass]]
            trunks = [self._trunk(thoughts[n], start, start + per_pass) for n in members]
            batch = lay_out(trunks, pad_token_id=self.policy.encoder.pad_token_id).to(self.policy.device)
            table = compute_logps(self.policy.model, batch).chosen.double().cpu().numpy().reshape(-1, len(self.results))
            at = 0
            for n, trunk in zip(members, trunks, strict=True):
                cuts = len(trunk.branches) // len(self.results)
                found[n].append(table[at : at + cuts])
                at += cuts
        return [np.concatenate(parts) for parts in found]

    def _trunk(self, thought: Thought, start: int, stop: int) -> Trunk:
        ids, ends = self.tokens_of(thought.thinking)
        prompt = self.policy.encoder.prompt(thought.sample)
        longest = len(prompt.ids) + len(ids) + max(map(len, self._endings))
        if longest > self.policy.max_length:
            raise DataError(
                got=f"{longest} tokens of prompt, thinking and answer",
                wanted=f"at most policy.max_length={self.policy.max_length}",
                remedy="raise policy.max_length, or lower the image budget; nothing is truncated",
            )
        # at the opening tag every offset is negative or 0: a cut at 0 keeps the tag alone
        cuts = [1 + int(np.searchsorted(ends[1:], cut, side="left")) + (cut > 0) for cut in thought.cuts[start:stop]]
        branches = tuple((min(cut, len(ids)), ending) for cut in cuts for ending in self._endings)
        return Trunk(prompt, tuple(ids), branches)
