"""`cpo drift show`: a regime on a dataset as numbers and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from cpo import config
from cpo.commands.settings import composed, with_overrides
from cpo.drift.profile import profile
from cpo.drift.stream import make_stream
from cpo.errors import ConfigError
from cpo.report.drift_page import drift_page, drift_tables

SHOW = "cpo drift show drift=gradual shift=spurious dataset=chest_world [bins=20] [split=train] [out=drift.html]"
CHOSEN = ("dataset", "drift", "shift")


def show(given: Sequence[str]) -> None:
    """Prints the plan of a regime with the rates that it reaches, and writes them as a page.

    Args:
        given: Overrides of `dataset`, `drift` and `shift`, and `bins=`, `split=`, `out=`.

    Raises:
        ConfigError: An override or argument that makes no sense, or a regime that cannot be had.
        DataError: Samples that lack what a shift looks at.
    """
    own, overrides = with_overrides(given, {"bins": False, "split": False, "out": False}, SHOW)
    out, bins = Path(own.get("out", "drift.html")), own.get("bins", "20")
    if out.suffix != ".html" or not bins.isdecimal():
        raise ConfigError(got=f"out={out} bins={bins}", wanted="a page (.html) and a whole number", remedy=SHOW)
    content = regime(overrides, split=own.get("split", "train"), bins=int(bins))
    content["choices"] = {k: v for k, v in (one.split("=", 1) for one in overrides) if k in CHOSEN}
    console = Console()
    for table in drift_tables(content):
        console.print(table, highlight=False)
        console.print()
    console.print(f"page: {drift_page(content, out)}", soft_wrap=True)


def regime(overrides: Sequence[str], *, split: str, bins: int) -> dict[str, Any]:
    """What a regime makes of a split of a dataset, as `drift_page` takes it, without the choices.

    Args:
        overrides: Of the config of `train.py`.
        split: Whose samples are the pool.
        bins: Stretches that rates are taken over.
    """
    cfg = composed(overrides)
    schedule, shifts = config.build(cfg.drift), config.build_all(cfg.shift)
    dataset = config.build_dataset(cfg.dataset)
    length = None if cfg.length == -1 else cfg.length
    stream = make_stream(dataset.samples(split), schedule, shifts, int(cfg.seed), length, dataset.answers)
    return {"name": dataset.name, "choices": {}, **profile(stream, shifts, bins)}
