"""What is true of a generated scene: what it shows, what the ego car does, nuisances, names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cpo.graph.lexicon import Mention
from cpo.records import LabelState


@dataclass(frozen=True, slots=True)
class Nuisances:
    """What shows in picture or words and neither causes an action nor is caused by one.

    Args:
        night: It is dark.
        bus_lane: The right lane is marked as a bus lane.
        place: `city` or `country`: what stands beside the road.
        phrase: Which of the habitual phrases tells all that.
    """

    night: bool
    bus_lane: bool
    place: str
    phrase: int


@dataclass(frozen=True, slots=True)
class Causes:
    """What a scene shows, and the actions that this causes.

    Args:
        findings: Attributes that the picture shows, present or (when fainter, and hedged in words) uncertain.
        actions: Those that the findings decide for, present or uncertain; all others are absent.
    """

    findings: tuple[Mention, ...]
    actions: Mapping[str, LabelState]

    @property
    def taken(self) -> tuple[str, ...]:
        """The actions that are sure, which an answer names."""
        return tuple(action for action, state in self.actions.items() if state is LabelState.PRESENT)


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that is true of one scene; `negated` are the attributes that its text denies."""

    causes: Causes
    nuisances: Nuisances
    negated: tuple[str, ...] = ()

    @property
    def states(self) -> dict[str, LabelState]:
        """State of every attribute that the text mentions."""
        shown = {finding.attribute: finding.state for finding in self.causes.findings}
        return shown | dict.fromkeys(self.negated, LabelState.ABSENT)

    def record(self, study_id: str, drive: int, split: str) -> dict[str, Any]:
        """The scene as one line of `truth/studies.jsonl`.

        Args:
            study_id: The id that a reader of the layout gives the sample.
            drive: Number of its drive, which crosses no split.
            split: `train`, `validate` or `test`.
        """
        nuisances = self.nuisances
        return {
            "study_id": study_id,
            "drive": drive,
            "split": split,
            "actions": {name: state.value for name, state in self.causes.actions.items()},
            "attributes": [
                {"name": f.attribute, "state": f.state.value, "side": f.side, "severity": f.severity}
                for f in self.causes.findings
            ],
            "negated": list(self.negated),
            "nuisances": {
                "night": nuisances.night,
                "bus_lane": nuisances.bus_lane,
                "place": nuisances.place,
                "phrase": nuisances.phrase,
            },
        }
