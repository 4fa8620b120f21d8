"""`llm_expert` against a real OpenAI-compatible server: `transformers serve` with a Qwen2 of a few thousand weights.

It has seen a handful of reports, so its sentences look like theirs and argue for nothing in particular. What matters:
every reply is judged, the poor ones are rejected with a reason, and nothing is asked twice.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from cpo.counterfactual.llm.endpoint import Endpoint
from cpo.counterfactual.llm.instruction import SYSTEM, instruction
from cpo.counterfactual.llm.targets import Targets
from cpo.counterfactual.llm_expert import LLMExpertCounterfactual
from cpo.counterfactual.validity import Validity, lexicon_judge
from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph
from cpo.policy.tokenizer import train_tokenizer
from cpo.records import LabelState, Provenance, Sample, Trajectory

pytestmark = pytest.mark.slow

SIGNS = (
    ("There is a moderate amount of fluid in the left pleural space.", "Pleural Effusion"),
    ("The heart is severely enlarged.", "Cardiomegaly"),
    ("There is a round nodule in the right lung.", "Lung Lesion"),
    ("There is a cortical break of a left rib.", "Fracture"),
)
STEPS = 100


@pytest.fixture(scope="module")
def pool() -> Sequence[Sample]:
    """One report for each sign, with what its labels follow from."""
    graph = ConceptGraph.load("chest")
    read = lexicon_judge(Lexicon(graph))
    made = []
    for number, (sign, result) in enumerate(SIGNS):
        thinking = f"Portable view of the chest. {sign} The patient is rotated."
        labels = dict.fromkeys(graph.diseases, LabelState.UNMENTIONED) | graph.labels(read(thinking))
        assert labels[result] is LabelState.PRESENT
        factual = Trajectory(thinking, f"The disease of this patient is {result}.")
        origin = Provenance("hand", "none", str(number), "credentialed")
        name = f"s{number}"
        made.append(Sample(name, name, "train", (), "Which disease?", factual, labels, (result,), {}, origin))
    return made


@pytest.fixture(scope="module")
def model(pool: Sequence[Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with weights and tokenizer, after a few steps on the reports."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer = train_tokenizer([SYSTEM, *(s.factual.thinking for s in pool)] * 2, vocab_size=500)
    torch.manual_seed(0)
    settings = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        eos_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    network = Qwen2ForCausalLM(settings)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    told = chats(pool)
    for step in range(STEPS):
        *task, report = told[step % len(told)]
        prompt = tokenizer.apply_chat_template(task, tokenize=False, add_generation_prompt=True)
        before, after = (tokenizer(text)["input_ids"] for text in (prompt, report["content"] + "<|im_end|>"))
        ids, labels = torch.tensor([before + after]), torch.tensor([[-100] * len(before) + after])
        network(input_ids=ids, labels=labels).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def chats(pool: Sequence[Sample]) -> list[list[dict[str, str]]]:
    """Every task of the pool, answered by the report as it stands."""
    graph = ConceptGraph.load("chest")
    targets = Targets(graph, lexicon_judge(Lexicon(graph)), pool, wanted=2)
    return [
        [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": instruction(graph, sample, plan, "text")},
            {"role": "assistant", "content": sample.factual.thinking},
        ]
        for sample in pool
        for plan in targets.plans(sample)
    ]


@pytest.fixture(scope="module")
def url(model: Path) -> Iterator[str]:
    """Address of the server, from the moment it is ready."""
    pytest.importorskip("fastapi", reason="`transformers serve` needs the extra transformers[serving]")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(model)]
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--log-level", "error"]
    server = subprocess.Popen([*command, *options], env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/health", server)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(30)


def wait_until_ready(health: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 180
    while time.monotonic() < end:
        assert server.poll() is None, "the server ended by itself"
        try:
            with urllib.request.urlopen(health, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    raise AssertionError("the server did not become ready")


def expert(url: str, model: Path, journal: Path, **knobs: Any) -> LLMExpertCounterfactual:
    endpoint = Endpoint(
        url=url,
        model=str(model),
        key_variable="EXPERT_KEY",
        local_hosts=[],
        concurrency=4,
        requests_per_minute=-1,
        retries=1,
        backoff_s=0.5,
        timeout_s=120.0,
    )
    defaults: dict[str, Any] = {
        "graph": "chest",
        "targets": 2,
        "max_edit_ratio": 0.6,
        "judge": "wordings",
        "attempts": 2,
        "reply_format": "text",
        "temperature": 0.0,
        "max_tokens": 64,
    }
    return LLMExpertCounterfactual(**defaults | knobs, journal=str(journal), endpoint=endpoint)


def test_poor_replies_of_a_real_server_are_rejected_with_a_reason_and_kept_for_later(
    pool: Sequence[Sample], url: str, model: Path, tmp_path: Path
) -> None:
    made = expert(url, model, tmp_path).make(pool, seed=0)
    assert made.stats["asked"] == len(made.all) + sum(made.rejected.values())
    assert len(pool) * 2 <= made.stats["asked"] <= len(pool) * 4
    assert made.stats["given_up"] == 0
    assert not any(name.startswith("failed") for name in made.stats)
    assert made.stats["valid_share"] < 0.5
    by_validity = {"target not shown", "factual result not gone", "a third result shown", "edited too much"}
    assert by_validity & set(made.rejected), made.rejected
    graph = ConceptGraph.load("chest")
    validity = Validity(graph=graph, judge=lexicon_judge(Lexicon(graph)), max_edit_ratio=0.6)
    of = {sample.id: sample for sample in pool}
    assert [validity.rejection(of[c.sample_id], c) for c in made.all] == [None] * len(made.all)

    again = expert(url, model, tmp_path).make(pool, seed=0)
    assert (again.stats["asked"], again.stats["reused"]) == (0, made.stats["asked"])
    assert again.fingerprint == made.fingerprint
    assert again.rejected == made.rejected


def test_a_real_server_cannot_hold_such_a_model_to_a_form_and_the_form_is_checked(
    pool: Sequence[Sample], url: str, model: Path, tmp_path: Path
) -> None:
    made = expert(url, model, tmp_path, reply_format="json_schema", attempts=1).make(pool, seed=0)
    assert (made.all, made.stats["asked"]) == ((), 8)
    assert set(made.rejected) <= {"format broken", "reply cut off at its longest"}
    assert sum(made.rejected.values()) == 8
