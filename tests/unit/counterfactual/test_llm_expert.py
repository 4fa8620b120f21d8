"""A language model as the expert: what it writes is checked, asked for again, counted, kept, and never asked twice."""

from __future__ import annotations

import json
import pickle
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cpo.counterfactual.concept_graph import ConceptGraphCounterfactual
from cpo.counterfactual.llm.endpoint import Endpoint
from cpo.counterfactual.llm.journal import Journal
from cpo.counterfactual.llm_expert import LLMExpertCounterfactual, judge_of
from cpo.errors import ConfigError, PrivacyError
from cpo.graph.schema import ConceptGraph
from cpo.records import LabelState, Sample
from tests.fixtures.chat_server import Answer, ChatServer, Script

PROJECT = Path(__file__).resolve().parents[3]
Pool = Callable[[int, int], Sequence[Sample]]
Words = dict[tuple[str, str], str]
UNDER_WAY = 4
FLUID = "There is a moderate amount of fluid in the left pleural space."


def expert(folder: Path, url: str = "http://localhost:9/v1", **knobs: Any) -> LLMExpertCounterfactual:
    of_endpoint: dict[str, Any] = {
        "url": url,
        "model": "tiny",
        "key_variable": "EXPERT_KEY",
        "local_hosts": [],
        "concurrency": UNDER_WAY,
        "requests_per_minute": -1,
        "retries": 5,
        "backoff_s": 0.001,
        "timeout_s": 10.0,
    }
    defaults: dict[str, Any] = {
        "graph": "chest",
        "targets": 2,
        "max_edit_ratio": 1.0,
        "judge": "wordings",
        "attempts": 3,
        "reply_format": "json_schema",
        "temperature": 0.0,
        "max_tokens": 512,
    }
    own = {key: value for key, value in knobs.items() if key in defaults}
    endpoint = Endpoint(**of_endpoint | {key: value for key, value in knobs.items() if key in of_endpoint})
    return LLMExpertCounterfactual(**defaults | own, journal=str(folder), endpoint=endpoint)


def by_rule(pool: Sequence[Sample]) -> Words:
    """What a good expert writes, by findings and target: the concept-graph method's own words."""
    method = ConceptGraphCounterfactual(
        graph="chest", targets=12, choice="nearest", healthy_target=False, max_edit_ratio=1.0
    )
    of = {sample.id: sample.factual.thinking for sample in pool}
    return {(of[c.sample_id], c.target): c.trajectory.thinking for c in method.make(pool, seed=0).all}


def task(request: dict[str, Any]) -> tuple[str, str]:
    """Findings and target of a request."""
    user = request["messages"][-1]["content"]
    findings = user.removeprefix("Findings:\n").split("\n\nThey argue for")[0]
    (target,) = re.findall(r"to argue for (.+?) in place of", user)
    return findings, target


def good(words: Words) -> Script:
    return lambda request, _: Answer(json.dumps({"findings": words[task(request)]}))


def troubled(words: Words) -> Script:
    """As `good`, once every kind of trouble is over; which of them comes first depends on the request."""
    trouble = [
        Answer(status=429, body=b"{}", headers={"retry-after": "0.01"}),
        Answer(status=500, body=b"{}"),
        Answer(drop=True),
        Answer(body=b'{"choices": [{"mess'),
        Answer(body=b'{"choices": []}'),
    ]

    def script(request: dict[str, Any], nth: int) -> Answer:
        first = sum(request["messages"][-1]["content"].encode()) % 7
        return trouble[nth] if first <= nth < 5 else good(words)(request, nth)

    return script


def prompts(server: ChatServer) -> Counter[str]:
    return Counter(request["messages"][-1]["content"] for request in server.requests)


