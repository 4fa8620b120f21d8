"""A job's own decisions, without a job: which base its adapters stand on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cpo.app import Job
from cpo.errors import DataError
from cpo.policy.loaded import LoadedPolicy
from cpo.sequence.layouts import Padded


def test_the_base_is_recorded_once_and_another_one_refused(backbone: Any, directory: Path) -> None:
    job: Any = SimpleNamespace(summary={"fingerprints": {}})
    policy = LoadedPolicy(backbone.load_model(directory), None, Padded(), 512, directory)  # type: ignore[arg-type]
    Job.check_base(job, policy)
    recorded = dict(job.summary["fingerprints"])
    assert recorded["base_weights"]
    Job.check_base(job, LoadedPolicy(backbone.lora.attach(policy.model), None, Padded(), 512, directory))  # type: ignore[arg-type]

    changed = LoadedPolicy(backbone.load_model(directory), None, Padded(), 512, directory)  # type: ignore[arg-type]
    with torch.no_grad():
        next(iter(changed.model.parameters())).view(-1)[0] += 1
    with pytest.raises(DataError, match="on which the adapter was trained"):
        Job.check_base(job, changed)
    assert job.summary["fingerprints"] == recorded
