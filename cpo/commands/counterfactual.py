"""`cpo counterfactual make`: a set of counterfactuals with an account of how good it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console

from cpo.commands.settings import composed, with_overrides
from cpo.counterfactual.quality import Examined, Quality, examine, judge_by
from cpo.counterfactual.store import write_set
from cpo.counterfactual.validity import Judge, Validity
from cpo.errors import ConfigError
from cpo.files import build_directory, write_json
from cpo.graph.extraction import LexiconExtractor
from cpo.graph.schema import ConceptGraph
from cpo.records import Counterfactual
from cpo.report.counterfactual_page import DISTRIBUTIONS, counterfactual_page, quality_table
from cpo.sequence.pair_file import evenly, image_entry
from cpo.sequence.template import completion_text, prompt_messages

MAKE = "cpo counterfactual make dataset=chest_world counterfactual=concept_graph out=DIR [split=train|all] [run=DIR]"
EXAMPLES = 12
CHOSEN = ("dataset", "counterfactual")


def make(given: Sequence[str]) -> None:
    """Makes counterfactuals of a split, has them judged, and writes those that are valid.

    Args:
        given: Overrides of `dataset` and `counterfactual`, `out=`, `split=` (`all` for every split), and `run=`: the
            directory of a finished run, whose SFT policy is asked where one is, and measures how hard the pairs are.

    Raises:
        ConfigError: An argument that makes no sense, or a method that asks a policy without a run.
        PrivacyError: The data would be sent where it may not go; no dataset was opened.
    """
    own, overrides = with_overrides(given, {"out": True, "split": False, "run": False}, MAKE)
    cfg = composed(overrides)
    out = free_directory(Path(own["out"]).absolute())
    from cpo.data import DataPlan  # brings torch along

    plan = DataPlan(cfg, share=0.0)
    plan.refuse_unless_allowed()
    policy, identity = sft_policy(own["run"]) if "run" in own else (None, "")
    if plan.method.needs and policy is None:
        raise ConfigError(
            got=f"counterfactual={plan.method.name}, which asks a policy, without run=",
            wanted="the directory of a finished run, whose SFT policy is asked",
            remedy=f"{MAKE.partition(' [')[0]} run=outputs/runs/NAME",
        )
    dataset = plan.dataset()
    splits = dataset.splits if own.get("split") == "all" else (own.get("split", "train"),)
    samples = tuple(sample for split in splits for sample in dataset.samples(split))
    made, reused = plan.counterfactuals(dataset, samples, policy, identity)
    graph = getattr(plan.method, "graph", None) or graph_of(cfg)
    name, judge = judge_of(cfg, graph)
    validity = Validity(graph=graph, judge=judge, max_edit_ratio=1.0)
    quality = examine(samples, made, validity, policy() if policy else None)
    choices = {k: v for k, v in (one.split("=", 1) for one in overrides) if k in CHOSEN}
    content = page_content(quality, {"name": dataset.name, "judge": name, "choices": choices})

    def build(directory: Path) -> None:
        write_set(directory, quality.valid)
        write_json(directory / "quality.json", {**quality.as_dict(), "judge": name, "reused": reused})
        counterfactual_page(content, directory / "quality.html")

    build_directory(out, build)
    console = Console()
    console.print(quality_table(quality.as_dict()), highlight=False)
    console.print(f"judge: {name}" + (", the set itself was made by an earlier command" if reused else ""))
    console.print(f"page: {out / 'quality.html'}\nset: {out}", soft_wrap=True)


def free_directory(out: Path) -> Path:
    """A directory that can be made.

    Raises:
        ConfigError: There is something.
    """
    if out.is_dir() and not any(out.iterdir()):
        out.rmdir()
    if out.exists():
        raise ConfigError(got=f"out={out}, which is there", wanted="a directory to make", remedy="pass another out=DIR")
    return out


def sft_policy(run: str) -> tuple[Callable[[], Any], str]:
    """What loads the policy that a run's preference stage started from, and what tells its weights from others."""
    from cpo.app import Job
    from cpo.rundir import finished_run
    from cpo.tracking.composite import CompositeTracker

    directory = Path(run).absolute()
    summary, cfg = finished_run(directory)
    job = Job(cfg, directory, summary["choices"], CompositeTracker(trackers=[]))
    start = Path(job.backbone.adapter_base(directory / "adapter"))
    return cache(lambda: job.load(start)), start.name


def graph_of(cfg: DictConfig) -> ConceptGraph:
    """The concept graph that suits the dataset."""
    return ConceptGraph.load((cfg.dataset.get("suits") or {}).get("graph", "chest"))


def judge_of(cfg: DictConfig, graph: ConceptGraph) -> tuple[str, Judge]:
    """Who judges, in words, and the judge: the reader of a generated world, which knows what its sentences mean.

    Elsewhere the extractor of the graph's terms, which finds them in any words.
    """
    world = cfg.dataset.get("world")
    if world is None:
        extractor = LexiconExtractor(graph)
        return "the extractor of the concept graph's terms", lambda text: extractor.read(text).attributes
    package = import_module(str(world["_target_"]).rpartition(".")[0])
    return "the world's own reader", judge_by(package.read)


def page_content(quality: Quality, about: dict[str, Any]) -> dict[str, Any]:
    """What `counterfactual_page` shows."""
    good = [one for one in quality.examined if one.rejection is None]
    moves = Counter((result, o.counterfactual.target) for o in good for result in replaced(o))
    return {
        **about,
        "quality": quality.as_dict(),
        "values": {name: [getattr(one, name) for one in good] for name in DISTRIBUTIONS},
        "moves": [(result, target, count) for (result, target), count in moves.most_common()],
        "examples": [example(one) for one in evenly(good, EXAMPLES)],
    }


def replaced(one: Examined) -> list[str]:
    """The results of a sample that its counterfactual no longer names."""
    answer = one.counterfactual.trajectory.answer
    return [result for result in one.sample.results if result not in answer or one.counterfactual.images is not None]


def heading(made: Counterfactual) -> str:
    """What the rejected side of an example is."""
    if made.images is not None:
        return f"under an image of {made.target}" if made.target else "under a spoilt image"
    return f"argues for {made.target}" if made.target else "argues for no result"


def example(one: Examined) -> dict[str, Any]:
    """One counterfactual as a row of a pair file, with what the page says of it."""
    sample, made = one.sample, one.counterfactual
    return {
        "id": sample.id,
        "images": [image_entry(image) for image in sample.images],
        "prompt": prompt_messages(sample),
        "chosen": completion_text(one.chosen),
        "rejected": [completion_text(made.trajectory)],
        "rejected_images": [None if made.images is None else [image_entry(image) for image in made.images]],
        "heading": heading(made),
        "interventions": [f"{i.attribute}, {i.before.value} → {i.after.value}" for i in made.interventions],
    }