def test_good_replies_become_counterfactuals_of_the_most_confusable_targets(make_pool: Pool, tmp_path: Path) -> None:
    pool = make_pool(25, 0)
    words = by_rule(pool)
    with ChatServer(good(words)) as server:
        made = expert(tmp_path, server.url).make(pool, seed=0)
    for sample in pool:
        of_graph = [target for findings, target in words if findings == sample.factual.thinking]
        found = made.by_sample[sample.id]
        assert [c.target for c in found] == of_graph[:2]
        for c in found:
            assert (c.method, c.trajectory.thinking) == ("llm_expert", words[sample.factual.thinking, c.target])
            assert c.target in c.trajectory.answer
            changed = {i.attribute: i.after for i in c.interventions}
            hallmarks = ConceptGraph.load("chest").hallmarks(c.target)
            assert LabelState.PRESENT in {changed.get(h) for h in hallmarks}
    assert (made.short, made.rejected, made.stats["valid_share"]) == (0, {}, 1.0)
    assert made.stats["asked"] == len(made.all) == 50
    assert set(prompts(server).values()) == {1}


def test_under_every_kind_of_trouble_nothing_is_lost_or_doubled_and_all_is_counted(
    make_pool: Pool, tmp_path: Path
) -> None:
    pool = make_pool(20, 1)
    words = by_rule(pool)
    with ChatServer(good(words)) as server:
        quiet = expert(tmp_path / "quiet", server.url).make(pool, seed=0)
    with ChatServer(troubled(words)) as server:
        made = expert(tmp_path / "troubled", server.url).make(pool, seed=0)
    assert made.fingerprint == quiet.fingerprint
    assert set(server.answered.values()) == {1}
    failed = {k.removeprefix("failed: "): n for k, n in made.stats.items() if k.startswith("failed")}
    assert set(failed) == {"429", "5xx", "dropped connection", "broken body", "empty choice"}
    assert sum(failed.values()) == len(server.requests) - 40
    assert (made.stats["asked"], made.stats["given_up"]) == (40, 0)


def test_a_second_making_asks_nothing_and_gives_the_same(make_pool: Pool, tmp_path: Path) -> None:
    pool = make_pool(10, 2)
    with ChatServer(good(by_rule(pool))) as server:
        first = expert(tmp_path, server.url).make(pool, seed=0)
    again = expert(tmp_path, server.url).make(pool, seed=5)  # the server is gone
    assert again.fingerprint == first.fingerprint
    assert (again.stats["asked"], again.stats["reused"]) == (0, 20)


def test_an_invalid_reply_is_asked_for_again_with_the_reason_and_then_dropped(make_sample: Any, tmp_path: Path) -> None:
    sample = make_sample(f"Portable view. {FLUID} A pacemaker is in place.")
    bad = iter(
        [
            Answer(json.dumps({"findings": f"Portable view. {FLUID}"})),
            Answer("I would say that it is another disease."),
            Answer('{"findings": "Portable vi', finish="length"),
            Answer("I cannot help with that.", finish="content_filter"),
            Answer(json.dumps({"findings": sample.factual.thinking})),
        ]
    )
    with ChatServer(lambda *_: next(bad)) as server:
        made = expert(tmp_path, server.url, targets=1, attempts=5).make([sample], seed=0)
    assert made.all == ()
    assert (made.short, made.stats["valid_share"], made.stats["asked"]) == (1, 0.0, 5)
    reasons = ["target not shown", "format broken", "reply cut off at its longest", "reply declined by the model"]
    assert made.rejected == Counter([*reasons, "target not shown"])
    for nth, request in enumerate(server.requests):
        told = re.findall(r"- attempt \d: (.+)", request["messages"][-1]["content"])
        assert told == reasons[:nth]


def test_a_valid_reply_after_an_invalid_one_is_kept(make_sample: Any, tmp_path: Path) -> None:
    sample = make_sample(f"Portable view. {FLUID} A pacemaker is in place.")
    words = by_rule([sample])

    def script(request: dict[str, Any], nth: int) -> Answer:
        second = "attempt 1" in request["messages"][-1]["content"]
        return good(words)(request, nth) if second else Answer("no")

    with ChatServer(script) as server:
        made = expert(tmp_path, server.url).make([sample], seed=0)
    assert (len(made.all), made.rejected) == (2, {"format broken": 2})
    assert [c.target for c in made.all] == [target for _, target in list(words)[:2]]


