"""Graphs built from counted readings: relations, confounding, what is left out, where diseases come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from cpo.errors import DataError
from cpo.graph.build import Built, build_graph
from cpo.graph.build_counts import Tally
from cpo.graph.extraction import Reading
from cpo.graph.schema import Attribute, Category, ConceptGraph, Edge, Relation
from cpo.records import LabelState, Provenance, Sample, Trajectory

PRESENT, ABSENT, UNCERTAIN = LabelState.PRESENT, LabelState.ABSENT, LabelState.UNCERTAIN
DISEASES = ("D", "E", "F")
ATTRIBUTES = ("sign of D", "sign of E", "sign of F", "common", "never with D", "rare")


class Words:
    """Reads texts that are lists of attributes; a text `?` cannot be read."""

    name = "words"

    def __init__(self) -> None:
        self.attributes: Mapping[str, Attribute] = {
            name: Attribute(name, Category.DENSITY, (f"There is {name}.",), (f"There is no {name}.",))
            for name in ATTRIBUTES
        }
        self.failures: dict[str, int] = {}
        self.ignored: dict[str, int] = {}

    def read(self, text: str) -> Reading | None:
        if text == "?":
            self.failures["unreadable"] = self.failures.get("unreadable", 0) + 1
            return None
        said = dict.fromkeys(filter(None, text.split("; ")), PRESENT)
        return Reading(said, {"D": PRESENT} if "sign of D" in said else {})


def frame() -> ConceptGraph:
    signs = tuple(Edge(d, f"sign of {d}", Relation.ASSOCIATION) for d in DISEASES)
    return ConceptGraph(
        "small",
        DISEASES,
        Words().attributes,
        signs,
        "nothing",
        phrases={name: name for name in (*DISEASES, "nothing")},
        parents={"D": "upper", "E": "upper", "upper": "all", "F": "lower"},
        terms={"rare": ("seldom",), "common": ("usual",)},
    )


def sample(text: str, labels: Mapping[str, LabelState] | None = None, results: tuple[str, ...] = ()) -> Sample:
    return Sample(
        id="1",
        group="1",
        split="train",
        images=(),
        prompt="",
        factual=Trajectory(text, ""),
        labels=labels or {},
        results=results,
        metadata={},
        provenance=Provenance("small", "file", "1", "open"),
    )


def world(n: int, seed: int = 0) -> Iterator[Sample]:
    """D brings E along; each disease shows its sign, D and F show `common`, D rules `never with D` out."""
    rng = np.random.default_rng(seed)
    for index in range(n):
        d = rng.random() < 0.3
        e = rng.random() < (0.7 if d else 0.1)
        f = rng.random() < 0.25
        chances = {
            "sign of D": 0.8 * d,
            "sign of E": 0.8 * e,
            "sign of F": 0.8 * f,
            "common": max(0.6 * d, 0.6 * f, 0.05),
            "never with D": 0.0 if d else 0.2,
            "rare": 0.3 * (index < 8),
        }
        shown = [name for name, chance in chances.items() if rng.random() < chance]
        states = {name: PRESENT if there else ABSENT for name, there in (("D", d), ("E", e), ("F", f))}
        yield sample("; ".join(shown), states)


@pytest.fixture(scope="module")
def built() -> Built:
    return build_graph(world(1500), Words(), frame(), source="a small world")


def test_the_relations_of_a_known_world_are_found(built: Built) -> None:
    link, ban = Relation.ASSOCIATION, Relation.EXCLUSION
    found = {(e.disease, e.attribute): e.relation for e in built.graph.edges if e.relation is not Relation.IRRELEVANCE}

    assert found == {
        ("D", "sign of D"): link,
        ("D", "common"): link,
        ("D", "never with D"): ban,
        ("E", "sign of E"): link,
        ("F", "sign of F"): link,
        ("F", "common"): link,
    }


def test_what_a_companion_disease_shows_is_taken_for_a_relation_only_when_nothing_is_held_fixed(built: Built) -> None:
    naive = build_graph(world(1500), Words(), frame(), source="a small world", conditioned=False)

    def common_to_e(one: Built) -> Relation | None:
        return next(m.relation for m in one.relations if (m.one, m.other) == ("E", "common"))

    assert common_to_e(naive) is Relation.ASSOCIATION
    assert common_to_e(built) is not Relation.ASSOCIATION


def test_every_relation_carries_its_evidence(built: Built) -> None:
    edge = next(e for e in built.graph.edges if (e.disease, e.attribute) == ("D", "sign of D"))
    ban = next(e for e in built.graph.edges if e.relation is Relation.EXCLUSION)
    assert edge.evidence is not None
    assert ban.evidence is not None

    assert edge.evidence.source == "a small world: 1,500 studies, read by words"
    assert edge.evidence.support is not None
    assert 300 < edge.evidence.support < 450
    assert edge.evidence.log_odds is not None
    assert edge.evidence.log_odds > 3
    assert ban.evidence.low is None
    assert ban.evidence.high is not None
    assert ban.evidence.high < -2
    assert all(e.evidence is not None and e.evidence.q_value is not None for e in built.graph.edges)


def test_diseases_that_come_together_are_linked_and_the_others_are_not(built: Built) -> None:
    assert [(link.one, link.other, link.relation) for link in built.graph.links] == [("D", "E", Relation.ASSOCIATION)]


def test_taxonomy_terms_and_phrases_of_the_frame_are_kept_for_what_is_there(built: Built) -> None:
    assert built.graph.parents == {"D": "upper", "E": "upper", "upper": "all", "F": "lower"}
    assert built.graph.terms == {"common": ("usual",)}
    assert built.rare == ("rare",)
    assert list(built.graph.phrases) == ["D", "E", "F", "nothing"]


def test_a_built_graph_is_read_back_as_it_was_saved(built: Built, tmp_path: Path) -> None:
    assert ConceptGraph.load(built.graph.save(tmp_path / "graph.json")) == built.graph


def test_too_few_reports_give_up_diseases_and_say_which() -> None:
    few = build_graph(world(35), Words(), frame(), source="few", min_studies=1)

    assert few.left_out == ("E",)
    assert few.graph.diseases == ("D", "F")
    with pytest.raises(DataError, match="0 of 3 diseases can be told apart"):
        build_graph(world(4), Words(), frame(), source="fewer", min_studies=1)


def test_diseases_come_from_labels_else_results_else_the_text() -> None:
    samples = [*world(800), *[sample("sign of F", results=("F",))] * 3, *[sample("sign of D")] * 2, sample("?")]
    mixed = build_graph(samples, Words(), frame(), source="mixed")

    assert mixed.diseases_from == {"labels": 800, "results": 3, "text": 2}
    assert mixed.unread == {"unreadable": 1}
    assert mixed.studies == 805


def test_no_readable_report_is_an_error() -> None:
    with pytest.raises(DataError, match="no readable report"):
        build_graph([sample("?")], Words(), frame(), source="none")


def test_studies_unsure_of_one_of_two_findings_are_left_out_of_their_table() -> None:
    tally = Tally(["D", "E"])
    for d, a in ((PRESENT, PRESENT), (UNCERTAIN, PRESENT), (PRESENT, UNCERTAIN), (ABSENT, ABSENT)):
        tally.add({"D": d, "E": UNCERTAIN if d is ABSENT else ABSENT}, {"a": a})

    assert tally.tables("D", "a", fixed=()).tolist() == [[1, 1, 1, 2]]
    assert sorted(tally.tables("D", "a", fixed=("E",)).tolist()) == [[0, 0, 0, 1], [1, 1, 1, 1]]


def test_a_tally_counts_on_after_it_was_read() -> None:
    tally = Tally(["D"])
    tally.add({"D": PRESENT}, {})
    assert tally.shown("D") == 1
    tally.add({"D": PRESENT}, {"a": PRESENT})
    assert (tally.shown("D"), tally.shown("a"), tally.shown("b")) == (2, 1, 0)
