"""What a person is told when a job cannot be run: got, wanted, remedy, and never a traceback."""

from __future__ import annotations

import difflib
import errno
import functools
import multiprocessing
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from rich import markup
from rich.console import Console

from cpo import config
from cpo.errors import ConfigError, CPOError, DataError
from cpo.rundir import check_same
from cpo.sweep_jobs import State, SweepJob, read_plan

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS)
"""What a user can mend of what the operating system refuses."""

console = Console(highlight=False, soft_wrap=True)

UNEXPECTED = "The program did not expect this: it is not one of the mistakes that it explains."
"""Noted on an error that leaves a job with its traceback."""


def run(main: Callable[[], None]) -> None:
    """Calls a Hydra main; whatever is the user's to mend is said as got / wanted / remedy, and the exit status is 2.

    Hydra's own short messages are left aside for that: they name neither the allowed values nor a remedy.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        main()
    except CPOError as error:  # of a sweep as a whole: its jobs tell their own
        print(error, file=sys.stderr)
        sys.exit(2)
    except (HydraException, OmegaConfBaseException) as error:
        if isinstance(error.__cause__, CPOError):
            print(error.__cause__, file=sys.stderr)
            sys.exit(2)
        print(explained(error), file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if UNEXPECTED in getattr(error, "__notes__", ()):
            raise
        # Hydra makes the folder of all runs before a job begins
        told = unwritable(error, [Path(error.filename or "")])
        if told is None:
            raise
        print(told, file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("joblib", "submitit"):
            raise
        print(lost_worker(error), file=sys.stderr)
        sys.exit(2)


def lost_worker(error: Exception) -> ConfigError:
    """What a launcher says when one of its processes was killed, in our form."""
    return ConfigError(
        got=f"a worker of the sweep that ended without an answer ({type(error).__name__})",
        wanted="workers that nobody kills: too many at once may want more memory than there is",
        remedy="give the same command again: it goes on with what is missing; with joblib, lower hydra.launcher.n_jobs",
    )


def unwritable(error: OSError, folders: Iterable[Path]) -> DataError | None:
    """A full disk or a folder that may not be written to, in our form; None for any other error.

    Args:
        error: What the operating system refused.
        folders: Where a job writes. Only there can a path that does not exist be a folder that could not be made:
            elsewhere it is a mistake of the program's, whose traceback must be seen.
    """
    path = Path(error.filename) if isinstance(error.filename, str) else None
    inside = path is not None and any(path.absolute().is_relative_to(folder.absolute()) for folder in folders)
    if error.errno not in UNWRITABLE and not (error.errno == errno.ENOENT and inside):
        return None
    # the file's name alone may hold a patient's id; folders that the user named do not
    where = path if path is not None and not path.suffix else "a file"
    return DataError(
        got=f"{error.strerror}: {where}",
        wanted="room there, and permission to write",
        remedy="free some space, or pass paths.outputs= and paths.cache=; run=DIR goes on where a run stopped",
    )


def explained(error: Exception) -> ConfigError:
    """What Hydra or OmegaConf refuses, in our form, with the nearest name that there is."""
    said = " ".join(str(error.__cause__ or error).split())
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        options = sorted(error.options or [])
        group, _, asked = error.missing_cfg_file.rpartition("/")
        extra = {"joblib": "joblib", "submitit_local": "slurm", "submitit_slurm": "slurm"}.get(asked)
        remedy = f"did you mean {nearest(asked, options)}? `cpo list` says what each is"
        if group == "hydra/launcher" and extra:
            remedy = f"install what it needs: pip install -e '.[{extra}]'"
        return ConfigError(
            got=f"{error.missing_cfg_file}, which does not exist", wanted=f"one of {', '.join(options)}", remedy=remedy
        )
    if "does not support sweep type" in said:
        return ConfigError(
            got="a range without a list of values, such as interval(0.1, 1), in a grid",
            wanted="a list, as in loss.beta=0.1,0.3 or seed=range(0,5), or a search",
            remedy="pass hydra/sweeper=optuna, which searches ranges",
        )
    misspelt = re.search(r"Could not override '([^']+)'|Key '([^']+)' (?:is )?not in|match for '([^']+)'", said)
    if misspelt:
        key = next(group for group in misspelt.groups() if group)
        known = [f.name for f in fields(config.TrainConfig)]
        return ConfigError(
            got=f"no knob or group of the name {key}",
            wanted="a knob of the config, or one of the groups",
            remedy=f"did you mean {nearest(key.split('.')[0].split('@')[0], known)}? "
            "`python train.py --cfg job` prints every knob",
        )
    return ConfigError(
        got=said, wanted="a config of the schema in cpo/config.py", remedy="`python train.py --help` shows every knob"
    )


def nearest(name: str, known: Sequence[str]) -> str:
    """The known name that looks most like the given one.

    Example:
        >>> nearest("sudeen", ["gradual", "sudden"])
        'sudden'
    """
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.0)), "")


def speaks_plainly(task: Callable[[DictConfig], None]) -> Callable[[DictConfig], None]:
    """Prints a user's mistake as got / wanted / remedy and exits with 2, where Hydra would print a traceback.

    In a sweep a job that is done is skipped; one that fails is noted, and the other jobs go on.
    """

    @functools.wraps(task)
    def wrapped(cfg: DictConfig) -> None:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            _in_sweep(task, cfg)
            return
        try:
            task(cfg)
        except Exception as error:
            told = _told(error, cfg)
            if told is None:
                error.add_note(UNEXPECTED)
                raise
            print(told, file=sys.stderr)
            sys.exit(2)

    return wrapped


def check_launcher(job: SweepJob, launcher: str) -> None:
    """Refuses a job whose own config names a launcher: it is composed when the jobs are launched already.

    Raises:
        ConfigError: It is not the launcher of the sweep.
    """
    used = read_plan(job.sweep)[0].get("launcher", launcher)
    if used != launcher:
        raise ConfigError(
            got=f"the launcher {launcher.rpartition('.')[2]} in a file that the sweep chooses for this job",
            wanted=f"the launcher of the whole sweep, {used.rpartition('.')[2]}",
            remedy="take it out of the file: a launcher is chosen on the command line, as in hydra/launcher=joblib",
        )


def _told(error: Exception, cfg: DictConfig) -> CPOError | None:
    """What a person can mend, in our form; None for what is a mistake of the program's."""
    if isinstance(error, CPOError):
        return error
    if isinstance(error, OSError):
        return unwritable(error, [Path(cfg.run or cfg.paths.outputs), Path(cfg.paths.outputs), Path(cfg.paths.cache)])
    return None


