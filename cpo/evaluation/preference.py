"""Whether a policy finds factual trajectories likelier than counterfactual ones, on held-out patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from cpo.errors import ConfigError
from cpo.evaluation.benchmark import Benchmark, HeldOut, Scores, Session, in_batches, needs_policy
from cpo.evaluation.items import keep_items
from cpo.metrics.calibration import calibration_errors
from cpo.metrics.intervals import Array, Method, cluster_bootstraps, quantiles_of, ratio
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.reference import without_adapter
from cpo.preference.pairing import pair_content
from cpo.records import PreferencePair

QUANTILES = {"margin_q10": 0.1, "margin_q50": 0.5, "margin_q90": 0.9}


class Preference(Benchmark):
    """Pair accuracy, margins, drift from the reference and calibration on held-out pairs, by concept of the stream.

    `pair_accuracy` is the share of (chosen, rejected) with log π(chosen) > log π(rejected); `margin` the mean of the
    difference, in nats, with its quantiles. These are of the policy alone, so that SFT and tuned policies can be
    compared.

    A policy with an adapter is held against the model under it, its reference: `logratio_chosen` and
    `logratio_rejected` are the mean log π − log π_ref, in nats. The probability of preferring the chosen trajectory
    that a preference loss fits is p = σ(β (logratio_chosen − logratio_rejected)). `calibration_error` is the expected
    calibration error of its decision: in bins of the confidence max(p, 1 − p), the distance between mean confidence
    and share of right decisions (p > ½), weighted by the bins' sizes; `confidence` is the mean confidence. At p = ½
    everywhere, where training starts, nothing is decided, and a decision counts as half right.

    Args:
        limit: Held-out pairs to use, the first ones; −1 for all.
        batch_size: Pairs per forward pass.
        reference: Also score a policy's reference; doubles the time.
        beta: Of the loss that the policy was tuned by, > 0.
        bins: Of the confidence, equally wide from ½ to 1, ≥ 1.
        resamples: Of the bootstrap.
        interval: How its ends are found: `percentile` or `bca`.

    Raises:
        ConfigError: A knob out of its range.

    Source:
        Rafailov et al. 2023 (arXiv 2305.18290) for p; Guo et al. 2017 (arXiv 1706.04599), equation 3, for the error.
    """

    protocol = (
        "log-probs summed over the completion, in nats; reference: the model under the adapter; expected calibration "
        "error of sigmoid(beta · margin of log-ratios) in bins of confidence; 95 % bootstrap by patient"
    )

    reads_pairs = True

    def __init__(
        self,
        *,
        limit: int,
        batch_size: int,
        reference: bool,
        beta: float,
        bins: int,
        resamples: int,
        interval: Method,
    ) -> None:
        rules = {
            "limit ≥ 1 or −1 for all": limit >= 1 or limit == -1,
            "batch_size ≥ 1": batch_size >= 1,
            "beta > 0": beta > 0,
            "bins ≥ 1": bins >= 1,
            f"interval one of {', '.join(get_args(Method))}": interval in get_args(Method),
        }
        if broken := [rule for rule, holds in rules.items() if not holds]:
            raise ConfigError(
                got=f"a benchmark preference that breaks: {', '.join(broken)}",
                wanted=", ".join(rules),
                remedy="see conf/benchmark/preference.yaml",
            )
        self.limit, self.batch_size, self.reference = limit, batch_size, reference
        self.beta, self.bins, self.resamples, self.interval = beta, bins, resamples, interval

    def evaluate(self, policy: LoadedPolicy | None, held_out: HeldOut, session: Session) -> Scores:
        """See `Benchmark.evaluate`."""
        pairs = held_out.pairs.pairs if self.limit == -1 else held_out.pairs.pairs[: self.limit]
        found = self._ask(needs_policy(policy, "preference"), pairs, progress=session.progress)
        keep_items(session.folder, [pair_content(p) for p in pairs], [p.sample.group for p in pairs], found.per_pair)
        scores: Scores = {}
        samples, concepts = held_out.judged(-1)
        for concept, indices in concepts.items():
            members = {samples[i].id for i in indices}
            rows = [n for n, pair in enumerate(pairs) if pair.sample.id in members]
            groups = [pairs[n].sample.group for n in rows]
            scores[concept] = self._score(found.of(rows), groups, session.seed)
        return scores

    def _ask(self, policy: LoadedPolicy, pairs: Sequence[PreferencePair], *, progress: bool) -> Asked:
        chosen, rejected = self._logps(policy, pairs, "judging pairs", progress=progress)
        if not self.reference:
            return Asked(chosen, rejected)
        with without_adapter(policy.model) as has_reference:
            if not has_reference:
                return Asked(chosen, rejected)
            reference = self._logps(policy, pairs, "asking the reference", progress=progress)
        return Asked(chosen, rejected, chosen - reference[0], rejected - reference[1])

    def _logps(
        self, policy: LoadedPolicy, pairs: Sequence[PreferencePair], what: str, *, progress: bool
    ) -> tuple[Array, Array]:
        """Log-probs of the chosen and the rejected trajectories, `[N, 1]` and `[N, K]`."""
        batches = policy.logps(pairs, batch_size=self.batch_size)
        total = -(-len(pairs) // self.batch_size)
        found = list(in_batches(batches, total=total, what=what, progress=progress))
        chosen = np.concatenate([logps.chosen.double().cpu().numpy() for logps in found])
        return chosen[:, None], np.concatenate([logps.rejected.double().cpu().numpy() for logps in found])

    def _score(self, asked: Asked, groups: Sequence[str], seed: int) -> dict[str, Any]:
        per_pair = asked.per_pair
        table = np.column_stack(list(per_pair.values()))
        quantiles = quantiles_of(per_pair["margin"], list(QUANTILES.values()))
        names = [*per_pair, *QUANTILES]
        p = asked.preferred(self.beta)
        if p is not None:
            names += ["calibration_error", "confidence"]

        def statistics(weights: Array) -> Array:
            means = ratio(
                weights @ table, np.broadcast_to(weights.sum(axis=1)[:, None], (len(weights), table.shape[1]))
            )
            found = [means, quantiles(weights)]
            return np.column_stack(found if p is None else [*found, calibration_errors(p, weights, bins=self.bins)])

        intervals = cluster_bootstraps(statistics, groups, resamples=self.resamples, method=self.interval, seed=seed)
        return {name: interval.as_dict() for name, interval in zip(names, intervals, strict=True)}


@dataclass(frozen=True)
class Asked:
    """Log-probs of N pairs, each with K rejected trajectories.

    Args:
        chosen: Under the policy `[N, 1]`, nats.
        rejected: Under the policy `[N, K]`, nats.
        chosen_logratios: Policy − reference `[N, 1]`, nats; None without a reference.
        rejected_logratios: The same `[N, K]`.
    """

    chosen: Array
    rejected: Array
    chosen_logratios: Array | None = None
    rejected_logratios: Array | None = None

    def of(self, rows: Sequence[int]) -> Asked:
        """Some of the pairs."""
        chosen, rejected = self.chosen_logratios, self.rejected_logratios
        return Asked(
            self.chosen[rows],
            self.rejected[rows],
            None if chosen is None else chosen[rows],
            None if rejected is None else rejected[rows],
        )

    @property
    def per_pair(self) -> dict[str, Array]:
        """Values whose means are metrics, one per pair."""
        margins = self.chosen - self.rejected
        values = {"pair_accuracy": (margins > 0).mean(axis=1), "margin": margins.mean(axis=1)}
        if self.chosen_logratios is not None and self.rejected_logratios is not None:
            values["logratio_chosen"] = self.chosen_logratios.mean(axis=1)
            values["logratio_rejected"] = self.rejected_logratios.mean(axis=1)
        return values

    def preferred(self, beta: float) -> Array | None:
        """Probability of preferring the chosen trajectory `[N, K]`; None without a reference."""
        if self.chosen_logratios is None or self.rejected_logratios is None:
            return None
        margins = beta * (self.chosen_logratios - self.rejected_logratios)
        return np.asarray(np.exp(-np.logaddexp(0.0, -margins)), dtype=np.float64)
