from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpo.dataset.split import split_groups
from cpo.errors import ConfigError, DataError
from cpo.records import Access, Provenance, Sample, Trajectory


def make_sample(number: int, group: str, split: str = "train", access: Access = "open") -> Sample:
    return Sample(
        id=str(number),
        group=group,
        split=split,
        images=(),
        prompt="?",
        factual=Trajectory("", ""),
        labels={},
        results=(),
        metadata={},
        provenance=Provenance("test", "table.csv", str(number), access),
    )


def make_samples(groups: Sequence[int]) -> list[Sample]:
    return [make_sample(i, f"p{group}") for i, group in enumerate(groups)]


GROUPS = st.lists(st.integers(0, 12), min_size=2, max_size=80).filter(lambda groups: len(set(groups)) > 1)


@given(GROUPS, st.floats(0.3, 0.7), st.integers(0, 99))
def test_parts_share_no_group_and_lose_no_sample(groups: list[int], share: float, seed: int) -> None:
    samples = make_samples(groups)
    try:
        first, rest = split_groups(samples, share=share, seed=seed)
    except DataError:
        # only where one group is so large that it is nearer to the share to have all or nothing
        assert max(groups.count(g) for g in groups) > len(groups) / 3
        return
    assert not {s.group for s in first} & {s.group for s in rest}
    assert sorted((*first, *rest), key=samples.index) == samples
    assert list(first) == [s for s in samples if s in first]
    largest = max(groups.count(g) for g in groups)
    assert abs(len(first) - share * len(samples)) <= largest / 2 + 1e-9
    again = split_groups(samples[::-1], share=share, seed=seed)
    assert {s.group for s in again[0]} == {s.group for s in first}


def test_seeds_choose_other_groups() -> None:
    samples = make_samples(range(40))
    chosen = [frozenset(s.group for s in split_groups(samples, share=0.5, seed=seed)[0]) for seed in range(3)]
    assert len(set(chosen)) == 3
    assert all(len(part) == 20 for part in chosen)


def test_all_or_nothing_may_be_asked_for() -> None:
    samples = make_samples([1, 1, 2])
    assert split_groups(samples, share=1, seed=0) == (tuple(samples), ())
    assert split_groups(samples, share=0, seed=0) == ((), tuple(samples))


def test_one_group_cannot_be_shared() -> None:
    with pytest.raises(DataError, match="3 samples in 1 groups"):
        split_groups(make_samples([1, 1, 1]), share=0.5, seed=0)


def test_a_share_outside_its_range_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a share of 1\.5"):
        split_groups(make_samples([1, 2]), share=1.5, seed=0)
