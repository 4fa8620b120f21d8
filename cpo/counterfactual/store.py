"""Sets of counterfactuals on disk: found by what decides them, written once, whole or absent, checked when read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from cpo.counterfactual.base import CounterfactualMethod, CounterfactualSet
from cpo.errors import DataError
from cpo.files import build_directory, read_json, write_json, write_text
from cpo.records import Counterfactual, Edit, ImageRef, Intervention, LabelState, Sample, Trajectory, fingerprint

MANIFEST = "set.json"
SHARD = 20_000
"""Samples in one file."""
CODE = ("counterfactual", "graph")
"""Packages whose code and data decide a set."""


class CounterfactualStore:
    """A folder of sets, each in a directory named by its key.

    Args:
        folder: Made when the first set is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def obtain(self, name: str, key: str, make: Callable[[], CounterfactualSet]) -> tuple[CounterfactualSet, bool]:
        """The set of a key: read if it is there, else made and written, by one process while others wait.

        Args:
            name: Of the method.
            key: See `set_key`.
            make: Called only if the set is not there.

        Returns:
            The set, and whether it was there.

        Raises:
            DataError: What is there is not what was written.
        """
        directory = self.folder / f"{name}-{key}"
        made: list[CounterfactualSet] = []

        def build(unfinished: Path) -> None:
            made.append(make())
            write_set(unfinished, made[0], key=key)

        if build_directory(directory, build):
            return made[0], False
        return read_set(directory, key=key), True


def set_key(
    method: CounterfactualMethod,
    knobs: Mapping[str, Any],
    samples: Sequence[Sample],
    *,
    seed: int,
    data: str,
    policy: str,
) -> str:
    """16 hex digits of all that decides a set, the code that makes it included.

    Args:
        method: Its graph counts by content, not by name.
        knobs: Its config.
        samples: What it is made from, in order.
        seed: See `CounterfactualMethod.make`.
        data: Fingerprint of the dataset.
        policy: Identity of the policy that it asks; empty for a method that asks none.
    """
    graph = getattr(method, "graph", None)
    digest = hashlib.sha256()
    for sample in samples:
        images = [image.fingerprint for image in sample.images]
        content = [*sample.content, sample.group, dict(sample.labels), images]
        digest.update(json.dumps(content, ensure_ascii=False, sort_keys=True).encode())
    said = graph.fingerprint if graph is not None else ""
    return fingerprint([data, said, knobs, digest.hexdigest(), seed, policy, code_fingerprint()])


@lru_cache(maxsize=1)
def code_fingerprint() -> str:
    """Of the code and data that decide a set: a set that older code made is not taken for one of today."""
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    for package in CODE:
        for file in sorted((root / package).rglob("*")):
            if file.suffix in (".py", ".json"):
                digest.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def write_set(directory: Path, made: CounterfactualSet, *, key: str = "") -> None:
    """Writes a set as JSONL, one line per sample, in files of at most `SHARD` lines, and its manifest.

    Args:
        directory: Of this set alone.
        made: The set.
        key: What it is found by.
    """
    entries = iter(made.by_sample.items())
    shards: dict[str, str] = {}
    while some := list(islice(entries, SHARD)):
        name = f"counterfactuals-{len(shards):05d}.jsonl"
        text = "".join(json.dumps(_row(*entry), ensure_ascii=False) + "\n" for entry in some)
        write_text(directory / name, text)
        shards[name] = hashlib.sha256(text.encode()).hexdigest()
    manifest = {"method": made.method, "key": key, "fingerprint": made.fingerprint, "samples": len(made.by_sample)}
    counts = {"counterfactuals": len(made.all), "short": made.short, "rejected": dict(made.rejected)}
    write_json(directory / MANIFEST, {**manifest, **counts, "stats": dict(made.stats), "shards": shards})


def read_set(directory: Path, *, key: str | None = None) -> CounterfactualSet:
    """A set as it was written.

    Args:
        directory: As `write_set` left it.
        key: What it must have been found by; None for any.

    Raises:
        DataError: There is no set, or it is not what was written.
    """
    manifest = read_json(directory / MANIFEST)
    if not manifest:
        raise DataError(
            got=f"{directory} without {MANIFEST}",
            wanted="a set of counterfactuals",
            remedy="make one: cpo counterfactual make dataset=… counterfactual=… out=DIR",
        )
    by_sample: dict[str, tuple[Counterfactual, ...]] = {}
    intact = key is None or manifest["key"] == key
    for name, digest in manifest["shards"].items():
        content = (directory / name).read_bytes() if (directory / name).is_file() else b""
        intact = intact and hashlib.sha256(content).hexdigest() == digest
        if intact:
            by_sample.update(_entry(json.loads(line)) for line in content.splitlines())
    made = CounterfactualSet(manifest["method"], by_sample, manifest["rejected"], manifest["short"], manifest["stats"])
    if not intact or made.fingerprint != manifest["fingerprint"]:
        raise DataError(
            got=f"{directory}, whose files are not those that were written",
            wanted=f"a set of fingerprint {manifest['fingerprint']}",
            remedy="delete that directory; it is made again",
        )
    return made


def _row(sample_id: str, found: Sequence[Counterfactual]) -> dict[str, Any]:
    return {"id": sample_id, "counterfactuals": [dict(_fields(c)) for c in found]}


def _fields(counterfactual: Counterfactual) -> Iterator[tuple[str, Any]]:
    """What a line says of one; what is not there is left out."""
    c = counterfactual
    yield from (("method", c.method), ("target", c.target), ("trajectory", asdict(c.trajectory)))
    if c.interventions:
        yield "interventions", [[i.attribute, i.before.value, i.after.value] for i in c.interventions]
    if c.images is not None:
        yield "images", [[i.path, i.time_s, [[e.name, e.params] for e in i.edits]] for i in c.images]
    if c.chosen is not None:
        yield "chosen", asdict(c.chosen)


def _entry(row: Mapping[str, Any]) -> tuple[str, tuple[Counterfactual, ...]]:
    return row["id"], tuple(
        Counterfactual(
            sample_id=row["id"],
            method=c["method"],
            target=c["target"],
            trajectory=Trajectory(**c["trajectory"]),
            interventions=tuple(
                Intervention(name, LabelState(before), LabelState(after))
                for name, before, after in c.get("interventions", ())
            ),
            images=tuple(_image(*image) for image in c["images"]) if "images" in c else None,
            chosen=Trajectory(**c["chosen"]) if "chosen" in c else None,
        )
        for c in row["counterfactuals"]
    )


def _image(path: str, time_s: float | None, edits: Sequence[Any]) -> ImageRef:
    made = (Edit(name, tuple((str(key), value) for key, value in params)) for name, params in edits)
    return ImageRef(path, time_s, tuple(made))
