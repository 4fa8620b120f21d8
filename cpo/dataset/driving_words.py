"""Words of driving releases: which ego actions a sentence names, and which circumstances a text tells.

The names are those of the shipped driving graph. The tables were written from the releases' own sentences; what they do
not recognise names no action, and such a sample has no results.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from cpo.answers import AnswerFormat, Malformed
from cpo.records import LabelState

KEEP_GOING = "keep going"
"""What the ego car does when it does nothing else."""

SIDEWAYS = (
    *("moves", "moving", "merges", "merging", "veers", "veering", "steers", "steering", "swerves", "swerving"),
    *("drifts", "drifting", "shifts", "shifting", "pulls", "pulling", "pulls over", "pulling over"),
)


def _sideways(side: str) -> tuple[str, ...]:
    manners = (side, f"to the {side}", f"slightly {side}", f"slightly to the {side}")
    lanes = (f"into the {side} lane", f"to the {side} lane", f"{side} hand lane", f"lane to its {side}")
    moves = (f"{verb} {manner}" for verb in SIDEWAYS for manner in manners)
    return (*moves, *lanes, f"lane to the {side}", f"lanes to the {side}")


def _turns(side: str) -> tuple[str, ...]:
    manners = (f"turns {side}", f"turning {side}", f"turn {side}", f"turns to the {side}", f"turning to the {side}")
    return (*manners, f"{side} turn", f"{side} hand turn", f"makes a {side}", f"making a {side}")


DONE: Mapping[str, tuple[str, ...]] = {
    "stop": (
        *("stops", "stop", "stopped", "stopping", "not moving", "stationary", "standing still", "sitting still"),
        *("at a standstill", "parked", "halts", "halted", "waits", "waiting", "paused", "motionless"),
    ),
    "give way": ("gives way", "giving way", "yields", "yielding"),
    "slow down": (
        *("slows down", "slows", "slowing", "slowing down", "slow down", "begins to slow", "brakes", "braking"),
        *("to brake", "decelerates", "decelerating", "reduces speed", "reduces its speed"),
        *("near stop", "slows to a near stop", "slowing to a near stop", "rolling stop", "slows to a rolling stop"),
    ),
    "keep distance": ("keeps its distance", "keeps distance", "keeps a distance", "following distance", "spacing"),
    "move left": _sideways("left"),
    "move right": _sideways("right"),
    "turn left": _turns("left"),
    "turn right": _turns("right"),
    "speed up": (
        *("speeds up", "speeding up", "speed up", "accelerates", "accelerating", "accelerate", "picks up speed"),
        *("picking up speed", "gains speed", "increases speed", "increases its speed"),
    ),
    KEEP_GOING: (
        *("keeps going", "driving", "drives", "moving", "moves forward", "moves slowly", "to move", "travels"),
        *("travelling", "traveling", "proceeds", "continues", "heading", "heads", "going", "goes", "maintains"),
        *("inches forward", "edges forward", "pulls forward", "pulling forward", "rolling forward"),
        *("steady speed", "constant speed"),
    ),
}
"""What the car does (BDD-X): phrases of each action, the first as the driving graph writes it."""

ADVISED: Mapping[str, tuple[str, ...]] = {
    "stop": ("stop", "come to a stop", "come to a halt", "complete stop", "full stop", "halt", "stay stopped"),
    "give way": ("give way", "yield"),
    "slow down": (
        *("slow down", "reduce speed", "reduce its speed", "reduce the speed", "reducing speed", "lower speed"),
        *("lower its speed", "decrease speed", "decelerate", "reduced speed", "cautious speed", "moderate speed"),
        *("slow speed", "slow its speed", "slowing down", "slower speed"),
        # being ready for it is driving slowly, not standing
        *("prepare to stop", "prepared to stop", "ready to stop", "stop if", "stop or slow down", "slow down or stop"),
        *("either stop or", "prepare to slow down or stop", "prepared to slow down or stop"),
    ),
    "keep distance": (
        *("keep distance", "keep a distance", "keep a safe distance", "safe distance", "following distance"),
        *("distance from", "distance behind", "maintain distance", "stop-and-go"),
    ),
    "move left": (
        *("move left", "move to the left", "keep left", "merge left", "merge to the left", "shift left"),
        *("shift to the left", "steer left", "merge into the left lane", "change to the left lane"),
        *("change lanes to the left", "lane change to the left", "changing lanes to the left"),
    ),
    "move right": (
        *("move right", "move to the right", "keep right", "merge right", "merge to the right", "shift right"),
        *("shift to the right", "steer right", "merge into the right lane", "change to the right lane"),
        *("change lanes to the right", "lane change to the right", "changing lanes to the right"),
    ),
    "turn left": ("turn left", "make a left turn", "turning left"),
    "turn right": ("turn right", "make a right turn", "turning right"),
    "speed up": ("speed up", "accelerate", "increase speed", "increase its speed", "resume speed"),
    KEEP_GOING: (
        *("keep going", "proceed", "continue driving", "continue to drive", "continue straight", "maintain speed"),
        *("maintain its speed", "maintain current speed", "maintain its current speed", "maintain a steady speed"),
    ),
}
"""What the car should do (CODA-LM): phrases of each action, its name first."""

ACTIONS = tuple(DONE)
"""Every action, `KEEP_GOING` last."""

TOLD = {
    "night": re.compile(r"\b(?:night|nighttime|after dark)\b", re.IGNORECASE),
    "bus_lane": re.compile(r"\bbus lane\b", re.IGNORECASE),
}
"""Circumstances that a text may tell of, by the key of the metadata."""


def actions_named(answers: AnswerFormat, text: str) -> tuple[str, ...]:
    """The actions that a sentence names, in the order of `ACTIONS`; going on is one only when there is no other.

    Example:
        >>> from cpo.answers import PhrasedAnswer
        >>> actions_named(PhrasedAnswer("The car {}.", DONE), "The car moves forward then comes to a stop")
        ('stop',)
        >>> actions_named(PhrasedAnswer("The car {}.", DONE), "It is a bird.")
        ()
    """
    found = answers.read(text)
    if isinstance(found, Malformed):
        return ()
    return tuple(name for name in ACTIONS if name in found and (name != KEEP_GOING or len(found) == 1))


def action_labels(results: tuple[str, ...]) -> dict[str, LabelState]:
    """Every action: present when named; a sentence says nothing about the others."""
    return {name: LabelState.PRESENT if name in results else LabelState.UNMENTIONED for name in ACTIONS}


def circumstances(*texts: str) -> dict[str, str]:
    """Which circumstances the texts tell of, `told` or `untold`, as metadata.

    Example:
        >>> circumstances("The road is dark, it is night.")["night"]
        'told'
    """
    return {key: "told" if any(map(pattern.search, texts)) else "untold" for key, pattern in TOLD.items()}
