"""Proof that a copy in an official layout was generated, which alone may open it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from cpo.errors import PrivacyError

MARKER = "truth/world.json"
"""Written last by a generated world, with its knobs and `complete: true`."""
TRUTH = "truth/studies.jsonl"
"""One line of truth per generated study, with its `study_id`."""


def prove_generated(root: Path, studies: Iterable[str]) -> None:
    """Verifies that every study under a root is one that a generated world has written there.

    A marker alone would also open a credentialed release that it was copied to, so each study must stand in the truth.

    Args:
        root: The dataset's root.
        studies: Ids of all studies found there.

    Raises:
        PrivacyError: There is no complete marker, or a study that the truth does not know.
    """
    try:
        complete = json.loads((root / MARKER).read_text(encoding="utf-8")).get("complete") is True
        lines = (root / TRUTH).read_text(encoding="utf-8").splitlines()
        known = {str(json.loads(line)["study_id"]) for line in lines}
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        complete, known = False, set()
    if not complete:
        raise _closed(f"no {MARKER} and {TRUTH} of a completely generated world there")
    unknown = sum(study not in known for study in studies)
    if unknown:
        raise _closed(f"{unknown} studies there that {TRUTH} does not know")


def _closed(why: str) -> PrivacyError:
    return PrivacyError(
        got=f"access=open, but {why}",
        wanted="access=credentialed, always, for records of MIMIC-CXR and what derives from it: PhysioNet's agreement "
        "forbids sharing them with anyone, online services included. Only a generated world is open",
        remedy="pass dataset.access=credentialed, or generate the world anew with dataset=chest_world",
    )