def test_another_judge_decides_what_is_valid(make_sample: Any, tmp_path: Path, graph: ConceptGraph) -> None:
    sample = make_sample(f"Portable view. {FLUID} A pacemaker is in place.")
    hallmarks = {d: graph.hallmarks(d)[0] for d in graph.diseases}

    def judge(thinking: str) -> dict[str, LabelState]:
        """Reads a private language: `shows DISEASE`."""
        shown = [d for d in graph.diseases if f"shows {d}" in thinking]
        return {hallmarks[d]: LabelState.PRESENT for d in shown or ["Pleural Effusion"]}

    method = expert(tmp_path, targets=1, reply_format="text")
    method.judge_by(judge)
    with ChatServer(lambda request, _: Answer(f"It shows {task(request)[1]}.")) as server:
        method.endpoint.url = server.url
        (made,) = method.make([sample], seed=0).all
    assert made.trajectory.thinking == f"It shows {made.target}."
    assert "response_format" not in server.requests[0]


def test_the_judge_of_free_text_reads_any_words(graph: ConceptGraph) -> None:
    pytest.importorskip("spacy", reason="free text is read with spaCy")
    said = judge_of("free_text", graph)("No pneumothorax. There may be a small nodule.")
    assert said == {"apical pleural line": LabelState.ABSENT, "nodule": LabelState.UNCERTAIN}


def test_a_request_without_reply_leaves_its_sample_short_and_the_others_whole(make_pool: Pool, tmp_path: Path) -> None:
    pool = make_pool(8, 3)
    words = by_rule(pool)
    lost = pool[2].factual.thinking

    def script(request: dict[str, Any], nth: int) -> Answer:
        return Answer(status=500, body=b"{}") if task(request)[0] == lost else good(words)(request, nth)

    with ChatServer(script) as server:
        made = expert(tmp_path, server.url, retries=1).make(pool, seed=0)
    assert (made.short, made.rejected) == (1, {"no reply": 2})
    assert made.by_sample[pool[2].id] == ()
    assert (made.stats["asked"], made.stats["given_up"], made.stats["failed: 5xx"]) == (14, 2, 4)


