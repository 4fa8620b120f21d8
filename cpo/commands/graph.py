"""`cpo graph build`, `show`, `diff` and `export`: a concept graph from reports, looked at, compared, handed on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cpo import config
from cpo.commands.settings import composed, settings, with_overrides
from cpo.errors import ConfigError
from cpo.graph.build import Built, build_graph
from cpo.graph.evidence import Evidence
from cpo.graph.exchange import differences, write_graphml
from cpo.graph.extraction import Extractor, LexiconExtractor
from cpo.graph.extraction_llm import Chat, LLMExtractor
from cpo.graph.schema import ConceptGraph, Relation
from cpo.report.graph_page import graph_page

BUILD = "cpo graph build dataset=chest_world extractor=lexicon out=graph.json [vocabulary=chest] [split=train]"
SHOW = "cpo graph show graph.json [out=graph.html]"
DIFF = "cpo graph diff chest graph.json"
EXPORT = "cpo graph export graph.json out=graph.graphml"
STYLES = {Relation.ASSOCIATION: "blue", Relation.EXCLUSION: "red", Relation.IRRELEVANCE: "dim"}


def build(given: Sequence[str], chat: Chat | None = None) -> Path:
    """Builds a graph from the reports of a dataset, writes it and prints what came of it.

    Args:
        given: Overrides of `dataset`, `extractor=`, `out=`, and `vocabulary=`, `split=`.
        chat: Asks a language model, for `extractor=llm`. Whoever hands it in has made sure that the reports may go
            there.

    Raises:
        ConfigError: An unknown extractor, or `llm` without a language model.
    """
    own, overrides = with_overrides(given, {"extractor": True, "out": True, "vocabulary": False, "split": False}, BUILD)
    cfg = composed(overrides)
    suits = cfg.dataset.get("suits") or {}
    frame = ConceptGraph.load(own.get("vocabulary", suits.get("graph", "chest")))
    extractor = _extractor(own["extractor"], frame, chat)
    dataset = config.build_dataset(cfg.dataset)
    split = own.get("split", "train")
    built = build_graph(dataset.samples(split), extractor, frame, source=f"{dataset.name}, {split}")
    path = built.graph.save(Path(own["out"]))
    _print_built(built)
    Console().print(f"graph: {path}", soft_wrap=True)
    return path


def show(given: Sequence[str]) -> Path:
    """Prints a graph's relations and writes its page.

    Args:
        given: One graph, by name or path, and `out=`.
    """
    (name,), own = _graphs(given, {"out": False}, 1, SHOW)
    out = Path(own.get("out", "graph.html"))
    if out.suffix != ".html":
        raise ConfigError(got=f"out={out}", wanted="a page (.html)", remedy=SHOW)
    graph = ConceptGraph.load(name)
    console = Console()
    console.print(_relations(graph))
    console.print(f"page: {graph_page(graph, out)}", soft_wrap=True)
    return out


def diff(given: Sequence[str]) -> int:
    """Prints what differs between two graphs.

    Args:
        given: Two graphs, by name or path.

    Returns:
        The exit status: 0 when nothing does, else 1.
    """
    (one, other), _ = _graphs(given, {}, 2, DIFF)
    found = differences(ConceptGraph.load(one), ConceptGraph.load(other))
    console = Console()
    if not found:
        console.print("the graphs are equal")
        return 0
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("", "", one, other):
        table.add_column(Text(column), overflow="fold")
    for kind, group in ((k, [d for d in found if d.kind == k]) for k in dict.fromkeys(d.kind for d in found)):
        for number, d in enumerate(group):
            table.add_row(
                kind if number == 0 else "", d.name, Text(d.before or "–", "red"), Text(d.after or "–", "green")
            )
    console.print(table)
    counts = Counter(d.kind for d in found)
    console.print(f"{len(found)} differences: {', '.join(f'{n} {kind}' for kind, n in counts.items())}")
    return 1


def export(given: Sequence[str]) -> Path:
    """Writes a graph as GraphML.

    Args:
        given: One graph, by name or path, and `out=`.
    """
    (name,), own = _graphs(given, {"out": True}, 1, EXPORT)
    out = Path(own["out"])
    if out.suffix != ".graphml":
        raise ConfigError(got=f"out={out}", wanted="a file that ends in .graphml", remedy=EXPORT)
    print(write_graphml(ConceptGraph.load(name), out))
    return out


def _extractor(name: str, frame: ConceptGraph, chat: Chat | None) -> Extractor:
    if name == "lexicon":
        return LexiconExtractor(frame)
    if name == "llm" and chat is not None:
        categories = dict.fromkeys(attribute.category for attribute in frame.attributes.values())
        return LLMExtractor(chat, frame.diseases, tuple(categories))
    raise ConfigError(
        got=f"extractor={name}" + (" without a language model" if name == "llm" else ""),
        wanted="lexicon, or llm with an endpoint",
        remedy=BUILD,
    )


def _graphs(
    given: Sequence[str], known: Mapping[str, bool], wanted: int, usage: str
) -> tuple[list[str], dict[str, str]]:
    """Graphs named on the command line, and the command's own `key=value`."""
    names = [item for item in given if "=" not in item]
    if len(names) != wanted:
        raise ConfigError(
            got=" ".join(names) or "no graph",
            wanted=f"{wanted} graph{'s' * (wanted > 1)}, each by name or path",
            remedy=usage,
        )
    return names, settings([item for item in given if "=" in item], known, usage)


def _print_built(built: Built) -> None:
    console, table = Console(), Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("")
    for column in ("association", "exclusion", "irrelevance", "undecided"):
        table.add_column(column, justify="right")
    for name, pairs in (
        ("result – attribute", built.relations),
        ("result – result", built.disease_pairs),
        ("attribute – attribute", built.attribute_pairs),
    ):
        counts = Counter("undecided" if m.relation is None else m.relation.value for m in pairs)
        columns = ("association", "exclusion", "irrelevance", "undecided")
        table.add_row(name, *(f"{counts[column]:,}" for column in columns))
    console.print(table)
    origins = ", ".join(f"{name} {n:,}" for name, n in built.diseases_from.items())
    console.print(f"{built.studies:,} studies; results from {origins}")
    for what, lost in (("reports not read", built.unread), ("left out of readings", built.ignored)):
        for reason, count in lost.items():
            console.print(f"{what}: {reason}: {count:,}", style="yellow")
    for what, names in (("too rare to look at", built.rare), ("not told apart, left out", built.left_out)):
        if names:
            console.print(f"{what}: {', '.join(names)}", style="yellow")


def _relations(graph: ConceptGraph) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("", "attribute", "relation"):
        table.add_column(column, no_wrap=True)
    for column in ("studies", "log-odds", "q"):
        table.add_column(column, justify="right")
    for disease in graph.diseases:
        own = [e for e in graph.edges if e.disease == disease and e.relation is not Relation.IRRELEVANCE]
        for number, edge in enumerate(own):
            table.add_row(
                Text(disease if number == 0 else "", "bold"),
                edge.attribute,
                Text(edge.relation.value, STYLES[edge.relation]),
                *_numbers(edge.evidence),
            )
    return table


def _numbers(evidence: Evidence | None) -> tuple[str, str, str]:
    if evidence is None:
        return "", "", ""
    support, odds, q = evidence.support, evidence.log_odds, evidence.q_value
    return (
        "" if support is None else f"{support:,}",
        "" if odds is None else f"{odds:.2f}",
        "" if q is None else f"{q:.2g}",
    )
