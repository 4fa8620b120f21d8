"""`cpo dashboard push ENTITY/PROJECT`: the panels of every page as a W&B workspace and report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from rich.console import Console

from cpo.commands.settings import settings
from cpo.errors import ConfigError
from cpo.tracking.dashboard import report, workspace

USAGE = "cpo dashboard push ENTITY/PROJECT [dry_run=true]"


def push(given: Sequence[str]) -> None:
    """Saves the workspace and the report in a project, or with `dry_run=true` prints what would be saved.

    Args:
        given: The project, as `entity/project`, and `dry_run=true` to send nothing.

    Raises:
        ConfigError: Not one project, or the package is missing.
    """
    names = [item for item in given if "=" not in item]
    own = settings([item for item in given if "=" in item], {"dry_run": False}, USAGE)
    entity, _, project = (names[0] if names else "").partition("/")
    dry = own.get("dry_run", "false")
    if len(names) != 1 or not entity or not project or "/" in project or dry not in ("true", "false"):
        raise ConfigError(got=" ".join(given) or "no project", wanted="ENTITY/PROJECT", remedy=USAGE)
    view, text = workspace(entity, project), report(entity, project)
    if dry == "true":
        print(json.dumps({"workspace": spec(view), "report": spec(text)}, indent=1))
        return
    view.save()
    text.save()
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]workspace[/]  {view.url}")
    console.print(f"[bold]report[/]     {text.url}")


def spec(item: Any) -> Any:
    """A workspace or report as plain data: the kind of each part and what was said of it."""
    if is_dataclass(item) and not isinstance(item, type):
        said = {f.name: spec(getattr(item, f.name)) for f in fields(item) if not f.name.startswith("_")}
        return {"kind": type(item).__name__} | {k: v for k, v in said.items() if v not in (None, [], {}, "")}
    if isinstance(item, list | tuple):
        return [spec(one) for one in item]
    return item if isinstance(item, bool | int | float | str | None) else str(item)
