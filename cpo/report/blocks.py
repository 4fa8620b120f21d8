"""What a page is made of. A block holds content only; how it looks is the templates' business.

Adding a kind of block: a class here and `templates/blocks/<kind>.html.j2`, beside which a `<kind>.css` and a
`<kind>.js` of its own may stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol


class Block(Protocol):
    """Anything a section may hold."""

    kind: ClassVar[str]


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a reader must not miss: a part that is missing, or a warning."""

    kind: ClassVar[str] = "notice"
    text: str
    tone: Literal["missing", "warning"] = "missing"


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values, side by side."""

    kind: ClassVar[str] = "facts"
    items: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Tile:
    """One number that matters, large, what qualifies it, and named numbers to hold it against."""

    label: str
    value: str
    detail: str
    against: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Tiles:
    """A row of tiles."""

    kind: ClassVar[str] = "tiles"
    tiles: Sequence[Tile]


@dataclass(frozen=True, slots=True)
class Cell:
    """A table cell: the value, and in smaller type what qualifies it (an interval)."""

    text: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A table row; a `group` row is a heading over the following ones, a `sub` row belongs to the one above.

    Args:
        label: Its head.
        cells: One per column after the first.
        level: See above.
        href: What the label links to; empty for nothing.
    """

    label: str
    cells: Sequence[Cell] = ()
    level: Literal["group", "plain", "sub"] = "plain"
    href: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under column heads; all columns but the first are figures, aligned right."""

    kind: ClassVar[str] = "table"
    columns: Sequence[str]
    rows: Sequence[Row]
    caption: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A Plotly figure, drawn in the colours of the reader's theme.

    Args:
        figure: `{"data": …, "layout": …}`, as `plotly.graph_objects.Figure.to_plotly_json` gives it.
        title: Its heading.
        y: What is on the y axis, with its unit: written over the figure, where it never lacks room.
        caption: What to look for.
        height: In CSS pixels.
        wide: It wants the whole width of the page; others stand in pairs.
    """

    kind: ClassVar[str] = "figure"
    figure: Mapping[str, Any]
    title: str
    y: str = ""
    caption: str = ""
    height: int = 300
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text, marked or not."""

    text: str
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """One text of a comparison: its heading and its parts (thinking, answer), each a name and its spans."""

    heading: str
    parts: Sequence[tuple[str, Sequence[Span]]]
    tone: Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Texts side by side with what differs marked, beside the picture they are about.

    Args:
        title: Which example it is.
        prompt: What was asked.
        pictures: `data:` URIs.
        versions: The texts, the first of which the others are held against.
        note: What is missing or worth knowing.
    """

    kind: ClassVar[str] = "comparison"
    title: str
    prompt: str
    versions: Sequence[Version]
    pictures: Sequence[str] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a thinking.

    Args:
        text: As it stands, white space included.
        p: Its probability given all before it.
        drift: How far it moves the distribution over results, in bits.
        marked: It belongs to words that were swapped, away or in.
        alarm: A detector that watches the results raises an alarm behind it.
    """

    text: str
    p: float
    drift: float
    marked: bool = False
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Track:
    """A thinking and the distribution over results along it.

    Args:
        heading: Which thinking it is.
        tokens: In order.
        z: Distributions before the first token and behind each, [tokens + 1, results].
    """

    heading: str
    tokens: Sequence[Token]
    z: Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class Thinking:
    """A chain of thought as coloured tokens, beside it others that a swap of words led to, and results along them.

    Args:
        anchor: Name of its controls, unique on the page.
        title: Which example it is.
        prompt: What was asked.
        results: Names, in the order of every track's `z`.
        top: Those that are drawn by themselves, by place; the others together.
        truth: Names of the true ones.
        tracks: The first is the thinking as it was written; each other one is held against it.
        strongest: Drift that gets the full colour, in bits.
        pictures: `data:` URIs.
        note: What was swapped, or is missing.
    """

    kind: ClassVar[str] = "thinking"
    anchor: str
    title: str
    prompt: str
    results: Sequence[str]
    top: Sequence[int]
    truth: Sequence[str]
    tracks: Sequence[Track]
    strongest: float
    pictures: Sequence[str] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """Text as it stands in a file."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True, slots=True)
class Details:
    """Blocks behind a summary line that opens on demand."""

    kind: ClassVar[str] = "details"
    summary: str
    blocks: Sequence[Block] = field(default=())


@dataclass(frozen=True, slots=True)
class Tabs:
    """Views of the same thing, one of which is shown at a time; without scripts and on paper, all of them.

    Args:
        label: What they are views of.
        tabs: The name of each and what it holds.
    """

    kind: ClassVar[str] = "tabs"
    label: str
    tabs: Sequence[tuple[str, Sequence[Block]]]