def _in_sweep(task: Callable[[DictConfig], None], cfg: DictConfig) -> None:
    """A job of a sweep, unless it is done or another process runs it; its error is printed, and kept for the end."""
    hydra = HydraConfig.get()
    if multiprocessing.get_start_method(allow_none=True) == "loky":
        # a worker of joblib starts processes in a way that those it starts do not know
        multiprocessing.set_start_method(None, force=True)  # Python's own default
    overrides = tuple(hydra.overrides.task)
    job = SweepJob(Path(hydra.sweep.dir).absolute(), overrides)
    with job.turn() as state:
        why = {State.DONE: ", done before", State.RUNNING: ", being run by another process"}.get(state, "")
        console.print(f"[bold]job {hydra.job.num:<6}[/] {markup.escape(job.label)}{why}")
        if state is State.RUNNING:
            return
        try:
            check_launcher(job, str(hydra.launcher._target_))
            if state is State.DONE and job.directory is not None:
                config.drop_unchosen(cfg, "benchmark", overrides)
                check_same(cfg, job.directory)
            else:
                task(cfg)
        except Exception as error:
            told = _told(error, cfg)
            said = "".join(traceback.format_exception(error)).rstrip() if told is None else str(told)
            print(said, file=sys.stderr)
            short = f"{type(error).__name__}: {error}" if told is None else said
            job.note_failure(hydra.job.num, short, hydra.job.name)
