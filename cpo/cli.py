"""The `cpo` command: what there is, and what a run showed. Training and judging are `train.py` and `evaluate.py`.

Whatever takes time to import is imported by the subcommand that needs it, so that `cpo --help` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import cpo
from cpo.commands.help import SHELLS, HelpParser, completion
from cpo.errors import ConfigError, CPOError

GROUPS = {
    "losses": "loss",
    "datasets": "dataset",
    "drifts": "drift",
    "shifts": "shift",
    "counterfactuals": "counterfactual",
    "policies": "policy",
    "benchmarks": "benchmark",
    "experiments": "experiment",
    "sweeps": "sweep",
}
"""What `cpo list` can list, and the group of configs it stands for."""

SUBJECTS = {
    "dashboard": "W&B workspaces and reports from the panels of the pages",
    "counterfactual": "make counterfactuals, judge them, look at them",
    "data": "look at what a dataset holds, and at what is wrong with a copy of it",
    "drift": "look at a drift regime on a dataset",
    "graph": "build concept graphs from reports, look at them, compare them",
    "sweep": "look at a sweep while it runs, and afterwards",
}
"""Commands with commands of their own."""

COMMANDS = {
    "counterfactual make": (
        "counterfactual:make",
        "a set of counterfactuals, judged by another reader than its maker, with a page",
        "dataset=NAME counterfactual=NAME out=DIR [split=train|all] [run=DIR]",
    ),
    "data check": (
        "data:check",
        "verify a copy: layout, columns, counts, images; exit status 0 usable, 1 with losses, 2 unusable",
        "dataset=NAME dataset.root=FOLDER [page=FILE] [decode=500]",
    ),
    "data show": (
        "data:show",
        "some samples as a person would look at them, here and as a page",
        "dataset=NAME [ID] [n=6] [split=test] [out=samples.html]",
    ),
    "data export": (
        "data:export",
        "pairs or samples for ms-swift, TRL, LLaMA-Factory, or as CXR-CounterFact",
        "dataset=NAME to=ms_swift|trl|llamafactory|ccf out=FILE [what=samples|released|pairs]",
    ),
    "drift show": (
        "drift:show",
        "the plan of a regime and the rates it reaches, here and as a page",
        "drift=gradual shift=spurious dataset=chest_world [out=drift.html]",
    ),
    "dashboard push": (
        "dashboard:push",
        "the panels of every page as a W&B workspace and report; needs the extra `dashboards` and a login",
        "ENTITY/PROJECT [dry_run=true]",
    ),
    "graph build": (
        "graph:build",
        "a concept graph from the reports of a dataset, each relation with its evidence",
        "dataset=NAME extractor=lexicon out=graph.json [vocabulary=chest] | extractor=llm endpoint=URL model=NAME",
    ),
    "graph show": ("graph:show", "a graph as a table and as a page with its picture", "GRAPH [out=graph.html]"),
    "graph diff": ("graph:diff", "what differs between two graphs; exit status 1 if anything does", "GRAPH GRAPH"),
    "graph export": ("graph:export", "a graph as GraphML", "GRAPH out=graph.graphml"),
    "score": (
        "run:score",
        "log-probs, rewards and margins of a pair file under a run's policy",
        "pairs=FILE run=DIR out=FILE.jsonl",
    ),
    "export": (
        "run:export",
        "a run's adapter or merged model for plain transformers and peft",
        "run=DIR out=DIR [merge=true] [privacy=acknowledged]",
    ),
    "runs": ("sweep:runs", "the latest runs with their headline, those of sweeps included", "[outputs] [n=20]"),
    "sweep status": (
        "sweep:status",
        "the jobs of a sweep: done, running, failed, left, time to go, best so far; live in a terminal",
        "DIR [metric=pair_accuracy] [direction=minimize]",
    ),
}
"""Commands that take `key=value`: the function in `cpo.commands`, what it does, and how it is called."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a subcommand; a mistake of the user's is printed as got / wanted / remedy, without a traceback.

    Args:
        argv: Arguments after the program's name; None reads the command line.

    Returns:
        Exit status: 0, 2 after a mistake, or what the subcommand says of what it found.
    """
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments) or 0
    except CPOError as error:
        print(error, file=sys.stderr)
        return 2


def choices(group: str) -> dict[str, str]:
    """The configs of a group with their first line of comment, which says what each is.

    Args:
        group: A folder of `conf/`, as in `group=choice` on the command line.

    Raises:
        ConfigError: The package stands without its `conf/`.
    """
    folder = _conf() / group
    return {
        file.relative_to(folder).with_suffix("").as_posix(): _headline(file) for file in sorted(folder.rglob("*.yaml"))
    }


def _conf() -> Path:
    conf = Path(cpo.__file__).parents[1] / "conf"
    if not conf.is_dir():
        raise ConfigError(
            got=f"no directory {conf}",
            wanted="the package inside its checkout, beside conf/",
            remedy="install it in place: pip install --editable . at the root of the checkout",
        )
    return conf


def _headline(file: Path) -> str:
    comments = (line[1:].strip() for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("#"))
    return next((comment for comment in comments if not comment.startswith("@package")), "")


def _list(arguments: argparse.Namespace) -> None:
    for kind in [arguments.kind] if arguments.kind else GROUPS:
        found = choices(GROUPS[kind])
        if not arguments.kind:
            print(f"{kind} ({GROUPS[kind]}=…)" if found else f"{kind}: none yet")
        width = max(map(len, found), default=0)
        for name, headline in found.items():
            print(f"{'' if arguments.kind else '  '}{name:<{width}}  {headline}".rstrip())


def _report(arguments: argparse.Namespace) -> None:
    from cpo.commands.report import report

    print(report(arguments.directories, out=arguments.out, baseline=arguments.baseline))


def _completion(arguments: argparse.Namespace) -> None:
    words = {"": ["list", "report", "completion", *SUBJECTS, *(path for path in COMMANDS if " " not in path)]}
    words |= {"list": list(GROUPS), "completion": list(SHELLS)}
    words |= {subject: [p.partition(" ")[2] for p in COMMANDS if p.startswith(f"{subject} ")] for subject in SUBJECTS}
    print(completion(arguments.shell, words), end="")


def _subcommand(arguments: argparse.Namespace) -> int | None:
    """Calls a function of `cpo.commands`; an exit status is passed on, a path is what was written."""
    module, _, name = arguments.function.partition(":")
    more = {"json_file": arguments.json} if "json" in arguments else {}
    made = getattr(import_module(f"cpo.commands.{module}"), name)(arguments.settings, **more)
    return made if isinstance(made, int) else None


def _parser() -> argparse.ArgumentParser:
    parser = HelpParser(
        prog="cpo",
        description="Counterfactual preference optimization of vision-language models: what there is, what a run did.",
        epilog="Training and judging: python train.py --help, python evaluate.py --help.",
    )
    parser.add_argument("--version", action="version", version=f"cpo {cpo.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    command = commands.add_parser("list", help="what can be chosen on the command line, one line each")
    command.add_argument(
        "kind", nargs="?", choices=GROUPS, metavar="kind", help=f"one of {', '.join(GROUPS)}; all if left out"
    )
    command.set_defaults(run=_list)
    command = commands.add_parser(
        "report",
        help="write the HTML page of a run, of a sweep, or of several runs side by side, from directories alone",
    )
    command.add_argument(
        "directories", nargs="+", type=Path, metavar="DIR", help="what train.py printed: run: or sweep:"
    )
    command.add_argument("--out", type=Path, metavar="FILE", help="another file than report.html, comparison.html")
    command.add_argument("--baseline", default="", metavar="VALUE", help="of a sweep: what others are tested against")
    command.set_defaults(run=_report)

    command = commands.add_parser("completion", help="a script for tab completion: source <(cpo completion bash)")
    command.add_argument("shell", choices=SHELLS)
    command.set_defaults(run=_completion)

    within = {"": commands}
    for subject, about in SUBJECTS.items():
        group = commands.add_parser(subject, help=about)
        within[subject] = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for path, (function, about, usage) in COMMANDS.items():
        subject, _, name = path.rpartition(" ")
        command = within[subject].add_parser(name, help=about, description=f"{about}.", epilog=f"cpo {path} {usage}")
        command.add_argument("settings", nargs="*", metavar="KEY=VALUE", help=usage)
        if path == "data check":
            command.add_argument("--json", type=Path, metavar="FILE", help="write what was found as JSON too")
        command.set_defaults(run=_subcommand, function=function)
    return parser
