"""Whether its server is what limits `llm_expert`: the share of a scripted server's capacity that is used.

The server takes any number of requests and answers each after a fixed time, so with n requests under way it can give
n / time replies per second. Its replies are the findings unchanged: each is read, judged, rejected and kept in the
journal. Server and client are processes of their own.

Usage:
    python -m experiments.bench.llm_throughput                                    16 under way, 200 ms, 800 requests
    python -m experiments.bench.llm_throughput --concurrency 64 --requests 3200
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cpo import config
from cpo.counterfactual.llm.endpoint import Endpoint
from cpo.counterfactual.llm_expert import LLMExpertCounterfactual
from cpo.records import Sample
from experiments.bench.stages import composed
from tests.fixtures.chat_server import Answer, ChatServer


@dataclass(frozen=True)
class Measured:
    """One making of counterfactuals.

    Args:
        requests: Answered.
        seconds: Wall clock, reading the pool and the last replies included.
        cpu: Processor seconds of the client.
        capacity: Replies that the server can give in a second.
    """

    requests: int
    seconds: float
    cpu: float
    capacity: float

    @property
    def share(self) -> float:
        """Of the capacity, that was used."""
        return self.requests / self.seconds / self.capacity


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds that a reply takes")
    parser.add_argument("--requests", type=int, default=800)
    parser.add_argument("--serve", action="store_true", help="be the server")
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.latency)
        return
    with subprocess.Popen(
        [sys.executable, "-m", "experiments.bench.llm_throughput", "--serve", "--latency", str(arguments.latency)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin
        assert server.stdout
        url = server.stdout.readline().strip()
        measured = measure(url, arguments.concurrency, arguments.latency, arguments.requests)
        server.stdin.close()
    print(
        f"{measured.requests:,} requests, {arguments.concurrency} under way, {1000 * arguments.latency:.0f} ms each: "
        f"{measured.requests / measured.seconds:.1f} of {measured.capacity:.1f} replies/s, "
        f"share {measured.share:.3f}, {1000 * measured.cpu / measured.requests:.1f} ms of CPU per request"
    )


def serve(latency: float) -> None:
    """Answers until standard input ends."""

    def unchanged(request: dict[str, Any], _: int) -> Answer:
        findings = request["messages"][-1]["content"].removeprefix("Findings:\n").split("\n\n")[0]
        return Answer(json.dumps({"findings": findings}), delay_s=latency)

    with ChatServer(unchanged) as server:
        print(server.url, flush=True)
        sys.stdin.read()


def measure(url: str, concurrency: int, latency: float, requests: int) -> Measured:
    """One request for each sample, over a connection that is already known."""
    with tempfile.TemporaryDirectory() as folder:
        pool = samples(requests, folder)
        expert(url, concurrency, f"{folder}/warm").make(pool[:concurrency], seed=0)
        started, cpu = time.perf_counter(), time.process_time()
        made = expert(url, concurrency, f"{folder}/journal").make(pool, seed=0)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return Measured(int(made.stats["asked"]), seconds, cpu, concurrency / latency)


def samples(n: int, folder: str) -> Sequence[Sample]:
    """Of a chest world whose films nobody looks at."""
    overrides = [f"dataset.world.studies={2 * n}", "dataset.world.image_size=64", f"paths.cache={folder}"]
    pool: Sequence[Sample] = config.build_dataset(composed(overrides).dataset).samples("train")
    return pool[:n]


def expert(url: str, concurrency: int, journal: str) -> LLMExpertCounterfactual:
    endpoint = Endpoint(
        url=url,
        model="scripted",
        key_variable="",
        local_hosts=[],
        concurrency=concurrency,
        requests_per_minute=-1,
        retries=0,
        backoff_s=1.0,
        timeout_s=30.0,
    )
    return LLMExpertCounterfactual(
        graph="chest",
        targets=1,
        max_edit_ratio=1.0,
        judge="wordings",
        attempts=1,
        reply_format="json_schema",
        temperature=0.0,
        max_tokens=512,
        journal=journal,
        endpoint=endpoint,
    )


if __name__ == "__main__":
    main()
