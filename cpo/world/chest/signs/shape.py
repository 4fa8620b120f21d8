"""Signs that bend the chest itself, before it is drawn.

Every function takes the body, the side (-1 right, +1 left, 0 neither) and a grade from 0 (nothing) to 1 (severe).
"""

from __future__ import annotations

from collections.abc import Callable

from cpo.world.chest.body import Body
from cpo.world.chest.frame import LEFT, RIGHT

Bend = Callable[[Body, int, float], None]


def _enlarged_heart(body: Body, side: int, grade: float) -> None:
    body.heart += 0.01 + 0.19 * grade


def _displaced_apex(body: Body, side: int, grade: float) -> None:
    body.heart += 0.05 * grade
    body.heart_drop += 0.75 * grade


def _small_heart(body: Body, side: int, grade: float) -> None:
    body.heart -= 0.14 * grade
    body.heart_drop += 0.30 * grade


def _widened_mediastinum(body: Body, side: int, grade: float) -> None:
    body.mediastinum += 0.02 + 0.16 * grade


def _thick_paratracheal_stripe(body: Body, side: int, grade: float) -> None:
    body.stripe += 0.16 * grade


def _tortuous_aorta(body: Body, side: int, grade: float) -> None:
    body.knob *= 1 + 0.5 * grade
    body.unfolded += 0.16 * grade


def _deviated_trachea(body: Body, side: int, grade: float) -> None:
    body.trachea += side * 0.13 * grade


def _splayed_carina(body: Body, side: int, grade: float) -> None:
    body.splay += grade


def _enlarged_hilum(body: Body, side: int, grade: float) -> None:
    body.hilum[side] += 1.3 * grade


def _mediastinal_pull(body: Body, side: int, grade: float) -> None:
    body.shift += side * 0.20 * grade


def _mediastinal_push(body: Body, side: int, grade: float) -> None:
    body.shift -= side * 0.20 * grade


def _vascular_congestion(body: Body, side: int, grade: float) -> None:
    body.vessels += 1.3 * grade
    for each in (RIGHT, LEFT):
        body.hilum[each] += 0.35 * grade


def _upper_zone_redistribution(body: Body, side: int, grade: float) -> None:
    body.upper_vessels += 2.2 * grade


def _volume_loss(body: Body, side: int, grade: float) -> None:
    body.narrow[side] += 0.20 * grade
    body.dome[side] -= 0.20 * grade
    body.shift += side * 0.10 * grade


def _elevated_hemidiaphragm(body: Body, side: int, grade: float) -> None:
    body.dome[side] -= 0.32 * grade


def _low_lung_volumes(body: Body, side: int, grade: float) -> None:
    for each in (RIGHT, LEFT):
        body.dome[each] -= 0.26 * grade
    body.heart += 0.02 * grade
    body.vessels += 0.25 * grade


def _hyperinflation(body: Body, side: int, grade: float) -> None:
    for each in (RIGHT, LEFT):
        body.dome[each] += 0.15 * grade
    body.curve *= 1 - 0.35 * grade
    body.lucency += 0.16 * grade
    body.heart -= 0.04 * grade


def _flat_hemidiaphragms(body: Body, side: int, grade: float) -> None:
    body.curve *= 1 - grade
    for each in (RIGHT, LEFT):
        body.dome[each] += 0.08 * grade


def _deep_sulcus(body: Body, side: int, grade: float) -> None:
    body.sulcus[side] += 0.32 * grade


def _clavicle_step(body: Body, side: int, grade: float) -> None:
    body.clavicle_step[side] += 0.02 + 0.08 * grade


BENDS: dict[str, Bend] = {
    "enlarged heart": _enlarged_heart,
    "displaced apex": _displaced_apex,
    "small heart": _small_heart,
    "widened mediastinum": _widened_mediastinum,
    "thick paratracheal stripe": _thick_paratracheal_stripe,
    "tortuous aorta": _tortuous_aorta,
    "deviated trachea": _deviated_trachea,
    "splayed carina": _splayed_carina,
    "enlarged hilum": _enlarged_hilum,
    "mediastinal pull": _mediastinal_pull,
    "mediastinal push": _mediastinal_push,
    "vascular congestion": _vascular_congestion,
    "upper zone redistribution": _upper_zone_redistribution,
    "volume loss": _volume_loss,
    "elevated hemidiaphragm": _elevated_hemidiaphragm,
    "low lung volumes": _low_lung_volumes,
    "hyperinflation": _hyperinflation,
    "flat hemidiaphragms": _flat_hemidiaphragms,
    "deep sulcus": _deep_sulcus,
    "clavicle step": _clavicle_step,
}
