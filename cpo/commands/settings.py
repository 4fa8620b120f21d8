"""Arguments of the `cpo` command: `key=value` of its own, and overrides as `train.py` takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from omegaconf import DictConfig

from cpo import config
from cpo.errors import ConfigError


def settings(given: Sequence[str], known: Mapping[str, bool], usage: str) -> dict[str, str]:
    """`key=value` arguments of a command.

    Args:
        given: As on the command line.
        known: The keys, and whether each is required.
        usage: A call that works, for the error.

    Raises:
        ConfigError: One is unknown, twice, absent, or no `key=value`.

    Example:
        >>> settings(["run=a", "out=b=c"], {"run": True, "out": True, "merge": False}, "cpo export run=DIR out=DIR")
        {'run': 'a', 'out': 'b=c'}
    """
    pairs = [item.partition("=")[::2] for item in given]
    found = dict(pairs)
    absent = [key for key, required in known.items() if required and not found.get(key)]
    strange = [item for item, (key, _) in zip(given, pairs, strict=True) if key not in known or "=" not in item]
    if absent or strange or len(found) != len(pairs):
        raise ConfigError(
            got=f"{' '.join(given) or 'no arguments'}" + (f", without {', '.join(absent)}=" if absent else ""),
            wanted=" ".join(f"{key}=…" if required else f"[{key}=…]" for key, required in known.items()),
            remedy=usage,
        )
    return found


def with_overrides(given: Sequence[str], known: Mapping[str, bool], usage: str) -> tuple[dict[str, str], list[str]]:
    """`key=value` arguments of a command, and the others, which are overrides of `train.py`'s config.

    Args:
        given: As on the command line.
        known: The command's own keys, and whether each is required.
        usage: A call that works, for the error.

    Raises:
        ConfigError: One of its own is absent or twice, or something is no `key=value`.

    Example:
        >>> with_overrides(["dataset=a", "out=b"], {"out": True}, "cpo data export dataset=NAME out=FILE")
        ({'out': 'b'}, ['dataset=a'])
    """
    own = [item for item in given if item.partition("=")[0] in known]
    overrides = [item for item in given if item not in own]
    if strange := [item for item in overrides if "=" not in item]:
        raise ConfigError(got=strange[0], wanted="key=value", remedy=usage)
    return settings(own, known, usage), overrides


def composed(overrides: Sequence[str]) -> DictConfig:
    """The config of `train.py` with some overrides.

    Raises:
        ConfigError: An unknown group, choice or key, or a wrong type.
    """
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException

    config.register_schemas()
    try:
        with initialize_config_dir(str(config.ROOT / "conf"), version_base="1.3"):
            return compose("train", overrides=list(overrides))
    except HydraException as error:
        raise ConfigError(
            got=str(error).splitlines()[0],
            wanted="overrides as train.py takes them",
            remedy="cpo list datasets shows what there is; python train.py --help explains overrides",
        ) from error
