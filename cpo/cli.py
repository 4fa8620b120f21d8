"""The `cpo` command: what there is, and what a run showed. Training and judging are `train.py` and `evaluate.py`.

Whatever takes time to import is imported by the subcommand that needs it, so that `cpo --help` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cpo
from cpo.errors import ConfigError, CPOError, DataError

GROUPS = {
    "losses": "loss",
    "datasets": "dataset",
    "drifts": "drift",
    "shifts": "shift",
    "counterfactuals": "counterfactual",
    "policies": "policy",
    "benchmarks": "benchmark",
    "experiments": "experiment",
}
"""What `cpo list` can list, and the group of configs it stands for."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a subcommand; a mistake of the user's is printed as got / wanted / remedy, without a traceback.

    Args:
        argv: Arguments after the program's name; None reads the command line.

    Returns:
        Exit status: 0, or 2 after a mistake.
    """
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except CPOError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


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


def _show(arguments: argparse.Namespace) -> None:
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException

    from cpo import config
    from cpo.report.studies import studies_page
    from cpo.world.chest import contact_sheet, gallery

    out: Path = arguments.out
    if out.suffix not in (".html", ".png") or arguments.studies < 1:
        raise ConfigError(
            got=f"--out {out} --studies {arguments.studies}",
            wanted="a page (.html) or a contact sheet (.png) of at least one study",
            remedy="cpo data show dataset=chest_world --out studies.html",
        )
    config.register_schemas()
    try:
        with initialize_config_dir(str(_conf()), version_base="1.3"):
            cfg = compose("train", overrides=arguments.overrides)
    except HydraException as error:
        raise ConfigError(
            got=str(error).splitlines()[0],
            wanted="overrides as train.py takes them",
            remedy="cpo list datasets shows what there is",
        ) from error
    world = cfg.dataset.get("world")
    if world is None:
        raise ConfigError(
            got=f"dataset={cfg.dataset.name}, which is not generated",
            wanted="a generated world",
            remedy="cpo data show dataset=chest_world",
        )
    root = config.build(world).write(Path(cfg.paths.cache).absolute() / "worlds")
    n: int = arguments.studies
    print(studies_page(gallery(root, n), out) if out.suffix == ".html" else contact_sheet(root, n, out))


def _report(arguments: argparse.Namespace) -> None:
    from cpo.report.run import run_page

    directory: Path = arguments.run_dir
    if not (directory / "metrics.jsonl").is_file():
        raise DataError(
            got=f"{directory}, " + ("without metrics.jsonl" if directory.is_dir() else "which is no directory"),
            wanted="the directory of a run",
            remedy="pass the directory that train.py printed in its last line, `run: <directory>`",
        )
    print(run_page(directory))


def _score(arguments: argparse.Namespace) -> None:
    from cpo.commands import score, settings

    known = {"pairs": True, "run": True, "out": True}
    print(score(**settings(arguments.settings, known, "cpo score pairs=FILE run=DIR out=FILE.jsonl")))


def _export(arguments: argparse.Namespace) -> None:
    from cpo.commands import export, settings

    known = {"run": True, "out": True, "merge": False}
    print(export(**settings(arguments.settings, known, "cpo export run=DIR out=DIR merge=true")))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
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

    data = commands.add_parser("data", help="look at what a dataset holds")
    command = data.add_subparsers(title="commands", metavar="COMMAND", required=True).add_parser(
        "show", help="studies of a generated world with reports and truth; the world is made first if need be"
    )
    command.add_argument(
        "overrides", nargs="*", metavar="OVERRIDE", help="as for train.py: dataset=chest_world dataset.world.seed=1"
    )
    command.add_argument("--studies", type=int, default=12, metavar="N", help="how many (default: 12)")
    command.add_argument(
        "--out",
        type=Path,
        default=Path("studies.html"),
        metavar="FILE",
        help="a page (.html) or a contact sheet (.png) to write (default: studies.html)",
    )
    command.set_defaults(run=_show)

    command = commands.add_parser("report", help="write the HTML page of a run again, from its directory alone")
    command.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="the directory that train.py printed")
    command.set_defaults(run=_report)

    command = commands.add_parser("score", help="log-probs, rewards and margins of a pair file under a run's policy")
    command.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="pairs=FILE run=DIR out=FILE.jsonl")
    command.set_defaults(run=_score)

    command = commands.add_parser("export", help="a run's adapter or merged model for plain transformers and peft")
    command.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="run=DIR out=DIR [merge=true]")
    command.set_defaults(run=_export)
    return parser
