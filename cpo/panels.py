"""The one panel specification behind every dashboard and page: which metrics stand together, and how they are drawn.

The HTML page and the trackers read the same list, so that a curve has the same title, axis and note wherever it is met.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

STEP = "step"
"""The x axis of most panels: optimiser steps of the metric's stage, from 0."""


class PanelKind(StrEnum):
    """How a panel is drawn."""

    LINE = "line"
    """One curve per metric."""
    BAND = "band"
    """Curves over the stream, with its concepts as bands behind them."""
    BAR = "bar"
    """The last value of each metric."""
    TABLE = "table"
    """The last value of each metric, in figures."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Args:
        title: What is shown.
        kind: How.
        keys: Metrics, as names or shell patterns (`train/rewards/*`), in drawing order.
        y: Label of the y axis, with its unit.
        x: The metric on the x axis, or `step`.
        x_label: Label of the x axis, with its unit.
        note: What to look for, in a sentence or two.
        group: Heading under which a page collects its panels.
    """

    title: str
    kind: PanelKind
    keys: tuple[str, ...]
    y: str
    x: str = STEP
    x_label: str = "optimiser step"
    note: str = ""
    group: str = "Learning curves"

    def select(self, available: Iterable[str]) -> tuple[str, ...]:
        """The metrics of `available` that this panel shows, in the order of its keys.

        Example:
            >>> panel = Panel("Rewards", PanelKind.LINE, ("train/rewards/margins", "train/rewards/*"), y="nats")
            >>> panel.select(["train/loss", "train/rewards/chosen", "train/rewards/margins"])
            ('train/rewards/margins', 'train/rewards/chosen')
        """
        names = sorted(set(available))
        return tuple(dict.fromkeys(n for key in self.keys for n in names if fnmatchcase(n, key)))


PANELS: tuple[Panel, ...] = (
    Panel(
        title="Supervised fine-tuning loss",
        kind=PanelKind.LINE,
        keys=("sft/loss", "control/loss"),
        y="loss, nats per token",
        note="The control goes on with supervised fine-tuning for as many steps as the preference stage takes.",
    ),
    Panel(
        title="Preference loss",
        kind=PanelKind.LINE,
        keys=("train/loss",),
        y="loss, nats",
        note="DPO's own term starts at ln 2 ≈ 0.693, where policy and reference are the same model.",
    ),
    Panel(
        title="Rewards",
        kind=PanelKind.LINE,
        keys=("train/rewards/chosen", "train/rewards/rejected", "train/rewards/margins"),
        y="reward, nats",
        note="β times the log-ratio of policy to reference. A margin that grows while the chosen reward falls is "
        "bought by making both answers less likely.",
        group="Margins and rewards",
    ),
    Panel(
        title="Reward accuracy",
        kind=PanelKind.LINE,
        keys=("train/rewards/accuracies",),
        y="share of pairs with margin > 0",
        note="Measured on the batch that is about to be trained on.",
        group="Margins and rewards",
    ),
    Panel(
        title="Log-probabilities of chosen and rejected",
        kind=PanelKind.LINE,
        keys=("train/logps/chosen", "train/logps/rejected"),
        y="log-probability, nats per completion",
        note="Both falling is the damage that preference losses without a likelihood term are known for.",
        group="Margins and rewards",
    ),
    Panel(
        title="Drift of both log-probabilities from the reference",
        kind=PanelKind.LINE,
        keys=("train/logratios/chosen", "train/logratios/rejected"),
        y="log-ratio policy to reference, nats per completion",
        note="Both start at 0. The chosen one should not fall with the rejected one.",
        group="Margins and rewards",
    ),
    Panel(
        title="Spread of the margins",
        kind=PanelKind.LINE,
        keys=("train/margins/q10", "train/margins/q50", "train/margins/q90"),
        y="margin, nats",
        note="Quantiles of each batch, 10 %, 50 % and 90 %. A lower one that stays at 0 or below is of pairs that the "
        "mean hides.",
        group="Margins and rewards",
    ),
    Panel(
        title="Divergence from the reference",
        kind=PanelKind.LINE,
        keys=("train/kl/chosen",),
        y="KL estimate, nats per token",
        note="Mean of eᵈ − 1 − d over the tokens of the chosen trajectories, d the log-ratio of a token: an estimate "
        "of KL(reference ‖ policy) on the data, not on samples of either.",
        group="Margins and rewards",
    ),
    Panel(
        title="Pair accuracy, tested before trained",
        kind=PanelKind.BAND,
        keys=("train/prequential/accuracy",),
        y="share of pairs ranked rightly",
        x="train/stream/position",
        x_label="position in the stream, samples",
        note="Each pair is judged before the policy learns from it (prequential). Bands are the stream's concepts, "
        "dashed lines its true changes.",
        group="Accuracy over the stream",
    ),
)
"""What every run shows; a panel without data is left out and said to be missing."""
