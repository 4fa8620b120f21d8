"""How hard a world is: a few named levels, so that a name tells which world a result is from.

Grain, severities, doubt and nuisances are not knobs of their own: two worlds of one level and one seed are one world,
and nobody has to ask how noisy the default was. All levels draw the same studies (of a road: scenes) from the same
seed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What makes findings hard to see or hard to be sure of.

    Args:
        severities: Shares of mild, moderate and severe findings; they sum to 1.
        uncertain_share: Share of diseases (of a road: of what decides) that are faint in the picture and hedged in
            the text, in [0, 1].
        noise: Standard deviation of the picture's grain, as a share of the grey scale, in [0, 0.2].
        nuisance: Strength of what differs between pictures and means nothing, at least 0: turn, shift and zoom of the
            body or the camera, exposure, contrast, margins. 0 none, 1 as ordinary pictures differ. View, devices and
            lead markers, night and bus lanes stay as they are: a shift may tie results to them, so they must be seen
            in every world.
    """

    severities: tuple[float, float, float]
    uncertain_share: float
    noise: float
    nuisance: float


DIFFICULTIES: dict[str, Difficulty] = {
    "easy": Difficulty(severities=(0.0, 0.25, 0.75), uncertain_share=0.02, noise=0.008, nuisance=0.5),
    "default": Difficulty(severities=(0.2, 0.4, 0.4), uncertain_share=0.05, noise=0.02, nuisance=1.0),
    "hard": Difficulty(severities=(0.5, 0.35, 0.15), uncertain_share=0.15, noise=0.04, nuisance=1.6),
}
"""The levels by name. In `easy` nothing sure is mild, and a policy that reads 112 pixels sees the signs; in `default`
every fifth disease is mild; in `hard` half of them are, and every seventh is hedged."""
