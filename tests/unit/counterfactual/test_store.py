"""Sets on disk come back as they were written, are made once, and are refused when they were touched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cpo.counterfactual import store as stores
from cpo.counterfactual.base import CounterfactualSet
from cpo.counterfactual.concept_graph import ConceptGraphCounterfactual
from cpo.counterfactual.random import RandomTrajectory
from cpo.counterfactual.store import CounterfactualStore, read_set, set_key, write_set
from cpo.errors import DataError
from cpo.records import Counterfactual, Edit, ImageRef, LabelState, Sample, Trajectory

Pool = Callable[[int, int], Sequence[Sample]]


def graph_method(graph: str = "chest") -> ConceptGraphCounterfactual:
    return ConceptGraphCounterfactual(
        graph=graph, targets=2, choice="nearest", healthy_target=False, max_edit_ratio=1.0
    )


def test_a_set_comes_back_equal_whatever_it_holds(make_pool: Pool, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(stores, "SHARD", 3)
    made = graph_method().make(make_pool(10, 0), seed=0)
    image = ImageRef("a \u2028 b.mp4", 1.5, (Edit("crop", (("side", 0.5), ("x", 0.1))),))
    odd = Counterfactual("odd", "hand", "", Trajectory("", "Ä\u2028."), images=(image,), chosen=Trajectory("", "B"))
    made = replace(made, by_sample={**made.by_sample, "odd": (odd,), "none": ()})
    write_set(tmp_path / "set", made)
    assert len(list((tmp_path / "set").glob("*.jsonl"))) == 4
    back = read_set(tmp_path / "set")
    assert back == made
    assert back.fingerprint == made.fingerprint


def test_a_set_is_made_once_and_read_afterwards(make_pool: Pool, tmp_path: Path) -> None:
    pool, calls = make_pool(6, 0), list[int]()

    def make() -> CounterfactualSet:
        calls.append(1)
        return graph_method().make(pool, seed=0)

    store = CounterfactualStore(tmp_path)
    first, reused = store.obtain("concept_graph", "k1", make)
    again, reused_again = store.obtain("concept_graph", "k1", make)
    store.obtain("concept_graph", "k2", make)
    assert (reused, reused_again) == (False, True)
    assert len(calls) == 2
    assert again == first


@pytest.mark.parametrize("harm", ["changed", "gone", "another key"])
def test_a_set_that_is_not_what_was_written_is_refused(make_pool: Pool, tmp_path: Path, harm: str) -> None:
    store, pool = CounterfactualStore(tmp_path), make_pool(6, 0)
    store.obtain("concept_graph", "k", lambda: graph_method().make(pool, seed=0))
    (shard,) = (tmp_path / "concept_graph-k").glob("*.jsonl")
    if harm == "changed":
        shard.write_text(shard.read_text().replace("left", "right"))
    elif harm == "gone":
        shard.unlink()
    else:
        shard.parent.rename(tmp_path / "concept_graph-other")
    key = "other" if harm == "another key" else "k"
    with pytest.raises(DataError, match="not those that were written"):
        store.obtain("concept_graph", key, lambda: graph_method().make(pool, seed=0))


def test_a_folder_without_a_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"without set\.json"):
        read_set(tmp_path)


def test_whatever_decides_a_set_changes_its_key(make_pool: Pool) -> None:
    pool, method = list(make_pool(4, 0)), graph_method()
    label = {**pool[0].labels, "Fracture": LabelState.UNCERTAIN}

    def key(samples: Sequence[Sample] = pool, method: Any = method, knobs: Any = "two", **given: Any) -> str:
        return set_key(method, knobs, samples, **{"seed": 0, "data": "d", "policy": ""} | given)

    keys = {
        key(),
        key(pool[::-1]),
        key([replace(pool[0], labels=label), *pool[1:]]),
        key([replace(pool[0], group="other"), *pool[1:]]),
        key([replace(pool[0], images=(ImageRef("other.jpg"),)), *pool[1:]]),
        key(method=graph_method("driving")),
        key(method=RandomTrajectory(negatives=2)),
        key(knobs={"targets": 1}),
        key(seed=1),
        key(data="e"),
        key(policy="sft"),
    }
    assert len(keys) == 11
    assert key(list(pool)) == key()


def test_other_code_makes_another_key(make_pool: Pool, monkeypatch: Any) -> None:
    def key() -> str:
        return set_key(graph_method(), {}, make_pool(2, 0), seed=0, data="", policy="")

    before = key()
    monkeypatch.setattr(stores, "code_fingerprint", lambda: "other")
    assert key() != before
