"""One chest as a handful of numbers: what a sign bends before anything is drawn.

Lengths are in body coordinates (see `frame`); pairs by side are keyed by -1 (right) and +1 (left).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cpo.world.chest.frame import LEFT, RIGHT, Field


def _pair(right: float, left: float) -> dict[int, float]:
    return {RIGHT: right, LEFT: left}


@dataclass
class Body:
    """The shape of a chest.

    Args:
        width: Half-width of the thoracic cage at its base.
        apex: y of the lung apices.
        dome: y of the top of each hemidiaphragm.
        curve: How far the costophrenic angle lies below the dome.
        sulcus: Extra depth of each costophrenic angle.
        narrow: Share of its width that a lung has lost, by side.
        heart: Half-width of the heart as a share of the cage's (half the cardiothoracic ratio).
        heart_drop: How far the apex of the heart points down.
        mediastinum: Half-width of the upper mediastinum.
        stripe: Extra width of the right paratracheal stripe.
        knob: Radius of the aortic knob.
        unfolded: How far the descending aorta bulges to the left.
        shift: Of heart and mediastinum, to the left positive.
        trachea: Extra shift of the trachea, to the left positive.
        splay: How far the main bronchi are spread apart; 0 is normal.
        hilum: Size of each hilum; 1 is normal.
        lucency: Blackness of the aerated lung; 1 is normal.
        vessels: Strength of the lung markings: overall, and extra in the upper zones.
        clavicle_step: Height of a step in each clavicle.
        scapula: x of the medial border of the scapulae, as a share of the cage's width.
        breasts: Density of the breast shadows.
    """

    width: float = 0.76
    apex: float = -0.80
    dome: dict[int, float] = field(default_factory=lambda: _pair(0.40, 0.47))
    curve: float = 0.25
    sulcus: dict[int, float] = field(default_factory=lambda: _pair(0.0, 0.0))
    narrow: dict[int, float] = field(default_factory=lambda: _pair(0.0, 0.0))
    heart: float = 0.44
    heart_drop: float = 0.0
    mediastinum: float = 0.125
    stripe: float = 0.0
    knob: float = 0.085
    unfolded: float = 0.0
    shift: float = 0.0
    trachea: float = 0.0
    splay: float = 0.0
    hilum: dict[int, float] = field(default_factory=lambda: _pair(1.0, 1.0))
    lucency: float = 1.0
    vessels: float = 1.0
    upper_vessels: float = 0.0
    clavicle_step: dict[int, float] = field(default_factory=lambda: _pair(0.0, 0.0))
    scapula: float = 1.04
    breasts: float = 0.0

    def lateral(self, side: int, y: Field | float) -> Field:
        """Distance of the lung's outer border from the spine at height y; 0 above the apex."""
        depth = np.clip((np.asarray(y, dtype=np.float32) - self.apex) / (0.62 - self.apex), 0, 1)
        rest = 1 - depth
        wide = self.width * (1 - self.narrow[side])
        return np.asarray(wide * np.sqrt(1 - rest * rest * np.sqrt(rest)), dtype=np.float32)

    def diaphragm(self, side: int, u: Field | float) -> Field:
        """Height of a hemidiaphragm at distance u from the spine: a dome that falls to the costophrenic angle."""
        out = (np.asarray(u, dtype=np.float32) - 0.45 * self.width) / (0.55 * self.width)
        fall = self.curve + np.where(out > 0.5, self.sulcus[side] * (out - 0.5) * 2, 0)
        return np.asarray(self.dome[side] + np.where(out > 0, fall, 0.45 * self.curve) * out * out, dtype=np.float32)

    def angle(self, side: int) -> tuple[float, float]:
        """Distance from the spine and height of the costophrenic angle."""
        u = float(self.lateral(side, 0.6)) * 0.97
        return u, float(self.diaphragm(side, u))

    def heart_axes(self) -> tuple[float, float, float, float]:
        """Centre x, y and half-axes of the heart."""
        rx = self.heart * self.width
        ry = 0.22 + 0.24 * rx
        # it rests on the lower of the two domes: one raised hemidiaphragm does not lift it
        return self.shift + 0.30 * rx, max(self.dome.values()) - 0.03 - 0.66 * ry, rx, ry


def draw_body(patient: np.random.Generator, study: np.random.Generator, *, view: str) -> Body:
    """A healthy chest: the patient's build, the breath of this study, and what the view does to both.

    Args:
        patient: Random numbers that all studies of a patient share.
        study: Random numbers of this study.
        view: `AP` enlarges the heart, raises the diaphragm and lays the scapulae over the lungs.
    """
    portable = view == "AP"
    width = patient.uniform(0.71, 0.80)
    breath = study.normal(0, 0.018) - (0.05 if portable else 0.0)
    dome = patient.uniform(0.42, 0.50) + breath
    left_lower = patient.uniform(0.03, 0.07)
    return Body(
        width=width,
        apex=patient.uniform(-0.84, -0.77),
        dome=_pair(dome, dome + left_lower),
        curve=patient.uniform(0.22, 0.30),
        heart=patient.uniform(0.41, 0.46) + (0.035 if portable else 0.0) + study.normal(0, 0.006),
        mediastinum=patient.uniform(0.115, 0.135) + (0.012 if portable else 0.0),
        knob=patient.uniform(0.07, 0.09),
        hilum=_pair(patient.uniform(0.9, 1.1), patient.uniform(0.9, 1.1)),
        vessels=study.uniform(0.85, 1.15),
        scapula=study.uniform(0.72, 0.82) if portable else study.uniform(0.98, 1.06),
        breasts=max(0.0, patient.normal(0.02, 0.03)),
    )
