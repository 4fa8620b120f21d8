"""A judge at a scripted server, and completions that were kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cpo.counterfactual.llm.endpoint import Endpoint
from cpo.evaluation.judge import Judge
from cpo.evaluation.predictions import _key
from cpo.records import Sample

KEPT_TOKENS = 8
"""`max_new_tokens` of kept completions."""


@pytest.fixture
def make_judge(tmp_path: Path) -> Callable[..., Judge]:
    def make(url: str = "http://localhost:9/v1", max_tokens: int = 64, journal: str = "", **knobs: Any) -> Judge:
        defaults: dict[str, Any] = {
            "model": "judge-1",
            "key_variable": "JUDGE_KEY",
            "local_hosts": [],
            "concurrency": 4,
            "requests_per_minute": -1,
            "retries": 1,
            "backoff_s": 0.001,
            "timeout_s": 5.0,
        }
        endpoint = Endpoint(**{**defaults, **knobs}, url=url)
        return Judge(max_tokens=max_tokens, journal=journal or str(tmp_path / "journal"), endpoint=endpoint)

    return make


@pytest.fixture
def keep() -> Callable[[Path, Sequence[Sample], Sequence[str]], None]:
    """Writes completions as a judgement keeps them."""

    def write(folder: Path, samples: Sequence[Sample], texts: Sequence[str]) -> None:
        rows = ({"id": s.id, "key": _key(s, KEPT_TOKENS), "text": t} for s, t in zip(samples, texts, strict=True))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    return write
