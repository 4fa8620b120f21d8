"""The shell of every HTML page: one file that needs no network, no server and no other file.

Template, style sheet, script and Plotly are written into the page; a content security policy forbids it to load
anything else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from cpo import __version__
from cpo.report.blocks import Block, Details, Figure


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
        return re.sub(r"\W+", "-", self.title.lower()).strip("-")


def render(title: str, sections: Sequence[Section], *, subtitle: str = "", tags: Sequence[str] = ()) -> str:
    """A whole page as HTML.

    Args:
        title: Heading and window title.
        sections: In reading order.
        subtitle: A line under the heading.
        tags: Short words under it, such as the choices of a run.
    """
    figures = any(isinstance(block, Figure) for section in sections for block in _all(section.blocks))
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            title=title,
            subtitle=subtitle,
            tags=tags,
            sections=sections,
            style=_asset("page.css"),
            script=_asset("page.js") if figures else "",
            plotly=Markup(get_plotlyjs()) if figures else "",
            version=__version__,
        )
    )


def _all(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        yield block
        if isinstance(block, Details):
            yield from _all(block.blocks)


@lru_cache(maxsize=1)
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("cpo.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["script_json"] = _script_json
    return environment


def _asset(name: str) -> Markup:
    return Markup(resources.files("cpo.report").joinpath("templates", name).read_text(encoding="utf-8"))


def _script_json(value: Any) -> Markup:
    """JSON that may stand inside a script element: no `</script>` can end it early."""
    return Markup(json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"))
