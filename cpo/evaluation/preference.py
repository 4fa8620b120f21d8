"""Whether a policy finds factual trajectories likelier than counterfactual ones, on held-out patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cpo.errors import ConfigError
from cpo.evaluation.benchmark import Benchmark, HeldOut, Scores, Session, in_batches, needs_policy
from cpo.evaluation.items import keep_items
from cpo.metrics.intervals import cluster_bootstraps
from cpo.policy.loaded import LoadedPolicy
from cpo.preference.pairing import pair_content
from cpo.records import PreferencePair


class Preference(Benchmark):
    """Pair accuracy and margin on held-out pairs, by concept of the stream.

    `pair_accuracy` is the share of (chosen, rejected) with log π(chosen) > log π(rejected); `margin` the mean of the
    difference, in nats. Both are of the policy alone, so that SFT and tuned policies can be compared.

    Args:
        limit: Held-out pairs to use, the first ones; −1 for all.
        batch_size: Pairs per forward pass.
        resamples: Of the bootstrap.

    Raises:
        ConfigError: A knob out of its range.
    """

    protocol = "log-probs summed over the completion, in nats; 95 % percentile bootstrap by patient"

    def __init__(self, *, limit: int, batch_size: int, resamples: int) -> None:
        if limit == 0 or limit < -1 or batch_size < 1:
            raise ConfigError(
                got=f"limit={limit}, batch_size={batch_size}",
                wanted="limit ≥ 1 or −1 for all; batch_size ≥ 1",
                remedy="see conf/benchmark/preference.yaml",
            )
        self.limit, self.batch_size, self.resamples = limit, batch_size, resamples

    def evaluate(self, policy: LoadedPolicy | None, held_out: HeldOut, session: Session) -> Scores:
        """See `Benchmark.evaluate`."""
        pairs = held_out.pairs.pairs if self.limit == -1 else held_out.pairs.pairs[: self.limit]
        batches = needs_policy(policy, "preference").logps(pairs, batch_size=self.batch_size)
        total = -(-len(pairs) // self.batch_size)
        margins = np.concatenate(
            [
                (logps.chosen[:, None] - logps.rejected).double().cpu().numpy()
                for logps in in_batches(batches, total=total, what="judging pairs", progress=session.progress)
            ]
        )
        values = {"pair_accuracy": (margins > 0).mean(axis=1), "margin": margins.mean(axis=1)}
        keep_items(session.folder, [pair_content(p) for p in pairs], [p.sample.group for p in pairs], values)
        scores: Scores = {}
        samples, concepts = held_out.judged(-1)
        for concept, indices in concepts.items():
            members = {samples[i].id for i in indices}
            rows = [n for n, pair in enumerate(pairs) if pair.sample.id in members]
            scores[concept] = self._score([pairs[n] for n in rows], margins[rows], session.seed)
        return scores

    def _score(self, pairs: Sequence[PreferencePair], margins: np.ndarray, seed: int) -> dict[str, object]:
        per_pair = np.stack([(margins > 0).mean(axis=1), margins.mean(axis=1)], axis=1)
        accuracy, margin = cluster_bootstraps(
            lambda weights: weights @ per_pair / weights.sum(axis=1, keepdims=True),
            [pair.sample.group for pair in pairs],
            resamples=self.resamples,
            seed=seed,
        )
        return {"pair_accuracy": accuracy.as_dict(), "margin": margin.as_dict()}
