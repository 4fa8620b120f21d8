"""What a person is told when a job cannot be run: got, wanted, remedy, and never a traceback."""

from __future__ import annotations

import difflib
import errno
import functools
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from cpo import config
from cpo.errors import ConfigError, CPOError, DataError
from cpo.files import read_json, write_json

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS)
"""What a user can mend of what the operating system refuses."""

UNEXPECTED = "The program did not expect this: it is not one of the mistakes that it explains."
"""Noted on an error that leaves a job with its traceback."""


def run(main: Callable[[], None]) -> None:
    """Calls a Hydra main; whatever is the user's to mend is said as got / wanted / remedy, and the exit status is 2.

    Hydra's own short messages are left aside for that: they name neither the allowed values nor a remedy.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        main()
    except (HydraException, OmegaConfBaseException) as error:
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
        asked = error.missing_cfg_file.rpartition("/")[2]
        return ConfigError(
            got=f"{error.missing_cfg_file}, which does not exist",
            wanted=f"one of {', '.join(options)}",
            remedy=f"did you mean {nearest(asked, options)}? `cpo list` says what each is",
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

    In a sweep a job that fails is noted, and the other jobs go on; see `failures`.
    """

    @functools.wraps(task)
    def wrapped(cfg: DictConfig) -> None:
        try:
            task(cfg)
        except Exception as error:
            told = _told(error, cfg)
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                _note_failure(error if told is None else told, seen=told is not None)
                return
            if told is None:
                error.add_note(UNEXPECTED)
                raise
            print(told, file=sys.stderr)
            sys.exit(2)

    return wrapped


def _told(error: Exception, cfg: DictConfig) -> CPOError | None:
    """What a person can mend, in our form; None for what is a mistake of the program's."""
    if isinstance(error, CPOError):
        return error
    if isinstance(error, OSError):
        return unwritable(error, [Path(cfg.run or cfg.paths.outputs), Path(cfg.paths.outputs), Path(cfg.paths.cache)])
    return None


def _note_failure(error: Exception, *, seen: bool) -> None:
    """Prints the error of a sweep's job and keeps it in the sweep's folder, whatever process the job runs in."""
    hydra = HydraConfig.get()
    said = str(error) if seen else "".join(traceback.format_exception(error)).rstrip()
    print(said, file=sys.stderr)
    sweep, number = Path(hydra.sweep.dir).absolute(), hydra.job.num
    overrides = [o for o in hydra.overrides.task if not o.startswith("sweep=")]
    kept = [f"run={file.parent}" for file in sweep.glob(f"{number}-*/config.yaml")]  # some of it is done
    command = f"python {hydra.job.name}.py {shlex.join([*overrides, *kept])}"
    short = said if seen else f"{type(error).__name__}: {error}"
    write_json(sweep / "failed" / f"{number}.json", {"job": number, "error": short, "command": command})


def failures(sweep: Path) -> list[dict[str, Any]]:
    """The jobs of a sweep that failed, by number: `job`, `error`, and the `command` that runs it again."""
    return sorted((read_json(file) for file in (sweep / "failed").glob("*.json")), key=lambda found: int(found["job"]))
