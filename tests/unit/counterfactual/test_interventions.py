"""Interventions edit what they name, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpo.counterfactual.edits import edited_words
from cpo.counterfactual.interventions import LICENSED, UNLICENSED, Kind, Move, Moves
from cpo.counterfactual.phrases import SHIPPED, PhraseBook
from cpo.counterfactual.validity import lexicon_judge
from cpo.errors import DataError
from cpo.graph.lexicon import Lexicon
from cpo.graph.schema import ConceptGraph, Relation
from cpo.records import LabelState, Sample
from cpo.world.chest.words import PHRASES
from cpo.world.road.words import TOLD

MakeSample = Callable[..., Sample]
THINKING = (
    "Portable chest radiograph. The heart is mildly enlarged.\n There is  no pneumothorax. There is no lung nodule. "
    "The patient is rotated."
)


@pytest.fixture(scope="session")
def moves(graph: ConceptGraph) -> Moves:
    return Moves(graph, PhraseBook.load("chest"), swapped="view", results=(*graph.diseases, "No Finding"))


def made(moves: Moves, sample: Sample, seed: int = 0) -> dict[Kind, Move]:
    return {move.kind: move for move in moves.of(sample, seed=seed)}


def test_every_kind_is_licensed_or_not() -> None:
    assert {*LICENSED, *UNLICENSED} == set(Kind)
    assert not {*LICENSED} & {*UNLICENSED}


def test_what_decides_the_true_result_is_denied_and_all_else_kept(moves: Moves, make_sample: MakeSample) -> None:
    move = made(moves, make_sample(THINKING))[Kind.DENIED]
    ((gone, come),) = move.edits
    assert gone == "The heart is mildly enlarged."
    assert come in ("The heart size is normal.", "The heart is not enlarged.")
    assert move.thinking == THINKING.replace(gone, come)
    assert move.result == "Cardiomegaly"
    (intervention,) = move.interventions
    assert (intervention.attribute, intervention.before, intervention.after) == (
        "enlarged heart",
        LabelState.PRESENT,
        LabelState.ABSENT,
    )


def test_everything_that_decides_the_result_is_denied_together(moves: Moves, make_sample: MakeSample) -> None:
    signs = [moves.lexicon.write(a, LabelState.PRESENT, "left", "mild") for a in ("nodule", "mass")]
    move = made(moves, make_sample(" The heart size is normal. ".join(signs)))[Kind.DENIED]
    assert [intervention.attribute for intervention in move.interventions] == ["mass", "nodule"]
    assert " The heart size is normal. " in move.thinking
    states = lexicon_judge(moves.lexicon)(move.thinking)
    assert moves.graph.labels(states)["Lung Lesion"] is LabelState.ABSENT


def test_a_negated_sign_is_asserted_for_the_result_that_it_decides(moves: Moves, make_sample: MakeSample) -> None:
    sample = make_sample("PA view of the chest. There is no pneumothorax. The heart is mildly enlarged.")
    move = made(moves, sample)[Kind.ASSERTED]
    assert move.result == "Pneumothorax"
    states = lexicon_judge(moves.lexicon)(move.thinking)
    assert states["apical pleural line"] is LabelState.PRESENT
    assert move.thinking.startswith("PA view of the chest. ")
    assert move.thinking.endswith(" The heart is mildly enlarged.")


def test_an_irrelevant_attribute_bears_on_no_true_result(moves: Moves, make_sample: MakeSample) -> None:
    for seed in range(10):
        move = made(moves, make_sample(THINKING), seed)[Kind.IRRELEVANT]
        (intervention,) = move.interventions
        assert moves.graph.relation("Cardiomegaly", intervention.attribute) is Relation.IRRELEVANCE
        assert "Cardiomegaly" in move.unmoved
        assert not {*moves.graph.diseases_of(intervention.attribute), "No Finding"} & {*move.unmoved}


def test_a_paraphrase_says_exactly_the_same(moves: Moves, make_sample: MakeSample) -> None:
    for seed in range(10):
        ((gone, come),) = made(moves, make_sample(THINKING), seed)[Kind.PARAPHRASE].edits
        assert gone.lower() != come.lower()
        assert moves.lexicon.mentions(" ".join(gone.split())) == moves.lexicon.mentions(come)


def test_a_swapped_phrase_tells_another_view_of_the_same_site(moves: Moves, make_sample: MakeSample) -> None:
    move = made(moves, make_sample(THINKING))[Kind.PHRASE]
    ((gone, come),) = move.edits
    assert (moves.book.tells(gone), moves.book.tells(come)) == (
        {"site": "B", "view": "AP"},
        {"site": "B", "view": "PA"},
    )
    assert move.thinking == THINKING.replace(gone, come)


def test_a_healthy_report_has_nothing_to_deny_and_no_true_result_to_keep(moves: Moves, make_sample: MakeSample) -> None:
    kinds = set(made(moves, make_sample("Upright chest radiograph. There is no pneumothorax.")))
    assert kinds == {Kind.ASSERTED, Kind.PARAPHRASE, Kind.PHRASE}


def test_a_report_without_a_word_of_the_graph_has_no_interventions(moves: Moves, make_sample: MakeSample) -> None:
    assert moves.of(make_sample("The patient is rotated."), seed=0) == ()
    assert moves.of(make_sample(""), seed=0) == ()


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_on_any_report_edits_are_exact_and_as_licensed(
    moves: Moves, make_pool: Callable[[int, int], Sequence[Sample]], seed: int
) -> None:
    judge = lexicon_judge(moves.lexicon)
    for sample in make_pool(4, seed):
        factual = moves.graph.labels(judge(sample.factual.thinking))
        for move in moves.of(sample, seed=seed):
            text = sample.factual.thinking
            for gone, come in move.edits:
                assert text.count(gone) >= 1
                text = text.replace(gone, come)
            assert move.thinking == text
            assert any(marked for _, marked in edited_words(sample.factual.thinking, move.thinking).after)
            states = judge(move.thinking)
            labels = moves.graph.labels(states)
            changed = {d for d in moves.graph.diseases if labels[d] is not factual[d]}
            if move.kind is Kind.DENIED:
                assert (factual[move.result], labels[move.result]) == (LabelState.PRESENT, LabelState.ABSENT)
            if move.kind is Kind.ASSERTED:
                assert labels[move.result] is LabelState.PRESENT
                assert move.result not in sample.results
            if move.kind in LICENSED:
                assert changed == {move.result}
            elif move.kind is Kind.IRRELEVANT:
                assert not changed & {*move.unmoved}
                assert {d for d in sample.results if d in moves.graph.diseases} <= {*move.unmoved}
            else:
                assert not changed
                assert not move.interventions


def test_the_same_seed_draws_the_same_whatever_else_there_is(
    moves: Moves, make_pool: Callable[[int, int], Sequence[Sample]]
) -> None:
    pool = make_pool(12, 3)
    once = [moves.of(sample, seed=5) for sample in pool]
    assert [moves.of(sample, seed=5) for sample in reversed(pool)][::-1] == once
    assert [moves.of(sample, seed=6) for sample in pool] != once


def test_the_driving_graph_is_intervened_on_alike() -> None:
    graph = ConceptGraph.load("driving")
    driving = Moves(graph, PhraseBook.load("driving"), swapped="night", results=graph.diseases)
    lexicon = Lexicon(graph)
    assert driving.book.swaps("It is night.", "night") == ("It is day.", "The scene was recorded in daylight.")
    red = lexicon.write("red light", LabelState.PRESENT)
    assert "stop" in graph.diseases_of("red light")
    assert lexicon.mentions(red)[0].attribute == "red light"
    assert "stop" not in driving.unmoved("red light")


def test_the_shipped_phrases_are_those_of_the_worlds() -> None:
    told = {s: {"site": site, "view": view} for (site, view), said in PHRASES.items() for s in said}
    assert SHIPPED["chest"] == told
    for name, values in TOLD.items():
        for number in (0, 1):
            said = [sentences[number] for sentences in values.values()]
            assert [set(SHIPPED["driving"][s]) for s in said] == [{name}] * len(said)
            assert len({SHIPPED["driving"][s][name] for s in said}) == len(said)


def test_a_phrase_book_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "phrases.json"
    file.write_text(json.dumps({"Film A.": {"site": "A"}, "Film B.": {"site": "B"}}))
    assert PhraseBook.load(str(file)).swaps("Film  A.", "site") == ("Film B.",)
    file.write_text("[1]")
    for name in (str(file), "nowhere"):
        with pytest.raises(DataError, match="phrase book"):
            PhraseBook.load(name)
    with pytest.raises(DataError, match="site, view"):
        PhraseBook.load("chest").check("weather")
