"""How fast a world is generated, how large it is, and whether both grow in proportion to its records.

Usage:
    python experiments/bench/world.py                              500 to 4,000 studies of 224 pixels
    python experiments/bench/world.py --sizes 250 500 --pixels 112
    python experiments/bench/world.py --world road_world           scenes; road_world_video: clips
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cpo.world.chest import ChestWorld
from cpo.world.road import RoadWorld, RoadWorldVideo

LARGE = 100_000
WORLDS = {
    "chest_world": (ChestWorld, "studies"),
    "road_world": (RoadWorld, "scenes"),
    "road_world_video": (RoadWorldVideo, "clips"),
}


@dataclass(frozen=True)
class Measured:
    """One generated world.

    Args:
        records: How many studies, scenes or clips.
        seconds: Wall clock from the call to the complete folder.
        cpu: Processor seconds of all its processes, which other work on the machine stretches less.
        on_disk: Bytes of its files, in whole disk blocks.
        content: Bytes of their contents.
    """

    records: int
    seconds: float
    cpu: float
    on_disk: int
    content: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", choices=WORLDS, default="chest_world")
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 1000, 2000, 4000])
    parser.add_argument("--pixels", type=int, default=224)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    name, kind = arguments.world, WORLDS[arguments.world][1]
    measured = [measure(name, records, arguments.pixels, arguments.workers) for records in arguments.sizes]
    table = Table(kind, "seconds", f"{kind}/s", "CPU ms each", "bytes each", "bytes each on disk")
    table.title = f"{name}, {arguments.pixels} pixels, {arguments.workers} processes"
    for column in table.columns:
        column.justify = "right"
    for m in measured:
        table.add_row(
            f"{m.records:,}",
            f"{m.seconds:.1f}",
            f"{m.records / m.seconds:.0f}",
            f"{1000 * m.cpu / m.records:.1f}",
            f"{m.content / m.records:,.0f}",
            f"{m.on_disk / m.records:,.0f}",
        )
    Console().print(table)
    if len(measured) > 1:
        print(extrapolated(measured, kind))
    started = time.perf_counter()
    build(name, LARGE).groups()
    print(
        f"names and splits of {LARGE:,} {kind}, which one process draws before the others start: measured, "
        f"{time.perf_counter() - started:.1f} s"
    )


def build(name: str, records: int, **knobs: Any) -> Any:
    """A world of so many records."""
    world, kind = WORLDS[name]
    return world(**{kind: records}, **knobs)


def measure(name: str, records: int, pixels: int, workers: int) -> Measured:
    """Generates one world in a folder of its own."""
    with tempfile.TemporaryDirectory() as root:
        world = build(name, records, image_size=pixels, workers=workers)
        before, started = processor_seconds(), time.perf_counter()
        folder = world.write(Path(root))
        seconds, cpu = time.perf_counter() - started, processor_seconds() - before
        files = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return Measured(records, seconds, cpu, sum(f.st_blocks * 512 for f in files), sum(f.st_size for f in files))


def processor_seconds() -> float:
    """Of this process and of those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def extrapolated(measured: Sequence[Measured], kind: str) -> str:
    """What 100,000 records would take if the last doubling's rate held: a forecast, not a measurement."""
    small, large = measured[-2], measured[-1]
    each = (large.seconds - small.seconds) / (large.records - small.records)
    size = (large.on_disk - small.on_disk) / (large.records - small.records)
    return (
        f"marginal: {1 / each:.1f} {kind}/s; {LARGE:,} {kind}, not measured: "
        f"about {LARGE * each / 60:.0f} minutes and {LARGE * size / 2**30:.1f} GiB on disk"
    )


if __name__ == "__main__":
    main()
