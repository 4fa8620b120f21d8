"""Concept graphs on disk: shipped ones by name, others by path, as plain JSON."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from cpo.errors import DataError
from cpo.files import write_json

FORMAT = "cpo concept graph"
VERSION = 2
"""2: evidence, taxonomy, terms and links, all of them optional. `concept_graph.schema.json` is the format in full."""
_NEEDED = frozenset({"name", "default", "diseases", "attributes"})
_OPTIONAL = frozenset({"format", "version", "phrases", "parents", "terms", "links"})


def shipped() -> tuple[str, ...]:
    """Names of the graphs that come with the package."""
    files = resources.files("cpo.graph").iterdir()
    names = (f.name for f in files if f.name.endswith(".json") and not f.name.endswith(".schema.json"))
    return tuple(sorted(name.removesuffix(".json") for name in names))


def read_document(name_or_path: str | Path) -> dict[str, Any]:
    """The parsed file of a graph, its format and version checked."""
    name = str(name_or_path)
    if name in shipped():
        text = resources.files("cpo.graph").joinpath(f"{name}.json").read_text(encoding="utf-8")
    elif Path(name).is_file():
        text = Path(name).read_text(encoding="utf-8")
    else:
        raise DataError(
            got=f"concept graph {name!r}",
            wanted=f"a shipped graph ({', '.join(shipped())}) or the path of a JSON file",
            remedy="correct the name, or write the graph with ConceptGraph.save",
        )
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            got=f"{name}: {error}", wanted="a JSON file", remedy="write the graph again with ConceptGraph.save"
        ) from error
    if not isinstance(document, dict) or (document.get("format"), document.get("version")) != (FORMAT, VERSION):
        raise DataError(
            got=f"{name}: {_kind(document)}, not a concept graph of version {VERSION}",
            wanted=f'a JSON object with "format": "{FORMAT}" and "version": {VERSION}',
            remedy=f'write {VERSION} as "version" into a file of version 1, or build it again with cpo graph build',
        )
    missing, strange = sorted(_NEEDED - set(document)), sorted(set(document) - _NEEDED - _OPTIONAL)
    if missing or strange:
        raise DataError(
            got=f"{name}: missing {', '.join(missing) or 'nothing'}, unknown {', '.join(strange) or 'nothing'}",
            wanted=f"the keys {', '.join(sorted(_NEEDED))}, and no others than {', '.join(sorted(_OPTIONAL))}",
            remedy="pass a file written by ConceptGraph.save",
        )
    return document


def write_document(content: dict[str, Any], path: Path) -> Path:
    """Writes a graph's content as JSON under its format and version; a reader never sees half a file."""
    write_json(path, {"format": FORMAT, "version": VERSION, **content})
    return path


def _kind(document: object) -> str:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        return "something else"
    return f"a concept graph of version {document.get('version')}"
