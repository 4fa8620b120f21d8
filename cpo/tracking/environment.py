"""What a run was made with: versions, machine, code."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "transformers", "peft", "pytorch-lightning", "hydra-core", "omegaconf", "numpy", "wandb", "river")
"""Packages whose versions can change a number."""


def environment(project: Path) -> dict[str, Any]:
    """Versions of Python and of the packages that matter, the machine, and the state of the code.

    Args:
        project: The checkout; outside a git repository its state is null.
    """
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "packages": versions,
        "git": git_state(project),
    }


def git_state(project: Path) -> dict[str, Any] | None:
    """Commit and whether tracked files differ from it; null without git."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(project), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return None