def test_a_server_that_is_not_there_is_an_error_with_a_remedy(make_pool: Pool, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no reply from http://localhost:9/v1: dropped connection"):
        expert(tmp_path, retries=0).make(make_pool(1, 0), seed=0)
    with pytest.raises(ConfigError, match="start the server"):
        expert(tmp_path, retries=0).make(make_pool(30, 0), seed=0)


def credentialed(pool: Sequence[Sample]) -> list[Sample]:
    return [replace(s, provenance=replace(s.provenance, access="credentialed")) for s in pool]


def test_credentialed_samples_are_refused_a_foreign_endpoint_before_a_byte_is_sent(
    make_pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(*_: object, **__: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket, "socket", reached)
    monkeypatch.setattr(socket, "getaddrinfo", reached)
    monkeypatch.setenv("EXPERT_KEY", "secret")
    pool = make_pool(5, 0)
    method = expert(tmp_path, "https://api.example/v1")
    with pytest.raises(PrivacyError, match="credentialed data stays on this machine") as error:
        method.refuse_unless_allowed("credentialed", acknowledged=False)
    assert "api.example" in error.value.got
    assert "privacy=acknowledged" in error.value.remedy
    # one such sample among open ones is enough, also where nobody asked beforehand
    with pytest.raises(PrivacyError) as error:
        method.make([*pool[:4], *credentialed(pool[4:])], seed=0)
    assert pool[4].factual.thinking not in str(error.value)
    assert list(tmp_path.iterdir()) == []
    method.refuse_unless_allowed("credentialed", acknowledged=True)


def test_credentialed_samples_may_go_to_this_machine(make_pool: Pool, tmp_path: Path) -> None:
    pool = credentialed(make_pool(3, 0))
    with ChatServer(good(by_rule(pool))) as server:
        method = expert(tmp_path, server.url)
        method.refuse_unless_allowed("credentialed", acknowledged=False)
        assert len(method.make(pool, seed=0).all) == 6


def test_a_model_of_this_process_needs_no_server_and_has_a_journal_of_its_own(make_pool: Pool, tmp_path: Path) -> None:
    pool = credentialed(make_pool(6, 0))
    words, asked = by_rule(pool), list[int]()

    class Model:
        def generate(self, samples: Sequence[Sample]) -> list[str]:
            asked.append(len(samples))
            users = ["Findings:\n" + sample.prompt.split("\n\nFindings:\n")[1] for sample in samples]
            return [json.dumps({"findings": words[task({"messages": [{"content": user}]})]}) for user in users]

    method = expert(tmp_path, "in_process")
    with pytest.raises(ConfigError, match="no model in this process"):
        method.make(pool, seed=0)
    for identity in ("weights one", "weights one", "weights two"):
        method.use(Model(), identity=identity)
        assert len(method.make(pool, seed=0).all) == 12
    assert sum(asked) == 24
    assert max(asked) == 4
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "knob",
    [{"judge": "me"}, {"attempts": 0}, {"reply_format": "yaml"}, {"temperature": -0.1}, {"max_tokens": 0}],
    ids=str,
)
def test_knobs_out_of_range_are_refused(knob: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"breaks: {next(iter(knob))}"):
        expert(tmp_path, **knob)


def test_a_killed_job_continues_and_repeats_no_finished_request(make_pool: Pool, tmp_path: Path) -> None:
    pool = make_pool(60, 4)
    words = by_rule(pool)

    def slowly(request: dict[str, Any], nth: int) -> Answer:
        return replace(troubled(words)(request, nth), delay_s=0.02)

    (tmp_path / "pool").write_bytes(pickle.dumps(pool))
    folder = tmp_path / "journal"
    with ChatServer(slowly) as server:
        job = start(tmp_path / "pool", folder, server.url)
        wait_for(lambda: server.answered.total() >= 40, job)
        job.kill()
        job.communicate()
        finished = finished_requests(folder)
        assert 40 - UNDER_WAY <= len(finished) < 120
        before = len(server.requests)
        made = expert(folder, server.url).make(pool, seed=0)
    asked_again = {r["messages"][-1]["content"] for r in server.requests[before:]}
    assert len(asked_again) == made.stats["asked"] == 120 - len(finished)
    assert made.stats["reused"] == len(finished)
    # what was under way when the job was killed is all that can have been answered twice
    assert len(server.answered) == 120
    assert server.answered.total() - 120 <= UNDER_WAY
    assert (len(made.all), made.rejected, made.short) == (120, {}, 0)
    with ChatServer(good(words)) as server:
        assert expert(tmp_path / "straight", server.url).make(pool, seed=0).fingerprint == made.fingerprint


def finished_requests(folder: Path) -> set[str]:
    (inside,) = folder.iterdir()
    with Journal(inside) as journal:
        return set(journal.replies)


def start(pool: Path, folder: Path, url: str) -> subprocess.Popen[str]:
    code = "from tests.unit.counterfactual import test_llm_expert as t; t.job()"
    command = [sys.executable, "-c", code, str(pool), str(folder), url]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)


def job() -> None:
    """What runs in the process that is killed."""
    pool, folder, url = sys.argv[1:]
    expert(Path(folder), url).make(pickle.loads(Path(pool).read_bytes()), seed=0)


def wait_for(what: Callable[[], bool], job: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not what():
        assert job.poll() is None, "the job ended by itself"
        assert time.monotonic() < end
        time.sleep(0.002)
