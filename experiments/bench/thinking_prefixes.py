"""Every result after every prefix of a thinking: one packed row per thinking against plain loops, same numbers.

Usage:
    python -m experiments.bench.thinking_prefixes --policy tiny --thoughts 2 --cuts sentence

`loop` makes one forward pass per prefix and result. `rows` makes one per prefix, with a padded row per result.
`one row` is the project's own: prompt and thinking once, all answers behind all prefixes beside one another.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cpo import config
from cpo.evaluation.token_swap import sentences
from cpo.policy.loaded import LoadedPolicy
from cpo.policy.logps import compute_logps
from cpo.policy.results import ResultScorer, Thought
from cpo.records import Sample
from cpo.sequence.collator import Collator
from cpo.sequence.layouts import Branch, Padded
from experiments.bench.policies import Mid, composed

Floats = NDArray[np.float64]


def thought_of(scorer: ResultScorer, sample: Sample, cuts: str) -> Thought:
    """The sample's own thinking, cut behind every sentence or every token."""
    text = sample.factual.thinking
    if cuts == "sentence":
        return Thought(sample, text, (0, *(end for _, end in sentences(text))))
    _, ends = scorer.tokens_of(text)
    return Thought(sample, text, (0, *sorted({end for end in ends if end > 0})))


@torch.no_grad()
def looped(scorer: ResultScorer, thought: Thought, *, at_once: int) -> Floats:
    """Log-probs [cuts, results] by padded rows that repeat prompt and prefix, so many results per forward pass."""
    policy = scorer.policy
    ids, ends = scorer.tokens_of(thought.thinking)
    prompt = policy.encoder.prompt(thought.sample)
    collate = Collator(policy.encoder, Padded(), max_length=policy.max_length)
    found = np.zeros((len(thought.cuts), len(scorer.results)))
    for row, cut in enumerate(thought.cuts):
        kept = [i for i, end in zip(ids, ends, strict=True) if end <= cut] if cut else ids[:1]
        for start in range(0, len(scorer.results), at_once):
            endings = scorer._endings[start : start + at_once]
            branches = [[Branch(prompt, (*kept, *ending))] for ending in endings]
            batch = collate.assemble(branches, ["row"] * len(branches)).to(policy.device)
            table = compute_logps(policy.model, batch).token_logps
            assert table is not None
            for n, ending in enumerate(endings):
                found[row, start + n] = float(table[n, len(kept) : len(kept) + len(ending)].double().sum())
    return found


def timed(way: Callable[[], Sequence[Floats]], repeats: int) -> tuple[float, Sequence[Floats]]:
    """Median CPU seconds, which other jobs on the machine do not change, and what it gave."""
    seconds = []
    for _ in range(repeats):
        started = time.process_time()
        values = way()
        seconds.append(time.process_time() - started)
    return statistics.median(seconds), values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", choices=("tiny", "mid"), default="tiny")
    parser.add_argument("--thoughts", type=int, default=2)
    parser.add_argument("--cuts", choices=("sentence", "token"), default="sentence")
    parser.add_argument("--branch-tokens", type=int, default=512, help="answers beside one another in a row, in tokens")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=None, help="keeps world and policy for the next time")
    arguments = parser.parse_args()
    cache = (arguments.cache or Path(tempfile.mkdtemp())).absolute()
    cfg = composed(arguments.policy, studies=160, negatives=1, more=(f"paths.cache={cache}",))
    dataset = config.build_dataset(cfg.dataset)
    samples = dataset.samples("train")
    backbone = Mid() if arguments.policy == "mid" else config.build(cfg.policy)
    directory = backbone.directory(cache, samples=samples, results=dataset.results, seed=cfg.seed)
    model = backbone.load_model(directory).eval().requires_grad_(False)
    encoder = backbone.load_encoder(directory)
    policy = LoadedPolicy(model, encoder, config.build(cfg.layout), backbone.max_length, directory)
    scorer = ResultScorer(policy, dataset.answers, max_branch_tokens=arguments.branch_tokens)
    thoughts = [thought_of(scorer, sample, arguments.cuts) for sample in samples[: arguments.thoughts]]
    cuts = sum(len(thought.cuts) for thought in thoughts)
    print(f"{len(thoughts)} thinkings, {cuts} cuts, {len(scorer.results)} results")
    ways: dict[str, Callable[[], Sequence[Floats]]] = {
        "loop": lambda: [looped(scorer, thought, at_once=1) for thought in thoughts],
        "rows": lambda: [looped(scorer, thought, at_once=len(scorer.results)) for thought in thoughts],
        "one row": lambda: list(scorer.logps(thoughts)),
    }
    ways["one row"]()  # warm-up: pictures are processed once
    found = {name: timed(way, 1 if name == "loop" else arguments.repeats) for name, way in ways.items()}
    base, expected = found["loop"]
    for name, (seconds, values) in found.items():
        error = max(float(np.abs(a - b).max()) for a, b in zip(values, expected, strict=True))
        print(f"{name:8} {seconds:8.2f} CPU s  {base / seconds:6.1f}× loop  max |Δ logp| {error:.1e}")


if __name__ == "__main__":
    main()
