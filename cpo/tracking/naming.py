"""Names of runs: what a person wants to read first, then a hash that tells any two sets of overrides apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from cpo.records import fingerprint

LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
"""A hash in letters: digits in a row could be taken for a record's id, and 1e5 for a number."""
READABLE = ("dataset", "policy", "drift", "shift", "counterfactual", "loss")
"""The choices that make a name, in the order of the stages."""


def run_name(choices: Mapping[str, str], *, seed: int, overrides: Iterable[str]) -> str:
    """A readable, file-safe name and eight letters of the overrides' hash.

    The same overrides in another order give the same name. It holds names of configs only, so it may be shown anywhere.

    Args:
        choices: Group → choice; the groups of `READABLE` are named, unless the choice is `none`.
        seed: Of the run.
        overrides: As given on the command line.

    Example:
        >>> choices = {"loss": "dpo", "counterfactual": "concept_graph", "drift": "sudden", "trainer": "cpu"}
        >>> run_name(choices, seed=0, overrides=["drift=sudden"])
        'sudden-concept_graph-dpo-seed0-mijkbden'
    """
    words = [choices[group] for group in READABLE if choices.get(group, "none") != "none"]
    safe = (re.sub(r"[^\w.+]+", "_", word).strip("_") for word in words)
    return "-".join([*safe, f"seed{seed}", fingerprint(sorted(overrides))[:8].translate(LETTERS)])
