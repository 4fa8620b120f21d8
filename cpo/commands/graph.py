"""`cpo graph build`, `show`, `diff` and `export`: a concept graph from reports, looked at, compared, handed on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cpo import config
from cpo.commands.graph_expert import endpoint_of, replies_to
from cpo.commands.settings import composed, settings, with_overrides
from cpo.counterfactual.llm.endpoint import Endpoint
from cpo.errors import ConfigError
from cpo.graph.build import Built, build_graph
from cpo.graph.evidence import Evidence
from cpo.graph.exchange import differences, write_graphml
from cpo.graph.extraction import Extractor, LexiconExtractor
from cpo.graph.extraction_llm import LLMExtractor
from cpo.graph.schema import ConceptGraph, Relation
from cpo.records import Access, fingerprint
from cpo.report.graph_page import graph_page

BUILD = "cpo graph build dataset=chest_world extractor=lexicon out=graph.json [vocabulary=chest] [split=train]"
OPTIONAL = ("vocabulary", "split", "endpoint", "model", "local_hosts")
SHOW = "cpo graph show graph.json [out=graph.html]"
DIFF = "cpo graph diff chest graph.json"
EXPORT = "cpo graph export graph.json out=graph.graphml"
STYLES = {Relation.ASSOCIATION: "blue", Relation.EXCLUSION: "red", Relation.IRRELEVANCE: "dim"}


def build(given: Sequence[str]) -> Path:
    """Builds a graph from the reports of a dataset, writes it and prints what came of it.

    Args:
        given: Overrides of `dataset`, `extractor=`, `out=`, and `vocabulary=`, `split=`; for `extractor=llm` also
            `endpoint=` (up to `/v1`), `model=`, and `local_hosts=A,B` that credentialed reports may go to.

    Raises:
        ConfigError: An unknown extractor, or `llm` without an endpoint.
        PrivacyError: Credentialed reports on their way to another machine; nothing was read or sent.
    """
    own, overrides = with_overrides(given, dict.fromkeys(OPTIONAL, False) | {"extractor": True, "out": True}, BUILD)
    cfg = composed(overrides)
    endpoint = _endpoint(own, cfg)
    suits = cfg.dataset.get("suits") or {}
    frame = ConceptGraph.load(own.get("vocabulary", suits.get("graph", "chest")))
    dataset = config.build_dataset(cfg.dataset)
    split = own.get("split", "train")
    extractor: Extractor = LexiconExtractor(frame)
    if endpoint is not None:
        extractor = _expert(frame, endpoint, [s.factual.thinking for s in dataset.samples(split)], cfg, dataset.access)
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


def _endpoint(own: Mapping[str, str], cfg: DictConfig) -> Endpoint | None:
    """Whom to ask, once it is sure that the reports may go there; None for the lexicon."""
    if own["extractor"] == "lexicon":
        return None
    if own["extractor"] != "llm" or "endpoint" not in own or "model" not in own:
        raise ConfigError(
            got=f"extractor={own['extractor']}" + (" without endpoint= or model=" if own["extractor"] == "llm" else ""),
            wanted="lexicon, or llm with an OpenAI-compatible endpoint and the model it serves",
            remedy=f"{BUILD}; or extractor=llm endpoint=http://localhost:8000/v1 model=NAME",
        )
    hosts = [host for host in own.get("local_hosts", "").split(",") if host]
    endpoint = endpoint_of(own["endpoint"], own["model"], hosts)
    endpoint.refuse_unless_allowed(cfg.dataset.access, acknowledged=cfg.privacy == "acknowledged")
    return endpoint


def _expert(
    frame: ConceptGraph, endpoint: Endpoint, reports: Sequence[str], cfg: DictConfig, access: Access
) -> LLMExtractor:
    """An extractor whose questions about these reports are answered already."""
    categories = tuple(dict.fromkeys(attribute.category for attribute in frame.attributes.values()))
    known: dict[str, str] = {}
    extractor = LLMExtractor(lambda prompt: known.get(prompt, ""), frame.diseases, categories)
    journal = Path(cfg.paths.cache).absolute() / "llm" / fingerprint(["graph", endpoint.model, frame.fingerprint])
    known |= replies_to([extractor.prompt(r) for r in reports], endpoint, journal, open_data=access == "open")
    return extractor


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
