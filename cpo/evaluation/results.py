"""`eval/<benchmark>.json`: what a benchmark found, by which protocol, and a fingerprint of all that decides it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cpo.evaluation.benchmark import Benchmark, HeldOut, Scores
from cpo.files import write_json
from cpo.preference.pairing import pair_content
from cpo.records import fingerprint


def held_out_fingerprint(held_out: HeldOut) -> str:
    """Of what a policy is judged on: samples, concepts and pairs, in their order."""
    samples = [sample.content for sample in held_out.samples]
    concepts = {name: list(places) for name, places in held_out.concepts.items()}
    return fingerprint([samples, concepts, [pair_content(pair) for pair in held_out.pairs.pairs]])


def write_result(directory: Path, name: str, benchmark: Benchmark, scores: Scores, decides: Mapping[str, Any]) -> None:
    """Writes what a benchmark found.

    Args:
        directory: Of the run, or of the judgement.
        name: Of the benchmark.
        benchmark: Gives the protocol.
        scores: Per concept and metric: value, low, high, n, …
        decides: Weights, knobs and data: equal ones have equal scores.
    """
    content = {
        "benchmark": name,
        "protocol": benchmark.protocol,
        "fingerprint": fingerprint([benchmark.protocol, dict(decides)]),
        "scores": scores,
    }
    write_json(directory / "eval" / f"{name}.json", content)
