"""What a person is told when a job cannot be run: got, wanted, remedy, and never a traceback."""

from __future__ import annotations

import difflib
import errno
import functools
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from cpo import config
from cpo.errors import ConfigError, CPOError, DataError

UNWRITABLE = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOENT,
    errno.ENAMETOOLONG,
)
"""What a user can mend of what the operating system refuses."""


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
    except OSError as error:  # Hydra makes the folder of all runs before our code is called
        print(unwritable(error), file=sys.stderr)
        sys.exit(2)


def unwritable(error: OSError) -> DataError:
    """A full disk or a folder that may not be written to, in our form.

    Raises:
        OSError: The same, if it is something else.
    """
    if error.errno not in UNWRITABLE:
        raise error
    # the file's name alone may hold a patient's id; folders that the user named do not
    where = error.filename if isinstance(error.filename, str) and not Path(error.filename).suffix else "a file"
    return DataError(
        got=f"{error.strerror}: {where}",
        wanted="room and permission to write there",
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
    """Prints a user's mistake as got / wanted / remedy and exits with 2, where Hydra would print a traceback."""

    @functools.wraps(task)
    def wrapped(cfg: DictConfig) -> None:
        try:
            task(cfg)
        except CPOError as error:
            print(error, file=sys.stderr)
            sys.exit(2)
        except OSError as error:
            print(unwritable(error), file=sys.stderr)
            sys.exit(2)

    return wrapped
