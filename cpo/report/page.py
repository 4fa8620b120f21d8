"""The shell of every HTML page: one file that needs no network, no server and no other file.

Template, style sheet, script and Plotly are written into the page; a content security policy forbids it to load
anything else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from cpo import __version__
from cpo.report.blocks import Block, Details, Figure, Tabs


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page with an entry in its navigation."""

    title: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        """The fragment of its address.

        Example:
            >>> Section("Accuracy over the stream", []).anchor
            'accuracy-over-the-stream'
        """
        return anchor(self.title)


def anchor(title: str) -> str:
    """A title as a fragment of an address."""
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def render(title: str, sections: Sequence[Section], *, subtitle: str = "", tags: Sequence[str] = ()) -> str:
    """A whole page as HTML.

    Args:
        title: Heading and window title.
        sections: In reading order.
        subtitle: A line under the heading.
        tags: Short words under it, such as the choices of a run.
    """
    kinds = {block.kind: None for section in sections for block in _all(section.blocks)}
    figures = Figure.kind in kinds
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            title=title,
            subtitle=subtitle,
            tags=tags,
            sections=sections,
            style=Markup("\n").join([_asset("page.css"), *_parts(kinds, "css")]),
            scripts=[*([_asset("page.js")] if figures else []), *_parts(kinds, "js")],
            plotly=Markup(get_plotlyjs()) if figures else "",
            version=__version__,
        )
    )


def _all(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        yield block
        if isinstance(block, Details):
            yield from _all(block.blocks)
        elif isinstance(block, Tabs):
            for _, held in block.tabs:
                yield from _all(held)


@lru_cache(maxsize=1)
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("cpo.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"script_json": _script_json, "anchor": anchor}
    return environment


def _parts(kinds: Iterable[str], suffix: str) -> Iterator[Markup]:
    """Style or script that some kinds of block bring with them."""
    for kind in kinds:
        if resources.files("cpo.report").joinpath("templates", "blocks", f"{kind}.{suffix}").is_file():
            yield _asset(f"blocks/{kind}.{suffix}")


def _asset(name: str) -> Markup:
    return Markup(resources.files("cpo.report").joinpath("templates", name).read_text(encoding="utf-8"))


def _script_json(value: Any) -> Markup:
    """JSON that may stand inside a script element: no `</script>` can end it early."""
    return Markup(json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"))
