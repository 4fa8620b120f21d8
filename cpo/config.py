"""The schema of the two root configs, and the one place where a config becomes an object."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from hydra.core.config_store import ConfigStore
from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from omegaconf import MISSING, DictConfig, OmegaConf, flag_override

from cpo.errors import ConfigError, CPOError

ROOT = Path(__file__).resolve().parent.parent
"""The project: where `conf/` stands."""

ALLOWED_TARGETS = ("cpo.",)
"""Namespaces that a config may name: a config from elsewhere is data, and must not run code."""

Group = dict[str, Any]


@dataclass
class MaxLength:
    """What is done about samples and pairs longer than `policy.max_length`."""

    action: str = "error"


@dataclass
class TrainConfig:
    """Root of `train.py`: one field per group, and the few knobs that belong to no group."""

    dataset: Group = MISSING
    drift: Group = MISSING
    shift: Group = field(default_factory=dict)
    second: Group | None = None
    judged: Group | None = None
    counterfactual: Group = MISSING
    pairing: Group = MISSING
    policy: Group = MISSING
    init: Group = MISSING
    reference: Group = MISSING
    layout: Group = MISSING
    cache: Group = MISSING
    loss: Group = MISSING
    optim: Group = MISSING
    replay: Group = MISSING
    trainer: Group = MISSING
    detector: Group = field(default_factory=dict)
    monitor: Group = MISSING
    benchmark: Group = MISSING
    tracker: Group = MISSING
    paths: Group = MISSING
    seed: int = 0
    length: int = -1
    held_out: str = "test"
    control: bool = True
    privacy: str = "strict"
    max_length: MaxLength = field(default_factory=MaxLength)
    preflight: str = "report"
    run: str = ""


@dataclass
class EvaluateConfig:
    """Root of `evaluate.py`, but for `from`: a keyword of Python cannot be a field, so `register_schemas` adds it."""

    run: str = ""
    compare: list[str] = field(default_factory=list)
    benchmark: Group = MISSING
    policy: Group = MISSING
    dataset: Group = MISSING
    drift: Group = MISSING
    shift: Group = field(default_factory=dict)
    counterfactual: Group = MISSING
    pairing: Group = MISSING
    layout: Group = MISSING
    cache: Group = MISSING
    trainer: Group = MISSING
    paths: Group = MISSING
    seed: int = 0
    held_out: str = "test"
    privacy: str = "strict"


def register_schemas() -> None:
    """Makes the schemas known to Hydra, so that a misspelt key or a wrong type stops at composition."""
    store = ConfigStore.instance()
    store.store(name="train_schema", node=TrainConfig)
    evaluate = OmegaConf.structured(EvaluateConfig)
    with flag_override(evaluate, "struct", False):
        evaluate["from"] = "policy"
    store.store(name="evaluate_schema", node=evaluate)
    OmegaConf.register_new_resolver("heading", heading, replace=True)
    OmegaConf.register_new_resolver("script_help", script_help, replace=True)


def heading(text: str) -> str:
    """A heading of `--help`, bold where a person reads it."""
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() and "NO_COLOR" not in os.environ else text


def script_help() -> str:
    """What the script that was started says of itself: its docstring, the first line as a heading."""
    first, _, rest = (sys.modules["__main__"].__doc__ or "").partition("\n")
    return f"{heading(first)}\n{rest}".rstrip()


def build(node: DictConfig | Group, **given: Any) -> Any:
    """The object that a config node describes.

    Args:
        node: Has `_target_`, a class of ours.
        **given: Arguments that a config cannot hold (a directory, another object).

    Raises:
        ConfigError: A foreign `_target_`, which is not executed, or arguments that the class does not take.
        CPOError: What the constructor itself refuses.
    """
    check_targets(node)
    check_types(node)
    try:
        # nested nodes are built by Hydra; what a config cannot hold is given to the class itself
        make = instantiate(node, _convert_="all", _partial_=True)
        inspect.signature(make).bind(**given)
    except (InstantiationException, TypeError, ValueError) as error:
        cause = error.__cause__
        if isinstance(cause, CPOError):
            raise cause from None
        if isinstance(error, CPOError):
            raise
        raise ConfigError(
            got=str(cause or error).splitlines()[0],
            wanted=f"the knobs of {node.get('_target_')}",
            remedy="compare with its YAML under conf/, which lists every knob",
        ) from error
    return make(**given)


def build_all(nodes: DictConfig | Group, **given: Any) -> dict[str, Any]:
    """The objects of a group whose leaves stack, by name.

    Raises:
        ConfigError: Knobs of a leaf that is not chosen.
    """
    for name, node in ((str(name), node) for name, node in nodes.items()):
        if "_target_" not in node:
            raise ConfigError(
                got=f"knobs of {name}, which is not chosen: {', '.join(map(str, node))}",
                wanted="knobs of chosen leaves only",
                remedy=f"choose it as well, as in 'GROUP=[…,{name}]', or leave its knobs out",
            )
    return {str(name): build(node, **given) for name, node in nodes.items()}


def drop_unchosen(cfg: DictConfig, group: str, overrides: Sequence[str]) -> None:
    """Takes out what an overlay, as `debug=smoke`, sets of leaves that are not chosen; what a person sets stays.

    Args:
        cfg: The composed root.
        group: A group whose leaves stack.
        overrides: The command line's.

    Example:
        >>> cfg = OmegaConf.create({"benchmark": {"a": {"_target_": "cpo.A"}, "b": {"limit": 8}, "c": {"limit": 8}}})
        >>> drop_unchosen(cfg, "benchmark", ["benchmark.c.limit=8"])
        >>> list(cfg.benchmark)
        ['a', 'c']
    """
    told = tuple(override.lstrip("+~") for override in overrides)
    with flag_override(cfg, "struct", False):
        for name in [str(n) for n, node in cfg[group].items() if "_target_" not in node]:
            if not any(override.startswith(f"{group}.{name}") for override in told):
                del cfg[group][name]


def build_dataset(node: DictConfig) -> Any:
    """The reader that a dataset's config describes, over a generated world that is made first if need be.

    Args:
        node: The group `dataset`, part of a composed root so that its interpolations resolve.
    """
    content = resolved(node)
    world = content.pop("world", None)
    content.pop("suits", None)  # what other groups take from the dataset
    if world is not None:
        content["root"] = str(build(world).write(Path(content["root"]).absolute()))
    return build(content)


def check_targets(node: Any) -> None:
    """Refuses any `_target_` outside our own namespace, at any depth.

    Raises:
        ConfigError: Naming the target.
    """
    content = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    if isinstance(content, list):
        for item in content:
            check_targets(item)
    if not isinstance(content, dict):
        return
    target = content.get("_target_")
    if target is not None and not is_ours(str(target)):
        raise ConfigError(
            got=f"_target_: {target}",
            wanted=f"a class under {', '.join(ALLOWED_TARGETS)}",
            remedy="wrap it in a class of the project's, so that a config alone never runs foreign code",
        )
    for value in content.values():
        check_targets(value)


def is_ours(target: str) -> bool:
    """Whether a target is a class defined in one of our own modules, not something that a module of ours imports."""
    if not target.startswith(ALLOWED_TARGETS):
        return False
    try:
        found = get_class(target)
    except (ValueError, ImportError):
        return False
    return found.__module__.startswith(ALLOWED_TARGETS)


def check_types(node: Any) -> None:
    """Refuses knobs of another type than their class annotates, at any depth; OmegaConf cannot know it.

    Raises:
        ConfigError: Naming the knob.
    """
    plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    if not isinstance(plain, dict):
        return
    content = {str(name): value for name, value in plain.items()}
    for value in content.values():
        check_types(value)
    if "_target_" not in content:
        return
    hints = get_type_hints(getattr(get_class(content["_target_"]), "__init__"))  # noqa: B009
    for name, value in content.items():
        hint = hints.get(name)
        if hint not in (int, float, bool, str) or value == "???":
            continue
        accepted = (int, float) if hint is float else hint
        if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
            raise ConfigError(
                got=f"{name}={value!r} for {content['_target_'].rpartition('.')[2]}",
                wanted=f"{name} of type {hint.__name__}",
                remedy="see its comment in the YAML under conf/",
            )


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """The config as plain data, every interpolation resolved.

    Raises:
        ConfigError: A required value is missing.
    """
    missing = sorted(OmegaConf.missing_keys(cfg))
    if missing:
        raise ConfigError(
            got=f"no value for {', '.join(missing)}",
            wanted="every required value",
            remedy=f"pass {missing[0]}=…",
        )
    content = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}
