from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from jinja2 import TemplateNotFound

from cpo.report import blocks
from cpo.report.blocks import (
    Cell,
    Code,
    Details,
    Facts,
    Figure,
    Notice,
    Row,
    Span,
    Table,
    Tabs,
    Text,
    Thinking,
    Tile,
    Tiles,
    Token,
    Track,
    Version,
)
from cpo.report.page import Section, render

EVERY_KIND = {
    "text": Text("words"),
    "notice": Notice("missing"),
    "facts": Facts([("name", "value")]),
    "tiles": Tiles([Tile("label", "1.0", "[0, 2]", [("other", "0.9")])]),
    "table": Table(["", "a"], [Row("g", level="group"), Row("r", [Cell("1", "[0, 2]")])], caption="c", note="n"),
    "figure": Figure({"data": [], "layout": {}}, "title"),
    "comparison": blocks.Comparison("t", "p", [Version(h, [("answer", [Span("x", True)])], "after") for h in "ab"]),
    "thinking": Thinking(
        "a", "t", "p", ["x", "y"], [1], ["x"], [Track("h", [Token("w", 0.5, 0.1)], [[0.5, 0.5], [0.9, 0.1]])], 0.1
    ),
    "code": Code("a: 1"),
    "details": Details("more", [Text("within")]),
    "tabs": Tabs("views", [("one", [Text("within")]), ("other", [Table(["", "a"], [Row("r", href="#s")])])]),
}


class Reader(HTMLParser):
    """Collects ids, links to them, and everything that could be loaded from somewhere."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.loads: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.targets += [values["href"][1:]] if tag == "a" else []
        self.loads += [values[name] for name in ("src", "srcset", "data") if name in values]
        self.loads += [values["href"]] if tag == "link" else []
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_kind_of_block_is_tried_here() -> None:
    kinds = {
        one.kind for one in vars(blocks).values() if isinstance(one, type) and isinstance(vars(one).get("kind"), str)
    }
    assert kinds == set(EVERY_KIND)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_kind_of_block_has_a_template_and_closes_its_tags(kind: str) -> None:
    html = render("t", [Section("s", [EVERY_KIND[kind]])])
    assert Reader(html).open == []


def test_an_unknown_kind_of_block_is_an_error() -> None:
    class Strange:
        kind = "strange"

    with pytest.raises(TemplateNotFound, match="strange"):
        render("t", [Section("s", [Strange()])])


def test_the_navigation_reaches_every_section() -> None:
    read = Reader(render("t", [Section("One thing", []), Section("Another: thing", [])]))
    assert read.targets == ["content", "one-thing", "another-thing"]
    assert set(read.targets) <= set(read.ids)
    assert len(read.ids) == len(set(read.ids))


def test_nothing_is_loaded_from_anywhere() -> None:
    html = render("t", [Section("s", list(EVERY_KIND.values()))])
    assert Reader(html).loads == []
    assert "default-src 'none'" in html
    assert not re.search(r"@import|url\(", re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL))


def test_plotly_is_there_once_and_only_for_figures() -> None:
    figure = EVERY_KIND["figure"]
    with_figures = render("t", [Section("s", [figure, Details("d", [figure])])])
    assert with_figures.count("plotly.js v") == 1
    assert len(with_figures) < 8_000_000
    assert len(render("t", [Section("s", [Text("words")])])) < 30_000


def test_text_cannot_become_markup() -> None:
    nasty = "</script><script>alert(1)</script>"
    figure = Figure({"data": [{"name": nasty}], "layout": {}}, nasty)
    html = render(nasty, [Section(nasty, [Text(nasty), Code(nasty), figure])], tags=[nasty])
    assert "<script>alert" not in html


def test_a_figure_with_a_number_that_json_has_not_is_an_error() -> None:
    with pytest.raises(ValueError, match="JSON"):
        render("t", [Section("s", [Figure({"data": [{"y": [float("nan")]}], "layout": {}}, "t")])])
