"""How well a policy ranks images by each label, from the log-probs of answers: the zero-shot benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cpo.answers import CLOSE, OPEN
from cpo.errors import ConfigError, DataError
from cpo.evaluation.benchmark import Benchmark, HeldOut, Scores, Session, in_batches, needs_policy
from cpo.metrics.ranking import score_rankings
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.results import ResultScorer, Thought
from cpo.records import Counterfactual, PreferencePair, Sample, Trajectory

Thinking = Literal["none", "generated"]
Floats = NDArray[np.float64]


class ZeroShotAUC(Benchmark):
    """Macro AUROC and AUPRC over a dataset's labels, by concept of the stream.

    The score of a label is the log-prob of the answer that names it alone, all labels of one image in one packed
    forward pass; normalised over the labels it is what the policy would bet on each.

    Args:
        limit: Held-out samples to use, the first ones; −1 for all.
        batch_size: Images per forward pass.
        thinking: `none` scores answers right behind the prompt; `generated` behind the policy's own greedy thinking.
        max_new_tokens: Longest generated thinking and answer, in tokens.
        normalise: Normalise the answers' probabilities over all results of the dataset.
        resamples: Of the bootstrap.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Datasets and averages as in CARZero (arXiv 2402.17417), whose numbers arXiv 2505.13081 compares with in its
        Table 4. How that paper turns texts into scores is not stated: the likelihood of answers is our choice.
    """

    protocol = (
        "score of a label: log-prob of the answer that names it alone; macro AUROC and AUPRC over labels with positive "
        "and negative images, others named; 95 % percentile bootstrap by patient"
    )

    def __init__(
        self,
        *,
        limit: int,
        batch_size: int,
        thinking: Thinking,
        max_new_tokens: int,
        normalise: bool,
        resamples: int,
    ) -> None:
        if limit == 0 or limit < -1 or batch_size < 1 or max_new_tokens < 1 or thinking not in get_args(Thinking):
            raise ConfigError(
                got=f"limit={limit}, batch_size={batch_size}, max_new_tokens={max_new_tokens}, thinking={thinking}",
                wanted="limit ≥ 1 or −1 for all; batch_size, max_new_tokens ≥ 1; thinking none or generated",
                remedy="see conf/benchmark/zero_shot_auc.yaml",
            )
        self.limit, self.batch_size, self.thinking = limit, batch_size, thinking
        self.max_new_tokens, self.normalise, self.resamples = max_new_tokens, normalise, resamples

    def evaluate(self, policy: LoadedPolicy | None, held_out: HeldOut, session: Session) -> Scores:
        """See `Benchmark.evaluate`."""
        samples, concepts = held_out.judged(self.limit)
        if not held_out.scored:
            raise DataError(
                got="a dataset whose answers name no labels",
                wanted="one with labels to rank images by",
                remedy="choose another benchmark: cpo list benchmarks",
            )
        asked = needs_policy(policy, "zero_shot_auc")
        logps = np.concatenate(list(self._scores(asked, held_out, samples, progress=session.progress)))
        if self.normalise:
            logps = logps - np.logaddexp.reduce(logps, axis=1, keepdims=True)
        columns = [held_out.answers.results.index(name) for name in held_out.scored]
        present = np.array([[name in s.results for name in held_out.scored] for s in samples])
        scores: Scores = {}
        for concept, kept in concepts.items():
            found = score_rankings(
                logps[kept][:, columns],
                present[kept],
                [samples[i].group for i in kept],
                labels=held_out.scored,
                resamples=self.resamples,
                seed=session.seed,
            )
            scores[concept] = found.as_dict()
        return scores

    def _scores(
        self, policy: LoadedPolicy, held_out: HeldOut, samples: Sequence[Sample], *, progress: bool
    ) -> Sequence[Floats]:
        """Log-prob of the answer that names each result alone, [batch, results] per batch."""
        starts = range(0, len(samples), self.batch_size)
        batches = (samples[start : start + self.batch_size] for start in starts)
        score = self._behind_prompt if self.thinking == "none" else self._behind_thinking
        found = (score(policy, held_out, batch) for batch in batches)
        return list(in_batches(found, total=len(starts), what="ranking images", progress=progress))

    def _behind_prompt(self, policy: LoadedPolicy, held_out: HeldOut, batch: Sequence[Sample]) -> Floats:
        answers = [(name, Trajectory("", held_out.answers.write([name]))) for name in held_out.answers.results]
        (_, first), *others = answers
        pairs = [
            PreferencePair(s, first, tuple(Counterfactual(s.id, "zero_shot", name, said) for name, said in others), 0)
            for s in batch
        ]
        (logps,) = policy.logps(pairs, batch_size=len(pairs))
        table = np.column_stack([logps.chosen.double().cpu().numpy(), logps.rejected.double().cpu().numpy()])
        return np.asarray(table, dtype=np.float64)

    def _behind_thinking(self, policy: LoadedPolicy, held_out: HeldOut, batch: Sequence[Sample]) -> Floats:
        (texts,) = policy.completions(batch, batch_size=len(batch), max_new_tokens=self.max_new_tokens)
        thoughts = [_thought(sample, text) for sample, text in zip(batch, texts, strict=True)]
        scorer = ResultScorer(policy, held_out.answers)
        return np.concatenate(list(scorer.logps(thoughts, batch_size=len(batch))))


def _thought(sample: Sample, text: str) -> Thought:
    """What a completion thinks, to its closing tag or, where there is none, to its end."""
    thinking = text.partition(OPEN)[2].partition(CLOSE)[0].strip()
    return Thought(sample, thinking, (len(thinking),))
