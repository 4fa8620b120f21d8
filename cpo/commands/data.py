"""`cpo data check`, `show` and `export`: what a dataset holds, and what is wrong with a copy of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast, get_args

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cpo import config
from cpo.commands.settings import composed, with_overrides
from cpo.dataset.base import Dataset
from cpo.dataset.doctor import Examination, Verdict, examine
from cpo.dataset.export import Target, export_pairs, export_samples, released_pairs
from cpo.errors import ConfigError
from cpo.files import write_json
from cpo.records import Sample
from cpo.report.dataset_page import check_page, samples_page
from cpo.report.studies import studies_page

CHECK = "cpo data check dataset=mimic_cxr dataset.root=FOLDER [--json FILE] [page=FILE.html] [decode=500]"
SHOW = "cpo data show dataset=chest_world [ID] [n=6] [split=test] [out=samples.html]"
EXPORT = (
    "cpo data export dataset=NAME to=ms_swift|trl|llamafactory|llamafactory_v1|ccf out=FILE "
    "[what=samples|released|pairs] [split=train] [strict=false]"
)
WHAT = ("samples", "released", "pairs")
STYLES = {Verdict.USABLE: "green", Verdict.QUARANTINED: "yellow", Verdict.UNUSABLE: "bold red"}


def check(given: Sequence[str], json_file: Path | None = None) -> int:
    """Examines a copy and prints what it found; files hold the same as JSON and as a page.

    Args:
        given: Overrides of `dataset`, and `decode=`, `page=`, `json=`.
        json_file: Where to write the JSON too.

    Returns:
        The exit status: 0 usable, 1 usable with quarantined records, 2 unusable.
    """
    own, overrides = with_overrides(given, {"decode": False, "page": False, "json": False}, CHECK)
    decode = _number("decode", own.get("decode", "500"), least=-1)
    # nothing remembered: every file is looked at as it is now
    found = examine(config.build_dataset(composed([*overrides, "dataset.index=''"]).dataset), decode=decode)
    _print(found)
    files = [json_file] if json_file is not None else []
    for file in [*files, *([Path(own["json"])] if "json" in own else [])]:
        write_json(file, found.as_dict())
    if "page" in own:
        print(check_page(found.as_dict(), Path(own["page"])))
    return int(found.verdict)


def export(given: Sequence[str]) -> None:
    """Writes a dataset for another tool: its own pairs where it has any, else its samples.

    Args:
        given: Overrides, `to=`, `out=`, `split=`, `strict=`, `what=` (`samples`, `released` or `pairs` of training).
    """
    known = {"to": True, "out": True, "split": False, "what": False, "strict": False}
    own, overrides = with_overrides(given, known, EXPORT)
    what, strict = own.get("what", ""), own.get("strict", "true")
    if what not in ("", *WHAT) or strict not in ("true", "false") or own["to"] not in get_args(Target):
        raise ConfigError(
            got=" ".join(given),
            wanted=f"to={'|'.join(get_args(Target))}, what={'|'.join(WHAT)}, strict=true|false",
            remedy=EXPORT,
        )
    cfg = composed(overrides)
    out, to = Path(own["out"]), cast(Target, own["to"])
    if what == "pairs":
        from cpo.data import DataPlan  # brings torch along

        pairs = DataPlan(cfg, share=0.0).read().pairs.pairs
        made = export_pairs(pairs, to=to, out=out, strict=strict == "true")
    else:
        dataset = config.build_dataset(cfg.dataset)
        samples = dataset.samples(own.get("split", dataset.splits[0]))
        released = what == "released" or (not what and to != "ccf" and len(samples) > 0 and samples[0].counterfactuals)
        if released:
            made = export_pairs(released_pairs(samples), to=to, out=out, strict=strict == "true")
        else:
            made = export_samples(samples, to=to, out=out, strict=strict == "true")
    for reason, count in made.refused.items():
        print(f"left out: {count:,}: {reason}")
    print(f"{made.rows:,} rows ({made.access}): {made.path}")


def show(given: Sequence[str]) -> None:
    """Prints some samples and writes them as a page with their images; of a generated world with its truth.

    Args:
        given: Overrides of `dataset`, `n=`, `split=`, `out=` (`.png` for a contact sheet of a world), at most one id.
    """
    ids = [item for item in given if "=" not in item]
    known = {"n": False, "split": False, "out": False}
    own, overrides = with_overrides([item for item in given if "=" in item], known, SHOW)
    out, n = Path(own.get("out", "samples.html")), _number("n", own.get("n", "6"), least=1)
    cfg = composed(overrides)
    world = cfg.dataset.get("world")
    if len(ids) > 1 or out.suffix not in ((".html", ".png") if world else (".html",)):
        raise ConfigError(
            got=" ".join(given), wanted="at most one id, and a page (.html; .png only of a world)", remedy=SHOW
        )
    dataset = config.build_dataset(cfg.dataset)
    samples = _samples(dataset, own.get("split", ""), n, ids[0] if ids else "")
    console = Console()
    for sample in samples:
        console.print(_card(sample))
    page = samples_page(dataset.name, samples, out) if ids or not world else _world_page(dataset, world, n, out)
    console.print(f"page: {page}", soft_wrap=True)


def _world_page(dataset: Dataset, world: Mapping[str, Any], n: int, out: Path) -> Path:
    # each world's package has its own gallery and contact sheet
    package = import_module(str(world["_target_"]).rpartition(".")[0])
    if out.suffix == ".png":
        return Path(package.contact_sheet(dataset.root, n, out))
    return studies_page(package.gallery(dataset.root, n), out)


def _samples(dataset: Dataset, split: str, n: int, wanted: str) -> list[Sample]:
    if wanted:
        found = next((s for name in dataset.splits for s in dataset.samples(name) if s.id == wanted), None)
        if found is None:
            raise ConfigError(
                got="an id that no sample has",
                wanted="the id of a sample",
                remedy="leave it out to see some with theirs",
            )
        return [found]
    split = split or next((name for name in dataset.splits if len(dataset.samples(name))), dataset.splits[0])
    pool = dataset.samples(split)
    return [pool[i] for i in range(0, len(pool), max(1, len(pool) // n))][:n]


def _card(sample: Sample) -> Panel:
    text = Text()
    for name, said in (
        ("", sample.prompt),
        ("thinking  ", sample.factual.thinking),
        ("answer  ", sample.factual.answer),
    ):
        if said:
            text.append(name, "dim").append(said.strip() + "\n")
    images = f"{len(sample.images)} image{'s' * (len(sample.images) != 1)}"
    text.append(f"{images}, {sample.split}, {sample.provenance.file} row {sample.provenance.row}", "dim")
    return Panel(text, title=sample.id, title_align="left")


def _print(found: Examination) -> None:
    console, content = Console(), found.as_dict()
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(content["dataset"])
    table.add_column("", justify="right")
    table.add_row("records", f"{content['records']:,}")
    for reason, count in content["excluded"].items():
        table.add_row(f"  left out: {reason}", f"{count:,}")
    for reason, count in content["quarantined"].items():
        table.add_row(f"  quarantined: {reason}", f"{count:,}", style="yellow")
    table.add_row("samples", f"{content['samples']:,}")
    for split, count in content["by_split"].items():
        table.add_row(f"  {split}", f"{count:,}")
    console.print(table)
    if any(any(states.values()) for states in content["labels"].values()):
        console.print(_labels(content["labels"]))
    for record in (*found.quality.quarantined, *found.unreadable)[:10]:
        console.print(
            f"{record.file} row {record.row}: {record.reason}", style="yellow", highlight=False, soft_wrap=True
        )
    for remark in found.remarks:
        console.print(remark, highlight=False, soft_wrap=True)
    for problem in found.problems:
        console.print(problem, style="red", highlight=False, soft_wrap=True)
    console.print(f"verdict: {found.verdict.words}", style=STYLES[found.verdict])


def _labels(labels: dict[str, dict[str, int]]) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("label")
    states = list(next(iter(labels.values())))
    for state in states:
        table.add_column(state, justify="right")
    for name, counts in labels.items():
        table.add_row(name, *(f"{counts[state]:,}" for state in states))
    return table


def _number(name: str, text: str, *, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise ConfigError(got=f"{name}={text}", wanted=f"a whole number, at least {least}", remedy=f"pass {name}=20")
    return number
