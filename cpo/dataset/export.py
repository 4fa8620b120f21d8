"""Samples and pairs written for other tools: ms-swift, TRL, LLaMA-Factory, or in CXR-CounterFact's layout."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, get_args

from cpo.dataset.base import one_of
from cpo.dataset.counterfact_writer import counterfact_record
from cpo.dataset.intake import DamagedError
from cpo.dataset.preference_formats import PairRow, trajectory
from cpo.dataset.preference_json import ABOUT
from cpo.dataset.preference_writers import RefusedError, dataset_info, write_example, write_pair
from cpo.errors import DataError
from cpo.files import replace_file, write_json
from cpo.records import Counterfactual, ImageRef, PreferencePair, Released, Sample, Trajectory
from cpo.sequence.template import completion_text

Target = Literal["ms_swift", "trl", "llamafactory", "llamafactory_v1", "ccf"]

Written = tuple[Sample, Callable[[], dict[str, Any]]]
"""A row to be written, and the sample that it comes from."""


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Args:
        path: The file: JSON lines, or one JSON array for `ccf`.
        rows: Rows in it.
        refused: Rows that the format cannot hold, by reason.
        access: `credentialed` if one of the samples is; the file must not leave this machine then.
    """

    path: Path
    rows: int
    refused: Mapping[str, int]
    access: str


def export_samples(samples: Iterable[Sample], *, to: Target, out: Path, strict: bool = True) -> Exported:
    """Writes samples with their factual trajectories, as supervised fine-tuning reads them.

    Args:
        samples: In the order to write them.
        to: The format; `ccf` holds their released counterfactuals too.
        out: The file, replaced when the new one is whole. `<out>.about.json` beside it says what it holds.
        strict: Stop at the first sample that the format cannot hold, rather than leave it out, counted.

    Raises:
        ConfigError: No such format.
        DataError: A sample that the format cannot hold, or none at all.
    """
    one_of("to", to, get_args(Target))

    def written() -> Iterator[Written]:
        for sample in samples:
            yield sample, lambda s=sample: _sample_row(s, to)  # type: ignore[misc]

    return _export(written(), to=to, out=out, strict=strict, pairs=to == "ccf")


def export_pairs(pairs: Iterable[PreferencePair], *, to: Target, out: Path, strict: bool = True) -> Exported:
    """Writes preference pairs, one row for each rejected trajectory; in `ccf`, one for each sample.

    Args:
        pairs: In the order to write them; `released_pairs` makes them of samples that bring their own.
        to: The format.
        out: See `export_samples`.
        strict: See `export_samples`.

    Raises:
        ConfigError: No such format.
        DataError: A pair that the format cannot hold, or none at all.
    """
    one_of("to", to, get_args(Target))

    def written() -> Iterator[Written]:
        if to == "ccf":
            for _, group in groupby(pairs, key=lambda pair: (pair.sample.id, pair.chosen)):
                members = tuple(group)
                yield members[0].sample, lambda m=members: _counterfact(m)  # type: ignore[misc]
            return
        for pair in pairs:
            for rejected in pair.rejected:
                yield pair.sample, lambda p=pair, r=rejected: write_pair(_pair_row(p, r), to)  # type: ignore[misc]

    return _export(written(), to=to, out=out, strict=strict, pairs=True)


def released_pairs(samples: Iterable[Sample]) -> Iterator[PreferencePair]:
    """A pair for each counterfactual that came with the samples, in their order."""
    for time, sample in enumerate(samples):
        for released in sample.counterfactuals:
            made = Counterfactual(sample.id, "released", released.target, released.trajectory, images=released.images)
            source: Literal["thinking", "perception"] = "thinking" if released.images is None else "perception"
            yield PreferencePair(sample, sample.factual, (made,), time, source=source)


def _sample_row(sample: Sample, to: Target) -> dict[str, Any]:
    if to == "ccf":
        return counterfact_record(sample, sample.factual, sample.counterfactuals)
    return write_example(sample.prompt, _paths(sample.images), _completion(sample.factual), to)


def _pair_row(pair: PreferencePair, rejected: Counterfactual) -> PairRow:
    _check_weight(pair)
    own = _paths(pair.sample.images)
    other = None if rejected.images is None else _paths(rejected.images)
    chosen, against = _completion(pair.chosen), _completion(rejected.trajectory)
    return PairRow(pair.sample.prompt, own, chosen, against, None if other == own else other)


def _counterfact(pairs: tuple[PreferencePair, ...]) -> dict[str, Any]:
    for pair in pairs:
        _check_weight(pair)
    released = [Released(r.target, r.trajectory, r.images) for pair in pairs for r in pair.rejected]
    return counterfact_record(pairs[0].sample, pairs[0].chosen, released)


def _check_weight(pair: PreferencePair) -> None:
    if pair.weight != 1:
        raise RefusedError("a weight other than 1")


def _paths(images: tuple[ImageRef, ...]) -> tuple[str, ...]:
    if any(image.edits or image.time_s is not None for image in images):
        raise RefusedError("an edited image or the frame of a video, where the format has files")
    return tuple(str(Path(image.path).absolute()) for image in images)


def _completion(made: Trajectory) -> str:
    """The text of a completion, from which the same thinking and answer can be read."""
    text = completion_text(made)
    with suppress(DamagedError):
        if trajectory(text) == made:
            return text
    raise RefusedError("a thinking or answer with think tags in it, or blank")


def _export(rows: Iterable[Written], *, to: Target, out: Path, strict: bool, pairs: bool) -> Exported:
    refused, datasets, closed, count = Counter[str](), set[str](), False, 0
    out.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            for sample, make in rows:
                try:
                    text = json.dumps(make(), ensure_ascii=False)
                except RefusedError as reason:
                    if strict:
                        raise _unheld(sample, str(reason), to) from None
                    refused[str(reason)] += 1
                    continue
                file.write(("[\n" if not count else ",\n") + text if to == "ccf" else text + "\n")
                count += 1
                datasets.add(sample.provenance.dataset)
                closed = closed or sample.provenance.access == "credentialed"
            file.write("\n]\n" if to == "ccf" and count else "")
        if not count:
            raise _nothing(refused)
        access = "credentialed" if closed else "open"
        about = {"format": to, "access": access, "datasets": sorted(datasets), "rows": count, "refused": dict(refused)}
        if to == "llamafactory":
            about["dataset_info"] = dataset_info(out.stem, out.name, pairs=pairs)
        if not closed:
            os.chmod(temporary, 0o644)  # credentialed rows stay readable by their owner alone
        write_json(out.with_name(out.name + ABOUT), about)  # first: no row stands without its access
        replace_file(Path(temporary), out)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return Exported(out, count, dict(refused), access)


def _unheld(sample: Sample, reason: str, to: Target) -> DataError:
    others = [form for form in ("ms_swift", "llamafactory_v1") if form != to]
    return DataError(
        got=f"{sample.provenance.file}:{sample.provenance.row}: {reason}",
        wanted=f"what {to} can hold exactly; nothing is bent",
        remedy=f"export to={' or to='.join(others)}, which hold more, or leave such rows out with strict=false",
    )


def _nothing(refused: Mapping[str, int]) -> DataError:
    return DataError(
        got=f"no row to write (refused: {dict(refused)})",
        wanted="at least one",
        remedy="export to=ms_swift, which holds most, or check the dataset: cpo data check",
    )
