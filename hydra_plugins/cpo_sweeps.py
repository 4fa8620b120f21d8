"""Where Hydra looks for launchers and sweepers: it takes them from this namespace only."""

from __future__ import annotations

from cpo.sweep_ray import RayTasks
from cpo.sweep_search import Search


class RayLauncher(RayTasks):
    """`hydra/launcher=ray`; see `cpo.sweep_ray`."""


class OptunaSweeper(Search):
    """`hydra/sweeper=optuna`; see `cpo.sweep_search`."""
